"""Who sees people in a frame: the whole frame searched, or people followed from where they were."""

from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

import numpy as np
import torch
from jaxtyping import Float

from fitloop.body import Detections, Image
from fitloop.detection import MediapipeDetector
from fitloop.detection.following import Sighting, from_row, sighting_of, to_row
from fitloop.detection.pixels import PhotoPieces


@dataclass(frozen=True)
class Sightings:
    """People seen in one frame."""

    detections: Detections
    """One row per person."""
    squares: Float[np.ndarray, "people 4"]
    """Where to look for each from here on: centre x and y, side, angle."""
    quality: Float[np.ndarray, "people"]
    """How much speaks for each, in [0, 1]."""

    def __len__(self) -> int:
        return len(self.quality)

    def __getitem__(self, rows: list[int]) -> "Sightings":
        return Sightings(self.detections[torch.tensor(rows, dtype=torch.long)], self.squares[rows], self.quality[rows])


@runtime_checkable
class Looker(Protocol):
    """Sees people in frames."""

    follows: bool
    """Whether `follow` is worth asking; otherwise every frame is searched."""

    def search(self, image: Image) -> Sightings:
        """Search the whole frame."""
        ...

    def follow(self, image: Image, squares: Float[np.ndarray, "people 4"]) -> list[Sightings | None]:
        """Look into the square of each person; None where nobody is seen."""
        ...


class FollowingLooker:
    """The embedded detector: its landmark network follows people, at two runs a person and frame."""

    follows = True

    def __init__(self, detector: MediapipeDetector) -> None:
        self._detector, self._following = detector, detector.following()

    def search(self, image: Image) -> Sightings:
        """Search the whole frame."""
        people = self._detector.people_in(PhotoPieces(image.pixels))
        return self._sightings([sighting_of(person) for person in people], image)

    def follow(self, image: Image, squares: Float[np.ndarray, "people 4"]) -> list[Sightings | None]:
        """Look into the square of each person; None where nobody is seen."""
        found = self._following(PhotoPieces(image.pixels), [from_row(row) for row in squares])
        return [None if one is None else self._sightings([one], image) for one in found]

    def _sightings(self, found: list[Sighting], image: Image) -> Sightings:
        detections = self._detector.detections_of([one.person for one in found], image)
        squares = np.array([to_row(one.next_place) for one in found]).reshape(-1, 4)
        return Sightings(detections, squares, np.array([one.quality for one in found]))


class SearchingLooker:
    """Any other detector: every frame is searched."""

    follows = False

    def __init__(self, stages: Any) -> None:
        self._stages = stages

    def search(self, image: Image) -> Sightings:
        """Search the whole frame."""
        found = self._stages.detect(image).detections.detach().to("cpu")
        boxes = found.boxes.double().numpy()
        middles, sides = (boxes[:, :2] + boxes[:, 2:]) / 2.0, (boxes[:, 2:] - boxes[:, :2]).max(-1, initial=1.0)
        squares = np.concatenate([middles, sides[:, None], np.zeros((len(boxes), 1))], -1)
        return Sightings(found, squares, found.confidence.double().mean(-1).numpy())

    def follow(self, image: Image, squares: Float[np.ndarray, "people 4"]) -> list[Sightings | None]:
        """Nobody: this detector only searches."""
        return [None] * len(squares)


def looker_of(stages: Any) -> Looker:
    """Who sees people for these stages."""
    detector = getattr(stages, "detector", None)
    return FollowingLooker(detector) if isinstance(detector, MediapipeDetector) else SearchingLooker(stages)
