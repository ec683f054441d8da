"""Other places to start from: what a single view cannot tell apart."""

from math import pi

import torch
from jaxtyping import Float
from torch import Tensor

from fitting.config import Start
from fitting.landmarks import ORIENT, POSE


def make_starts(
    given: Float[Tensor, "batch numbers"], starts: tuple[Start, ...], mean_pose: Float[Tensor, "pose"]
) -> Float[Tensor, "rows numbers"]:
    """Packed bodies for every start, all rows of the first start first."""
    return torch.cat([_start(given, start, mean_pose) for start in starts])


def _start(given: Tensor, start: Start, mean_pose: Tensor) -> Tensor:
    match start:
        case "init":
            return given
        case "mean":
            return _mean(given, mean_pose, 0.0)
        case "yaw90":
            return _mean(given, mean_pose, 0.5 * pi)
        case "back":
            return _mean(given, mean_pose, pi)
        case "yaw270":
            return _mean(given, mean_pose, 1.5 * pi)
        case "side":
            return _turned(given, pi)


def _yaw(angle: float, like: Tensor) -> Tensor:
    cosine, sine = torch.cos(like.new_tensor(angle)), torch.sin(like.new_tensor(angle))
    zero, one = torch.zeros_like(cosine), torch.ones_like(cosine)
    return torch.stack([cosine, zero, sine, zero, one, zero, -sine, zero, cosine]).view(3, 3)


def _turned(given: Tensor, angle: float) -> Tensor:
    """The same pose turned about the body's own vertical axis (Bogo et al. 2016, section 3.3)."""
    turned = given.clone()
    turned[:, ORIENT] = (given[:, ORIENT].view(-1, 3, 3) @ _yaw(angle, given)).flatten(1)
    return turned


def _mean(given: Tensor, mean_pose: Tensor, angle: float) -> Tensor:
    """The prior's mean pose and the mean shape, upright, turned by ``angle`` from facing the camera."""
    mean = torch.zeros_like(given)
    facing = torch.diag(given.new_tensor([1.0, -1.0, -1.0]))
    mean[:, ORIENT] = (facing @ _yaw(angle, given)).flatten()
    mean[:, POSE] = mean_pose
    return mean
