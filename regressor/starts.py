"""What a network starts from: a backbone of others, a smaller network of ours, or what lies between two."""

from dataclasses import replace
from pathlib import Path

import torch

from fitloop.regressor.checkpoints import Weights, is_of_spread, read_torch_file
from fitloop.regressor.hmr import HMR
from fitloop.regressor.keypoint_encoder import KeypointEncoder
from fitloop.regressor.models import build_hmr
from fitloop.regressor.state_dicts import check_fit, load_strictly, with_counters


def load_backbone(model: HMR, path: Path) -> None:
    """Start an image encoder from torchvision's ImageNet weights, or any state dict with its names.

    The classifier (``fc.*``), which the encoder has no use for, is the only thing left out.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If the file is damaged, or keys are missing, extra, or of another shape; names some of them.
    """
    loaded = read_torch_file(path)
    tensors = {name: value for name, value in loaded.items() if not str(name).startswith("fc.")}
    load_strictly(model.encoder, with_counters(tensors, model.encoder), str(path))


def start_from_keypoints(model: HMR, source: Weights) -> list[torch.nn.Parameter]:
    """Give a ``keypoints`` network, or the keypoints half and head of a ``proxy`` one, weights of a ``keypoints`` one.

    Args:
        model: Its encoder is ``keypoints`` or ``proxy``.
        source: Its encoder is ``keypoints``.

    Returns:
        The parameters that are no longer fresh.

    Raises:
        ValueError: If the networks differ in width, blocks or head; names what.
    """
    if source.config.encoder != "keypoints":
        raise ValueError(f"A network starts from a 'keypoints' one, these weights are {source.config.encoder!r}.")
    known = {
        name if isinstance(model.encoder, KeypointEncoder) else name.replace("encoder.", "encoder.keypoints."): tensor
        for name, tensor in source.model.state_dict().items()
    }
    wanted = model.state_dict()
    # How sure a network is may be told by one of the two alone: what is not there starts fresh, what is too much stays.
    known = {name: tensor for name, tensor in known.items() if name in wanted or not is_of_spread(name)}
    fresh = {
        name: tensor
        for name, tensor in wanted.items()
        if _is_of_maps(name) or (is_of_spread(name) and name not in known)
    }
    load_strictly(model, {**fresh, **known}, "The keypoints network to start from")
    return [parameter for name, parameter in model.named_parameters() if name not in fresh]


def blend(first: Weights, second: Weights, share: float) -> Weights:
    """Weights between those of two networks of which one went on from the other (Wortsman et al. 2022).

    Between what a network knew and what it learned of one detector there are networks that know both. How sure it is
    is told as by the second network; where exactly it is right is to be learned anew (`start_rate` 0).

    Args:
        first: Where the other started.
        second: The other; alike but for what says how sure it is.
        share: Of the second, in [0, 1].

    Raises:
        ValueError: If the networks differ, or the share lies outside.
    """
    if not 0.0 <= share <= 1.0:
        raise ValueError(f"The share of the second network lies in [0, 1], got {share}.")
    silent, newer = first.silent().model, second.silent().model.state_dict()
    check_fit(silent, newer, "The second network to blend")
    model, tensors = build_hmr(second.config), dict(second.model.state_dict())
    tensors |= {name: torch.lerp(tensor, newer[name], share) for name, tensor in silent.state_dict().items()}
    load_strictly(model, tensors, "The blend")
    return Weights(model.eval(), second.config, first.body)


def carry_over(later: Weights, before: Weights, after: Weights) -> Weights:
    """Add to a ``proxy`` network what its ``keypoints`` network learned after it was built on it (Ilharco et al. 2023).

    The difference of the two keypoints networks is added to the half that was taken over; how sure it is of its
    answers is told as by the newer one.

    Args:
        later: The proxy network that started from ``before``.
        before: The keypoints network then.
        after: The keypoints network now.

    Raises:
        ValueError: If ``later`` is not a proxy network, or the networks differ in width, blocks or head.
    """
    if later.config.encoder != "proxy":
        raise ValueError(
            f"What was learned is carried over to a 'proxy' network, these weights are {later.config.encoder!r}."
        )
    config = replace(later.config, head=replace(later.config.head, uncertainty=after.config.head.uncertainty))
    model, older = build_hmr(config), build_hmr(config)
    start_from_keypoints(model, after)
    start_from_keypoints(older, before)
    had, new, old = later.model.state_dict(), model.state_dict(), older.state_dict()
    tensors = {
        name: tensor if is_of_spread(name) else had[name] if _is_of_maps(name) else had[name] + tensor - old[name]
        for name, tensor in new.items()
    }
    load_strictly(model, tensors, "What was learned")
    return Weights(model.eval(), config, later.body)


def _is_of_maps(name: str) -> bool:
    return name.startswith(("encoder.maps.", "encoder.scale.", "encoder.correct."))
