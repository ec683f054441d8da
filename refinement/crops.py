"""The square that is looked at: where it lies, what the photo shows there, and the camera that would have taken it."""

from dataclasses import replace

import torch
from jaxtyping import Bool, Float
from torch import Tensor
from torch.nn.functional import avg_pool2d, grid_sample

from fitloop.geometry import Camera, Crop, project
from fitloop.geometry.crops import sampling_grid

CROP_SIZE = 128
"""Pixels along an edge of what the displacement network looks at."""
CROP_MARGIN = 1.2
"""Side of the crop over the longer side of the body's visible box: the person may be where the estimate is not."""
MIN_PIXELS = 24.0
"""Pixels of the photo along the crop's side; a body that is smaller shows nothing to align."""
MIN_EXTENT = 2.0
"""Pixels of the photo; a body that covers less is not in the picture."""


def crop_of_bodies(
    pixels: Float[Tensor, "people vertices 2"],
    depth: Float[Tensor, "people vertices"],
    size: tuple[int, int],
    margin: float = CROP_MARGIN,
) -> Crop:
    """Square around the part of each body that lies in the photo; side 0 where there is none.

    Args:
        pixels: Projected vertices, full-image pixels.
        depth: Metres along the camera's z; vertices at or behind the camera do not count.
        size: Height and width of the photo.
        margin: Side over the longer side of the box.
    """
    limit = pixels.new_tensor([size[1], size[0]])
    before = (depth > 0.05)[..., None]
    low = torch.where(before, pixels, torch.inf).amin(-2).clamp_min(0.0).minimum(limit)
    high = torch.where(before, pixels, -torch.inf).amax(-2).minimum(limit).clamp_min(0.0)
    extent = (high - low).clamp_min(0.0)
    side = torch.where((extent < MIN_EXTENT).any(-1), 0.0, margin * extent.amax(-1))
    return Crop((low + high) / 2.0, side, torch.zeros_like(side))


def crops_to_look_at(
    vertices: Float[Tensor, "people vertices 3"], camera: Camera, size: tuple[int, int], margin: float = CROP_MARGIN
) -> tuple[Crop, Bool[Tensor, "people"]]:
    """`crop_of_bodies` for all, and whose is large enough to show something.

    People who are not in the picture get some crop, so that rows stay together.

    Args:
        vertices: Camera frame, metres.
        camera: Of the full photo.
        size: Height and width of the photo.
        margin: Side over the longer side of the box.
    """
    crop = crop_of_bodies(project(vertices, camera), vertices[..., 2], size, margin)
    large = torch.isfinite(crop.side) & (crop.side >= MIN_PIXELS)
    return replace(crop, side=torch.where(large, crop.side, MIN_PIXELS), center=crop.center.nan_to_num(0.0)), large


def crop_camera(camera: Camera, crop: Crop, size: int) -> Camera:
    """The camera of the cut square, ``size`` pixels wide: pixel (0, 0) is the square's top left corner."""
    scale = size / crop.side
    corner = crop.center - crop.side[..., None] / 2.0
    return Camera(camera.focal * scale, (camera.principal_point - corner) * scale[..., None])


def cut_photos(
    photos: Float[Tensor, "people channels height width"], crop: Crop, size: int
) -> Float[Tensor, "people channels size size"]:
    """Cut each person's square out of its own picture; 0 outside. Enlarges or shrinks by up to two without averaging.

    Args:
        photos: One picture per person.
        crop: One square per person, not turned.
        size: Pixels along an edge of the result.
    """
    grid = sampling_grid(crop, size, *photos.shape[-2:])
    return grid_sample(photos, grid.to(photos.dtype), align_corners=False)


def cut_photo(photo: Tensor, crop: Crop, size: int) -> Float[Tensor, "people 3 size size"]:
    """Cut every person's square out of one photo, RGB in [0, 1], black outside; large squares are averaged down.

    Args:
        photo: (height, width, 3) uint8, where the crops are.
        crop: One square per person, not turned, sides above 0.
        size: Pixels along an edge of the result.
    """
    height, width = photo.shape[:2]
    cut = []
    for center, side in zip(crop.center, crop.side.tolist(), strict=True):
        factor = max(1, int(side / size))
        # Only the surroundings of the square are turned into numbers: photos may be large.
        low = [int(value // factor * factor) for value in (center - side / 2.0 - factor).clamp_min(0.0).tolist()]
        high = (center + side / 2.0 + 2 * factor).long().tolist()
        piece = photo[low[1] : max(high[1], low[1] + 1), low[0] : max(high[0], low[0] + 1)]
        if not piece.numel():
            cut.append(center.new_zeros(3, size, size))
            continue
        source = piece.permute(2, 0, 1).contiguous()[None].to(center.dtype)
        # Shrunk first: of a near person the square holds a million pixels, and then a few ten thousand.
        source = (avg_pool2d(source, factor, ceil_mode=True) if factor > 1 else source) / 255.0
        moved = Crop((center - center.new_tensor(low)) / factor, center.new_tensor(side / factor), center.new_zeros(()))
        cut.append(cut_photos(source, moved.map(lambda tensor: tensor[None]), size)[0])
    return torch.stack(cut) if cut else crop.side.new_zeros(0, 3, size, size)


def cut_silhouettes(
    grids: Float[Tensor, "people rows columns"], boxes: Float[Tensor, "people 4"], crop: Crop, size: int
) -> Float[Tensor, "people size size"]:
    """Silhouette grids, each spanning its box in the photo, sampled over the crops; 0 outside the box.

    Args:
        grids: Probability of belonging to the person.
        boxes: x y x y in full-image pixels that the grids span.
        crop: One square per person, not turned.
        size: Pixels along an edge of the result.
    """
    extent = (boxes[:, 2:] - boxes[:, :2]).clamp_min(1e-6)
    ticks = (torch.arange(size, dtype=crop.side.dtype, device=crop.side.device) + 0.5) / size - 0.5
    y, x = torch.meshgrid(ticks, ticks, indexing="ij")
    pixels = crop.center[:, None, None] + torch.stack([x, y], -1) * crop.side[:, None, None, None]
    grid = 2.0 * (pixels - boxes[:, None, None, :2]) / extent[:, None, None] - 1.0
    return grid_sample(grids[:, None], grid.to(grids.dtype), align_corners=False)[:, 0]
