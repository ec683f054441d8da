"""How sure somebody is of a body: the likelihood that teaches a network to say so, and how it is held to its claims.

Each rotation is off by a turn whose axis-angle vector follows a spherical Student distribution: `FREEDOM` degrees of
freedom leave room for limbs that are turned the wrong way round, which a Gaussian would pay for at all the others. The
shape coefficients share one spread.
"""

import torch
from jaxtyping import Float
from torch import Tensor

from fitloop.body.records import Uncertainty
from fitloop.geometry.rotations import geodesic_angle

FREEDOM = 5.0
LEVELS = {0.5: (0.90715, 1.07304), 0.9: (3.61948, 3.29740)}
"""Quantiles of F(3, 5) and F(10, 5): of the squared error over its spread, per axis, of a rotation and of the shape."""

_WIDER = (FREEDOM / (FREEDOM - 2.0)) ** 0.5
"""A Student distribution is wider than its scale."""


def _axes(missed: Tensor, betas: int) -> Tensor:
    """Numbers that each part is made of."""
    return torch.cat([missed.new_full((missed.shape[-1] - 1,), 3.0), missed.new_tensor([float(betas)])])


def spread_loss(
    missed: Float[Tensor, "people parts"],
    log_spread: Float[Tensor, "people parts"],
    confidence: Float[Tensor, "people"],
    betas: int,
) -> Float[Tensor, ""]:
    """Negative log-likelihood per number, without its constant, of what was missed; people without truth do not count.

    Args:
        missed: Angle by which each rotation is off, radians, and last the length of what the shape is off by; no
            gradient flows into it.
        log_spread: The network's.
        confidence: Of the truth.
        betas: How many shape coefficients there are.
    """
    axes = _axes(missed, betas)
    square = (missed.detach() * torch.exp(-log_spread)).square()
    lost = axes * log_spread + 0.5 * (FREEDOM + axes) * torch.log1p(square / FREEDOM)
    return (confidence * (lost / axes).mean(-1)).sum() / confidence.sum().clamp_min(1e-8)


def missed_parts(
    rotations: Float[Tensor, "people joints 3 3"],
    betas: Float[Tensor, "people betas"],
    true_rotations: Float[Tensor, "people joints 3 3"],
    true_betas: Float[Tensor, "people betas"],
) -> Float[Tensor, "people parts"]:
    """How far each rotation (angle, radians) and, last, the shape (length) is off."""
    shape = (betas - true_betas).norm(dim=-1, keepdim=True)
    return torch.cat([geodesic_angle(rotations, true_rotations), shape], -1)


def share_inside(
    missed: Float[Tensor, "people parts"], log_spread: Float[Tensor, "people parts"], betas: int, level: float
) -> Float[Tensor, "parts"]:
    """Share of the people whose error lies where the network puts ``level`` of them: 0.5 or 0.9."""
    return (_squares(missed, log_spread, betas) <= _limits(missed, level)).to(missed.dtype).mean(0)


def temperatures(
    missed: Float[Tensor, "people parts"], log_spread: Float[Tensor, "people parts"], betas: int
) -> Float[Tensor, "parts"]:
    """What to add to the logarithms of the spreads so that of the people half lie inside 50 %, part by part."""
    median = _squares(missed, log_spread, betas).median(0).values
    return 0.5 * torch.log((median / _limits(missed, 0.5)).clamp_min(1e-9))


def _squares(missed: Tensor, log_spread: Tensor, betas: int) -> Tensor:
    return (missed * torch.exp(-log_spread)).square() / _axes(missed, betas)


def _limits(missed: Tensor, level: float) -> Tensor:
    turn, shape = LEVELS[level]
    return torch.cat([missed.new_full((missed.shape[-1] - 1,), turn), missed.new_tensor([shape])])


def uncertainty_from(log_spread: Float[Tensor, "people parts"]) -> Uncertainty:
    """Standard deviations of distributions of which a network told the logarithms of the scales."""
    spread = torch.exp(log_spread) * _WIDER
    return Uncertainty(spread[..., :-1], spread[..., -1])


def log_spread_of(uncertainty: Uncertainty) -> Float[Tensor, "people parts"]:
    """The inverse of `uncertainty_from`."""
    return torch.log(uncertainty.parts / _WIDER)
