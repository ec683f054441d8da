"""Errors of 3D points: joints and vertices. Positions in metres, errors in millimetres, one value per person."""

import torch
from jaxtyping import Float
from torch import Tensor

from fitloop.evaluation.alignment import align_scale, align_scale_translation, align_similarity

MILLIMETRES = 1000.0
PCK_THRESHOLD = 150.0
"""Millimetres, roughly half a head (Mehta et al. 2017)."""
AUC_THRESHOLDS = tuple(5.0 * step for step in range(31))
"""0, 5, ..., 150 mm: the 31 thresholds of MPI-INF-3DHP's evaluation."""


def point_errors(
    points: Float[Tensor, "*batch points 3"], target: Float[Tensor, "*batch points 3"]
) -> Float[Tensor, "*batch points"]:
    """Euclidean distance of each point to its truth, millimetres from metres."""
    return MILLIMETRES * torch.linalg.vector_norm(points - target, dim=-1)


def mean_over_points(
    errors: Float[Tensor, "*batch points"], weights: Float[Tensor, "*batch points"] | None = None
) -> Float[Tensor, "*batch"]:
    """Average over points; a point of weight 0 does not count, and a person without any gets NaN."""
    if weights is None:
        return errors.mean(-1)
    # A select, not a product: 0 times NaN would still be NaN.
    counted = torch.where(weights > 0, errors, torch.zeros_like(errors))
    return (counted * weights).sum(-1) / weights.sum(-1)


def mpjpe(
    points: Float[Tensor, "*batch joints 3"],
    target: Float[Tensor, "*batch joints 3"],
    weights: Float[Tensor, "*batch joints"] | None = None,
) -> Float[Tensor, "*batch"]:
    """Mean per joint position error (Ionescu et al. 2014, eq. 8), millimetres.

        fitloop.mpjpe(points - points[:, :1], truth - truth[:, :1]).mean()

    Args:
        points: Estimate in metres, already relative to the protocol's root.
        target: Truth, likewise.
        weights: 0 where a joint has no truth.
    """
    return mean_over_points(point_errors(points, target), weights)


def pa_mpjpe(
    points: Float[Tensor, "*batch joints 3"],
    target: Float[Tensor, "*batch joints 3"],
    weights: Float[Tensor, "*batch joints"] | None = None,
) -> Float[Tensor, "*batch"]:
    """MPJPE after a similarity alignment without reflection, per person ("reconstruction error"), millimetres.

        fitloop.pa_mpjpe(points, truth).mean()

    Scale, rotation and translation are those of least squares (Umeyama 1991), found on the joints that count.
    """
    if weights is not None:
        # What has no weight may be NaN, and 0 times NaN would spoil the alignment of all the rest.
        known = weights[..., None] > 0
        points, target = torch.where(known, points, 0.0), torch.where(known, target, 0.0)
    return mpjpe(align_similarity(points, target, weights), target, weights)


def n_mpjpe(
    points: Float[Tensor, "*batch joints 3"],
    target: Float[Tensor, "*batch joints 3"],
    weights: Float[Tensor, "*batch joints"] | None = None,
) -> Float[Tensor, "*batch"]:
    """MPJPE after scaling only, by least squares about the root (Rhodin et al. 2018, N-MPJPE), millimetres.

    Args:
        points: Estimate in metres, relative to its root.
        target: Truth in metres, relative to its root.
        weights: 0 where a joint has no truth.
    """
    return mpjpe(align_scale(points, target, weights), target, weights)


def pve(
    vertices: Float[Tensor, "*batch vertices 3"], target: Float[Tensor, "*batch vertices 3"]
) -> Float[Tensor, "*batch"]:
    """Per-vertex error: the mean distance of corresponding vertices (Pavlakos et al. 2018), millimetres.

    Args:
        vertices: Estimate in metres, relative to the protocol's root.
        target: Truth on the same mesh, likewise.
    """
    return point_errors(vertices, target).mean(-1)


def pve_t_sc(
    vertices: Float[Tensor, "*batch vertices 3"], target: Float[Tensor, "*batch vertices 3"]
) -> Float[Tensor, "*batch"]:
    """PVE-T-SC: per-vertex error of two T-posed meshes after scale and translation (Sengupta et al. 2020), millimetres.

    Pose is taken out by the T-pose, size by the scale: what is left is shape. PVE-T is `pve` of the same meshes.
    """
    return pve(align_scale_translation(vertices, target), target)


def pck(
    errors: Float[Tensor, "*batch points"],
    threshold: float = PCK_THRESHOLD,
    weights: Float[Tensor, "*batch points"] | None = None,
) -> Float[Tensor, "*batch"]:
    """3DPCK: share of joints closer than ``threshold`` to their truth, in [0, 1] (Mehta et al. 2017; strictly closer).

    Args:
        errors: Millimetres.
        threshold: Millimetres.
        weights: 0 where a joint has no truth.
    """
    return mean_over_points((errors < threshold).to(errors.dtype), weights)


def pck_auc(
    errors: Float[Tensor, "*batch points"], weights: Float[Tensor, "*batch points"] | None = None
) -> Float[Tensor, "*batch"]:
    """Area under the 3DPCK curve: mean of the 31 PCK values at 0, 5, ..., 150 mm, in [0, 1] (Mehta et al. 2017).

    The threshold 0 counts, and nothing is strictly closer than 0, so a perfect estimate has 30 / 31.
    """
    return torch.stack([pck(errors, threshold, weights) for threshold in AUC_THRESHOLDS]).mean(0)


def acceleration_error(
    points: Float[Tensor, "frames joints 3"],
    target: Float[Tensor, "frames joints 3"],
    weights: Float[Tensor, "frames joints"] | None = None,
) -> Float[Tensor, "inner"]:
    """Distance of the second differences of two motions, averaged over joints, millimetres per frame squared.

    ``a[t] = x[t - 1] - 2 x[t] + x[t + 1]`` (Kanazawa et al. 2019, HMMR; VIBE). One value for every frame but the first
    and the last; times the squared frame rate it is an acceleration.

    Args:
        points: Estimate in metres, one row per frame of one person, in order, without gaps.
        target: Truth, likewise.
        weights: 0 where a joint has no truth; a frame counts a joint only if its two neighbours have it too.

    Raises:
        ValueError: If there are fewer than three frames.
    """
    if points.shape[0] < 3:
        raise ValueError(f"Acceleration needs at least 3 consecutive frames, got {points.shape[0]}.")
    # Differences are linear, so those of the error are the error of those.
    second = (points - target)[:-2] - 2.0 * (points - target)[1:-1] + (points - target)[2:]
    errors = MILLIMETRES * torch.linalg.vector_norm(second, dim=-1)
    if weights is None:
        return errors.mean(-1)
    return mean_over_points(errors, weights[:-2] * weights[1:-1] * weights[2:])
