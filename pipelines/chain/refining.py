"""Everything that refinement brings into the main job, each part made when it is first needed."""

from collections.abc import Callable, Hashable, Iterator, Sequence
from dataclasses import dataclass, field, fields, replace
from functools import cached_property
from itertools import groupby

import torch
from torch.nn.functional import grid_sample, max_pool2d

from fitloop.body import Body, BodyEstimate, Detections, Image, SurfaceEvidence
from fitloop.detection import MediapipeDetector
from fitloop.detection.fetching import NetworksMissing, fetch_networks
from fitloop.fitting import AFTER_REGRESSION, StageConfig, Status, fit
from fitloop.geometry import where
from fitloop.pipelines.chain.config import StagesConfig
from fitloop.pipelines.chain.people import People
from fitloop.pipelines.chain.wearers import Wearers
from fitloop.refinement import DisplacementNet, Photo, RefineConfig, Refiner, gather_evidence
from fitloop.refinement.correction import CorrectionNet
from fitloop.refinement.offset_space import offset_space
from fitloop.refinement.offsets import OffsetConfig, find_offsets
from fitloop.refinement.person_texture import load_texture
from fitloop.refinement.refiner import DenseFit
from fitloop.refinement.subjects import Subjects
from fitloop.rendering import Rasterizer, load_rasterizer

DENSE = {"surface": 1.2, "surface_scale": 8.0}
TOLD_STAGE = replace(AFTER_REGRESSION.told_stages[-1], **DENSE)
"""The fit of a guess that says how sure it is, once more, with seen points of the surface beside the keypoints."""
REFINEMENT_STAGE = replace(AFTER_REGRESSION.stages[-1], landmarks=5.0, start_prior=20.0, **DENSE)
"""Where nobody says: a short fit that holds on to the body as it was fitted."""
_INSIDE = 0.3
"""Probability from which a keypoint lies on the person."""


def dense_fit(told: StageConfig = TOLD_STAGE, untold: StageConfig = REFINEMENT_STAGE) -> DenseFit:
    """One stage towards keypoints and seen points of the surface, from a guess or from where the body is.

    Args:
        told: For bodies that say how sure they are.
        untold: For others.
    """
    config = replace(AFTER_REGRESSION, stages=(untold,), told_stages=(told,), camera_init="none")

    def run(body: Body, detections: Detections, start: BodyEstimate, surface: SurfaceEvidence) -> BodyEstimate:
        return fit(body, detections, start, config, surface).estimate

    return run


def make_refiner(
    body: Body,
    config: RefineConfig = RefineConfig(),
    network: DisplacementNet | None = None,
    correction: CorrectionNet | None = None,
    rasterizer: Rasterizer | None = None,
) -> Refiner:
    """The refinement stage with the project's own fit in it; see `Refiner` for what is shipped."""
    return Refiner(body, dense_fit(), config, network, correction, rasterizer)


def refine_people(refiner: Refiner, image: Image, people: People, wearers: Wearers | None = None) -> People:
    """Refine the fitted bodies of a photo; people without a fit keep what they have.

    Args:
        refiner: Of the same body.
        image: The photo that the people were found in.
        people: After fitting.
        wearers: Who wears a texture that other photos gave.
    """
    if people.fitted is None or len(people) == 0:
        return people
    people, subjects = subjects_of(image, people, wearers)
    return replace(people, refined=refiner.together([subjects])[0])


def subjects_of(image: Image, people: People, wearers: Wearers | None = None) -> tuple[People, Subjects]:
    """What refinement is told of a photo, and its people with what there is to tell of them.

    Args:
        image: The photo that the people were found in.
        people: After fitting.
        wearers: Who wears a texture that other photos gave.

    Raises:
        ValueError: If they were not fitted.
    """
    fitted = people.fitted
    if fitted is None:
        raise ValueError(f"The people of {people.name!r} were not fitted; refinement starts from fitted bodies.")
    seen, photo = people.detections, photo_and_silhouettes(image, people)
    if wearers is not None:
        people = replace(people, notices=people.notices + wearers.notices(people.name, len(people)))
        photo = replace(photo, texture=wearers.appearance(people.name, seen.boxes))
    status = fitted.status
    # A body that was never fitted is where the regressor put it, and no ground to refine from.
    usable = (status != int(Status.NOT_ENOUGH_EVIDENCE)) & (status != int(Status.DEGENERATE))
    # Who was turned around before the fit is held on to as fitted: that guess was given up.
    told = people.start.uncertainty
    guess = where(fitted.start == 0, replace(people.start, uncertainty=None), fitted.estimate)
    guess = replace(guess, uncertainty=told)
    return people, Subjects(photo, seen, fitted.estimate, usable, guess)


def with_silhouettes(detector: MediapipeDetector, image: Image, people: People) -> People:
    """Add what the embedded detector sees of people whose keypoints came without silhouettes.

    It looks into their boxes. What it sees is somebody else's, and counts as nothing, where it leaves out half of the
    keypoints that were seen.
    """
    seen = people.detections
    if seen.silhouettes is not None or len(people) == 0:
        return people
    found = detector.in_boxes(image, seen.boxes.cpu()).to(seen.boxes.device)
    if found.silhouettes is None or found.silhouette_boxes is None:
        return people
    low, high = found.silhouette_boxes[:, None, :2], found.silhouette_boxes[:, None, 2:]
    grid = 2.0 * (seen.keypoints - low) / (high - low).clamp_min(1.0) - 1.0
    # A hand or a foot may stick out of a coarse silhouette by a cell or two.
    near = max_pool2d(found.silhouettes[:, None], 5, 1, 2)
    inside = grid_sample(near, grid[:, None], align_corners=False)[:, 0, 0] > _INSIDE
    sure = (seen.confidence > 0).float()
    agreed = (inside * sure).sum(-1) >= 0.5 * sure.sum(-1).clamp_min(1.0)
    silhouettes = found.silhouettes * agreed[:, None, None]
    return replace(people, detections=replace(seen, silhouettes=silhouettes, silhouette_boxes=found.silhouette_boxes))


def photo_and_silhouettes(image: Image, people: People) -> Photo:
    """What refinement looks at, where the people are: the pixels, and the detector's silhouettes of the people."""
    seen = people.detections
    pixels = torch.from_numpy(image.pixels).to(seen.boxes.device)
    return Photo(pixels, seen.silhouettes, seen.silhouette_boxes)


@dataclass
class Dresser:
    """The last, optional stage, prepared once; it works where the body lies."""

    body: Body
    config: OffsetConfig = field(default_factory=OffsetConfig)
    rasterizer: Rasterizer | None = None
    """Who draws the bodies; the fastest for the device if not given."""

    def __post_init__(self) -> None:
        # Two seconds that are not the first photo's.
        offset_space(self.body)
        device = self.body.template.device
        self._rasterizer = load_rasterizer("auto", device) if self.rasterizer is None else self.rasterizer

    def __call__(self, image: Image, people: People) -> People:
        """Clothe the people of a photo; those for whom nothing is gained stay bare, with a reason.

        Args:
            image: The photo that the people were found in.
            people: After refinement; without it they stay as they are.
        """
        refined, surface = people.refined, None
        if refined is None or len(people) == 0:
            return people
        if self.config.dense > 0:
            surface = gather_evidence(self.body, refined.look, refined.displacement)
        photo = photo_and_silhouettes(image, people)
        offsets = find_offsets(self.body, photo, refined.estimate, self._rasterizer, surface, self.config)
        return replace(people, offsets=offsets)


def _kind(people: People) -> Hashable:
    """What people must share to be refined in one batch: the convention, and which parts of the records there are."""
    records = (people.detections, people.before_refinement, people.start)
    parts = [getattr(record, part.name) is None for record in records for part in fields(record)]
    return people.detections.convention, *parts


@dataclass(frozen=True)
class RefinementStage:
    """Fitted people in, people that agree with the pixels out; clothed if asked for."""

    body: Body
    config: StagesConfig

    def __call__(self, image: Image, people: People) -> People:
        """Refine the people of a photo; the better of two bodies is kept."""
        return self.together([people], lambda _: image)[0]

    def together(self, crowd: Sequence[People], open_image: Callable[[People], Image]) -> list[People]:
        """Refine the people of several photos; those with the same kind of evidence in one batch.

        Args:
            crowd: After fitting; people without a fit keep what they have.
            open_image: Gives the photo of people. Photos are opened one after the other and not kept.
        """
        done = list(crowd)
        waiting = [number for number, people in enumerate(crowd) if len(people) and people.fitted is not None]
        for number in waiting:
            if done[number].detections.silhouettes is None:
                done[number] = self._with_silhouettes(done[number], open_image)
        for _, group in groupby(waiting, key=lambda number: _kind(done[number])):
            rows = list(group)
            for number, refined in zip(
                rows, self.refiner.together(self._subjects(done, rows, open_image)), strict=True
            ):
                done[number] = replace(done[number], refined=refined)
        if self.config.offsets:
            done = [
                self.dresser(open_image(people), people) if people.refined is not None else people for people in done
            ]
        return done

    def _with_silhouettes(self, people: People, open_image: Callable[[People], Image]) -> People:
        if self.segmenter is not None:
            return with_silhouettes(self.segmenter, open_image(people), people)
        told = (
            "The embedded detector's networks are missing, so refinement sees no silhouettes; run fitloop fetch once."
        )
        return replace(people, notices=(*people.notices, told))

    def _subjects(
        self, done: list[People], rows: list[int], open_image: Callable[[People], Image]
    ) -> Iterator[Subjects]:
        for number in rows:
            done[number], subjects = subjects_of(open_image(done[number]), done[number], self.wearers)
            yield subjects

    @cached_property
    def segmenter(self) -> MediapipeDetector | None:
        """Boxes -> silhouettes, for evidence that comes without; None where the detector's networks are not at hand."""
        # Whoever brings keypoints needs no detector, and refinement does with the photo alone.
        try:
            fetch_networks()
        except NetworksMissing:
            return None
        return MediapipeDetector()

    @cached_property
    def refiner(self) -> Refiner:
        """Fitted bodies -> bodies where the photo shows them."""
        return make_refiner(self.body, RefineConfig(corrected=self.config.correction), rasterizer=self.rasterizer)

    @cached_property
    def wearers(self) -> Wearers | None:
        """Who wears a texture that `fitloop texture` made."""
        if self.config.texture is None:
            return None
        return Wearers(load_texture(self.config.texture, self.body), self.config.texture_people)

    @cached_property
    def dresser(self) -> Dresser:
        """Refined bodies -> the same with hair and clothes."""
        return Dresser(self.body, rasterizer=self.rasterizer)

    @cached_property
    def rasterizer(self) -> Rasterizer:
        """Bodies -> what each pixel sees of them."""
        return load_rasterizer(self.config.rasterizer, self.body.template.device)
