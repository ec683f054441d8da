"""Coordinates of a body's pose: packed rows of numbers, and the exponential map that they go through.

Body joints move in the chart of axis-angle vectors (``R(v + d)``), because pose priors are quadratic in them; the root
moves in its tangent space (``R exp(d)``). Both are local coordinates of the same rotations.
"""

from functools import lru_cache
from math import pi

import torch
from jaxtyping import Float
from torch import Tensor

from fitloop.body import BodyParams
from fitloop.body.params import NUM_JOINTS
from fitloop.geometry.rotations import rotmat_to_rotvec, skew

TURNS = 3 * NUM_JOINTS
POSE = slice(3, TURNS)
"""Where a packed body keeps the axis-angle pose of its 23 body joints."""
ORIENT = slice(TURNS, TURNS + 9)
TRANSL = slice(TURNS + 9, TURNS + 12)
BETAS = slice(TURNS + 12, None)


def pack(params: BodyParams) -> Float[Tensor, "*batch numbers"]:
    """One row of numbers per body: 24 axis-angle vectors (the root's is 0), root rotation, translation, betas."""
    pose = rotmat_to_rotvec(params.body_pose).flatten(-2)
    orient = params.global_orient.flatten(-2)
    return torch.cat([torch.zeros_like(orient[..., :3]), pose, orient, params.transl, params.betas], dim=-1)


def unpack(state: Float[Tensor, "*batch numbers"]) -> BodyParams:
    """Inverse of `pack`."""
    rotations, _ = exponential(state[..., POSE].unflatten(-1, (NUM_JOINTS - 1, 3)))
    return BodyParams(state[..., ORIENT].unflatten(-1, (3, 3)), rotations, state[..., BETAS], state[..., TRANSL])


@lru_cache(maxsize=16)
def eye_and_crosses(dtype: torch.dtype, device: torch.device) -> tuple[Tensor, Tensor]:
    """The unit matrix, and the matrix that turns a row vector v into the nine elements of v's cross product."""
    # Kept from the first caller on, so it must serve callers with gradients too.
    with torch.inference_mode(mode=False):
        eye = torch.eye(3, dtype=dtype, device=device)
        return eye, skew(eye).flatten(1)


def exponential(
    rotvec: Float[Tensor, "*batch 3"],
) -> tuple[Float[Tensor, "*batch 3 3"], Float[Tensor, "*batch 3 3"]]:
    """Rotations of axis-angle vectors, and their right Jacobians: ``R(v + d) = R(v) exp(J d)`` to first order.

    Without a series for small angles: the lost digits of ``1 - sin(a) / a`` are those that ``v v'`` makes vanish.
    """
    angle_sq = rotvec.square().sum(-1, keepdim=True).clamp_min(1e-12)
    angle = angle_sq.sqrt()
    sine = angle.sin() / angle
    cosine = 2.0 * (0.5 * angle).sin().square() / angle_sq
    cubic = (1.0 - sine) / angle_sq
    eye, crosses = eye_and_crosses(rotvec.dtype, rotvec.device)
    cross = rotvec @ crosses
    eye, outer = eye.flatten(), (rotvec[..., None] * rotvec[..., None, :]).flatten(-2)
    rotation = torch.addcmul(torch.addcmul(eye, cosine * angle_sq, eye, value=-1.0), sine, cross).addcmul_(
        cosine, outer
    )
    jacobian = torch.addcmul(sine * eye, cosine, cross, value=-1.0).addcmul_(cubic, outer)
    return rotation.unflatten(-1, (3, 3)), jacobian.unflatten(-1, (3, 3))


def logarithm(rotation: Float[Tensor, "*batch 3 3"]) -> Float[Tensor, "*batch 3"]:
    """Axis-angle vectors of rotations, angles up to pi: the inverse of `exponential`, in a fourth of roma's operations.

    Four times a quaternion's outer product with itself is affine in the rotation; the row with the largest diagonal is
    the quaternion, far from any cancellation (Shepperd 1978).
    """
    table, constant = _outer_quaternion(rotation.dtype, rotation.device)
    outer = torch.addmm(constant, rotation.reshape(-1, 9), table).view(-1, 4, 4)
    largest = outer.diagonal(dim1=1, dim2=2).argmax(-1)
    quaternion = outer.gather(1, largest[:, None, None].expand(-1, 1, 4))[:, 0]
    real, imaginary = quaternion[:, :1], quaternion[:, 1:]
    length = imaginary.norm(dim=-1, keepdim=True)
    # Dividing by the real part's sign picks the shorter way round; at angle 0 the ratio is 2 over the real part.
    angle = 2.0 * torch.atan2(length, real.abs())
    ratio = torch.where(length > 1e-6, angle / length.clamp_min(1e-12), 2.0 / real.abs().clamp_min(1e-12))
    return (imaginary * torch.where(real < 0.0, -ratio, ratio)).view(rotation.shape[:-1])


@lru_cache(maxsize=16)
def _outer_quaternion(dtype: torch.dtype, device: torch.device) -> tuple[Tensor, Tensor]:
    """From the nine elements of a rotation to the sixteen of 4 q q' for its quaternion q = (w, x, y, z)."""
    xx, xy, xz, yx, yy, yz, zx, zy, zz = torch.eye(9, dtype=torch.float64).unbind()
    rows = [
        *(xx + yy + zz, zy - yz, xz - zx, yx - xy),
        *(zy - yz, xx - yy - zz, xy + yx, xz + zx),
        *(xz - zx, xy + yx, yy - xx - zz, yz + zy),
        *(yx - xy, xz + zx, yz + zy, zz - xx - yy),
    ]
    with torch.inference_mode(mode=False):
        place_it = {"dtype": dtype, "device": device}
        return torch.stack(rows, dim=1).to(**place_it), torch.eye(4).flatten().to(**place_it)


def wrap(rotvec: Float[Tensor, "*batch 3"]) -> Float[Tensor, "*batch 3"]:
    """The axis-angle vector of the same rotation with an angle of at most pi."""
    angle = rotvec.norm(dim=-1, keepdim=True).clamp_min(1e-12)
    return torch.where(angle > pi, rotvec * (1.0 - 2.0 * pi * torch.round(angle / (2.0 * pi)) / angle), rotvec)
