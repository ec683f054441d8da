"""Similarity alignment of point sets."""

import torch
from jaxtyping import Float
from torch import Tensor


def align_procrustes(
    points: Float[Tensor, "*batch points 3"],
    target: Float[Tensor, "*batch points 3"],
    weights: Float[Tensor, "*batch points"] | None = None,
) -> Float[Tensor, "*batch points 3"]:
    """Move ``points`` onto ``target`` by the best similarity: scale, rotation without reflection, translation.

    Weighted least squares in closed form (Umeyama 1991, eq. 40 to 43), at any size. A set whose points coincide, up to
    the rounding of their coordinates, keeps scale 0. A point of weight 0 may be anything, NaN included; one that counts
    and is not finite makes all of its set NaN.

    Args:
        points: Any unit; moved.
        target: Same unit; stays.
        weights: Non-negative weight per point, all ones if not given.
    """
    least = torch.finfo(points.dtype)
    weight = torch.ones_like(points[..., 0]) if weights is None else weights
    weight = (weight / weight.sum(-1, keepdim=True).clamp_min(least.tiny))[..., None]
    # 0 times NaN is NaN: what does not count is taken out before it is weighed.
    known, goal = (torch.where(weight > 0, one, 0.0) for one in (points, target))
    mean_points = (weight * known).sum(-2, keepdim=True)
    mean_target = (weight * goal).sum(-2, keepdim=True)
    centred, goal = known - mean_points, goal - mean_target
    covariance = goal.mT @ (weight * centred)
    # The decomposition refuses a whole batch for one matrix that is not finite; the means carry its NaN on.
    finite = covariance.isfinite().all(-1, keepdim=True).all(-2, keepdim=True)
    u, singular, vt = torch.linalg.svd(torch.where(finite, covariance, 0.0))
    sign = torch.ones_like(singular)
    sign[..., 2] = torch.sign(torch.linalg.det(u @ vt))
    rotation = (u * sign[..., None, :]) @ vt
    spread = (weight * centred.square()).sum((-2, -1))
    rounding = (4.0 * least.eps * known.abs().amax((-2, -1))).square()
    scale = (singular * sign).sum(-1) / spread.clamp_min(least.tiny)
    scale = torch.where(spread > rounding, scale, 0.0)[..., None, None]
    return scale * (points - mean_points) @ rotation.mT + mean_target
