from dataclasses import replace

import numpy as np
import pytest

from fitloop.body.keypoints import MEDIAPIPE_33
from fitloop.detection.landmarks import LandmarkNetwork, Place, Pose
from fitloop.detection.looks import Inside, person_of, settle, stays
from fitloop.detection.pixels import PhotoPieces

FLIP = list(MEDIAPIPE_33.flip)
NO_PHOTO = PhotoPieces(np.zeros((1, 1, 3), np.uint8))
SQUARE = Place(np.array([50.0, 50.0]), 100.0, 0.0)


def look(seed: int = 0, square: Place = SQUARE, following: Place = SQUARE, score: float = 1.0) -> Pose:
    points = np.random.default_rng(seed).uniform(20.0, 80.0, (33, 2))
    ones = np.ones(33)
    return Pose(score, points, ones, ones, ones, ones, np.zeros((33, 3)), np.ones((256, 256)), square, following)


class Walking(LandmarkNetwork):
    """A network that always sees the person a little further to the right, until a wall."""

    def __init__(self, wall: float) -> None:
        super().__init__(1)
        self.wall, self.looks = wall, 0

    def __call__(self, photo: PhotoPieces, place: Place, mirrored: bool = False) -> Pose:
        self.looks += 1
        center = np.array([min(place.center[0] + 20.0, self.wall), 50.0])
        return look(square=place, following=replace(place, center=center))


def moved(x: float) -> Place:
    return replace(SQUARE, center=np.array([x, 50.0]))


@pytest.mark.parametrize(
    ("following", "same"),
    [
        (replace(SQUARE, angle=2.0 * np.pi + 0.05), True),
        (replace(SQUARE, angle=0.5), False),
        (replace(SQUARE, side=130.0), False),
        (moved(70.0), False),
        (moved(52.0), True),
    ],
)
def test_a_square_stays_if_it_hardly_moves_grows_or_turns(following, same):
    assert stays(SQUARE, following) is same


def test_a_square_is_taken_again_until_it_stays():
    network = Walking(wall=90.0)
    settled = settle(network, NO_PHOTO, look(following=moved(70.0)))
    assert network.looks == 2 and settled.place.center[0] == 90.0


def test_a_square_that_never_stays_is_given_up_after_three_looks():
    network = Walking(wall=1e9)
    settle(network, NO_PHOTO, look(following=moved(70.0)))
    assert network.looks == 3


def test_looks_that_agree_are_averaged():
    first = look()
    person = person_of([first, replace(first, keypoints=first.keypoints + 4.0)])
    assert np.allclose(person.pose.keypoints, first.keypoints + 2.0)
    assert np.allclose(person.spread, np.hypot(2.0, 2.0) / 100.0)
    assert person.one_sided == 1.0


def test_a_look_that_exchanges_left_and_right_is_doubt_and_moves_nothing():
    first = look()
    turned = replace(first, keypoints=first.keypoints[FLIP])
    person = person_of([first, first, first, turned])
    assert np.allclose(person.pose.keypoints, first.keypoints)
    assert person.one_sided == 0.75
    wrists = [MEDIAPIPE_33.index(f"{side}_wrist") for side in ("left", "right")]
    nose = MEDIAPIPE_33.index("nose")
    assert (person.spread[wrists] > 0.05).all() and person.spread[nose] == 0.0


def test_the_side_of_the_majority_wins_over_the_first_look():
    first = look()
    turned = replace(first, keypoints=first.keypoints[FLIP])
    assert np.allclose(person_of([turned, first, first, first]).pose.keypoints, first.keypoints)


def test_a_look_is_inside_a_box_if_its_hips_are():
    inside = Inside(np.array([0.0, 0.0, 40.0, 100.0]))
    assert inside(look(following=moved(45.0)))
    assert not inside(look(following=moved(60.0)))
