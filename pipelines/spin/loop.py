"""Fitting in the loop: predict, fit from the prediction, keep the better, learn from it (Kolotouros et al. 2019)."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from time import perf_counter

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from fitloop.body import Body, BodyEstimate, BodyParams, Detections
from fitloop.body.keypoints import DERIVED_LANDMARKS, SPIN_24
from fitloop.body.mirror import mirror_points
from fitloop.fitting import Fit, FitConfig, SolverConfig, fit
from fitloop.fitting.plausibility import Gate, Reprojection
from fitloop.fitting.reference import ReferenceConfig, ReferenceFitter
from fitloop.geometry import where
from fitloop.pipelines.spin.config import FitsConfig, FitterConfig, TeachingConfig
from fitloop.pipelines.spin.inputs import Augmentation, Photos, keypoints_of, masks_of, undisturbed, view_and_inputs
from fitloop.pipelines.spin.refined_fits import FitsRefiner
from fitloop.pipelines.spin.samples import ObservedPeople
from fitloop.pipelines.spin.store import BestFits, FitsStore, Source
from fitloop.pipelines.training.state import evaluating
from fitloop.regressor import HMRConfig, HMROutput
from fitloop.regressor.keypoint_encoder import KEYPOINT_NAMES
from fitloop.regressor.looks import MIRRORED_KEYPOINTS, AugmentedView, into_augmented_view, out_of_augmented_view
from fitloop.regressor.losses import Criterion, Supervision, output_params, relative_keypoint_loss
from fitloop.regressor.views import points_in_view

FARTHEST = 5.0
"""Halves of the view: keypoints further out must not outweigh those inside."""


@dataclass
class Tally:
    """What happened to the people of an epoch; sums, so that processes can add theirs."""

    counts: dict[str, float] = field(default_factory=dict)

    def add(self, name: str, value: float) -> None:
        """Add to a sum."""
        self.counts[name] = self.counts.get(name, 0.0) + value

    @contextmanager
    def timed(self, name: str) -> Iterator[None]:
        """Add the seconds that the block takes."""
        begun = perf_counter()
        yield
        self.add(name, perf_counter() - begun)


@dataclass(frozen=True)
class LoopConfig:
    """The parts of the options that concern a step."""

    fitter: FitterConfig
    fits: FitsConfig
    teaching: TeachingConfig


@dataclass(frozen=True)
class SpinBatch:
    """Who is learned from in a step, and how they are looked at."""

    rows: Int[Tensor, "people"]
    """In the store."""
    people: ObservedPeople
    augmentation: Augmentation


class SpinLoop:
    """Everything a step needs besides the network; what the original does otherwise is in `pipelines.spin.compat`."""

    def __init__(self, config: LoopConfig, network: HMRConfig, body: Body, convention: str, store: FitsStore) -> None:
        """Prepare fitter, gate and losses.

        Args:
            config: Of fitter, gate and losses.
            network: Which encoder.
            body: The body being learned.
            convention: Of the evidence.
            store: The best fits of the samples.
        """
        self.config, self.network, self.body, self.store = config, network, body, store
        self.fit_config = config.fitter.fit
        self.fit: Callable[[Detections, BodyEstimate], Fit] = partial(_fit_fast, body, self.fit_config)
        if config.fitter.fitter == "reference":
            reference = ReferenceFitter(body, convention, ReferenceConfig(spin_compat=config.fitter.spin_compat))
            self.fit = torch.enable_grad()(reference.fit)
        self.refine = FitsRefiner(body) if config.fitter.refine else None
        self.gate = Gate(body, convention, config.fits.gate, self.fit_config)
        self.reprojection = Reprojection(body, convention, self.fit_config)
        known = {*body.joint_names, *body.landmark_names, *DERIVED_LANDMARKS}
        self.columns = [number for number, name in enumerate(KEYPOINT_NAMES) if name in known]
        names = tuple(KEYPOINT_NAMES[number] for number in self.columns)
        self.criterion = Criterion(body, names, config.teaching.loss)
        self.annotated = [names.index(name) if name in names else -1 for name in SPIN_24.landmarks]
        placed = [number for number, column in enumerate(self.annotated) if column >= 0]
        self.hips = [placed.index(SPIN_24.index(f"{side}_hip")) for side in ("left", "right")]
        self.tally = Tally()

    @property
    def device(self) -> torch.device:
        """Where bodies and network are; the store is on the CPU."""
        return self.body.template.device

    def step(self, model: nn.Module, batch: SpinBatch) -> Tensor:
        """One step of fitting in the loop: predict, fit from the prediction, learn from the better fit.

        Args:
            model: The network, in training mode.
            batch: Some people; their rows of the store are brought up to date.

        Returns:
            The loss to go downhill on.
        """
        seen, output = self.predict(model, batch)
        with torch.no_grad():
            best = self.keep_better(batch, self.guess(model, output, seen, batch))
            target = self.supervision(best, batch, seen)
        return self.loss(output, target, batch.people, seen)

    def predict(self, model: nn.Module, batch: SpinBatch) -> tuple[AugmentedView, HMROutput]:
        """What the network says of augmented views."""
        with self.tally.timed("seconds_forward"):
            seen, inputs = view_and_inputs(batch.people, batch.augmentation, self.network)
            return seen, model(inputs).to(torch.float32)

    @property
    def looks_twice(self) -> bool:
        """Whether fits start from what the network says of the photo as it is, instead of the augmented view.

        That is a better guess, but a third of a step where the encoder reads pixels.
        """
        return self.network.encoder == "keypoints"

    def guess(self, model: nn.Module, output: HMROutput, seen: AugmentedView, batch: SpinBatch) -> BodyEstimate:
        """Where fits start, in the photo's camera frame."""
        if self.config.fits.mode == "loop" and self.looks_twice:
            with self.tally.timed("seconds_fitting"), evaluating(model):
                return estimate_all(model, self, batch.people, batch.augmentation.photos)
        params = out_of_augmented_view(output_params(output.detach(), seen.view, self.body), seen, self.body)
        return BodyEstimate(params, batch.people.camera, self.body.name)

    def keep_better(self, batch: SpinBatch, guess: BodyEstimate) -> BestFits:
        """Fit from the guess, and keep the better of that and what is stored, person by person."""
        rows, people = batch.rows, batch.people
        self.tally.add("people", float(len(rows)))
        if self.config.fits.mode != "loop":
            return self.store.read(rows).to(self.device)
        with self.tally.timed("seconds_fitting"):
            proposal = self.fit(people.evidence, guess)
            believed = self.believed(proposal, people.evidence).cpu()
            found = self.comparable(batch, proposal_of(proposal)).to("cpu")
            kept, better = self.store.keep_better(rows, found, believed, self.config.fits.margin)
            self.tally.add("updated", float(better.sum()))
            self.tally.add("not_better", float((believed & ~better).sum()))
            if self.refine is not None:
                kept, refined = self.refine(kept, better, people, batch.augmentation.photos)
                self.store.write(rows[refined], kept[refined])
                self.tally.add("refined", float(refined.sum()))
            return kept.to(self.device)

    def comparable(self, batch: SpinBatch, found: BestFits) -> BestFits:
        """New fits with the energy that is compared with that of the stored ones."""
        del batch
        return found

    def believed(self, proposal: Fit, evidence: Detections) -> Bool[Tensor, "people"]:
        """Whose fit is plausible; what was rejected, and why, is counted."""
        allowed = torch.ones_like(proposal.energy, dtype=torch.bool)
        for reason, rejected in self.rejections(proposal, evidence).items():
            self.tally.add(f"rejected_{reason}", float(rejected.sum()))
            allowed &= ~rejected
        self.tally.add("rejected", float((~allowed).sum()))
        return allowed

    def rejections(self, proposal: Fit, evidence: Detections) -> dict[str, Bool[Tensor, "people"]]:
        """Whose fit is not believed, by reason."""
        return self.gate(proposal, evidence)

    def static_fits(self, rows: Int[Tensor, "people"], people: ObservedPeople, guess: BodyEstimate) -> None:
        """Fit once from an estimate and keep what is believed."""
        proposal = self.fit(people.evidence, guess)
        self.tally.add("people", float(len(rows)))
        found = replace(proposal_of(proposal).to("cpu"), source=torch.full_like(rows, int(Source.STATIC)))
        self.store.keep_better(rows, found, self.believed(proposal, people.evidence).cpu())

    def valid(self, best: BestFits, people: ObservedPeople) -> Float[Tensor, "people"]:
        """Whose fit teaches: 1 where it is good enough, 0 elsewhere."""
        if not self.config.fits.teaches:
            return torch.zeros_like(best.energy)
        error = self.reprojection(best.params, people.evidence, people.camera)
        good = (error < self.config.teaching.valid_below) & (best.source != int(Source.NONE))
        return good.to(error.dtype)

    def supervision(self, best: BestFits, batch: SpinBatch, seen: AugmentedView) -> Supervision:
        """Fits, or the truth where it is known, and the observed keypoints, as the network should have said them."""
        people = batch.people
        valid = self.valid(best, people)
        self.tally.add("valid", float(valid.sum()))
        truth_known = people.has_truth if self.config.teaching.use_truth else torch.zeros_like(people.has_truth)
        params = replace(best.params, betas=self.limited(best.params.betas))
        params = where(truth_known > 0, replace(people.truth, transl=params.transl), params)
        params = into_augmented_view(params, seen, self.body)
        sure = torch.maximum(valid, truth_known)
        points = self.criterion.kinematics(params)
        flat, confidence = self._keypoints_in(people, seen)
        return Supervision(
            points_2d=flat[:, self.columns],
            confidence_2d=confidence[:, self.columns],
            points_3d=points,
            confidence_3d=torch.ones_like(points[..., 0]) * sure[:, None],
            rotations=params.rotations,
            betas=params.betas,
            confidence_params=sure,
            masks=None if self.criterion.silhouettes is None else masks_of(people, seen),
        )

    def _keypoints_in(self, people: ObservedPeople, seen: AugmentedView) -> tuple[Tensor, Tensor]:
        known, flipped = self.observed(people), seen.flipped
        flat = points_in_view(known.keypoints, people.camera, seen.view).clamp(-FARTHEST, FARTHEST)
        flat = torch.where(flipped[:, None, None], mirror_points(flat, MIRRORED_KEYPOINTS), flat)
        return flat, torch.where(flipped[:, None], known.confidence[:, MIRRORED_KEYPOINTS], known.confidence)

    def observed(self, people: ObservedPeople) -> Detections:
        """Keypoints that teach, in the columns of `KEYPOINT_NAMES`."""
        return keypoints_of(people.evidence)

    def limited(self, betas: Float[Tensor, "people betas"]) -> Float[Tensor, "people betas"]:
        """Shape coefficients as they teach."""
        return betas.clamp(-self.config.teaching.max_beta, self.config.teaching.max_beta)

    def loss(self, output: HMROutput, target: Supervision, people: ObservedPeople, seen: AugmentedView) -> Tensor:
        """Sum of all losses."""
        losses = self.fit_losses(output, target, seen) | self.annotated_loss(output, people, seen)
        self.tally.add("steps", 1.0)
        for name, value in losses.items():
            self.tally.add(f"loss_{name}", float(value.detach()))
        return torch.stack(list(losses.values())).sum()

    def fit_losses(self, output: HMROutput, target: Supervision, seen: AugmentedView) -> dict[str, Tensor]:
        """Losses to fits and observed keypoints."""
        return self.criterion(output, seen.view, target)

    def annotated_loss(self, output: HMROutput, people: ObservedPeople, seen: AugmentedView) -> dict[str, Tensor]:
        """Loss to annotated 3D joints, relative to the middle of the annotated hips, where there are any."""
        config = self.config.teaching
        weight = config.loss.total * config.loss.joints_3d
        if not weight or not config.use_truth or not bool((people.joints_3d[..., 3] > 0).any()):
            return {}
        annotated, sure = self.annotated_joints(people, seen)
        points = self.criterion.kinematics(output_params(output, seen.view, self.body))
        mine = points[:, [column for column in self.annotated if column >= 0]]
        loss = relative_keypoint_loss(mine, annotated, sure, (self.hips[0], self.hips[1]), config.loss.norm)
        return {"annotated_3d": weight * loss}

    def annotated_joints(self, people: ObservedPeople, seen: AugmentedView) -> tuple[Tensor, Tensor]:
        """Annotated 3D joints that the body has, in the view's axes, and their confidence."""
        joints, flipped, mirror = people.joints_3d, seen.flipped[:, None], list(SPIN_24.flip)
        known = [number for number, column in enumerate(self.annotated) if column >= 0]
        turned = joints[..., :3] @ seen.view.rotation.mT
        turned = torch.where(flipped[..., None], mirror_points(turned, mirror), turned)
        return turned[:, known], torch.where(flipped, joints[:, mirror, 3], joints[..., 3])[:, known]


def _fit_fast(body: Body, config: FitConfig, evidence: Detections, estimate: BodyEstimate) -> Fit:
    return fit(body, evidence, estimate, config)


def proposal_of(fitted: Fit) -> BestFits:
    """A fit as the store keeps it."""
    source = torch.full_like(fitted.status, int(Source.LOOP))
    return BestFits(fitted.estimate.params, fitted.energy, source, torch.zeros_like(source))


def estimate_all(model: nn.Module, loop: SpinLoop, people: ObservedPeople, photos: Photos) -> BodyEstimate:
    """What the network says of people it is shown as they are.

    Returns:
        In the photo's camera frame, without gradient.
    """
    with torch.no_grad():
        seen, inputs = view_and_inputs(people, undisturbed(len(people), photos), loop.network)
        output: HMROutput = model(inputs).to(torch.float32)
        params: BodyParams = out_of_augmented_view(output_params(output, seen.view, loop.body), seen, loop.body)
    return BodyEstimate(params, people.camera, loop.body.name)


def placed_and_judged(loop: SpinLoop, fits: BestFits, people: ObservedPeople) -> BestFits:
    """Place fits of unknown camera by least squares and give them the energy that later fits are compared by."""
    judging = replace(loop.fit_config.stages[-1], solver=SolverConfig(max_steps=0))
    config = replace(loop.fit_config, stages=(judging,), starts=("init",), camera_init="least_squares")
    start = BodyEstimate(fits.params, people.camera, loop.body.name).to(loop.device)
    judged = fit(loop.body, people.evidence.to(loop.device), start, config).to("cpu")
    return replace(fits, params=judged.estimate.params, energy=judged.energy)
