"""State dicts that must fit their network, and what is said when they do not."""

import re
from collections.abc import Collection

import torch
from torch import Tensor

_TOLD = 4
"""How many names of tensors a message tells."""
_RESNETS = {
    **{(2, False): "a ResNet-18", (6, False): "a ResNet-34"},
    **{(6, True): "a ResNet-50", (23, True): "a ResNet-101", (36, True): "a ResNet-152"},
}
"""By the number of blocks in the third stage, and whether these have three convolutions."""


def load_strictly(model: torch.nn.Module, tensors: dict[str, Tensor], source: str) -> None:
    """Load a state dict; names, shapes and number of tensors must agree.

    Args:
        model: Receives the weights.
        tensors: By parameter name.
        source: What to call them in the error.

    Raises:
        ValueError: Names what is missing, what is extra and what has another shape.
    """
    check_fit(model, tensors, source)
    model.load_state_dict(tensors, strict=True)


def check_fit(model: torch.nn.Module, tensors: dict[str, Tensor], source: str) -> None:
    """Raise the `ValueError` of `load_strictly`, if any, and load nothing."""
    wanted = model.state_dict()
    problems, shapes, wild = [], [], []
    for words, names in (("misses", set(wanted) - set(tensors)), ("has the extra", set(tensors) - set(wanted))):
        if names:
            problems.append(f"{words} {some(sorted(names))}")
    for name in sorted(set(wanted) & set(tensors)):
        if wanted[name].shape != tensors[name].shape:
            shapes.append(f"{name} of shape {tuple(tensors[name].shape)} instead of {tuple(wanted[name].shape)}")
        elif tensors[name].is_floating_point() and not bool(tensors[name].isfinite().all()):
            wild.append(name)
    problems += [f"has {some(shapes)}"] if shapes else []
    problems += [f"has values in {some(wild)} that are not finite"] if wild else []
    if problems:
        found, expected = _backbone_of(tensors), _backbone_of(wanted)
        differ = found is not None and expected is not None and found != expected
        what = f"holds {found}, only {expected} can be read here" if differ else "does not fit the network"
        raise ValueError(f"{source} {what}: it {'; it '.join(problems)}.")


def some(names: list[str]) -> str:
    """The first few names, and how many more there are: a backbone has hundreds."""
    more = len(names) - _TOLD
    return ", ".join(names) if more <= 0 else f"{', '.join(names[:_TOLD])} and {more} more"


def _backbone_of(names: Collection[str]) -> str | None:
    """Which known backbone has tensors of these names."""
    if any(re.search(r"stage\d\.\d+\.branches\.", name) for name in names):
        return "an HRNet"
    if any(re.search(r"blocks\.\d+\.attn\.", name) for name in names):
        return "a vision transformer"
    stage = {found[1] for name in names if (found := re.search(r"layer3\.(\d+)\.conv1", name))}
    deep = any("layer3.0.conv3" in name for name in names)
    return _RESNETS.get((len(stage), deep))


def with_counters(tensors: dict[str, Tensor], module: torch.nn.Module) -> dict[str, Tensor]:
    """Add the batch counters that files older than PyTorch 0.4.1 lack; PyTorch itself lets them start at 0 too."""
    counter = "num_batches_tracked"
    missing = {
        name: value
        for name, value in module.state_dict().items()
        if name.endswith(counter) and name.removesuffix(counter) + "running_mean" in tensors
    }
    return {**missing, **tensors}
