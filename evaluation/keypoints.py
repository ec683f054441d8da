"""Errors of 2D keypoints in full-image pixels, and the lengths they are measured against."""

import torch
from jaxtyping import Float
from torch import Tensor

from fitloop.body import Convention
from fitloop.evaluation.joints import mean_over_points


def keypoint_distances(
    points: Float[Tensor, "*batch keypoints 2"], target: Float[Tensor, "*batch keypoints 2"]
) -> Float[Tensor, "*batch keypoints"]:
    """Distance of each keypoint to its annotation, pixels."""
    return torch.linalg.vector_norm(points - target, dim=-1)


def pck_2d(
    distances: Float[Tensor, "*batch keypoints"],
    length: Float[Tensor, "*batch"],
    fraction: float,
    observed: Float[Tensor, "*batch keypoints"],
) -> Float[Tensor, "*batch"]:
    """Share of annotated keypoints at most ``fraction * length`` away, in [0, 1].

    PCK@0.2 of the torso has ``length`` from `torso_diameter`; PCKh@0.5 has it from `head_length`; a PCK of the box has
    the longer side of the person's box. Distances equal to the bound count, as in MPII's and LSP's evaluation.

    Args:
        distances: Pixels.
        length: Pixels, one per person; NaN gives NaN.
        fraction: Such as 0.1, 0.2, 0.5.
        observed: 0 where a keypoint is not annotated.
    """
    # At most, not below: what lies on the bound counts as found in both data sets' own scripts.
    close = (distances <= fraction * length[..., None]).to(distances.dtype)
    share = mean_over_points(close, (observed > 0).to(distances.dtype))
    return torch.where(torch.isfinite(length), share, torch.full_like(share, torch.nan))


def torso_diameter(
    target: Float[Tensor, "*batch keypoints 2"], observed: Float[Tensor, "*batch keypoints"], convention: Convention
) -> Float[Tensor, "*batch"]:
    """Distance from left shoulder to right hip (Toshev and Szegedy 2014; LSP's PCK), pixels.

    Where one of the two is not annotated the other diagonal serves; where both diagonals lack an end the result is NaN.

    Args:
        target: Annotated keypoints, full-image pixels.
        observed: 0 where a keypoint is not annotated.
        convention: What each keypoint is; it needs both shoulders and both hips.
    """
    length = torch.full_like(target[..., 0, 0], torch.nan)
    # LSP's own diagonal first; the other is as long on a torso seen from the front.
    for side, other in (("right", "left"), ("left", "right")):
        hip, shoulder = convention.index(f"{side}_hip"), convention.index(f"{other}_shoulder")
        diagonal = torch.linalg.vector_norm(target[..., hip, :] - target[..., shoulder, :], dim=-1)
        known = (observed[..., hip] > 0) & (observed[..., shoulder] > 0) & torch.isnan(length)
        length = torch.where(known, diagonal, length)
    return length


def head_length(
    target: Float[Tensor, "*batch keypoints 2"], observed: Float[Tensor, "*batch keypoints"], convention: Convention
) -> Float[Tensor, "*batch"]:
    """Distance from the neck to the top of the head, pixels; NaN where one of them is not annotated.

    The head segment that PCKh measures against (Andriluka et al. 2014) where a data set has no head box; MPII itself
    takes 0.6 times the diagonal of its box (`head_box_length`).
    """
    neck = convention.index("upper_neck" if "upper_neck" in convention.keypoints else "neck")
    top = convention.index("head_top")
    length = torch.linalg.vector_norm(target[..., neck, :] - target[..., top, :], dim=-1)
    known = (observed[..., neck] > 0) & (observed[..., top] > 0)
    return torch.where(known, length, torch.full_like(length, torch.nan))


def head_box_length(boxes: Float[Tensor, "*batch 4"]) -> Float[Tensor, "*batch"]:
    """MPII's head segment: 0.6 times the diagonal of the head box, x y x y in pixels (Andriluka et al. 2014)."""
    return 0.6 * torch.linalg.vector_norm(boxes[..., 2:] - boxes[..., :2], dim=-1)


def box_side(boxes: Float[Tensor, "*batch 4"]) -> Float[Tensor, "*batch"]:
    """Longer side of x y x y boxes, pixels."""
    return (boxes[..., 2:] - boxes[..., :2]).amax(-1)
