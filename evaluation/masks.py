"""Silhouettes and body parts against annotated masks. Counts add up over photos, so any number of them fits."""

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

PART_NAMES = ("background", "head", "torso", "left_arm", "right_arm", "left_leg", "right_leg")
"""The six parts of UPi-S1h's LSP masks, behind the background."""
IGNORED = 255
"""Label of pixels that do not count."""


def part_of_joint() -> dict[str, int]:
    """Which of `PART_NAMES` the surface around each of SMPL's joints belongs to."""
    table = {"head": 1, "neck": 1}
    table |= dict.fromkeys(("pelvis", "spine1", "spine2", "spine3", "left_collar", "right_collar"), 2)
    for number, side in ((3, "left"), (4, "right")):
        table |= {f"{side}_{joint}": number for joint in ("shoulder", "elbow", "wrist", "hand")}
    for number, side in ((5, "left"), (6, "right")):
        table |= {f"{side}_{joint}": number for joint in ("hip", "knee", "ankle", "foot")}
    return table


def mask_iou(
    mask: Bool[Tensor, "*batch height width"], target: Bool[Tensor, "*batch height width"]
) -> Float[Tensor, "*batch"]:
    """Intersection over union of silhouettes, in [0, 1]; two empty ones agree: 1."""
    both = (mask & target).sum((-2, -1)).to(torch.float32)
    either = (mask | target).sum((-2, -1)).to(torch.float32)
    return torch.where(either > 0, both / either.clamp_min(1.0), torch.ones_like(both))


@dataclass(frozen=True)
class Confusion:
    """Pixels of each true label (rows) that got each estimated label (columns), summed over photos."""

    counts: Int[Tensor, "labels labels"]

    def __add__(self, other: "Confusion") -> "Confusion":
        return Confusion(self.counts + other.counts)

    @property
    def accuracy(self) -> float:
        """Share of the pixels that got their true label, in [0, 1]; NaN without pixels."""
        return float(self.counts.diagonal().sum()) / float(self.counts.sum()) if self.counts.sum() else float("nan")

    @property
    def f1(self) -> Float[Tensor, "labels"]:
        """Per label ``2 tp / (2 tp + fp + fn)``; 0 for a label that occurs nowhere, as SPIN's evaluation has it."""
        counts = self.counts.to(torch.float64)
        right = counts.diagonal()
        return 2.0 * right / (counts.sum(0) + counts.sum(1)).clamp_min(1e-12)

    @property
    def macro_f1(self) -> float:
        """Mean of `f1` over all labels, background included (the F1 of LSP's tables)."""
        return float(self.f1.mean())


def confusion(labels: Int[Tensor, "height width"], target: Int[Tensor, "rows columns"], num_labels: int) -> Confusion:
    """Count the pixels of one photo.

    Args:
        labels: Estimated label of each pixel, 0 for background.
        target: True labels, in the same size; pixels marked `IGNORED` do not count.
        num_labels: 2 for silhouettes, 7 for parts.

    Raises:
        ValueError: If the shapes differ or a label is out of range.
    """
    if labels.shape != target.shape:
        raise ValueError(
            f"The masks differ in size: {tuple(labels.shape)} and {tuple(target.shape)}; give both in one size."
        )
    # Left out of both sides: neither right nor wrong can be said of an occluded pixel.
    counted = target != IGNORED
    first, second = target[counted].long(), labels[counted].long()
    top = max(int(first.max()) if first.numel() else 0, int(second.max()) if second.numel() else 0)
    if top >= num_labels:
        raise ValueError(f"Label {top} is out of range: {num_labels} labels are known, 0 to {num_labels - 1}.")
    # One number per pair of labels makes a single histogram of a table.
    counts = torch.bincount(first * num_labels + second, minlength=num_labels**2)
    return Confusion(counts.reshape(num_labels, num_labels))
