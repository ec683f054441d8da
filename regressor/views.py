"""How a person is looked at: a virtual camera turned towards them.

A network that sees a crop sees a person as if straight ahead. That is made true by geometry: pixels become rays, the
rays are turned so that the crop's centre lies on the optical axis, and what the network predicts is turned back. So
nothing about perspective off the photo's centre has to be learnt (after Mehta et al. 2017, sec. 4.4).
"""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from fitloop.geometry import Camera, TensorRecord


@dataclass(frozen=True)
class View(TensorRecord):
    """A square look at one person."""

    rotation: Float[Tensor, "*batch 3 3"]
    """Photo's camera frame to the view's frame, whose z axis passes through the crop's centre."""
    half_size: Float[Tensor, "*batch"]
    """Half the side of the square at depth 1: the tangent of half the angle it spans."""


def view_of_boxes(boxes: Float[Tensor, "*batch 4"], camera: Camera, margin: float = 1.2) -> View:
    """Look at the middle of x y x y boxes; the square is ``margin`` times the longer side."""
    center = (boxes[..., :2] + boxes[..., 2:]) / 2.0
    side = margin * (boxes[..., 2:] - boxes[..., :2]).amax(-1).clamp_min(1.0)
    offset = (center - camera.principal_point) / camera.focal[..., None]
    axis = torch.nn.functional.normalize(_homogeneous(offset), dim=-1)
    # A pixel square seen at an angle spans less: its distance from the camera's centre is longer than the focal length.
    return View(_turn_to_axis(axis), side / (2.0 * camera.focal) * axis[..., 2])


def _homogeneous(points: Tensor) -> Tensor:
    return torch.cat([points, torch.ones_like(points[..., :1])], dim=-1)


def _turn_to_axis(axis: Tensor) -> Tensor:
    """Smallest rotation that takes a unit vector with z > 0 to (0, 0, 1) (Rodrigues, without its angle)."""
    x, y, z = axis.unbind(-1)
    share = 1.0 / (1.0 + z)
    rows = [1.0 - x * x * share, -x * y * share, -x, -x * y * share, 1.0 - y * y * share, -y, x, y, z]
    return torch.stack(rows, dim=-1).unflatten(-1, (3, 3))


def points_in_view(
    pixels: Float[Tensor, "*batch points 2"], camera: Camera, view: View
) -> Float[Tensor, "*batch points 2"]:
    """Full-image pixels to the view's coordinates, [-1, 1] across the square; clamped to 10 squares away."""
    rays = (pixels - camera.principal_point[..., None, :]) / camera.focal[..., None, None]
    turned = _homogeneous(rays) @ view.rotation.mT
    flat = turned[..., :2] / turned[..., 2:].clamp_min(1e-2)
    return (flat / view.half_size[..., None, None]).clamp(-20.0, 20.0)


def project_in_view(points: Float[Tensor, "*batch points 3"], view: View) -> Float[Tensor, "*batch points 2"]:
    """Project points of the view's frame (metres) to its coordinates."""
    flat = points[..., :2] / points[..., 2:].clamp_min(0.1)
    return flat / view.half_size[..., None, None]


def weak_to_place(weak: Float[Tensor, "*batch 3"], view: View) -> Float[Tensor, "*batch 3"]:
    """Turn HMR's weak camera (s, tx, ty) into a place in the view's frame, metres.

    The square spans [-1, 1] and s (X + tx) is where X lands: the depth is 1 / (s half_size) (SPIN's 2 f / (side s)).
    """
    scale = weak[..., :1].clamp_min(1e-2)
    return torch.cat([weak[..., 1:], 1.0 / (scale * view.half_size[..., None])], dim=-1)


def bearing(camera: Camera, view: View) -> Float[Tensor, "*batch 3"]:
    """Where the person is and how large, as CLIFF tells its network: slopes in x and y, log of the square's size."""
    axis = view.rotation[..., 2, :]
    size = torch.log(view.half_size.clamp_min(1e-4))
    return torch.cat([axis[..., :2] / axis[..., 2:], size[..., None]], dim=-1)
