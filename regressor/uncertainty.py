"""How far a regressor's answer is off, and how sure it says it is (`body.spreads`)."""

from jaxtyping import Float
from torch import Tensor

from fitloop.body.records import Uncertainty
from fitloop.body.spreads import missed_parts, uncertainty_from
from fitloop.regressor.hmr import HMROutput


def misses(
    output: HMROutput, rotations: Float[Tensor, "people joints 3 3"], betas: Float[Tensor, "people betas"]
) -> Float[Tensor, "people parts"]:
    """`body.spreads.missed_parts` of a network's answer."""
    return missed_parts(output.rotations, output.betas, rotations, betas)


def uncertainty_of(output: HMROutput) -> Uncertainty | None:
    """Standard deviations of the distributions that the network told; None where it told none."""
    return None if output.log_spread is None else uncertainty_from(output.log_spread)
