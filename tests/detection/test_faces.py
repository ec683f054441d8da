from dataclasses import replace

import numpy as np
import pytest
import skimage.data

from fitloop.detection.faces import FaceDetector
from fitloop.detection.landmarks import Place, Pose
from fitloop.detection.overlap import face_agrees
from fitloop.detection.person_detector import tiles_of
from fitloop.detection.pixels import PhotoPieces


@pytest.fixture(scope="module")
def detector() -> FaceDetector:
    return FaceDetector(threads=1)


@pytest.fixture(scope="module")
def astronaut() -> np.ndarray:
    return skimage.data.astronaut()


def faces_in(detector: FaceDetector, pixels: np.ndarray):
    height, width = pixels.shape[:2]
    return detector(PhotoPieces(pixels), tiles_of(width, height, (0.6,), 0.3), 0.7)


def test_the_astronauts_face_is_found_and_her_hips_are_guessed_below_it(detector, astronaut):
    found = faces_in(detector, astronaut)
    assert len(found) == 1
    left, top, right, bottom = found.faces[0]
    assert 155 < left < 200 < 250 < right < 290
    assert 50 < top < 110 < 150 < bottom < 190
    hips, crown = found.points[0, :2]
    assert 400 < hips[1] < 600
    assert abs(hips[0] - (left + right) / 2.0) < 60
    assert crown[1] < top


def test_a_turned_face_has_its_hips_to_the_side(detector, astronaut):
    found = faces_in(detector, np.rot90(astronaut[:400], -1))
    assert len(found) == 1
    # Turned clockwise, she lies with her head to the right and her hips to the left.
    assert found.points[0, 0, 0] < found.faces[0, 0] - 100


def test_gravel_has_no_face(detector):
    assert len(faces_in(detector, np.repeat(skimage.data.gravel()[..., None], 3, -1))) == 0


def test_a_face_vouches_for_the_pose_that_has_its_head_there():
    place = Place(np.array([50.0, 50.0]), 100.0, 0.0)
    points = np.full((33, 2), 50.0)
    ones = np.ones(33)
    pose = Pose(1.0, points, ones, ones, ones, ones, np.zeros((33, 3)), np.ones((256, 256)), place, place)
    box = np.array([[40.0, 40.0, 60.0, 60.0]])
    assert face_agrees(pose, box)
    assert not face_agrees(replace(pose, keypoints=points + 20.0), box)
    assert not face_agrees(pose, np.zeros((0, 4)))
