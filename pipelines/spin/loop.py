"""Fitting in the loop: predict, fit from the prediction, keep the better, learn from it (Kolotouros et al. 2019)."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
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
from fitloop.pipelines.spin.compat import compare_as_spin, spin_fit_config
from fitloop.pipelines.spin.config import SpinConfig
from fitloop.pipelines.spin.inputs import Drawn, keypoints_of, look_and_inputs, undisturbed
from fitloop.pipelines.spin.refined_fits import FitsRefiner
from fitloop.pipelines.spin.samples import Samples
from fitloop.pipelines.spin.store import BestFits, FitsStore, Source
from fitloop.regressor import HMRConfig, HMROutput
from fitloop.regressor.keypoint_encoder import KEYPOINT_NAMES
from fitloop.regressor.looks import MIRRORED_KEYPOINTS, Look, into_look, out_of_look
from fitloop.regressor.losses import Criterion, Supervision, output_params, relative_keypoint_loss
from fitloop.regressor.views import points_in_view

FARTHEST = 5.0
"""Halves of the view: keypoints further out must not outweigh those inside."""
Photos = tuple[Path | None, ...]


@dataclass
class Tally:
    """What happened to the people of an epoch; sums, so that processes can add theirs."""

    counts: dict[str, float] = field(default_factory=dict)

    def add(self, name: str, value: float) -> None:
        """Add to a sum."""
        self.counts[name] = self.counts.get(name, 0.0) + value

    def share(self, name: str, of: str) -> float:
        """One sum over another; 0 if there is nothing to divide by."""
        return self.counts.get(name, 0.0) / max(self.counts.get(of, 0.0), 1e-12)


class SpinLoop:
    """Everything a step needs besides the network."""

    def __init__(self, config: SpinConfig, network: HMRConfig, body: Body, convention: str, store: FitsStore) -> None:
        """Prepare fitter, gate and losses.

        Args:
            config: Of the run.
            network: Which encoder.
            body: The body being learned.
            convention: Of the evidence.
            store: The best fits of the samples.
        """
        self.config, self.network, self.body, self.store = config, network, body, store
        self.fit_config = spin_fit_config(config.fit, convention) if config.spin_compat else config.fit
        self.fit: Callable[[Detections, BodyEstimate], Fit] = partial(_fit_fast, body, self.fit_config)
        if config.fitter == "reference":
            fitter = ReferenceFitter(body, convention, ReferenceConfig(spin_compat=config.spin_compat))
            self.fit = torch.enable_grad()(fitter.fit)
        self.refine = FitsRefiner(body) if config.refine else None
        self.gate = Gate(body, convention, config.gate, self.fit_config)
        self.reprojection = Reprojection(body, convention, self.fit_config, config.odd.mean_over_unseen)
        known = {*body.joint_names, *body.landmark_names, *DERIVED_LANDMARKS}
        self.columns = [number for number, name in enumerate(KEYPOINT_NAMES) if name in known]
        names = tuple(KEYPOINT_NAMES[number] for number in self.columns)
        self.criterion = Criterion(body, names, config.losses)
        self.annotated = [names.index(name) if name in names else -1 for name in SPIN_24.landmarks]
        placed = [number for number, column in enumerate(self.annotated) if column >= 0]
        self.hips = [placed.index(SPIN_24.index(f"{side}_hip")) for side in ("left", "right")]
        self.tally = Tally()

    @property
    def device(self) -> torch.device:
        """Where bodies and network are; the store is on the CPU."""
        return self.body.template.device

    @property
    def _looks_twice(self) -> bool:
        """Whether fits start from a second look, at the photo as it is."""
        if self.config.odd.fit_from_augmented is None:
            return self.network.encoder == "keypoints"
        return not self.config.odd.fit_from_augmented

    def step(self, model: nn.Module, rows: Int[Tensor, "people"], samples: Samples, drawn: Drawn) -> Tensor:
        """One step on some people: the loss to go downhill on, with the store brought up to date.

        Args:
            model: The network, in training mode.
            rows: Their rows in the store.
            samples: The same people.
            drawn: What the augmentation drew for them.
        """
        start = perf_counter()
        look, inputs = look_and_inputs(samples, drawn, self.network)
        output: HMROutput = model(inputs).to(torch.float32)
        predicted = perf_counter()
        with torch.no_grad():
            estimate = self._guess(model, output, look, samples, drawn.photos)
            target = self._target(rows, samples, estimate, drawn.photos)
            fitted = perf_counter()
            valid = self._valid(target, samples)
            truth = self._supervision(target, valid, samples, look)
        losses = self.criterion(output, look.view, truth)
        if self.config.odd.mean_over_unseen:
            losses = {name: value * _seen_share(name, truth) for name, value in losses.items()}
        losses |= self._annotated_loss(output, samples, look)
        total = torch.stack(list(losses.values())).sum()
        self._count(losses, valid, predicted - start, fitted - predicted)
        return total

    def _guess(self, model: nn.Module, output: HMROutput, look: Look, samples: Samples, photos: Photos) -> BodyEstimate:
        """Where fits start: at what the network says of people as they are, or of the view that it learns from."""
        if self.config.mode == "loop" and self._looks_twice:
            with evaluating(model):
                return estimate_all(model, self, samples, photos)
        params = out_of_look(output_params(output.detach(), look.view, self.body), look, self.body)
        return BodyEstimate(params, samples.camera, self.body.name)

    def _target(self, rows: Tensor, samples: Samples, estimate: BodyEstimate, photos: Photos) -> BestFits:
        """The best body of each person after the network had its say."""
        best = self.store.read(rows).to(self.device)
        self.tally.add("people", float(len(rows)))
        if self.config.mode != "loop":
            return best
        proposal = self.fit(samples.evidence, estimate)
        allowed = self._judge(proposal, samples.evidence)
        found = proposal_of(proposal)
        if self.config.odd.compare_reprojection_only:
            best, found = compare_as_spin(best, found, samples, self.reprojection, self.config.odd)
            self.store.write(rows, best)
        kept, better = self.store.keep_better(rows, found.to("cpu"), allowed.cpu(), self.config.margin)
        self.tally.add("updated", float(better.sum()))
        self.tally.add("not_better", float((allowed.cpu() & ~better).sum()))
        if self.refine is not None:
            kept, refined = self.refine(kept, better, samples, photos)
            self.store.write(rows[refined], kept[refined])
            self.tally.add("refined", float(refined.sum()))
        return kept.to(self.device)

    def _judge(self, proposal: Fit, evidence: Detections) -> Bool[Tensor, "people"]:
        allowed = torch.ones_like(proposal.energy, dtype=torch.bool)
        reasons = self.gate(proposal, evidence)
        if self.config.odd.no_gate:
            reasons = {"evidence": reasons["evidence"]}
        for reason, rejected in reasons.items():
            self.tally.add(f"rejected_{reason}", float(rejected.sum()))
            allowed &= ~rejected
        self.tally.add("rejected", float((~allowed).sum()))
        return allowed

    def static_fits(self, rows: Tensor, samples: Samples, estimate: BodyEstimate) -> None:
        """Fit once from an estimate and keep what is believed."""
        proposal = self.fit(samples.evidence, estimate)
        self.tally.add("people", float(len(rows)))
        found = replace(proposal_of(proposal).to("cpu"), source=torch.full_like(rows, int(Source.STATIC)))
        self.store.keep_better(rows, found, self._judge(proposal, samples.evidence).cpu())

    def _valid(self, target: BestFits, samples: Samples) -> Float[Tensor, "people"]:
        """Whose fit teaches: 1 where it is good enough, 0 elsewhere."""
        if self.config.mode == "keypoints":
            return torch.zeros_like(target.energy)
        error = self.reprojection(target.params, samples.evidence, samples.camera)
        good = (error < self.config.valid_below) & (target.source != int(Source.NONE))
        return good.to(error.dtype)

    def _supervision(self, target: BestFits, valid: Tensor, samples: Samples, look: Look) -> Supervision:
        """Fits, or the truth where it is known, and the observed keypoints, as the network should have said them."""
        truth_known = samples.has_truth if self.config.use_truth else torch.zeros_like(samples.has_truth)
        taught = replace(target.params, betas=self._limited(target.params.betas))
        taught = where(truth_known > 0, replace(samples.truth, transl=taught.transl), taught)
        sure = torch.maximum(valid, truth_known)
        seen = into_look(taught, look, self.body)
        points = self.criterion.kinematics(seen)
        known = keypoints_of(samples.evidence, ignore_detected=self.config.odd.ignore_detected)
        flat = points_in_view(known.keypoints, samples.camera, look.view).clamp(-FARTHEST, FARTHEST)
        flipped = look.flipped
        flat = torch.where(flipped[:, None, None], mirror_points(flat, MIRRORED_KEYPOINTS), flat)
        confidence = torch.where(flipped[:, None], known.confidence[:, MIRRORED_KEYPOINTS], known.confidence)
        solid = 0.0 if self.config.odd.learn_in_2d_and_parameters_only else sure[:, None]
        return Supervision(
            points_2d=flat[:, self.columns],
            confidence_2d=confidence[:, self.columns],
            points_3d=points,
            confidence_3d=torch.ones_like(points[..., 0]) * solid,
            rotations=seen.rotations,
            betas=seen.betas,
            confidence_params=sure,
        )

    def _limited(self, betas: Tensor) -> Tensor:
        limit = self.config.max_beta
        if self.config.odd.betas_all_or_none:
            return torch.where((betas.abs() > limit).any(-1, keepdim=True), 0.0, betas)
        return betas.clamp(-limit, limit)

    def _annotated_loss(self, output: HMROutput, samples: Samples, look: Look) -> dict[str, Tensor]:
        """Loss to annotated 3D joints, relative to the middle of the annotated hips, where there are any."""
        weight = self.config.losses.total * self.config.losses.joints_3d
        joints = samples.joints_3d
        known = [number for number, column in enumerate(self.annotated) if column >= 0]
        if not weight or not self.config.use_truth or not bool((joints[..., 3] > 0).any()):
            return {}
        turned = joints[..., :3] @ look.view.rotation.mT
        mirror = list(SPIN_24.flip)
        flipped = look.flipped[:, None]
        turned = torch.where(flipped[..., None], mirror_points(turned, mirror), turned)[:, known]
        sure = torch.where(flipped, joints[:, mirror, 3], joints[..., 3])[:, known]
        points = self.criterion.kinematics(output_params(output, look.view, self.body))
        mine = points[:, [self.annotated[number] for number in known]]
        loss = relative_keypoint_loss(mine, turned, sure, (self.hips[0], self.hips[1]), self.config.losses.norm)
        share = sure.mean() if self.config.odd.mean_over_unseen else 1.0
        return {"annotated_3d": weight * loss * share}

    def _count(self, losses: dict[str, Tensor], valid: Tensor, predicting: float, fitting: float) -> None:
        self.tally.add("valid", float(valid.sum()))
        self.tally.add("steps", 1.0)
        for name, value in losses.items():
            self.tally.add(f"loss_{name}", float(value.detach()))
        self.tally.add("seconds_forward", predicting)
        self.tally.add("seconds_fitting", fitting)


def _fit_fast(body: Body, config: FitConfig, evidence: Detections, estimate: BodyEstimate) -> Fit:
    return fit(body, evidence, estimate, config)


def proposal_of(fitted: Fit) -> BestFits:
    """A fit as the store keeps it."""
    source = torch.full_like(fitted.status, int(Source.LOOP))
    return BestFits(fitted.estimate.params, fitted.energy, source, torch.zeros_like(source))


def _seen_share(name: str, truth: Supervision) -> float | Tensor:
    """What turns a mean over what is seen into SPIN's mean over everything."""
    if name == "keypoints_2d":
        return truth.confidence_2d.mean()
    return 1.0


@contextmanager
def evaluating(model: nn.Module) -> Iterator[None]:
    """Switch a network to evaluation, and every part of it back to what it was."""
    modes = [(module, module.training) for module in model.modules()]
    model.eval()
    try:
        yield
    finally:
        for module, training in modes:
            module.training = training


def estimate_all(model: nn.Module, loop: SpinLoop, samples: Samples, photos: Photos) -> BodyEstimate:
    """What the network says of people it is shown as they are.

    Returns:
        In the photo's camera frame, without gradient.
    """
    with torch.no_grad():
        look, inputs = look_and_inputs(samples, undisturbed(len(samples), photos), loop.network)
        output: HMROutput = model(inputs).to(torch.float32)
        params: BodyParams = out_of_look(output_params(output, look.view, loop.body), look, loop.body)
    return BodyEstimate(params, samples.camera, loop.body.name)


def placed_and_judged(loop: SpinLoop, fits: BestFits, samples: Samples) -> BestFits:
    """Place fits of unknown camera by least squares and give them the energy that later fits are compared by."""
    judging = replace(loop.fit_config.stages[-1], solver=SolverConfig(max_steps=0))
    config = replace(loop.fit_config, stages=(judging,), starts=("init",), camera_init="least_squares")
    start = BodyEstimate(fits.params, samples.camera, loop.body.name).to(loop.device)
    judged = fit(loop.body, samples.evidence.to(loop.device), start, config).to("cpu")
    return replace(fits, params=judged.estimate.params, energy=judged.energy)
