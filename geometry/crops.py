"""Square crops: where they lie in the photo, and coordinates in and out of them."""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from fitloop.geometry.records import TensorRecord


@dataclass(frozen=True)
class Crop(TensorRecord):
    """An upright or rotated square in the photo."""

    center: Float[Tensor, "*batch 2"]
    """(x, y) in full-image pixels."""
    side: Float[Tensor, "*batch"]
    """Side in full-image pixels."""
    angle: Float[Tensor, "*batch"]
    """Rotation of the crop's axes in the photo, radians, clockwise as seen (x towards y)."""


def crop_of_box(boxes: Float[Tensor, "*batch 4"], margin: float = 1.2) -> Crop:
    """Square crop around an x y x y box; ``margin`` is SPIN's 1.2 times the longer side."""
    extent = boxes[..., 2:] - boxes[..., :2]
    side = margin * extent.amax(-1).clamp_min(1.0)
    return Crop((boxes[..., :2] + boxes[..., 2:]) / 2.0, side, torch.zeros_like(side))


def _axes(angle: Tensor) -> Tensor:
    cos, sin = torch.cos(angle), torch.sin(angle)
    return torch.stack([cos, -sin, sin, cos], dim=-1).unflatten(-1, (2, 2))


def to_crop(pixels: Float[Tensor, "*batch points 2"], crop: Crop) -> Float[Tensor, "*batch points 2"]:
    """Full-image pixels to normalised crop coordinates, [-1, 1] across the crop."""
    centred = (pixels - crop.center[..., None, :]) @ _axes(crop.angle)
    return 2.0 * centred / crop.side[..., None, None]


def from_crop(points: Float[Tensor, "*batch points 2"], crop: Crop) -> Float[Tensor, "*batch points 2"]:
    """Normalised crop coordinates to full-image pixels; the inverse of `to_crop`."""
    return points * crop.side[..., None, None] / 2.0 @ _axes(crop.angle).mT + crop.center[..., None, :]


def sampling_grid(crop: Crop, size: int, height: int, width: int) -> Float[Tensor, "*batch size size 2"]:
    """Grid for `torch.nn.functional.grid_sample` (``align_corners=False``) that cuts the crop out of a photo.

    Args:
        crop: Where to cut.
        size: Output side in pixels.
        height: Photo height in pixels.
        width: Photo width in pixels.
    """
    ticks = (torch.arange(size, dtype=crop.side.dtype, device=crop.side.device) + 0.5) / size * 2.0 - 1.0
    y, x = torch.meshgrid(ticks, ticks, indexing="ij")
    points = torch.stack([x, y], dim=-1).flatten(0, 1).expand(*crop.side.shape, size * size, 2)
    pixels = from_crop(points, crop)
    scale = torch.tensor([width, height], dtype=pixels.dtype, device=pixels.device)
    return (2.0 * pixels / scale - 1.0).unflatten(-2, (size, size))
