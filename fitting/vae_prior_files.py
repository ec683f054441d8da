"""Files of autoencoders over poses: ours in safetensors, VPoser's snapshots of both versions by their tensors alone."""

import json
from pathlib import Path
from typing import Literal

import torch
from safetensors.torch import save_file
from torch import Tensor

from fitloop.body.files import whole_file
from fitloop.body.own_weights import read_own_weights
from fitloop.body.params import JOINT_NAMES
from fitloop.body.tensor_files import load_tensors
from fitloop.fitting.build_prior import added_variance
from fitloop.fitting.vae_prior import NUM_TURNED, TURNED_SIZE, Perceptron, VaePrior, make_vae_prior

FORMAT = "fitloop-pose-prior"
VERSION = 1
_LAYERS = ("first", "first_bias", "second", "second_bias", "last", "last_bias")
_OURS = {f"{half}.{layer}" for half in ("encoder", "decoder") for layer in _LAYERS} | {"deviation"}
_BN = ("weight", "bias", "running_mean", "running_var")
_COUNTER = ".num_batches_tracked"
_BN_EPSILON = 1e-5
VPOSER_DEVIATION = 0.08
"""Radians: how far poses of people lie from VPoser's answer, which its files do not say."""


def save_vae_prior(path: Path, prior: VaePrior) -> None:
    """Write an autoencoder of ours, in half precision, whole or not at all.

    Args:
        path: Ends in ``.safetensors``.
        prior: Its mixture and weight are not kept.

    Raises:
        ValueError: If it is no autoencoder of ours (VPoser's files stay with their owners).
        OSError: If the file cannot be written.
    """
    if prior.answer != "matrices":
        raise ValueError("Only priors whose decoder answers with matrices are written; keep VPoser's file as it is.")
    tensors = {"deviation": prior.deviation.half().contiguous()}
    for half, network in (("encoder", prior.encoder), ("decoder", prior.decoder)):
        tensors |= {f"{half}.{layer}": getattr(network, layer).detach().half().contiguous() for layer in _LAYERS}
    slopes = json.dumps([prior.encoder.slopes, prior.decoder.slopes])
    header = {"format": FORMAT, "version": str(VERSION), "joints": json.dumps(_JOINTS), "slopes": slopes}
    with whole_file(path) as temporary:
        save_file(tensors, temporary, header)


def load_vae_prior(path: Path) -> VaePrior:
    """Load an autoencoder, float64; nothing in the file is run.

    Args:
        path: ``.safetensors`` of ours; anything else is taken for a snapshot of VPoser.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If it is damaged, of another body or version, or its tensors are not those of such a network.
    """
    return _load_ours(path) if path.suffix == ".safetensors" else _load_vposer(path)


_JOINTS = list(JOINT_NAMES[1 : NUM_TURNED + 1])


def _load_ours(path: Path) -> VaePrior:
    header, tensors = read_own_weights(path, FORMAT, VERSION)
    joints, slopes = _header(header, path)
    if joints != _JOINTS:
        raise ValueError(
            f"{path} is a pose prior of another body: it has {len(joints)} joints, {', '.join(map(str, joints[:3]))} "
            f"and so on; needed are the {NUM_TURNED} of SMPL without root and hands."
        )
    check_names(tensors, _OURS, str(path))
    tensors = _checked(tensors, path)
    encoder, decoder = (
        Perceptron(*(tensors[f"{half}.{layer}"] for layer in _LAYERS), slopes=slope)
        for half, slope in zip(("encoder", "decoder"), slopes, strict=True)
    )
    _check_shapes(encoder, decoder, 9 * NUM_TURNED, path)
    if tensors["deviation"].shape != (len(JOINT_NAMES) - 1,) or not bool((tensors["deviation"] > 0).all()):
        raise ValueError(f"{path} is damaged: its deviation is not one positive number for each of 23 joints.")
    return make_vae_prior(encoder, decoder, tensors["deviation"])


def _header(header: dict[str, str], path: Path) -> tuple[list, list[tuple[float, float]]]:
    try:
        joints, slopes = json.loads(header["joints"]), json.loads(header["slopes"])
        pairs = [(float(first), float(second)) for first, second in slopes]
    except (KeyError, TypeError, ValueError) as error:
        raise ValueError(f"{path} does not say what it holds ({error}); its header was changed.") from error
    if len(pairs) != 2 or not isinstance(joints, list):
        raise ValueError(f"{path} does not say what it holds; its header was changed.")
    return joints, pairs


def check_names(tensors: dict[str, Tensor], wanted: set[str], source: str) -> None:
    """Raise a `ValueError` that names what is missing or extra."""
    missing, extra = sorted(wanted - set(tensors)), sorted(set(tensors) - wanted)
    problems = [f"misses {', '.join(missing[:4])}"] if missing else []
    problems += [f"has the extra {', '.join(extra[:4])}"] if extra else []
    if problems:
        raise ValueError(f"{source} is no pose prior that can be read here: it {' and '.join(problems)}.")


def _checked(tensors: dict[str, Tensor], path: Path) -> dict[str, Tensor]:
    wild = [name for name, tensor in tensors.items() if not bool(torch.isfinite(tensor).all())]
    if wild:
        raise ValueError(f"{path} has values that are not finite in {', '.join(wild[:4])}; get it again.")
    return {name: tensor.double() for name, tensor in tensors.items()}


def _check_shapes(encoder: Perceptron, decoder: Perceptron, answers: int, path: Path) -> None:
    latent = encoder.last.shape[0] if encoder.last.ndim == 2 else 0
    for half, network, inputs, outputs in (
        ("encoder", encoder, TURNED_SIZE, latent),
        ("decoder", decoder, latent, answers),
    ):
        hidden, outer = (layer.shape[0] if layer.ndim else 0 for layer in (network.first, network.second))
        wanted = ((hidden, inputs), (hidden,), (outer, hidden), (outer,), (outputs, outer), (outputs,))
        for layer, shape in zip(_LAYERS, wanted, strict=True):
            found = tuple(getattr(network, layer).shape)
            if found != shape:
                raise ValueError(
                    f"{path} is a pose prior of another body or kind: its {half}'s {layer} is {found}, not {shape}; "
                    f"needed are {NUM_TURNED} axis-angle vectors in, {answers // NUM_TURNED} numbers each out."
                )


def _load_vposer(path: Path) -> VaePrior:
    """VPoser as released: version 1 (``bodyprior_*``) and version 2 (``encoder_net.*``, ``decoder_net.*``)."""
    tensors = load_tensors(path)
    # Version 1 was trained on several GPUs, version 2 inside a trainer that keeps two body models beside it.
    tensors = {name.removeprefix("module.").removeprefix("vp_model."): value for name, value in tensors.items()}
    tensors = {n: v for n, v in tensors.items() if not n.startswith(("bm_train.", "bm_val.")) and _COUNTER not in n}
    second = any(name.startswith("encoder_net.") for name in tensors)
    check_names(tensors, _names(_V2_NORMS, _V2_LINEAR) if second else _names(_V1_NORMS, _V1_LINEAR), str(path))
    tensors = _checked(tensors, path)
    try:
        encoder, decoder = _version_2(tensors) if second else _version_1(tensors)
    except (RuntimeError, IndexError) as error:
        raise ValueError(f"{path} has layers whose sizes do not fit one another; get it again.") from error
    _check_shapes(encoder, decoder, 6 * NUM_TURNED, path)
    variance = torch.from_numpy(added_variance()).view(-1, 3)[:, 0] + VPOSER_DEVIATION**2
    answer: Literal["matrices", "6d"] = "6d"
    return make_vae_prior(encoder, decoder, variance.sqrt(), answer)


_V1_NORMS = ("bodyprior_enc_bn1", "bodyprior_enc_bn2")
_V1_LINEAR = tuple(f"bodyprior_{name}" for name in ("enc_fc1", "enc_fc2", "enc_mu", "enc_logvar")) + tuple(
    f"bodyprior_{name}" for name in ("dec_fc1", "dec_fc2", "dec_out")
)
_V2_NORMS = ("encoder_net.1", "encoder_net.4")
_V2_LINEAR = ("encoder_net.2", "encoder_net.6", "encoder_net.7", "encoder_net.8.mu", "encoder_net.8.logvar") + tuple(
    f"decoder_net.{number}" for number in (0, 3, 5)
)


def _names(norms: tuple[str, ...], linear: tuple[str, ...]) -> set[str]:
    layers = {f"{layer}.{part}" for layer in linear for part in ("weight", "bias")}
    return layers | {f"{norm}.{part}" for norm in norms for part in _BN}


def _linear(tensors: dict[str, Tensor], name: str, norm: str | None = None) -> tuple[Tensor, Tensor]:
    """A layer's matrix and bias, with the batch normalisation before it folded in."""
    weight, bias = tensors[f"{name}.weight"], tensors[f"{name}.bias"]
    if norm is None:
        return weight, bias
    scale, shift, mean, variance = (tensors[f"{norm}.{part}"] for part in _BN)
    gain = scale / (variance + _BN_EPSILON).sqrt()
    return weight * gain, bias + weight @ (shift - gain * mean)


def _version_1(tensors: dict[str, Tensor]) -> tuple[Perceptron, Perceptron]:
    encoder = (
        *_linear(tensors, "bodyprior_enc_fc1", "bodyprior_enc_bn1"),
        *_linear(tensors, "bodyprior_enc_fc2", "bodyprior_enc_bn2"),
        *_linear(tensors, "bodyprior_enc_mu"),
    )
    decoder = (layer for name in ("dec_fc1", "dec_fc2", "dec_out") for layer in _linear(tensors, f"bodyprior_{name}"))
    return Perceptron(*encoder, slopes=(0.2, 0.2)), Perceptron(*decoder, slopes=(0.2, 0.2))


def _version_2(tensors: dict[str, Tensor]) -> tuple[Perceptron, Perceptron]:
    between, between_bias = _linear(tensors, "encoder_net.6", "encoder_net.4")
    outer, outer_bias = _linear(tensors, "encoder_net.7")
    encoder = (
        *_linear(tensors, "encoder_net.2", "encoder_net.1"),
        # Two layers without a rectifier between them are one.
        *(outer @ between, outer @ between_bias + outer_bias),
        *_linear(tensors, "encoder_net.8.mu"),
    )
    decoder = (layer for number in (0, 3, 5) for layer in _linear(tensors, f"decoder_net.{number}"))
    # PyTorch's default slope, unlike version 1's.
    return Perceptron(*encoder, slopes=(0.01, 1.0)), Perceptron(*decoder, slopes=(0.01, 0.01))
