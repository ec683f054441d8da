"""Rotations: matrices inside, axis-angle and 6D at the borders, derivatives on SO(3).

Axis-angle ("rotvec") is in radians. 6D layouts are named, because the field uses two for the same words:
``interleaved`` (SPIN, CLIFF: elements 0, 2, 4 are the first column) and ``block`` (HMR2, ProHMR: elements 0, 1, 2 are).
"""

from typing import Literal

import roma
import torch
from jaxtyping import Float
from torch import Tensor

SixDLayout = Literal["interleaved", "block"]


def rotvec_to_rotmat(rotvec: Float[Tensor, "*batch 3"]) -> Float[Tensor, "*batch 3 3"]:
    """Turn axis-angle (radians) into rotation matrices (Rodrigues)."""
    return roma.rotvec_to_rotmat(rotvec)


def rotmat_to_rotvec(rotmat: Float[Tensor, "*batch 3 3"]) -> Float[Tensor, "*batch 3"]:
    """Turn rotation matrices into axis-angle with an angle in [0, pi]."""
    return roma.rotmat_to_rotvec(rotmat)


def rot6d_to_rotmat(six: Float[Tensor, "*batch 6"], layout: SixDLayout) -> Float[Tensor, "*batch 3 3"]:
    """Orthonormalise two columns into a rotation (Zhou et al. 2019, Gram-Schmidt).

    Args:
        six: The two columns, in the order that ``layout`` names.
        layout: ``interleaved`` for SPIN's weights, ``block`` for HMR2's.
    """
    pair = six.unflatten(-1, (3, 2)) if layout == "interleaved" else six.unflatten(-1, (2, 3)).mT
    first = torch.nn.functional.normalize(pair[..., 0], dim=-1)
    second = pair[..., 1] - (first * pair[..., 1]).sum(-1, keepdim=True) * first
    second = torch.nn.functional.normalize(second, dim=-1)
    return torch.stack([first, second, torch.linalg.cross(first, second)], dim=-1)


def rotmat_to_rot6d(rotmat: Float[Tensor, "*batch 3 3"], layout: SixDLayout) -> Float[Tensor, "*batch 6"]:
    """Keep the first two columns of rotation matrices, in the order that ``layout`` names."""
    columns = rotmat[..., :2]
    return (columns if layout == "interleaved" else columns.mT).flatten(-2)


def skew(vector: Float[Tensor, "*batch 3"]) -> Float[Tensor, "*batch 3 3"]:
    """Return the matrix whose product with ``x`` is the cross product ``vector x x``."""
    x, y, z = vector.unbind(-1)
    zero = torch.zeros_like(x)
    return torch.stack([zero, -z, y, z, zero, -x, -y, x, zero], dim=-1).unflatten(-1, (3, 3))


def right_jacobian_inverse(rotvec: Float[Tensor, "*batch 3"]) -> Float[Tensor, "*batch 3 3"]:
    """Derivative of ``log(R exp(d))`` in ``d`` at 0, for ``R = exp(rotvec)`` (Chirikjian 2011, eq. 10.86).

    Smooth at zero by its series; finite up to an angle of pi.
    """
    angle_sq = (rotvec * rotvec).sum(-1)[..., None, None]
    small = angle_sq < 1e-4
    safe = torch.where(small, torch.ones_like(angle_sq), angle_sq)
    angle = safe.sqrt()
    half = 0.5 * angle
    exact = 1.0 / safe - half * torch.cos(half) / (torch.sin(half) * safe)
    series = 1.0 / 12.0 + angle_sq / 720.0
    cross = skew(rotvec)
    eye = torch.eye(3, dtype=rotvec.dtype, device=rotvec.device)
    return eye + 0.5 * cross + torch.where(small, series, exact) * (cross @ cross)


def geodesic_angle(first: Float[Tensor, "*batch 3 3"], second: Float[Tensor, "*batch 3 3"]) -> Float[Tensor, "*batch"]:
    """Angle in radians, [0, pi], of the rotation from one to the other."""
    return torch.as_tensor(roma.rotmat_geodesic_distance(first, second))


def project_to_rotation(matrix: Float[Tensor, "*batch 3 3"]) -> Float[Tensor, "*batch 3 3"]:
    """Nearest rotation in the Frobenius norm (special Procrustes)."""
    rotation = roma.special_procrustes(matrix)
    assert isinstance(rotation, Tensor)
    return rotation


def rotmat_to_unitquat(rotmat: Float[Tensor, "rows *more 3 3"]) -> Float[Tensor, "rows *more 4"]:
    """Turn rotation matrices into quaternions (x y z w), each on the side of the sphere of the row before.

    Programs that blend rows number by number then take the short way.
    """
    quaternions = roma.rotmat_to_unitquat(rotmat)
    turned = (quaternions[1:] * quaternions[:-1]).sum(-1, keepdim=True) < 0
    signs = torch.where(turned, -1.0, 1.0).to(quaternions).cumprod(0)
    return torch.cat([quaternions[:1], signs * quaternions[1:]])


def unitquat_to_rotmat(quaternions: Float[Tensor, "*batch 4"]) -> Float[Tensor, "*batch 3 3"]:
    """Turn quaternions (x y z w) of any length but 0 into rotation matrices."""
    return roma.unitquat_to_rotmat(torch.nn.functional.normalize(quaternions, dim=-1))


def rotmat_to_euler(rotmat: Float[Tensor, "*batch 3 3"], order: str) -> Float[Tensor, "*batch 3"]:
    """Turn rotation matrices into Euler angles in degrees: ``ZXY`` gives z, x, y of ``Rz Rx Ry``.

    Where the middle axis stands at 90 degrees the last angle is 0 and the first takes it over: still the same rotation.

    Args:
        rotmat: Rotation matrices.
        order: Three capital letters, the axes from the left factor to the right one.
    """
    return torch.as_tensor(roma.rotmat_to_euler(order, rotmat, degrees=True))
