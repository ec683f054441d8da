"""Dense refinement of fitted bodies: render, predict displacements, fit again with them, look again, and judge.

Wehrbein et al. 2023 refine bodies on dense displacements; keypoints, priors and shape stay in the energy.
"""

import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from copy import deepcopy
from dataclasses import dataclass, field, replace
from itertools import accumulate
from typing import TypeVar

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from fitloop.body import Body, BodyEstimate, Detections, SurfaceEvidence
from fitloop.geometry import concatenate, project, where
from fitloop.refinement.correction import CorrectionNet, correct, corrected
from fitloop.refinement.crops import crop_camera
from fitloop.refinement.gate import GateConfig, Outcome, Reason, judge, overlap, withhold
from fitloop.refinement.grounds import grounds_of, place_keypoints
from fitloop.refinement.inputs import Appearance
from fitloop.refinement.look import Look, Photo, Sight, gather_evidence, look_again, look_at, see
from fitloop.refinement.network import Displacement, DisplacementNet, made_quick
from fitloop.refinement.subjects import Refined, Subjects
from fitloop.refinement.texture import join_textures
from fitloop.refinement.weights import load_correction, load_network
from fitloop.rendering import Rasterizer, load_rasterizer

Network = TypeVar("Network", bound=nn.Module)
DenseFit = Callable[[Body, Detections, BodyEstimate, SurfaceEvidence], BodyEstimate]
"""Moves bodies, which it holds on to, towards keypoints and seen points of their surface."""


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
    corrected: bool = False
    """Whether pose and shape are corrected by what was seen before the first round, by a network that learned on drawn
    people; the rounds then hold on to the corrected body."""
    twice: bool = True
    """Whether a body that is corrected is looked at in a mirror too: the correction is then the mean of both."""
    rounds_twice: bool = False
    """Whether the rounds look in a mirror too: a third of the time more."""
    held: bool = True
    """Whether the rounds hold on to each joint as firmly as the guess, or the correction, is sure of it; if not, to the
    fitted or corrected body, and to all joints alike."""
    without: tuple[str, ...] = ()
    """Groups of the network's input channels to leave out; for measuring."""

    def __post_init__(self) -> None:
        if self.rounds < 1 or self.withheld < 2:
            raise ValueError(f"rounds must be at least 1 and withheld at least 2, got {self.rounds}, {self.withheld}.")


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
        # Where a processor multiplies matrices of half precision, a pass takes a third of the time.
        half = device.type == "cpu" and torch.cpu._is_amx_tile_supported()
        self._network = made_quick(_moved(network, device), half)
        self._correction = None if correction is None else _moved(correction, device)
        self._rasterizer = load_rasterizer("auto", device) if self.rasterizer is None else self.rasterizer

    def __call__(
        self,
        photo: Photo,
        detections: Detections,
        fitted: BodyEstimate,
        usable: Bool[Tensor, "people"] | None = None,
        guess: BodyEstimate | None = None,
    ) -> Refined:
        """Refine the people of one photo.

        Args:
            photo: Pixels, silhouettes, and a texture if other photos gave one.
            detections: The evidence that the bodies were fitted to.
            fitted: From `fitloop.fitting.fit`, at least one row.
            usable: Whether each row really was fitted; all if not given.
            guess: What the fits started from, if it is known.
        """
        return self.together([Subjects(photo, detections, fitted, usable, guess)])[0]

    def together(self, crowd: Iterable[Subjects]) -> list[Refined]:
        """Refine the people of several photos in one batch, which is quicker than one photo after the other.

        Of a photo nothing is kept but what its people's crops show, so an iterator may open them one by one.

        Args:
            crowd: At least one photo; all with the same kind of evidence.

        Returns:
            One record per photo.
        """
        looks, kept = [], []
        for one in crowd:
            looks.append(self._look(one.photo, one.fitted))
            kept.append(replace(one, photo=replace(one.photo, pixels=one.photo.pixels[:0], silhouettes=None)))
        rows = [len(one.detections.boxes) for one in kept]
        refined = self._refine(concatenate(looks), join_textures([one.photo.texture for one in kept], rows), kept)
        ends = list(accumulate(rows))
        return [refined[end - count : end] for end, count in zip(ends, rows, strict=True)]

    def _refine(self, before: Look, texture: Appearance | None, crowd: list[Subjects]) -> Refined:
        detections = concatenate([replace(one.detections, silhouettes=None, silhouette_boxes=None) for one in crowd])
        fitted = concatenate([one.fitted for one in crowd])
        correction = self._knowing()
        sight = self.see(before, texture, self.config.twice if correction is not None else self.config.rounds_twice)
        first, displacement = look, found = before, sight.displacement
        if correction is None:
            anchor = self._guess(crowd, fitted)
        else:
            anchor = self._corrected(correction, crowd, before, sight)
            first, displacement = look, found = self._look_again(before, anchor, sight.texture)
        surface = self._gather(look, found)
        # The last round's fit is done together with those that the gate judges by.
        for _ in range(self.config.rounds - 1):
            with self._clock("fit"):
                moved = self.fit(self.body, detections, anchor, surface)
            # Who says how sure it is stays what is held on to; else each round holds on to what the last one found.
            anchor = moved if anchor.uncertainty is None else anchor
            surface = self._gather(*self._look_again(before, moved, sight.texture))
        with self._clock("fit"):
            proposal, withheld = self._fit_and_withhold(detections, fitted, anchor, surface)
        with self._clock("gate"):
            outcome = self._outcome(proposal, before, withheld)
            usable = [torch.ones_like(before.seen[: len(one)]) if one.usable is None else one.usable for one in crowd]
            reason = self._judge(fitted, proposal, outcome, torch.cat(usable))
        best = where(reason == int(Reason.BETTER), proposal, fitted)
        return Refined(best, proposal, reason, outcome, first, displacement)

    def see(self, look: Look, texture: Appearance | None, twice: bool) -> Sight:
        """What the displacement network makes of a look, also in a mirror if ``twice``."""
        with self._clock("network"):
            return see(self.body, self._network, look, texture, self.config.without, twice)

    def _look_again(self, look: Look, estimate: BodyEstimate, texture: Appearance) -> tuple[Look, Displacement]:
        """Other bodies in the same crops, and how far they are off."""
        with self._clock("drawing"):
            look = look_again(self.body, look, estimate, self._rasterizer)
        return look, self.see(look, texture, self.config.rounds_twice).displacement

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

    def _knowing(self) -> CorrectionNet | None:
        """The correction network, if bodies are to be corrected and it knows this kind of body."""
        network = self._correction
        known = network is not None and network.config.body == self.body.name
        return network if known and self.config.corrected else None

    def _guess(self, crowd: list[Subjects], fitted: BodyEstimate) -> BodyEstimate:
        """What fits started from, where it is known and says how sure it is; else the fitted bodies."""
        guesses = [one.guess for one in crowd if one.guess is not None and one.guess.uncertainty is not None]
        return concatenate(guesses) if self.config.held and len(guesses) == len(crowd) else fitted

    def _corrected(self, network: CorrectionNet, crowd: list[Subjects], look: Look, sight: Sight) -> BodyEstimate:
        """Bodies with pose and shape as the correction network would have them."""
        with self._clock("correction"), torch.no_grad():
            fitted = concatenate([one.fitted for one in crowd])
            rests = concatenate([grounds_of(self.body, one.fitted, one.detections, one.guess) for one in crowd])
            proposed = corrected(self.body, fitted, correct(self.body, network, look, fitted, sight, rests))
            told = proposed.uncertainty if self.config.held else None
            chosen = where(look.seen, replace(proposed, uncertainty=None), fitted)
            return replace(chosen, uncertainty=told)

    def _judge(
        self, fitted: BodyEstimate, proposal: BodyEstimate, outcome: Outcome, usable: Bool[Tensor, "people"]
    ) -> Int[Tensor, "people"]:
        reason = judge(fitted, proposal, outcome, self.config.gate)
        if not self.config.gated:
            reason = torch.where(outcome.seen, int(Reason.BETTER), reason)
        return torch.where(usable, reason, int(Reason.NOT_FITTED))

    def _fit_and_withhold(
        self, detections: Detections, fitted: BodyEstimate, anchor: BodyEstimate, surface: SurfaceEvidence
    ) -> tuple[BodyEstimate, tuple[Tensor, Tensor]]:
        """The fit to everything; and errors of withheld keypoints without and with what was seen of the surface."""
        # Three fits in one batch: bodies are independent, and a batch takes little longer than one of them.
        kept = withhold(detections, self.config.withheld)
        people = len(detections.boxes)
        evidence = concatenate([detections, kept, kept])
        dense = concatenate([surface, replace(surface, confidence=torch.zeros_like(surface.confidence)), surface])
        # A guess has not been fitted to what is withheld; a corrected body has, and is compared with the fitted one.
        before = replace(fitted, uncertainty=anchor.uncertainty) if self._knowing() is not None else anchor
        found = self.fit(self.body, evidence, concatenate([anchor, before, anchor]), dense)
        apart = replace(detections, confidence=detections.confidence * (kept.confidence == 0))
        errors = [self.keypoint_error(apart, found[people * k : people * (k + 1)]) for k in (1, 2)]
        return found[:people], (errors[0], errors[1])

    def keypoint_error(self, detections: Detections, estimate: BodyEstimate) -> Float[Tensor, "people"]:
        """Mean distance of a body's keypoints from the seen ones over the longer side of the box; NaN if none is seen.

        Keypoints weigh by their confidence; distances beyond a tenth of the box count as a tenth.
        """
        placed = place_keypoints(self.body, detections.convention)
        points = project(placed.kinematics(estimate.params), estimate.camera)
        side = (detections.boxes[:, 2:] - detections.boxes[:, :2]).amax(-1).clamp_min(1.0)
        distance = (points - detections.keypoints[:, placed.columns]).norm(dim=-1) / side[:, None]
        weight = detections.confidence[:, placed.columns]
        # A keypoint on somebody else would outweigh all others.
        distance = torch.where(weight > 0, distance, 0.0).clamp_max(0.1)
        total = weight.sum(-1)
        return torch.where(total > 0, (weight * distance).sum(-1) / total.clamp_min(1e-9), torch.nan)

    def _outcome(self, proposal: BodyEstimate, look: Look, withheld: tuple[Tensor, Tensor]) -> Outcome:
        size = look.photo.shape[-1]
        vertices, camera = self.body(proposal.params).vertices, crop_camera(proposal.camera, look.crop, size)
        drawn = self._rasterizer(vertices, self.body.faces, camera, (size, size))
        before, after = (fragments.covered & look.inside for fragments in (look.drawn.fragments, drawn))
        overlaps = overlap(before, look.silhouette), overlap(after, look.silhouette)
        return Outcome(*withheld, *overlaps, look.seen & after.flatten(1).any(-1))


def _moved(network: Network, device: torch.device) -> Network:
    """The network on a device: itself if it is there, else a copy, for it may be somebody else's too."""
    there = all(parameter.device == device for parameter in network.parameters())
    return network if there else deepcopy(network).to(device)
