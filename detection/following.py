"""A person who was seen a frame ago, seen again from there: two runs of the landmark network instead of a search."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Float

from fitloop.detection.landmarks import LandmarkNetwork, Place, Pose
from fitloop.detection.looks import Person, person_of, stays
from fitloop.detection.overlap import quality
from fitloop.detection.pixels import PhotoPieces

_SIZE = 256
"""Pixels of the network's input, for which the halved copies of a frame are made ready."""


@dataclass(frozen=True)
class Sighting:
    """A person in one frame."""

    person: Person
    next_place: Place
    """The square in which to look for the person from here on."""
    quality: float
    """How much speaks for a body (see `fitloop.detection.overlap.quality`), in [0, 1]."""


@dataclass(frozen=True)
class FollowingConfig:
    """When a person counts as seen again."""

    score: float = 0.5
    """Least probability, by the landmark network, that somebody is in the square."""
    quality: float = 0.05
    """Least quality; below it the looks do not agree on a body."""


class Following:
    """Sees people again near where they were."""

    def __init__(self, network: LandmarkNetwork, config: FollowingConfig = FollowingConfig(), threads: int = 2) -> None:
        """Take the detector's landmark network.

        Args:
            network: May be run by several threads.
            config: When somebody counts as seen.
            threads: Looks at once.
        """
        self._network, self._config = network, config
        self._pool = ThreadPoolExecutor(threads)

    def __call__(self, photo: PhotoPieces, places: Sequence[Place]) -> list[Sighting | None]:
        """Look where each person is expected; None where nobody is seen.

        Args:
            photo: The frame.
            places: One square per person.
        """
        pairs = self._pairs(photo, places)
        moved = [
            row
            for row, (direct, _) in enumerate(pairs)
            if direct.score >= self._config.score and not stays(direct.place, direct.next_place)
        ]
        # Who moved far across the square is looked at again in its middle: once, as the square follows anyway.
        for row, pair in zip(moved, self._pairs(photo, [pairs[row][0].next_place for row in moved]), strict=True):
            pairs[row] = max(pairs[row], pair, key=_trust)
        return [self._sighting(*pair) for pair in pairs]

    def _pairs(self, photo: PhotoPieces, places: Sequence[Place]) -> list[tuple[Pose, Pose]]:
        for place in places:
            # Halved copies are made by this thread alone, before the others cut from them.
            photo.cut(place.center, place.side, place.angle, _SIZE)
        jobs = [
            (self._pool.submit(self._network, photo, place), self._pool.submit(self._network, photo, place, True))
            for place in places
        ]
        return [(direct.result(), mirrored.result()) for direct, mirrored in jobs]

    def _sighting(self, direct: Pose, mirrored: Pose) -> Sighting | None:
        share = quality(direct, mirrored)
        if direct.score < self._config.score or share < self._config.quality:
            return None
        return Sighting(person_of([direct, mirrored]), direct.next_place, share)


def _trust(pair: tuple[Pose, Pose]) -> float:
    return quality(*pair) * min(pair[0].score, pair[1].score)


def sighting_of(person: Person) -> Sighting:
    """A person whom the search found; its looks agreed, so it counts in full."""
    return Sighting(person, person.pose.next_place, person.agreement)


def to_row(place: Place) -> Float[np.ndarray, "4"]:
    """Centre x and y, side, angle: a square as numbers."""
    return np.array([*place.center, place.side, place.angle])


def from_row(row: Float[np.ndarray, "4"]) -> Place:
    """Inverse of `to_row`."""
    return Place(np.array(row[:2]), float(row[2]), float(row[3]))


def ahead(place: Float[np.ndarray, "4"], before: Float[np.ndarray, "4"], steps: float = 1.0) -> Place:
    """Where a square will be if it goes on as from ``before`` to ``place``; its size and turn stay.

    Args:
        place: The square now, as `to_row`.
        before: A frame ago.
        steps: Frames from now.
    """
    moved = (place[:2] - before[:2]) * steps
    # A square that jumps was looked at anew; its jump is no speed.
    length = float(np.linalg.norm(moved))
    moved = moved * min(1.0, 0.25 * float(place[2]) / max(length, 1e-9))
    return replace(from_row(place), center=place[:2] + moved)
