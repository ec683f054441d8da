"""Dense refinement of fitted bodies: render, correct, predict displacements, fit to them, look again, and judge.

Wehrbein et al. 2023 refine bodies on dense displacements; keypoints, priors and shape stay in the energy.
"""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from copy import deepcopy
from dataclasses import dataclass, field, replace
from typing import TypeVar

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from fitloop.body import Body, BodyEstimate, Detections, KeypointKinematics, SurfaceEvidence
from fitloop.body.kinematics import usable_keypoints
from fitloop.geometry import TensorRecord, concatenate, project, where
from fitloop.refinement.correction import CorrectionNet, corrected, correction_input, read_clues
from fitloop.refinement.gate import GateConfig, Outcome, Reason, judge, overlap
from fitloop.refinement.inputs import draw_bodies
from fitloop.refinement.look import Look, Photo, gather_evidence, look_at, predict_displacement
from fitloop.refinement.network import Displacement, DisplacementNet
from fitloop.refinement.weights import load_correction, load_network
from fitloop.rendering import Rasterizer, load_rasterizer
from fitloop.rendering.flow import Flow

Network = TypeVar("Network", bound=nn.Module)
DenseFit = Callable[[Body, Detections, BodyEstimate, SurfaceEvidence], BodyEstimate]
"""Moves bodies from where they are towards keypoints and seen points of their surface."""


@dataclass(frozen=True)
class RefineConfig:
    """How fitted bodies are refined."""

    rounds: int = 2
    """How often the body is drawn, compared and fitted."""
    gate: GateConfig = field(default_factory=GateConfig)
    """When the result is taken."""
    gated: bool = True
    """Without, every refined body is taken; for measuring."""
    weighted: bool = True
    """Whether points count by the uncertainty that the network predicts."""
    withheld: int = 3
    """Every how-manieth seen keypoint is kept from a second fit, which the gate judges by."""
    twice: bool = True
    """Whether the network also looks in a mirror: half as fast, and a tenth nearer to the photo."""
    corrected: bool = True
    """Whether pose and shape are corrected by what was seen before the first round."""
    without: tuple[str, ...] = ()
    """Groups of the network's input channels to leave out; for measuring."""

    def __post_init__(self) -> None:
        if self.rounds < 1 or self.withheld < 2:
            raise ValueError(f"rounds must be at least 1 and withheld at least 2, got {self.rounds}, {self.withheld}.")


@dataclass(frozen=True)
class Refined(TensorRecord):
    """Bodies moved towards dense evidence, and what speaks for them; the better of two per person."""

    estimate: BodyEstimate
    """The refined body where it was taken, else the fitted one."""
    proposal: BodyEstimate
    """The refined body, taken or not."""
    reason: Int[Tensor, "people"]
    """Codes of `fitloop.refinement.Reason`."""
    outcome: Outcome
    """What the verdict rests on."""
    look: Look
    """The first round's, for pictures."""
    displacement: Displacement
    """The first round's prediction."""

    @property
    def flow(self) -> Flow:
        """The first round's prediction as a picture takes it."""
        look = self.look
        shown = look.drawn.fragments.covered & look.inside & look.seen[:, None, None]
        return Flow(self.displacement.offset, shown, look.crop.center, look.crop.side)

    @property
    def accepted(self) -> Bool[Tensor, "people"]:
        """Whose refined body was taken."""
        return self.reason == int(Reason.BETTER)


@dataclass
class Refiner:
    """The refinement stage, prepared once; it works where the body lies."""

    body: Body
    fit: DenseFit
    config: RefineConfig = field(default_factory=RefineConfig)
    network: DisplacementNet | None = None
    """The shipped one if not given."""
    correction: CorrectionNet | None = None
    """One that reads that network; the shipped one if no network is given either, else none. Other bodies than the
    one it knows are not corrected."""
    rasterizer: Rasterizer | None = None
    """Who draws the bodies; the fastest for the device if not given."""
    seconds: dict[str, float] = field(default_factory=dict)
    """Wall time by step, all calls together; a GPU may still be at work when a step's time ends."""

    def __post_init__(self) -> None:
        device = self.body.template.device
        network = load_network(None, device) if self.network is None else self.network
        correction = self.correction
        if self.network is None and correction is None and self.config.corrected:
            correction = load_correction(network)
        self._network = _moved(network, device)
        self._correction = None if correction is None else _moved(correction, device)
        self._rasterizer = load_rasterizer("auto", device) if self.rasterizer is None else self.rasterizer
        self._placed: dict[str, tuple[list[int], KeypointKinematics]] = {}

    def __call__(
        self, photo: Photo, detections: Detections, fitted: BodyEstimate, usable: Bool[Tensor, "people"] | None = None
    ) -> Refined:
        """Refine the people of one photo.

        Args:
            photo: Pixels, silhouettes, and a texture if other photos gave one.
            detections: The evidence that the bodies were fitted to.
            fitted: From `fitloop.fitting.fit`, at least one row.
            usable: Whether each row really was fitted; all if not given.

        Raises:
            ValueError: If the body is not the one that the network knows.
        """
        # What the gate compares is the fitted body; what the rounds start from may be the corrected one.
        before = self._look(photo, fitted)
        start = self._corrected(fitted, before)
        first = look = before if start is fitted else self._look(photo, start)
        displacement = self.predict(look, photo)
        surface = self._gather(look, displacement)
        # The last round's fit is done together with those that the gate judges by.
        for _ in range(self.config.rounds - 1):
            with self._clock("fit"):
                start = self.fit(self.body, detections, start, surface)
            look = self._look(photo, start)
            surface = self._gather(look, self.predict(look, photo))
        with self._clock("fit"):
            proposal, withheld = self._fit_and_withhold(detections, fitted, start, surface)
        with self._clock("gate"):
            outcome = self._outcome(proposal, before, withheld)
            reason = self._judge(fitted, proposal, outcome, usable)
        best = where(reason == int(Reason.BETTER), proposal, fitted)
        return Refined(best, proposal, reason, outcome, first, displacement)

    def predict(self, look: Look, photo: Photo) -> Displacement:
        """How far the drawn bodies lie from the photo's: what the network says."""
        config = self.config
        with self._clock("network"):
            return predict_displacement(self.body, self._network, look, photo.texture, config.without, config.twice)

    @contextmanager
    def _clock(self, step: str) -> Iterator[None]:
        start = time.perf_counter()
        yield
        self.seconds[step] = self.seconds.get(step, 0.0) + time.perf_counter() - start

    def _look(self, photo: Photo, estimate: BodyEstimate) -> Look:
        with self._clock("drawing"):
            return look_at(self.body, photo, estimate, self._rasterizer)

    def _gather(self, look: Look, predicted: Displacement) -> SurfaceEvidence:
        with self._clock("evidence"):
            return gather_evidence(self.body, look, predicted, self.config.weighted)

    def _corrected(self, fitted: BodyEstimate, look: Look) -> BodyEstimate:
        """Bodies with pose and shape as the correction network would have them."""
        network = self._correction
        if network is None or network.config.body != self.body.name or not self.config.corrected:
            return fitted
        with self._clock("correction"), torch.no_grad():
            clues = read_clues(self.body, self._network, look, fitted)
            correction = network(correction_input(self.body, fitted, clues))
            return where(look.seen, corrected(self.body, fitted, correction), fitted)

    def _judge(
        self, fitted: BodyEstimate, proposal: BodyEstimate, outcome: Outcome, usable: Bool[Tensor, "people"] | None
    ) -> Int[Tensor, "people"]:
        reason = judge(fitted, proposal, outcome, self.config.gate)
        if not self.config.gated:
            reason = torch.where(outcome.seen, int(Reason.BETTER), reason)
        return reason if usable is None else torch.where(usable, reason, int(Reason.NOT_FITTED))

    def _fit_and_withhold(
        self, detections: Detections, fitted: BodyEstimate, start: BodyEstimate, surface: SurfaceEvidence
    ) -> tuple[BodyEstimate, tuple[Tensor, Tensor]]:
        """The fit to everything; and errors of withheld keypoints without and with what was seen of the surface."""
        # Three fits in one batch: bodies are independent, and a batch takes little longer than one of them.
        kept = withhold(detections, self.config.withheld)
        people = len(detections.boxes)
        evidence = concatenate([detections, kept, kept])
        dense = concatenate([surface, replace(surface, confidence=torch.zeros_like(surface.confidence)), surface])
        found = self.fit(self.body, evidence, concatenate([start, fitted, start]), dense)
        apart = replace(detections, confidence=detections.confidence * (kept.confidence == 0))
        errors = [self.keypoint_error(apart, found[people * k : people * (k + 1)]) for k in (1, 2)]
        return found[:people], (errors[0], errors[1])

    def keypoint_error(self, detections: Detections, estimate: BodyEstimate) -> Float[Tensor, "people"]:
        """Mean distance of a body's keypoints from the seen ones over the longer side of the box; NaN if none is seen.

        Keypoints weigh by their confidence; distances beyond a tenth of the box count as a tenth.
        """
        columns, kinematics = self._kinematics(detections.convention)
        points = project(kinematics(estimate.params), estimate.camera)
        side = (detections.boxes[:, 2:] - detections.boxes[:, :2]).amax(-1).clamp_min(1.0)
        distance = (points - detections.keypoints[:, columns]).norm(dim=-1) / side[:, None]
        weight = detections.confidence[:, columns]
        # A keypoint on somebody else would outweigh all others.
        distance = torch.where(weight > 0, distance, 0.0).clamp_max(0.1)
        total = weight.sum(-1)
        return torch.where(total > 0, (weight * distance).sum(-1) / total.clamp_min(1e-9), torch.nan)

    def _kinematics(self, convention: str) -> tuple[list[int], KeypointKinematics]:
        if convention not in self._placed:
            usable = usable_keypoints(self.body, convention)
            self._placed[convention] = list(usable.keypoints), KeypointKinematics(self.body, usable.landmarks)
        return self._placed[convention]

    def _outcome(self, proposal: BodyEstimate, look: Look, withheld: tuple[Tensor, Tensor]) -> Outcome:
        size = look.photo.shape[-1]
        after = draw_bodies(self.body, proposal, look.crop, size, self._rasterizer)
        before, after = (drawn.fragments.covered & look.inside for drawn in (look.drawn, after))
        overlaps = overlap(before, look.silhouette), overlap(after, look.silhouette)
        return Outcome(*withheld, *overlaps, look.seen & after.flatten(1).any(-1))


def _moved(network: Network, device: torch.device) -> Network:
    """The network on a device: itself if it is there, else a copy, for it may be somebody else's too."""
    there = all(parameter.device == device for parameter in network.parameters())
    return network if there else deepcopy(network).to(device)


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
