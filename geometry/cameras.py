"""The one camera: perspective, OpenCV axes (x right, y down, z forward), one focal length in pixels."""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from fitloop.geometry.records import TensorRecord


@dataclass(frozen=True)
class Camera(TensorRecord):
    """A perspective camera in full-image pixels, one per batch row.

        camera = fitloop.Camera(torch.tensor([800.0]), torch.tensor([[320.0, 240.0]]))
        fitloop.geometry.project(points, camera)  # pixels

    A photo spans [0, width] x [0, height]: pixel column i covers x from i to i + 1.
    """

    focal: Float[Tensor, "*batch"]
    """Focal length in pixels, the same in x and y."""
    principal_point: Float[Tensor, "*batch 2"]
    """(x, y) in pixels; the middle of the photo unless known better."""


def default_focal(width: int, height: int) -> float:
    """Focal length in pixels of a photo without EXIF: its diagonal (CLIFF, Li et al. 2022), 53 degrees across it."""
    return float((width**2 + height**2) ** 0.5)


def camera_of(width: int, height: int, focal: float | None = None) -> Camera:
    """Make the camera of a photo: principal point in the middle, ``focal`` or the default one.

    Args:
        width: Photo width in pixels.
        height: Photo height in pixels.
        focal: Focal length in pixels, or None for `default_focal`.
    """
    return Camera(
        torch.tensor(default_focal(width, height) if focal is None else float(focal)),
        torch.tensor([width / 2.0, height / 2.0]),
    )


def field_of_view_to_focal(degrees: float, width: int) -> float:
    """Focal length in pixels for a horizontal field of view.

    Raises:
        ValueError: If the angle is not between 0 and 180 degrees.
    """
    if not 0.0 < degrees < 180.0:
        raise ValueError(f"A field of view lies between 0 and 180 degrees, got {degrees}.")
    return float(width / (2.0 * torch.tan(torch.deg2rad(torch.tensor(degrees, dtype=torch.float64) / 2.0))))


def project(points: Float[Tensor, "*batch points 3"], camera: Camera) -> Float[Tensor, "*batch points 2"]:
    """Project camera-frame points (metres) to pixels.

    Points at or behind the camera plane (z below 1 mm) are projected as if 1 mm in front of it: finite, far away.
    """
    depth = points[..., 2:].clamp_min(1e-3)
    return points[..., :2] / depth * camera.focal[..., None, None] + camera.principal_point[..., None, :]


def backproject(
    pixels: Float[Tensor, "*batch points 2"], depth: Float[Tensor, "*batch points"], camera: Camera
) -> Float[Tensor, "*batch points 3"]:
    """Lift pixels with a known depth (metres along z) to the camera frame; the inverse of `project`."""
    rays = (pixels - camera.principal_point[..., None, :]) / camera.focal[..., None, None]
    return torch.cat([rays * depth[..., None], depth[..., None]], dim=-1)


def weak_to_translation(
    weak: Float[Tensor, "*batch 3"],
    center: Float[Tensor, "*batch 2"],
    side: Float[Tensor, "*batch"],
    camera: Camera,
) -> Float[Tensor, "*batch 3"]:
    """Turn a crop's weak-perspective camera (s, tx, ty) into a translation in the full photo (CLIFF, Li et al. 2022).

    Args:
        weak: Scale and shift as HMR predicts them: in the crop, x = s (X + tx), with the crop spanning [-1, 1].
        center: Crop centre in full-image pixels.
        side: Crop side in full-image pixels.
        camera: Camera of the full photo.
    """
    scale = weak[..., 0].clamp_min(1e-4)
    size = (side * scale)[..., None]
    shift = 2.0 * (center - camera.principal_point) / size
    depth = 2.0 * camera.focal[..., None] / size
    return torch.cat([weak[..., 1:] + shift, depth], dim=-1)


def translation_to_weak(
    transl: Float[Tensor, "*batch 3"],
    center: Float[Tensor, "*batch 2"],
    side: Float[Tensor, "*batch"],
    camera: Camera,
) -> Float[Tensor, "*batch 3"]:
    """Inverse of `weak_to_translation`; depths below 1 mm count as 1 mm."""
    depth = transl[..., 2:].clamp_min(1e-3)
    scale = 2.0 * camera.focal[..., None] / (side[..., None] * depth)
    shift = 2.0 * (center - camera.principal_point) / (side[..., None] * scale)
    return torch.cat([scale, transl[..., :2] - shift], dim=-1)
