"""Other places to start from: what a single view cannot tell apart."""

from dataclasses import replace
from math import pi

import torch
from jaxtyping import Float
from torch import Tensor

from fitloop.body.model import forward_kinematics
from fitloop.body.params import JOINT_NAMES, JOINT_PARENTS
from fitloop.fitting.config import Limb, Start
from fitloop.fitting.coordinates import ORIENT, POSE, exponential, pack, unpack


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


LIMBS: dict[Limb, tuple[str, str, str]] = {
    "left_arm": ("left_shoulder", "left_elbow", "left_wrist"),
    "right_arm": ("right_shoulder", "right_elbow", "right_wrist"),
    "left_leg": ("left_hip", "left_knee", "left_ankle"),
    "right_leg": ("right_hip", "right_knee", "right_ankle"),
}


def flip_limb(
    state: Float[Tensor, "batch numbers"], limb: Limb, rest: Float[Tensor, "batch joints 3"]
) -> Float[Tensor, "batch numbers"]:
    """Mirror a limb's two bones in depth: the other pose that looks the same from where the camera stands.

    Each bone is turned by the smallest rotation that negates its component along z; what hangs on it turns along.

    Args:
        state: Packed bodies.
        limb: Which limb.
        rest: Joints of the T-pose, metres.
    """
    params = unpack(state)
    rotations = params.rotations.clone()
    world, places = forward_kinematics(rotations, rest)
    joints = [JOINT_NAMES.index(name) for name in LIMBS[limb]]
    above = world[:, JOINT_PARENTS[joints[0]]]
    for joint, child in zip(joints[:2], joints[1:], strict=True):
        bone = torch.nn.functional.normalize(places[:, child] - places[:, joint], dim=-1)
        turned = _smallest_turn(bone, bone * bone.new_tensor([1.0, 1.0, -1.0])) @ world[:, joint]
        rotations[:, joint] = above.mT @ turned
        above = turned
    return pack(replace(params, body_pose=rotations[:, 1:]))


def _smallest_turn(start: Tensor, end: Tensor) -> Tensor:
    """Rotation that takes one unit vector to another about their common normal."""
    cross = torch.linalg.cross(start, end)
    sine = cross.norm(dim=-1, keepdim=True)
    angle = torch.atan2(sine, (start * end).sum(-1, keepdim=True))
    return exponential(cross / sine.clamp_min(1e-9) * angle)[0]
