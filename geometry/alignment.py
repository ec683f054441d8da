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

    Weighted least squares in closed form (Umeyama 1991, eq. 40 to 43). A set whose points coincide keeps scale 0.

    Args:
        points: Any unit; moved.
        target: Same unit; stays.
        weights: Non-negative weight per point, all ones if not given.
    """
    weight = torch.ones_like(points[..., 0]) if weights is None else weights
    weight = (weight / weight.sum(-1, keepdim=True).clamp_min(1e-12))[..., None]
    mean_points = (weight * points).sum(-2, keepdim=True)
    mean_target = (weight * target).sum(-2, keepdim=True)
    centred, goal = points - mean_points, target - mean_target
    covariance = goal.mT @ (weight * centred)
    u, singular, vt = torch.linalg.svd(covariance)
    sign = torch.ones_like(singular)
    sign[..., 2] = torch.sign(torch.linalg.det(u @ vt))
    rotation = (u * sign[..., None, :]) @ vt
    spread = (weight * centred.square()).sum((-2, -1)).clamp_min(1e-12)
    scale = ((singular * sign).sum(-1) / spread)[..., None, None]
    return scale * centred @ rotation.mT + mean_target
