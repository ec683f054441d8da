"""How far a regressor's answer is off, and how sure it says it is (`body.spreads`)."""

import torch
from jaxtyping import Float
from torch import Tensor

from fitloop.body.records import Uncertainty
from fitloop.body.spreads import uncertainty_from
from fitloop.geometry.rotations import geodesic_angle
from fitloop.regressor.hmr import HMROutput


def misses(
    output: HMROutput, rotations: Float[Tensor, "people joints 3 3"], betas: Float[Tensor, "people betas"]
) -> Float[Tensor, "people parts"]:
    """How far each rotation (angle, radians) and, last, the shape (length) is off."""
    shape = (output.betas - betas).norm(dim=-1, keepdim=True)
    return torch.cat([geodesic_angle(output.rotations, rotations), shape], -1)


def uncertainty_of(output: HMROutput) -> Uncertainty | None:
    """Standard deviations of the distributions that the network told; None where it told none."""
    return None if output.log_spread is None else uncertainty_from(output.log_spread)
