"""Weights of the networks of dense refinement in files."""

import json
from dataclasses import asdict
from functools import lru_cache
from pathlib import Path

import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from fitloop.body.assets import asset_path
from fitloop.body.files import whole_file
from fitloop.body.own_weights import read_own_weights
from fitloop.refinement.correction import CorrectionConfig, CorrectionNet
from fitloop.refinement.inputs import CHANNELS
from fitloop.refinement.network import DisplacementNet, NetworkConfig

ASSETS = Path(__file__).parent / "assets"
SHIPPED, SHIPPED_CORRECTION = "displacement.safetensors", "correction.safetensors"
FORMAT, CORRECTION_FORMAT, VERSION = "fitloop-displacement", "fitloop-correction", 1


def save_network(path: Path, network: DisplacementNet) -> None:
    """Write weights whole or not at all, convolutions in half precision.

    Args:
        path: Ends in ``.safetensors``.
        network: What to write.
    """
    tensors = {name: tensor.half() if tensor.ndim == 4 else tensor for name, tensor in _tensors(network).items()}
    about = {"config": json.dumps(asdict(network.config)), "channels": json.dumps(CHANNELS)}
    _write(path, FORMAT, tensors, about)


def save_correction(path: Path, network: CorrectionNet, reads: str) -> None:
    """Write weights whole or not at all, matrices in half precision.

    Args:
        path: Ends in ``.safetensors``.
        network: What to write.
        reads: `fingerprint` of the displacement network whose features it has learned to read.
    """
    tensors = {name: tensor.half() if tensor.ndim == 2 else tensor for name, tensor in _tensors(network).items()}
    _write(path, CORRECTION_FORMAT, tensors, {"config": json.dumps(asdict(network.config)), "reads": reads})


def fingerprint(network: DisplacementNet) -> str:
    """A number that other weights do not share: the sum of the sizes of all convolutions, in half precision."""
    # On the CPU wherever the network is: other devices add in another order, and the number would be another.
    sizes = [float(t.cpu().half().double().abs().sum()) for t in network.state_dict().values() if t.ndim == 4]
    return f"{sum(sizes):.6f}"


def load_network(path: Path | None = None, device: torch.device | str = "cpu") -> DisplacementNet:
    """Read weights, ready to predict; the shipped ones if no file is given.

    Args:
        path: The file.
        device: Where the network goes.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If it is damaged, of another kind, or for other input channels.
    """
    if path is None:
        return _shipped(torch.device(device))
    about, tensors = _read(path, FORMAT, "fitloop train-refinement")
    # Weights for other channels would load and predict nonsense.
    if json.loads(about.get("channels", "{}")) != CHANNELS:
        raise ValueError(f"{path} holds no displacement network that looks at {', '.join(CHANNELS)}.")
    config = {key: tuple(value) for key, value in json.loads(about["config"]).items()}
    network = DisplacementNet(NetworkConfig(**config))
    _fill(network, tensors, path)
    network = network.to(memory_format=torch.channels_last)  # pyright: ignore[reportCallIssue]
    return network.to(device).eval().requires_grad_(False)


def load_correction(displacement: DisplacementNet, path: Path | None = None) -> CorrectionNet:
    """Read a correction network, ready to predict, to where ``displacement`` is; the shipped one if no file is given.

    Args:
        displacement: The network whose features it shall read.
        path: The file.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If it is damaged, of another kind, or learned to read another displacement network.
    """
    path = asset_path(SHIPPED_CORRECTION, ASSETS) if path is None else path
    about, tensors = _read(path, CORRECTION_FORMAT, "fitloop train-correction")
    if about.get("reads") != fingerprint(displacement):
        raise ValueError(
            f"{path} reads the features of another displacement network than the one given; "
            "train one for it with fitloop train-correction."
        )
    # Files of before say nothing of it, and their networks neither.
    network = CorrectionNet(CorrectionConfig(**{"uncertainty": 0, **json.loads(about["config"])}))
    _fill(network, tensors, path)
    return network.to(next(displacement.parameters()).device).eval().requires_grad_(False)


def _tensors(network: nn.Module) -> dict[str, Tensor]:
    return {name: tensor.detach().cpu().contiguous() for name, tensor in network.state_dict().items()}


def _write(path: Path, kind: str, tensors: dict[str, Tensor], about: dict[str, str]) -> None:
    with whole_file(path) as temporary:
        save_file(tensors, temporary, {"format": kind, "version": str(VERSION), **about})


def _read(path: Path, kind: str, maker: str) -> tuple[dict[str, str], dict[str, Tensor]]:
    if not path.is_file():
        raise FileNotFoundError(f"There are no weights {path}; train some with {maker}.")
    # The first files told no version.
    return read_own_weights(path, kind, VERSION, untold=1)


def _fill(network: nn.Module, tensors: dict[str, Tensor], path: Path) -> None:
    try:
        network.load_state_dict(tensors)
    except RuntimeError as error:
        raise ValueError(f"{path} does not hold the network that it describes: {error}.") from error


@lru_cache(maxsize=2)
def _shipped(device: torch.device) -> DisplacementNet:
    return load_network(asset_path(SHIPPED, ASSETS), device)
