"""The energy terms: each gives, per body, its energy and what Gauss-Newton needs of it. Weights are the caller's.

Every term is a sum of squares or close to one. `Lines` carry residuals ``r`` and, per residual and landmark, a covector
``p``, so that the derivative of ``r`` by any unknown is ``p . d(landmark)``; both are scaled so that ``J r`` is the
gradient and ``J J'`` the Gauss-Newton matrix of the energy.
"""

from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from fitloop.body.params import JOINT_NAMES
from fitloop.fitting.coordinates import eye_and_crosses
from fitloop.fitting.mixture_prior import PosePrior
from fitloop.fitting.vae_prior import VaePrior


class Lines(NamedTuple):
    """Residuals that depend on landmarks, ready for Gauss-Newton."""

    energy: Float[Tensor, "batch"]
    residuals: Float[Tensor, "batch rows landmarks"]
    covectors: Float[Tensor, "batch 3 rows landmarks"]


def geman_mcclure(error: Float[Tensor, "*batch"], scale: float) -> Float[Tensor, "*batch"]:
    """``s^2 e^2 / (s^2 + e^2)``: quadratic for small errors, never above ``s^2``."""
    square = error.square()
    return scale**2 * square / (scale**2 + square)


def reprojection(
    projected: Float[Tensor, "*batch keypoints 2"],
    observed: Float[Tensor, "*batch keypoints 2"],
    confidence: Float[Tensor, "*batch keypoints"],
    scale: float,
) -> Float[Tensor, "*batch"]:
    """Confidence-weighted robust reprojection error, per x and per y as in SMPLify and SPIN, in squared pixels."""
    per_keypoint = geman_mcclure(projected - observed, scale).sum(-1)
    return (confidence.square() * per_keypoint).sum(-1)


def reprojection_lines(
    points: Float[Tensor, "batch 3 landmarks"],
    observed: Float[Tensor, "batch 2 landmarks"],
    confidence: Float[Tensor, "batch landmarks"],
    focal: Float[Tensor, "batch"],
    scale: float,
    metric: Float[Tensor, "batch 2 2 landmarks"] | None = None,
) -> Lines:
    """Linearise `reprojection`.

    Geman-McClure is treated by iteratively reweighted least squares: the weight ``rho' = s^4 / (s^2 + e^2)^2``
    multiplies the squared Jacobian and the curvature of ``rho``, which is negative for outliers, is left out. The
    matrix then stays positive semi-definite and an outlier only loses its pull; the second-order correction of Triggs
    et al. (2000) would make it indefinite exactly where the fit must not be bold.

    Args:
        points: Camera frame, metres.
        observed: Pixels from the principal point.
        confidence: 0 where nothing was observed.
        focal: Pixels.
        scale: Geman-McClure scale, pixels.
        metric: Multiplies the differences in x and y before anything else; see `fitloop.body.SurfaceEvidence`.
    """
    inverse = points[:, 2:].clamp_min(1e-3).reciprocal()
    slope = points[:, :2] * inverse
    gain = focal[:, None, None] * inverse
    error = focal[:, None, None] * slope - observed
    if metric is not None:
        error = (metric * error[:, None]).sum(2)
    square = error.square()
    weight = scale**2 / (scale**2 + square)
    energy = (confidence.square()[:, None] * weight * square).sum((1, 2))
    weight = weight * (2.0**0.5 * confidence[:, None])
    if metric is not None:
        flat = (weight[:, :, None] * gain[:, None] * metric).transpose(1, 2)
        return Lines(energy, weight * error, torch.cat([flat, -(flat * slope[:, :, None]).sum(1, keepdim=True)], dim=1))
    pull = weight * gain
    # Row x pulls along x only, and row y along y.
    eye, _ = eye_and_crosses(points.dtype, points.device)
    covectors = torch.cat([pull[:, None] * eye[:2, :2, None], (-pull * slope)[:, None]], dim=1)
    return Lines(energy, weight * error, covectors)


class Centred(NamedTuple):
    """Observed 3D landmarks without their place: confidence-weighted, centred, split into size and shape."""

    weights: Float[Tensor, "batch landmarks"]
    """Confidences."""
    mean_axis: Float[Tensor, "batch landmarks"]
    """Confidences as a unit vector (0 where all are 0)."""
    shape: Float[Tensor, "batch 3 landmarks"]
    """Unit length over all numbers."""
    size: Float[Tensor, "batch"]
    """Metres."""


def centre_landmarks(
    landmarks: Float[Tensor, "batch 3 landmarks"], confidence: Float[Tensor, "batch landmarks"]
) -> Centred:
    """Prepare observed 3D landmarks of unknown place and size."""
    axis = confidence / confidence.norm(dim=-1, keepdim=True).clamp_min(1e-9)
    weighted = _without_mean(landmarks * confidence[:, None], axis)
    size = weighted.flatten(1).norm(dim=-1)
    return Centred(confidence, axis, weighted / size.clamp_min(1e-9)[:, None, None], size)


def _without_mean(lines: Tensor, axis: Tensor) -> Tensor:
    return lines - (lines * axis[:, None]).sum(-1, keepdim=True) * axis[:, None]


def landmarks_3d(points: Float[Tensor, "batch 3 landmarks"], centred: Centred) -> Float[Tensor, "batch"]:
    """Squared distance (m^2, confidence-weighted) between observed 3D landmarks and the body's, place and size removed.

    Both clouds are centred and the body's is brought to the observed one's size. Only its best multiple is taken away:
    what remains is the sine of the angle between two shapes, times the observed size. Scaling the observed cloud to the
    body instead would reward small bodies.
    """
    return landmark_residuals(points, centred).square().sum((1, 2))


def landmark_residuals(
    points: Float[Tensor, "batch 3 landmarks"], centred: Centred
) -> Float[Tensor, "batch 3 landmarks"]:
    """Residuals of `landmarks_3d`, metres."""
    unit, _ = _unit_cloud(points, centred)
    return _off_the_shape(unit, centred)


def _unit_cloud(points: Tensor, centred: Centred) -> tuple[Tensor, Tensor]:
    """The body's landmarks without place and size, and their size."""
    cloud = _without_mean(points * centred.weights[:, None], centred.mean_axis)
    length = cloud.flatten(1).norm(dim=-1).clamp_min(1e-9)
    return cloud / length[:, None, None], length


def _off_the_shape(unit: Tensor, centred: Centred) -> Tensor:
    along = (unit * centred.shape).sum((1, 2))
    return centred.size[:, None, None] * (unit - along[:, None, None] * centred.shape)


def landmark_lines(
    lines: Float[Tensor, "batch unknowns axes_landmarks"],
    points: Float[Tensor, "batch 3 landmarks"],
    centred: Centred,
) -> tuple[Float[Tensor, "batch axes_landmarks"], Float[Tensor, "batch unknowns axes_landmarks"]]:
    """`landmark_residuals` and their derivatives, from those of the confidence-weighted landmarks.

    The projections off the mean, off the body's own shape (its size is divided out) and off the observed shape are
    symmetric, so they act on the lines in turn, each in one rank-one update.
    """
    unit, length = _unit_cloud(points, centred)
    residuals = _off_the_shape(unit, centred).flatten(1)
    unit, shape = unit.flatten(1)[:, None], centred.shape.flatten(1)[:, None]
    lines = lines.unflatten(-1, (3, points.shape[-1]))
    axis = centred.mean_axis[:, None, None]
    lines = (lines - (lines * axis).sum(-1, keepdim=True) * axis).flatten(2)
    lines = lines - (lines * unit).sum(-1, keepdim=True) * unit
    lines = lines - (lines * shape).sum(-1, keepdim=True) * shape
    return residuals, lines * (centred.size / length)[:, None, None]


def angle_prior(pose: Float[Tensor, "*batch pose"]) -> Float[Tensor, "*batch"]:
    """Sum of ``exp(+-angle)^2`` over elbows and knees, large where they bend the wrong way (Bogo et al. 2016)."""
    return (pose[..., list(ANGLE_COLUMNS)] * pose.new_tensor(ANGLE_SIGNS)).exp().square().sum(-1)


def _axis(joint: str, axis: int) -> int:
    return 3 * (JOINT_NAMES.index(joint) - 1) + axis


ANGLE_COLUMNS = (_axis("left_elbow", 1), _axis("right_elbow", 1), _axis("left_knee", 0), _axis("right_knee", 0))
"""Where the bending angles lie in the 69 axis-angle values of the body pose."""
ANGLE_SIGNS = (1.0, -1.0, -1.0, -1.0)
"""Positive where a growing angle bends the wrong way."""


def shape_prior(betas: Float[Tensor, "*batch betas"]) -> Float[Tensor, "*batch"]:
    """Sum of squares, in squared standard deviations."""
    return betas.square().sum(-1)


def pose_prior(pose: Float[Tensor, "*batch pose"], prior: PosePrior | VaePrior) -> Float[Tensor, "*batch"]:
    """Energy above the prior's lowest: of a mixture 0 at the mean of its tightest component."""
    return prior(pose) - prior.lowest
