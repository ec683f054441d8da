"""What the original does differently, as exactly as the optimiser of this project allows (docs/spin.md)."""

import math
from dataclasses import replace

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from fitloop.body import Body, Detections
from fitloop.body.keypoints import SPIN_24, SPIN_49
from fitloop.fitting import Fit, FitConfig
from fitloop.fitting.camera import least_squares_translation
from fitloop.fitting.plausibility import Reprojection
from fitloop.geometry import crop_of_box
from fitloop.pipelines.spin.config import SpinConfig
from fitloop.pipelines.spin.inputs import keypoints_of
from fitloop.pipelines.spin.loop import LoopConfig, SpinBatch, SpinLoop
from fitloop.pipelines.spin.quirks import SPIN_QUIRKS, Quirks
from fitloop.pipelines.spin.samples import ObservedPeople
from fitloop.pipelines.spin.store import BestFits, FitsStore, Source
from fitloop.regressor import PRESETS, HMRConfig, HMROutput
from fitloop.regressor.looks import AugmentedView
from fitloop.regressor.losses import Supervision

SPIN_IGNORED = ("neck_openpose", "right_hip_openpose", "left_hip_openpose", "right_hip", "left_hip")
"""Keypoints of `SPIN_49` that SPIN's body stage leaves out."""


def as_original(config: SpinConfig, convention: str) -> SpinConfig:
    """Put every setting of the original into a config: losses, optimiser, evidence and quirks.

    Args:
        config: What the user asked for.
        convention: Of the evidence.
    """
    return replace(
        config,
        loss=PRESETS["spin"],
        fit=spin_fit_config(config.fit, convention),
        quirks=SPIN_QUIRKS,
        frozen_statistics=False,
        schedule="constant",
        warmup=0.0,
        average=0.0,
        clip=math.inf,
    )


def spin_fit_config(config: FitConfig, convention: str) -> FitConfig:
    """The optimiser with SPIN's evidence: neck and hips left out, the camera from the torso."""
    names = SPIN_IGNORED if convention == SPIN_49.name else ("right_hip", "left_hip")
    return replace(config, ignored=names, starts=("init",))


class OriginalLoop(SpinLoop):
    """The loop with some or all of the original's quirks."""

    def __init__(
        self, config: LoopConfig, network: HMRConfig, body: Body, convention: str, store: FitsStore, quirks: Quirks
    ) -> None:
        """See `SpinLoop`; ``quirks`` says which ones apply."""
        super().__init__(config, network, body, convention, store)
        self.quirks = quirks
        self.reprojection = Reprojection(body, convention, self.fit_config, quirks.mean_over_unseen)

    @property
    def looks_twice(self) -> bool:
        """See `SpinLoop.looks_twice`."""
        asked = self.quirks.fit_from_augmented
        return super().looks_twice if asked is None else not asked

    def rejections(self, proposal: Fit, evidence: Detections) -> dict[str, Bool[Tensor, "people"]]:
        """Fits without evidence alone, if there is no gate."""
        reasons = super().rejections(proposal, evidence)
        return {"evidence": reasons["evidence"]} if self.quirks.no_gate else reasons

    def comparable(self, batch: SpinBatch, found: BestFits) -> BestFits:
        """New fits, and the stored ones, with the reprojection alone as their energy."""
        if not self.quirks.compare_reprojection_only:
            return found
        best = self.store.read(batch.rows).to(self.device)
        best, found = compare_as_spin(best, found, batch.people, self.reprojection, self.quirks)
        self.store.write(batch.rows, best)
        return found

    def observed(self, people: ObservedPeople) -> Detections:
        """Without OpenPose's keypoints, if these do not count."""
        return keypoints_of(people.evidence, ignore_detected=self.quirks.ignore_detected)

    def limited(self, betas: Float[Tensor, "people betas"]) -> Float[Tensor, "people betas"]:
        """All coefficients or none."""
        if not self.quirks.betas_all_or_none:
            return super().limited(betas)
        return torch.where((betas.abs() > self.config.teaching.max_beta).any(-1, keepdim=True), 0.0, betas)

    def supervision(self, best: BestFits, batch: SpinBatch, seen: AugmentedView) -> Supervision:
        """Without the 3D joints of fits, if these teach nothing."""
        target = super().supervision(best, batch, seen)
        if not self.quirks.learn_in_2d_and_parameters_only:
            return target
        return replace(target, confidence_3d=torch.zeros_like(target.confidence_3d))

    def fit_losses(self, output: HMROutput, target: Supervision, seen: AugmentedView) -> dict[str, Tensor]:
        """The mean over what is seen turned into SPIN's mean over everything."""
        losses = super().fit_losses(output, target, seen)
        if self.quirks.mean_over_unseen and "keypoints_2d" in losses:
            losses["keypoints_2d"] = losses["keypoints_2d"] * target.confidence_2d.mean()
        return losses

    def annotated_loss(self, output: HMROutput, people: ObservedPeople, seen: AugmentedView) -> dict[str, Tensor]:
        """The same for annotated joints."""
        losses = super().annotated_loss(output, people, seen)
        share = self.annotated_joints(people, seen)[1].mean() if self.quirks.mean_over_unseen else 1.0
        return {name: value * share for name, value in losses.items()}


def compare_as_spin(
    best: BestFits, found: BestFits, people: ObservedPeople, reprojection: Reprojection, quirks: Quirks
) -> tuple[BestFits, BestFits]:
    """Give stored and new fits energies that are the mean robust reprojection alone.

    Args:
        best: Stored.
        found: New, at the camera that the optimiser found.
        people: The same ones.
        reprojection: Measures.
        quirks: Say whether the stored fit is placed anew by least squares over the annotated joints.
    """
    if quirks.place_old_fit_anew:
        best = replace(best, params=replace(best.params, transl=_placed(best, people, reprojection)))
    old = reprojection(best.params, people.evidence, people.camera)
    new = reprojection(found.params, people.evidence, people.camera)
    nothing = best.source == int(Source.NONE)
    return replace(best, energy=torch.where(nothing, torch.inf, old)), replace(found, energy=new)


def _placed(best: BestFits, people: ObservedPeople, reprojection: Reprojection) -> Float[Tensor, "people 3"]:
    evidence, camera = people.evidence, people.camera
    columns = list(reprojection.usable.keypoints)
    detected = len(SPIN_49) - len(SPIN_24) if evidence.convention == SPIN_49.name else 0
    annotated = torch.tensor([column >= detected for column in columns], device=evidence.confidence.device)
    confidence = evidence.confidence[:, columns] * annotated
    zoom = (224.0 / crop_of_box(evidence.boxes).side)[:, None, None]
    offset = (evidence.keypoints[:, columns] - camera.principal_point[:, None]) * zoom
    offset = torch.where((confidence > 0)[..., None], offset, 0.0)
    still = replace(best.params, transl=torch.zeros_like(best.params.transl))
    points = reprojection.kinematics(still).mT
    # SPIN weights with the square root of the confidence, the shared solver with the confidence.
    placed = least_squares_translation(points, offset.mT, confidence.sqrt(), camera.focal * zoom[:, 0, 0])
    return torch.where((confidence > 0).sum(-1, keepdim=True) >= 2, placed, best.params.transl)
