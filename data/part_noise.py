"""Mistakes of body part segmentation: borders that are shifted, coarse pixels, blobs of the wrong part."""

from dataclasses import dataclass

import torch
from jaxtyping import Int
from torch import Tensor

from fitloop.body import JOINT_NAMES
from fitloop.body.part_maps import NOBODY

_WAVES, _BLOBS = 5, 8
"""Rows and columns of the grids on which borders move alike and blobs are drawn."""


@dataclass(frozen=True)
class PartNoise:
    """How bad a segmentation is; nothing is wrong with it by default."""

    shift: float = 0.0
    """Standard deviation by which borders move, share of the crop's side."""
    coarse: int = 1
    """Pixels of the crop along a side of what the segmentation tells apart."""
    wrong: float = 0.0
    """Share of the person that bears the label of any other part, or of nobody, in blobs of an eighth of the crop."""

    def __post_init__(self) -> None:
        """Refuse what cannot be drawn."""
        if not (0.0 <= self.shift <= 1.0 and 0.0 <= self.wrong <= 1.0 and self.coarse >= 1):
            raise ValueError(
                "shift and wrong are shares between 0 and 1 and coarse is at least 1 pixel, got "
                f"{self.shift}, {self.wrong} and {self.coarse}."
            )


def disturb_parts(
    labels: Int[Tensor, "people size size"], config: PartNoise, generator: torch.Generator
) -> Int[Tensor, "people size size"]:
    """What a bad segmentation would have made of true part maps.

    Args:
        labels: Of `fitloop.body.part_maps`.
        config: How bad it is.
        generator: Source of randomness, on the CPU.
    """
    if config.shift:
        labels = _bend(labels, config.shift, generator)
    if config.coarse > 1:
        size = labels.shape[-1]
        rows = (torch.arange(size) // config.coarse * config.coarse + config.coarse // 2).clamp_max(size - 1)
        labels = labels[:, rows][:, :, rows]
    return _mislabel(labels, config.wrong, generator) if config.wrong else labels


def _bend(labels: Tensor, shift: float, generator: torch.Generator) -> Tensor:
    """Each pixel shows what lies a little beside it; neighbours move alike."""
    people, size = len(labels), labels.shape[-1]
    moves = 2.0 * shift * torch.randn(people, 2, _WAVES, _WAVES, generator=generator)
    moves = torch.nn.functional.interpolate(moves, (size, size), mode="bilinear", align_corners=True)
    ticks = (torch.arange(size) + 0.5) / size * 2.0 - 1.0
    grid = torch.stack(torch.meshgrid(ticks, ticks, indexing="xy"), -1) + moves.permute(0, 2, 3, 1)
    return sample_labels(labels, grid)


def sample_labels(labels: Int[Tensor, "people height width"], grid: Tensor) -> Int[Tensor, "people rows columns"]:
    """The nearest label at each place of a grid of `torch.nn.functional.grid_sample`, `NOBODY` outside.

    Args:
        labels: Part maps.
        grid: (people, rows, columns, 2), x and y in [-1, 1] across the map.
    """
    # Nobody is 0 here, which is also what lies outside.
    shifted = (labels[:, None] - NOBODY).float()
    found = torch.nn.functional.grid_sample(shifted, grid, mode="nearest", align_corners=False)[:, 0]
    return found.round().to(labels.dtype) + NOBODY


def _mislabel(labels: Tensor, share: float, generator: torch.Generator) -> Tensor:
    people, size = len(labels), labels.shape[-1]
    rows = torch.arange(size) * _BLOBS // size
    chosen = torch.rand(people, _BLOBS, _BLOBS, generator=generator) < share
    others = torch.randint(NOBODY, len(JOINT_NAMES), (people, _BLOBS, _BLOBS), generator=generator)
    blobs, others = chosen[:, rows][:, :, rows], others[:, rows][:, :, rows].to(labels.dtype)
    return torch.where(blobs & (labels > NOBODY), others, labels)
