"""What the original does differently, as exactly as the optimiser of this project allows (docs/spin.md)."""

from dataclasses import replace

import torch
from jaxtyping import Float
from torch import Tensor

from fitloop.body.keypoints import SPIN_24, SPIN_49
from fitloop.fitting import FitConfig
from fitloop.fitting.camera import least_squares_translation
from fitloop.fitting.plausibility import Reprojection
from fitloop.geometry import crop_of_box
from fitloop.pipelines.spin.quirks import Quirks
from fitloop.pipelines.spin.samples import Samples
from fitloop.pipelines.spin.store import BestFits, Source

SPIN_IGNORED = ("neck_openpose", "right_hip_openpose", "left_hip_openpose", "right_hip", "left_hip")
"""Keypoints of `SPIN_49` that SPIN's body stage leaves out."""


def spin_fit_config(config: FitConfig, convention: str) -> FitConfig:
    """The optimiser with SPIN's evidence: neck and hips left out, the camera from the torso."""
    names = SPIN_IGNORED if convention == SPIN_49.name else ("right_hip", "left_hip")
    return replace(config, ignored=names, starts=("init",))


def compare_as_spin(
    best: BestFits, found: BestFits, samples: Samples, reprojection: Reprojection, odd: Quirks
) -> tuple[BestFits, BestFits]:
    """Give stored and new fits energies that are the mean robust reprojection alone.

    Args:
        best: Stored.
        found: New, at the camera that the optimiser found.
        samples: Of the same people.
        reprojection: Measures.
        odd: Says whether the stored fit is placed anew by least squares over the annotated joints.
    """
    if odd.place_old_fit_anew:
        best = replace(best, params=replace(best.params, transl=_placed(best, samples, reprojection)))
    old = reprojection(best.params, samples.evidence, samples.camera)
    new = reprojection(found.params, samples.evidence, samples.camera)
    nothing = best.source == int(Source.NONE)
    return replace(best, energy=torch.where(nothing, torch.inf, old)), replace(found, energy=new)


def _placed(best: BestFits, samples: Samples, reprojection: Reprojection) -> Float[Tensor, "people 3"]:
    evidence, camera = samples.evidence, samples.camera
    columns = list(reprojection.usable.keypoints)
    annotated = torch.tensor([evidence.convention != SPIN_49.name or c >= len(SPIN_49) - len(SPIN_24) for c in columns])
    confidence = evidence.confidence[:, columns] * annotated
    zoom = (224.0 / crop_of_box(evidence.boxes).side)[:, None, None]
    offset = (evidence.keypoints[:, columns] - camera.principal_point[:, None]) * zoom
    offset = torch.where((confidence > 0)[..., None], offset, 0.0)
    still = replace(best.params, transl=torch.zeros_like(best.params.transl))
    points = reprojection.kinematics(still).mT
    # SPIN weights with the square root of the confidence, the shared solver with the confidence.
    placed = least_squares_translation(points, offset.mT, confidence.sqrt(), camera.focal * zoom[:, 0, 0])
    return torch.where((confidence > 0).sum(-1, keepdim=True) >= 2, placed, best.params.transl)
