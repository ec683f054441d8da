"""Whether a refined body is taken: only if evidence that the refinement did not use speaks for it."""

from dataclasses import dataclass, replace
from enum import IntEnum

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from fitloop.body import BodyEstimate, BodyParams, Detections
from fitloop.geometry import TensorRecord, rotmat_to_rotvec


class Reason(IntEnum):
    """Why a refined body was taken or not."""

    BETTER = 0
    """Taken."""
    WITHHELD_KEYPOINTS = 1
    """Keypoints withheld from the fit lie farther from where it puts them."""
    SILHOUETTE = 2
    """The body covers the detector's silhouette worse."""
    NO_GAIN = 3
    """Neither withheld keypoints nor silhouette improved."""
    IMPLAUSIBLE = 4
    """Joints turned, or the shape or the place changed, more than a correction may."""
    NOT_SEEN = 5
    """The body lies outside the photo, behind the camera, or covers too few pixels."""
    NO_EVIDENCE = 6
    """There are no withheld keypoints and no silhouette to judge by."""
    NOT_FITTED = 7
    """There was no fit to start from."""


@dataclass(frozen=True)
class GateConfig:
    """What a refined body must keep."""

    keypoints_worse: float = 0.1
    """Share by which the mean error of withheld keypoints may grow."""
    keypoints_noise: float = 0.006
    """By how much it may grow beside that, share of the box's side: less than detectors err."""
    silhouette_worse: float = 0.01
    """By how much the overlap with the silhouette may fall."""
    turn: float = 1.2
    """Radians that a joint may turn away from the fit."""
    shape: float = 3.0
    """Largest change of a shape coefficient, standard deviations."""
    depth: float = 0.35
    """Largest change of the distance from the camera, as a share."""

    def __post_init__(self) -> None:
        if (
            min(self.turn, self.shape, self.depth) <= 0
            or min(self.keypoints_worse, self.keypoints_noise, self.silhouette_worse) < 0
        ):
            raise ValueError("turn, shape and depth must be positive, tolerances must not be negative.")


@dataclass(frozen=True)
class Outcome(TensorRecord):
    """Evidence for and against refined bodies; NaN where there is none."""

    withheld_before: Float[Tensor, "people"]
    """Mean distance of withheld keypoints from a fit without the dense evidence, over the crop's side."""
    withheld_after: Float[Tensor, "people"]
    """The same from a fit with it."""
    overlap_before: Float[Tensor, "people"]
    """Intersection over union of the fitted body and the detector's silhouette."""
    overlap_after: Float[Tensor, "people"]
    """The same for the refined body."""
    seen: Bool[Tensor, "people"]
    """Whether the body lies in the photo, large enough."""


def judge(
    fitted: BodyEstimate, refined: BodyEstimate, outcome: Outcome, config: GateConfig = GateConfig()
) -> Int[Tensor, "people"]:
    """Give each person's verdict; only `Reason.BETTER` takes the refined body.

    Args:
        fitted: Before.
        refined: After.
        outcome: Evidence that the refinement did not use.
        config: How much may get worse.
    """
    has_keypoints, has_silhouette = outcome.withheld_after.isfinite(), outcome.overlap_after.isfinite()
    nearer = outcome.withheld_after < outcome.withheld_before
    covers = outcome.overlap_after > outcome.overlap_before
    reason = torch.full_like(has_keypoints, int(Reason.BETTER), dtype=torch.long)

    # The first reason that applies is told, so the order is from what excludes most.
    def reject(where: Tensor, why: Reason) -> None:
        reason[where & (reason == int(Reason.BETTER))] = int(why)

    reject(~outcome.seen, Reason.NOT_SEEN)
    reject(~has_keypoints & ~has_silhouette, Reason.NO_EVIDENCE)
    reject(~plausible(fitted.params, refined.params, config), Reason.IMPLAUSIBLE)
    # A share alone would refuse good fits, whose errors are within what detectors err.
    limit = (1.0 + config.keypoints_worse) * outcome.withheld_before + config.keypoints_noise
    reject(has_keypoints & (outcome.withheld_after > limit), Reason.WITHHELD_KEYPOINTS)
    least = outcome.overlap_before - config.silhouette_worse
    reject(has_silhouette & (outcome.overlap_after < least), Reason.SILHOUETTE)
    reject(~nearer & ~covers, Reason.NO_GAIN)
    return reason


def plausible(fitted: BodyParams, refined: BodyParams, config: GateConfig) -> Bool[Tensor, "people"]:
    """Whether refined bodies differ from fitted ones no more than a correction may, and are numbers at all."""
    turn = rotmat_to_rotvec(fitted.rotations.mT @ refined.rotations).norm(dim=-1).amax(-1)
    shape = (refined.betas - fitted.betas).abs().amax(-1)
    before, after = fitted.transl[:, 2].clamp_min(1e-3), refined.transl[:, 2]
    depth = (after / before - 1.0).abs()
    # Comparisons with NaN are false, but so is their opposite: what is not a number is refused by name.
    finite = torch.isfinite(turn + shape + depth)
    return finite & (turn < config.turn) & (shape < config.shape) & (depth < config.depth) & (after > 0.1)


def overlap(covered: Bool[Tensor, "people size size"], silhouette: Float[Tensor, "people size size"]) -> Tensor:
    """Intersection over union of drawn bodies and silhouettes, (people,); NaN where the silhouette is empty."""
    shown = silhouette > 0.5
    union = (covered | shown).flatten(1).sum(-1)
    share = (covered & shown).flatten(1).sum(-1) / union.clamp_min(1)
    return torch.where(shown.flatten(1).any(-1), share, torch.nan)


def withhold(detections: Detections, every: int) -> Detections:
    """Hide every n-th of the keypoints that were seen, from the first on, and the 3D landmarks that go with them.

    With fewer than 8 seen keypoints none is hidden: the fit needs them.
    """
    seen = detections.confidence > 0
    number = seen.long().cumsum(-1) - 1
    # Counted among the seen ones, so that what is withheld is spread over the body whatever was missed.
    hidden = seen & (number % every == 0) & (seen.sum(-1, keepdim=True) >= 8)
    kept = replace(detections, confidence=torch.where(hidden, 0.0, detections.confidence))
    if detections.landmark_confidence is None:
        return kept
    return replace(kept, landmark_confidence=torch.where(hidden, 0.0, detections.landmark_confidence))
