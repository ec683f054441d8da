"""Who is who from frame to frame."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Float
from scipy.optimize import linear_sum_assignment

from fitloop.body import Image
from fitloop.detection.following import ahead, to_row
from fitloop.geometry import concatenate
from fitloop.pipelines.video.appearance import colours, unlikeness
from fitloop.pipelines.video.lookers import Looker, Sightings

_TOLERANCE = 0.05
"""Of a square's side: distance at which a keypoint counts exp(-1/2) in how well two sightings agree."""


@dataclass(frozen=True)
class TrackerConfig:
    """When the whole frame is searched, and who counts as the same person."""

    search_interval: float = 2.0
    """Seconds from one search of the whole frame to the next while everybody is followed."""
    lost_interval: float = 0.2
    """Seconds to the next search when somebody was lost; each that finds nobody doubles the wait."""
    waiting_interval: float = 0.5
    """Seconds to which that wait grows as long as somebody who was lost is waited for."""
    patience: float = 3.0
    """Seconds for which somebody who was lost is waited for."""
    same: float = 0.6
    """Keypoints of two sightings that agree this well, in [0, 1], are of one person."""
    farthest: float = 1.0
    """Sides of a square, from where somebody was expected to where they are found, per second of absence, and at
    least half of it."""
    cost: float = 0.9
    """Greatest cost (distance, size and colours) of taking a sighting for somebody who was lost."""


@dataclass(frozen=True)
class Track:
    """Somebody who is followed, or was lost a moment ago."""

    number: int
    square: Float[np.ndarray, "4"]
    """Where to look next: centre x and y, side, angle."""
    before: Float[np.ndarray, "4"]
    """The same a frame earlier."""
    keypoints: Float[np.ndarray, "keypoints 2"]
    seen: int
    """Frame of the last sighting."""
    colours: Float[np.ndarray, "64"]
    """Running mean of `fitloop.pipelines.video.appearance.colours`."""


@dataclass(frozen=True)
class TrackerState:
    """Everything that the next frame needs to know."""

    tracks: tuple[Track, ...] = ()
    next_number: int = 0
    last_search: int = -(10**9)
    """Frame of the last search."""
    wait: float = 0.0
    """Seconds from the last search to the next while somebody is missing."""


@dataclass(frozen=True)
class Tracker:
    """Follows the people of a clip.

    Whoever was seen is looked for where they should be by now. The whole frame is searched in the first frame, after a
    cut, every two seconds and when somebody is lost. Sightings of a search go to those who were lost by the cheapest
    assignment (Kuhn 1955) over distance, size and the colours people wear.
    """

    looker: Looker
    frame_rate: float
    config: TrackerConfig = TrackerConfig()

    def step(
        self, state: TrackerState, index: int, image: Image, cut: bool
    ) -> tuple[TrackerState, list[int], Sightings | None]:
        """Look at one frame.

        Args:
            state: After the frame before.
            index: Of the frame.
            image: The frame.
            cut: Whether another scene begins: then nobody is who they were.

        Returns:
            The state after it, and the track number and sighting of everybody in it; None where nobody is.
        """
        if cut:
            state = replace(state, tracks=(), last_search=-(10**9), wait=0.0)
        limit = index - round(self.config.patience * self.frame_rate)
        state = replace(state, tracks=tuple(track for track in state.tracks if track.seen >= limit))
        found = self._follow(state, index, image)
        if self._search_is_due(state, index, found):
            state, found = self._search(state, index, image, found)
        return self._after(state, index, image, found), *_joined(found)

    def _follow(self, state: TrackerState, index: int, image: Image) -> dict[int, Sightings]:
        """Everybody who is seen again near where they should be; one body is one person."""
        if not self.looker.follows:
            return {}
        active = [track for track in state.tracks if track.seen == index - 1]
        squares = np.array([to_row(ahead(track.square, track.before)) for track in active]).reshape(-1, 4)
        looks = self.looker.follow(image, squares) if active else []
        seen = {track.number: look for track, look in zip(active, looks, strict=True) if look is not None}
        by_number = {track.number: track for track in active}
        for first in list(seen):
            for second in list(seen):
                if first < second and first in seen and second in seen:
                    a, b = seen[first], seen[second]
                    if agreement(_points(a), _points(b), float(a.squares[0, 2])) > self.config.same:
                        costs = {n: self._cost(by_number[n], seen[n], 0, index, image) for n in (first, second)}
                        # Two squares that ended on one body: it is the one who was to be there and wears its colours.
                        del seen[max(costs, key=lambda number: costs[number])]
        return seen

    def _search_is_due(self, state: TrackerState, index: int, found: dict[int, Sightings]) -> bool:
        if not self.looker.follows:
            return True
        since = (index - state.last_search) / self.frame_rate
        config, lost = self.config, any(track.number not in found for track in state.tracks)
        longest = config.waiting_interval if lost else config.search_interval
        missing = lost or not found
        return since >= (min(max(state.wait, config.lost_interval), longest) if missing else config.search_interval)

    def _search(
        self, state: TrackerState, index: int, image: Image, found: dict[int, Sightings]
    ) -> tuple[TrackerState, dict[int, Sightings]]:
        seen = self.looker.search(image)
        strangers = [row for row in range(len(seen)) if not self._is_known(seen, row, found)]
        lost = [track for track in state.tracks if track.number not in found]
        found, number = dict(found), state.next_number
        costs = np.array([[self._cost(track, seen, row, index, image) for row in strangers] for track in lost])
        taken: dict[int, int] = {}
        if costs.size:
            for at, column in zip(*linear_sum_assignment(np.minimum(costs, 1e3)), strict=True):
                if costs[at, column] <= self.config.cost:
                    taken[strangers[column]] = lost[at].number
        for row in strangers:
            if row not in taken:
                taken[row], number = number, number + 1
            found[taken[row]] = seen[[row]]
        missing = any(track.number not in found for track in lost)
        wait = 2.0 * max(state.wait, 0.5 * self.config.lost_interval) if missing or not found else 0.0
        return replace(state, next_number=number, last_search=index, wait=wait), found

    def _is_known(self, seen: Sightings, row: int, found: dict[int, Sightings]) -> bool:
        points, side = _points(seen, row), float(seen.squares[row, 2])
        return any(
            agreement(points, _points(other), side) > self.config.same
            or (
                overlap(_box(seen, row), _box(other)) > 0.5
                and agreement(points, _points(other), 2.0 * side) > 0.8 * self.config.same
            )
            for other in found.values()
        )

    def _cost(self, track: Track, seen: Sightings, row: int, index: int, image: Image) -> float:
        """Of taking a sighting for a track: 0 for the same place, size and colours; infinite where it cannot be."""
        away = index - track.seen
        expected = ahead(track.square, track.before, float(min(away, 0.3 * self.frame_rate)))
        square = seen.squares[row]
        scale = max(expected.side, float(square[2]))
        reach = self.config.farthest * max(away / self.frame_rate, 0.5)
        distance = float(np.linalg.norm(square[:2] - expected.center)) / scale / reach
        size = abs(float(np.log(max(square[2], 1.0) / max(expected.side, 1.0))))
        if distance > 1.0 or size > 0.7:
            return float("inf")
        worn = colours(image.pixels, _points(seen, row), seen.detections.convention)
        # A frame later the place says most, and a light may have been switched on.
        counted = 0.4 + 0.6 * min(away / (0.3 * self.frame_rate), 1.0)
        return 0.5 * distance + 0.5 * size + counted * unlikeness(track.colours, worn)

    def _after(self, state: TrackerState, index: int, image: Image, found: dict[int, Sightings]) -> TrackerState:
        known = {track.number: track for track in state.tracks}
        tracks = [track for track in state.tracks if track.number not in found]
        for number, seen in found.items():
            worn, before = colours(image.pixels, _points(seen), seen.detections.convention), seen.squares[0]
            if number in known:
                earlier = known[number]
                worn = 0.95 * earlier.colours + 0.05 * worn if earlier.colours.any() else worn
                before = earlier.square if earlier.seen == index - 1 else before
            tracks.append(Track(number, seen.squares[0], before, _points(seen), index, worn))
        return replace(state, tracks=tuple(sorted(tracks, key=lambda track: track.number)))


def waited(state: TrackerState, index: int) -> TrackerState:
    """After a frame that showed the picture of the one before: everybody still is where they were."""
    tracks = [replace(track, seen=index) if track.seen == index - 1 else track for track in state.tracks]
    return replace(state, tracks=tuple(tracks))


def agreement(first: Float[np.ndarray, "keypoints 2"], second: Float[np.ndarray, "keypoints 2"], side: float) -> float:
    """Mean closeness of keypoints, in [0, 1], as object keypoint similarity has it (COCO)."""
    distance = np.linalg.norm(first - second, axis=-1) / (side * _TOLERANCE)
    return float(np.exp(-(distance**2) / 2.0).mean())


def overlap(first: Float[np.ndarray, "4"], second: Float[np.ndarray, "4"]) -> float:
    """Intersection over union of two x y x y boxes."""
    extent = np.clip(np.minimum(first[2:], second[2:]) - np.maximum(first[:2], second[:2]), 0.0, None)
    common = float(extent.prod())
    return common / max(float((first[2:] - first[:2]).prod() + (second[2:] - second[:2]).prod()) - common, 1e-9)


def _points(seen: Sightings, row: int = 0) -> Float[np.ndarray, "keypoints 2"]:
    return seen.detections.keypoints[row].double().numpy()


def _box(seen: Sightings, row: int = 0) -> Float[np.ndarray, "4"]:
    return seen.detections.boxes[row].double().numpy()


def _joined(found: dict[int, Sightings]) -> tuple[list[int], Sightings | None]:
    numbers: Sequence[int] = sorted(found)
    if not numbers:
        return [], None
    rows = [found[number] for number in numbers]
    return list(numbers), Sightings(
        concatenate([row.detections for row in rows]),
        np.concatenate([row.squares for row in rows]),
        np.concatenate([row.quality for row in rows]),
    )
