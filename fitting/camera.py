"""Where to put a body before its pose is known: closed forms for the translation."""

import torch
from jaxtyping import Float
from torch import Tensor

TORSO = ("left_hip", "right_hip", "left_hip_lsp", "right_hip_lsp", "left_shoulder", "right_shoulder")
"""Landmarks of SMPLify's camera stage."""
MAX_DEPTH = 1e4
"""Metres."""


def least_squares_translation(
    points: Float[Tensor, "batch 3 landmarks"],
    observed: Float[Tensor, "batch 2 landmarks"],
    confidence: Float[Tensor, "batch landmarks"],
    focal: Float[Tensor, "batch"],
) -> Float[Tensor, "batch 3"]:
    """Translation that brings ``points`` closest to the rays of the observations (SPIN's ``estimate_translation``).

    Solves ``x + t_x = u (z + t_z)`` and the same for y in weighted least squares, in closed form. Where that puts it
    behind the camera, or fewer than two points differ, the depth of `similar_triangles_depth` is taken.

    Args:
        points: At translation 0, camera axes, metres.
        observed: Pixels from the principal point.
        confidence: Weights; 0 where nothing was observed.
        focal: Pixels.
    """
    weight = confidence.square() / confidence.square().sum(-1, keepdim=True).clamp_min(1e-12)
    rays = observed / focal[:, None, None]
    offset = rays * points[:, 2:] - points[:, :2]
    mean_ray = (weight[:, None] * rays).sum(-1)
    mean_offset = (weight[:, None] * offset).sum(-1)
    centred = rays - mean_ray[..., None]
    cross = (weight[:, None] * centred * (offset - mean_offset[..., None])).sum((1, 2))
    spread = (weight[:, None] * centred.square()).sum((1, 2))
    depth = -cross / spread.clamp_min(1e-12)
    similar = similar_triangles_depth(points, observed, confidence, focal)
    # A depth far from what the sizes say comes from a wrong pose, not from perspective.
    sensible = (depth > 0.5 * similar) & (depth < 2.0 * similar)
    depth = torch.where(sensible, depth, similar)
    return torch.cat([mean_offset + mean_ray * depth[:, None], depth[:, None]], dim=-1)


def similar_triangles_depth(
    points: Float[Tensor, "batch 3 landmarks"],
    observed: Float[Tensor, "batch 2 landmarks"],
    confidence: Float[Tensor, "batch landmarks"],
    focal: Float[Tensor, "batch"],
) -> Float[Tensor, "batch"]:
    """Depth at which a cloud has its observed size: focal times metres over pixels, both root mean squares."""
    weight = confidence.square() / confidence.square().sum(-1, keepdim=True).clamp_min(1e-12)

    def size(cloud: Tensor) -> Tensor:
        centred = cloud - (weight[:, None] * cloud).sum(-1, keepdim=True)
        return (weight[:, None] * centred.square()).sum((1, 2)).sqrt()

    depth = focal * size(points[:, :2]) / size(observed).clamp_min(1e-6)
    return depth.clamp(0.3, MAX_DEPTH)


def torso_translation(
    points: Float[Tensor, "batch 3 landmarks"],
    observed: Float[Tensor, "batch 2 landmarks"],
    confidence: Float[Tensor, "batch landmarks"],
    focal: Float[Tensor, "batch"],
) -> Float[Tensor, "batch 3"]:
    """SMPLify's start: depth by similar triangles, the centres of both clouds on top of each other.

    Give torso landmarks only (confidence 0 elsewhere); all four arguments as in `least_squares_translation`. Lengths in
    3D are measured in all three axes, because the torso's turn is not known yet.
    """
    weight = confidence.square() / confidence.square().sum(-1, keepdim=True).clamp_min(1e-12)
    mean_point = (weight[:, None] * points).sum(-1)
    mean_pixel = (weight[:, None] * observed).sum(-1)
    spread = (weight[:, None] * (points - mean_point[..., None]).square()).sum((1, 2)).sqrt()
    seen = (weight[:, None] * (observed - mean_pixel[..., None]).square()).sum((1, 2)).sqrt()
    depth = (focal * spread / seen.clamp_min(1e-6)).clamp(0.3, MAX_DEPTH)
    across = mean_pixel / focal[:, None] * depth[:, None] - mean_point[:, :2]
    return torch.cat([across, (depth - mean_point[:, 2])[:, None]], dim=-1)
