"""Mistakes of silhouettes that detectors give: soft and shifted outlines, lost and foreign pieces, none at all."""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

_STEEPNESS = (4.0, 24.0)
_COARSE = 8
"""Rows and columns of the grid on which pieces are lost."""


@dataclass(frozen=True)
class SilhouetteNoise:
    """How bad silhouettes are."""

    missing: float = 0.25
    """Share of people whose detector gives none."""
    shift: float = 0.25
    """Largest change of the level at which a blurred outline is drawn: thinner or fatter people."""
    blur: int = 5
    """Largest side of the box that outlines are blurred with, pixels of the crop."""
    lost: float = 0.3
    """Share of people who lose pieces of an eighth of the crop."""
    foreign: float = 0.15
    """Share of people whose silhouette has a rectangle too many."""

    def __post_init__(self) -> None:
        """Refuse what cannot be drawn."""
        shares = (self.missing, self.shift, self.lost, self.foreign)
        if not all(0.0 <= share <= 1.0 for share in shares) or self.blur < 1:
            raise ValueError(f"Shares lie between 0 and 1 and blur is at least 1, got {shares} and {self.blur}.")


def disturb_silhouettes(
    masks: Float[Tensor, "people size size"], config: SilhouetteNoise, generator: torch.Generator
) -> Float[Tensor, "people size size"]:
    """What a detector would have drawn for true silhouettes.

    Args:
        masks: 1 at pixels of the person.
        config: How bad the detector is.
        generator: Source of randomness, on the CPU.
    """
    people, size = len(masks), masks.shape[-1]
    blurred = masks.clone()
    radius = torch.randint(0, config.blur // 2 + 1, (people,), generator=generator)
    for one in range(1, config.blur // 2 + 1):
        rows = radius == one
        blurred[rows] = torch.nn.functional.avg_pool2d(masks[rows][:, None], 2 * one + 1, 1, one)[:, 0]
    low, high = _STEEPNESS
    steep = low + (high - low) * torch.rand(people, 1, 1, generator=generator)
    level = 0.5 + config.shift * (2.0 * torch.rand(people, 1, 1, generator=generator) - 1.0)
    found = torch.sigmoid(steep * (blurred - level)) * (blurred > 0.01)
    kept = (torch.rand(people, 1, _COARSE, _COARSE, generator=generator) > 0.1).float()
    kept = torch.nn.functional.interpolate(kept, (size, size), mode="bilinear")[:, 0]
    found = torch.where(_some(people, config.lost, generator), found * kept, found)
    found = torch.where(_some(people, config.foreign, generator), torch.maximum(found, _boxes(found, generator)), found)
    return found * (~_some(people, config.missing, generator))


def _some(people: int, share: float, generator: torch.Generator) -> Tensor:
    return torch.rand(people, 1, 1, generator=generator) < share


def _boxes(masks: Tensor, generator: torch.Generator) -> Tensor:
    """A rectangle anywhere in each crop."""
    people, size = len(masks), masks.shape[-1]
    ticks = (torch.arange(size) + 0.5) / size
    center, half = torch.rand(people, 2, 1, generator=generator), 0.2 * torch.rand(people, 2, 1, generator=generator)
    inside = (ticks - center).abs() < half
    return (inside[:, 0, None, :] & inside[:, 1, :, None]).float()
