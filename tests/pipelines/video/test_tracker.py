"""Who is who, in a world of plain rectangles that are seen perfectly."""

import numpy as np
import pytest
import torch

from fitloop.body import Detections, Image, convention_named
from fitloop.geometry import camera_of
from fitloop.pipelines.video.lookers import Sightings
from fitloop.pipelines.video.tracker import Tracker, TrackerState, agreement, overlap, waited

RATE = 10.0
WIDTH, HEIGHT, TALL = 400, 200, 120.0
NAMES = convention_named("coco17").keypoints
RED, GREEN = (220, 30, 30), (30, 200, 60)


def skeleton(x: float) -> np.ndarray:
    """Keypoints of somebody who stands with the middle at x."""
    heights = {"eye": 0.02, "ear": 0.03, "nose": 0.04, "shoulder": 0.2, "elbow": 0.35, "wrist": 0.5, "hip": 0.5}
    heights |= {"knee": 0.75, "ankle": 1.0}
    rows = []
    for name in NAMES:
        part, side = name.split("_")[-1], 1.0 if name.startswith("left") else -1.0
        rows.append((x + side * 0.1 * TALL, 40.0 + TALL * heights[part]))
    return np.array(rows)


class World:
    """People as functions of time: x of the middle and colour, None while they are hidden; sees them perfectly."""

    follows = True

    def __init__(self, *people) -> None:
        self.people, self.searches = people, 0

    def image(self, index: int) -> Image:
        pixels = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
        for place, colour in self.people:
            x = place(index)
            if x is not None:
                low, high = int(max(x - 20, 0)), int(max(x + 20, 0))
                pixels[40:165, low:high] = colour
        return Image(pixels, camera_of(WIDTH, HEIGHT), str(index))

    def _visible(self, image: Image) -> list[float]:
        return [x for place, _ in self.people if (x := place(int(image.name))) is not None]

    def search(self, image: Image) -> Sightings:
        self.searches += 1
        return self._sightings(self._visible(image))

    def follow(self, image, squares):
        found = []
        for square in squares:
            near = [x for x in self._visible(image) if abs(x - square[0]) < 0.3 * square[2]]
            near.sort(key=lambda x: abs(x - square[0]))
            found.append(self._sightings(near[:1]) if near else None)
        return found

    def _sightings(self, places: list[float]) -> Sightings:
        points = np.array([skeleton(x) for x in places]).reshape(-1, 17, 2)
        boxes = np.concatenate([points.min(1, initial=1e9), points.max(1, initial=-1e9)], -1)
        squares = np.array([[x, 100.0, TALL, 0.0] for x in places]).reshape(-1, 4)
        detections = Detections(
            torch.from_numpy(points).float(), torch.ones(len(places), 17), torch.from_numpy(boxes).float(), "coco17"
        )
        return Sightings(detections, squares, np.ones(len(places)))


def follow(world: World, frames: int, cuts=()) -> list[dict[int, float]]:
    """By frame: the x of every track."""
    tracker, state, found = Tracker(world, RATE), TrackerState(), []
    for index in range(frames):
        state, numbers, seen = tracker.step(state, index, world.image(index), index in cuts)
        places = [] if seen is None else seen.squares[:, 0].tolist()
        found.append(dict(zip(numbers, places, strict=True)))
    return found


def test_who_walks_on_keeps_the_number_and_the_frame_is_hardly_ever_searched():
    world = World((lambda t: 50.0 + 5.0 * t, RED))
    assert all(list(frame) == [0] for frame in follow(world, 50))
    assert world.searches == 3


def test_who_was_hidden_for_a_second_is_known_again():
    world = World((lambda t: None if 15 <= t < 25 else 50.0 + 4.0 * t, RED))
    found = follow(world, 40)
    assert [list(frame) for frame in found[:25]] == [[0]] * 15 + [[]] * 10
    # Half a second passes at most until the search finds somebody who is back.
    assert [list(frame) for frame in found[30:]] == [[0]] * 10
    assert {number for frame in found for number in frame} == {0}


def test_a_newcomer_is_found_by_the_next_search():
    world = World((lambda t: 50.0, RED), (lambda t: 300.0 if t >= 5 else None, GREEN))
    found = follow(world, 40)
    assert [list(frame) for frame in found[:5]] == [[0]] * 5
    assert list(found[25]) == [0, 1]
    assert found[25][1] == pytest.approx(300.0)


def test_people_who_cross_stay_who_they_are():
    # The green one is hidden behind the red one in the middle.
    world = World(
        (lambda t: 60.0 + 6.0 * t, RED),
        (lambda t: None if abs(t - 20) < 4 else 300.0 - 6.0 * t, GREEN),
    )
    found = follow(world, 40)
    red, green = (min(found[0], key=found[0].get), max(found[0], key=found[0].get))
    assert found[39][red] == pytest.approx(60.0 + 6.0 * 39)
    assert found[39][green] == pytest.approx(300.0 - 6.0 * 39)
    assert {number for frame in found for number in frame} == {red, green}


def test_after_a_cut_everybody_is_somebody_else():
    world = World((lambda t: 100.0, RED))
    found = follow(world, 12, cuts=(6,))
    assert [list(frame) for frame in found] == [[0]] * 6 + [[1]] * 6


def test_somebody_of_another_colour_at_the_same_place_is_somebody_else():
    world = World(
        (lambda t: 100.0 if t < 10 else None, RED),
        (lambda t: 130.0 if t >= 20 else None, (240, 240, 40)),
    )
    assert {number for frame in follow(world, 40) for number in frame} == {0, 1}


def test_a_detector_that_only_searches_is_asked_every_frame():
    world = World((lambda t: 50.0 + 5.0 * t, RED), (lambda t: 300.0, GREEN))
    world.follows = False
    found = follow(world, 20)
    assert world.searches == 20
    assert all(set(frame) == {0, 1} for frame in found)
    first = min(found[0], key=found[0].get)
    assert found[19][first] == pytest.approx(145.0)


def test_nobody_is_looked_for_less_and_less_often():
    world = World((lambda t: None, RED))
    follow(world, 100)
    assert 5 < world.searches < 15


def test_a_repeated_picture_loses_nobody():
    world = World((lambda t: 50.0, RED))
    tracker = Tracker(world, RATE)
    state, *_ = tracker.step(TrackerState(), 0, world.image(0), False)
    state, numbers, _ = tracker.step(waited(state, 1), 2, world.image(2), False)
    assert numbers == [0]
    assert world.searches == 1


def test_agreement_and_overlap_are_one_for_the_same_and_nothing_for_others():
    points = skeleton(50.0)
    assert agreement(points, points, TALL) == 1.0
    assert agreement(points, points + 100.0, TALL) < 0.01
    box = np.array([0.0, 0.0, 10.0, 10.0])
    assert overlap(box, box) == pytest.approx(1.0)
    assert overlap(box, box + (5.0, 0.0, 5.0, 0.0)) == pytest.approx(1.0 / 3.0)
    assert overlap(box, box + 20.0) == 0.0
