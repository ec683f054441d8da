from dataclasses import replace

import numpy as np
import pytest

from fitloop.detection.following import Following, ahead, from_row, sighting_of, to_row
from fitloop.detection.landmarks import LandmarkNetwork, Place, Pose
from fitloop.detection.looks import person_of
from fitloop.detection.pixels import PhotoPieces

PHOTO = PhotoPieces(np.zeros((100, 300, 3), np.uint8))
POINTS = np.random.default_rng(0).uniform(-30.0, 30.0, (33, 2))


class OnePerson(LandmarkNetwork):
    """A network that sees the person at x wherever the square shows some of them; counts its looks."""

    def __init__(self, x: float, reach: float = 50.0, exchanging: bool = False) -> None:
        super().__init__(1)
        self.x, self.reach, self.exchanging, self.looks = x, reach, exchanging, 0

    def __call__(self, photo: PhotoPieces, place: Place, mirrored: bool = False) -> Pose:
        self.looks += 1
        center = np.array([self.x, 50.0])
        there = abs(place.center[0] - self.x) < self.reach
        points = center + POINTS + 40.0 * (mirrored and self.exchanging)
        ones = np.ones(33)
        mask = np.ones((256, 256))
        square = replace(place, center=center, side=100.0)
        return Pose(float(there), points, ones, ones, ones, ones, np.zeros((33, 3)), mask, place, square)


def at(x: float) -> Place:
    return Place(np.array([x, 50.0]), 100.0, 0.0)


def test_who_is_where_they_should_be_costs_two_looks():
    network = OnePerson(100.0)
    (found,) = Following(network)(PHOTO, [at(102.0)])
    assert network.looks == 2
    assert found is not None
    assert found.next_place.center[0] == 100.0
    assert found.quality > 0.9


def test_who_moved_far_is_looked_at_again_in_the_middle():
    network = OnePerson(100.0)
    (found,) = Following(network)(PHOTO, [at(130.0)])
    assert network.looks == 4
    assert found is not None
    assert found.person.pose.place.center[0] in (100.0, 130.0)


def test_who_left_is_not_seen():
    assert Following(OnePerson(100.0))(PHOTO, [at(250.0)]) == [None]


def test_looks_that_do_not_agree_are_nobody():
    assert Following(OnePerson(100.0, exchanging=True))(PHOTO, [at(100.0)]) == [None]


def test_everybody_gets_an_answer_in_their_order():
    found = Following(OnePerson(100.0))(PHOTO, [at(250.0), at(100.0), at(101.0)])
    assert [one is None for one in found] == [True, False, False]


def test_nobody_to_follow_is_no_work():
    network = OnePerson(100.0)
    assert Following(network)(PHOTO, []) == []
    assert network.looks == 0


def test_squares_become_numbers_and_come_back():
    place = Place(np.array([3.0, 4.0]), 5.0, 0.6)
    again = from_row(to_row(place))
    assert to_row(again).tolist() == to_row(place).tolist() == [3.0, 4.0, 5.0, 0.6]


def test_a_square_goes_on_as_it_went_but_does_not_jump():
    now, before = to_row(at(60.0)), to_row(at(50.0))
    assert ahead(now, before).center[0] == pytest.approx(70.0)
    assert ahead(now, before, 2.0).center[0] == pytest.approx(80.0)
    assert ahead(to_row(at(250.0)), before).center[0] == pytest.approx(275.0)
    assert ahead(now, now).center[0] == pytest.approx(60.0)


def test_a_person_of_a_search_is_followed_from_the_square_that_fits():
    pose = OnePerson(100.0)(PHOTO, at(130.0))
    found = sighting_of(person_of([pose, pose]))
    assert found.next_place.center[0] == 100.0
    assert found.quality == pytest.approx(1.0)
