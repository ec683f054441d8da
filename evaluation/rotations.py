"""Errors of joint rotations: what no error of joint positions sees, such as a forearm turned about its own axis."""

import roma
import torch
from jaxtyping import Float
from torch import Tensor

from fitloop.geometry.rotations import geodesic_angle


def rotation_errors(
    rotations: Float[Tensor, "*batch joints 3 3"], target: Float[Tensor, "*batch joints 3 3"]
) -> Float[Tensor, "*batch joints"]:
    """Geodesic distance on SO(3) of each joint's rotation to its truth, degrees in [0, 180] (Huynh 2009, Phi 6)."""
    return torch.rad2deg(geodesic_angle(rotations, target))


def quaternion_errors(
    rotations: Float[Tensor, "*batch joints 3 3"], target: Float[Tensor, "*batch joints 3 3"]
) -> Float[Tensor, "*batch joints"]:
    """Distance ``arccos(2 <q, r>^2 - 1)`` of the unit quaternions, radians in [0, pi].

    The quaternion error of Neural Body Fitting (Omran et al. 2018): its published values reach 1.97, which neither the
    chord (at most sqrt 2) nor ``arccos |<q, r>|`` (at most pi / 2) can. Computed as ``4 atan2(|q - r|, |q + r|)``,
    which keeps its digits at small angles. Equal to `rotation_errors` in radians, found by another way.
    """
    first, second = roma.rotmat_to_unitquat(rotations), roma.rotmat_to_unitquat(target)
    apart = torch.linalg.vector_norm(first - second, dim=-1)
    together = torch.linalg.vector_norm(first + second, dim=-1)
    return 4.0 * torch.atan2(torch.minimum(apart, together), torch.maximum(apart, together))
