from dataclasses import replace

import numpy as np
import pytest
import skimage.data
import torch

from fitloop.body.records import Image
from fitloop.detection import MediapipeConfig, MediapipeDetector
from fitloop.detection.landmarks import Place
from fitloop.detection.painted import silhouette_over
from fitloop.detection.pixels import PhotoPieces
from fitloop.detection.search import SearchConfig, at_point
from fitloop.geometry.cameras import camera_of

WHOLE = MediapipeConfig(SearchConfig(coarse=0.0, fine=0.0))


def image_of(pixels: np.ndarray) -> Image:
    height, width = pixels.shape[:2]
    return Image(np.ascontiguousarray(pixels), camera_of(width, height), "photo.png")


@pytest.fixture(scope="module")
def astronaut() -> np.ndarray:
    return skimage.data.astronaut()


@pytest.fixture(scope="module")
def detector() -> MediapipeDetector:
    return MediapipeDetector()


def test_one_large_person_takes_few_runs(detector, astronaut):
    before = detector.runs
    assert len(detector(image_of(astronaut)).boxes) >= 1
    runs = {name: count - before[name] for name, count in detector.runs.items()}
    assert runs["face"] == 1 and runs["person"] <= 14 and runs["landmark"] <= 28


def test_a_blank_wall_is_not_searched_in_fine_tiles(detector):
    before = detector.runs
    assert len(detector(image_of(np.full((480, 640, 3), 120, np.uint8))).boxes) == 0
    assert detector.runs["person"] - before["person"] <= 5
    assert detector.runs["landmark"] == before["landmark"]


@pytest.mark.parametrize("shape", [(1, 1), (1, 5000), (5000, 1), (480, 640)])
def test_black_photos_of_any_shape_show_nobody(detector, shape):
    assert len(detector(image_of(np.zeros((*shape, 3), np.uint8))).boxes) == 0


def test_a_crowd_of_sixty_is_searched_without_end_of_patience(astronaut):
    person = astronaut[::4, ::4]
    crowd = np.concatenate([np.concatenate([person] * 10, 1)] * 6, 0)
    found = MediapipeDetector(MediapipeConfig(SearchConfig(coarse=0.0, fine=0.3)))(image_of(crowd))
    centres = (found.boxes[:, :2] + found.boxes[:, 2:]) / 2.0
    cells = {tuple(cell) for cell in (centres // 128).int().tolist()}
    assert len(cells) == len(found.boxes) > 10, "no two bodies in one cell"


@pytest.fixture(scope="module")
def one_behind_the_other(detector, astronaut) -> np.ndarray:
    """The astronaut's silhouette on grey, and in front of it the same one mirrored, right of it and lower."""
    woman = max(detector.people_in(PhotoPieces(astronaut)), key=lambda person: person.pose.place.side).pose
    inside = silhouette_over(woman, Place(np.array([256.0, 256.0]), 512.0, 0.0), 512) > 0.5
    pixels = np.full((572, 632, 3), 128, np.uint8)
    pixels[:512, :512][inside] = astronaut[inside]
    pixels[60:, 120:][inside[:, ::-1]] = astronaut[:, ::-1][inside[:, ::-1]]
    return pixels


def test_who_stands_behind_somebody_is_seen_with_the_other_painted_over(one_behind_the_other):
    image = image_of(one_behind_the_other)
    as_it_is = MediapipeDetector(MediapipeConfig(replace(WHOLE.search, behind=1.1)))(image)
    painted = MediapipeDetector(WHOLE)(image)
    assert len(as_it_is.boxes) == 1 and len(painted.boxes) == 2
    assert torch.equal(painted.keypoints[0], as_it_is.keypoints[0]), "who is seen without paint stays as seen"
    noses = painted.keypoints[:, 0]
    assert (noses[1] - noses[0]).norm() > 150.0


def test_nobody_is_seen_in_what_is_left_of_a_painted_person(astronaut):
    config = replace(WHOLE.search, behind=0.0, fine=0.4)
    found = MediapipeDetector(MediapipeConfig(config))(image_of(astronaut))
    without = MediapipeDetector(MediapipeConfig(replace(config, behind=1.1)))(image_of(astronaut))
    assert len(found.boxes) == len(without.boxes)


def test_photos_in_parallel_give_what_they_give_one_by_one(astronaut):
    detector = MediapipeDetector(WHOLE)
    images = [image_of(astronaut), image_of(astronaut[:, ::-1]), image_of(np.zeros((30, 40, 3), np.uint8))]
    together = list(detector.detect_many(images, at_once=2))
    for image, report in zip(images, together, strict=True):
        alone = detector(image)
        assert torch.equal(report.detections.keypoints, alone.keypoints)
        assert torch.equal(report.detections.confidence, alone.confidence)


def test_boxes_beside_the_photo_or_without_area_show_nobody(detector, astronaut):
    boxes = torch.tensor([[900.0, 900, 1000, 1000], [-300, 0, -100, 200], [50, 50, 50, 50], [100, 0, 100, 400]])
    found = detector.in_boxes(image_of(astronaut), boxes)
    assert found.keypoints.shape == (4, 33, 2) and torch.isfinite(found.keypoints).all()
    assert (found.confidence == 0.0).all()


@pytest.mark.parametrize("box", [[300.0, 10, 100, 400], [10, 400, 300, 10], [0, 0, float("nan"), 5]])
def test_boxes_upside_down_or_not_finite_are_refused(detector, astronaut, box):
    boxes = torch.tensor([[0.0, 0, 100, 100], box])
    with pytest.raises(ValueError, match=r"Box 1 is .*expected finite x y x y"):
        detector.in_boxes(image_of(astronaut), boxes)


def test_no_boxes_give_nobody(detector, astronaut):
    assert len(detector.in_boxes(image_of(astronaut), torch.zeros(0, 4)).boxes) == 0


def test_a_person_upside_down_in_a_box_is_seen_as_when_upright(detector, astronaut):
    box = torch.tensor([[0.0, 0.0, 512.0, 512.0]])
    upright = detector.in_boxes(image_of(astronaut), box)
    turned = detector.in_boxes(image_of(astronaut[::-1, ::-1]), box)
    face = slice(0, 13)
    off = (512.0 - turned.keypoints[0, face] - upright.keypoints[0, face]).norm(dim=-1)
    assert off.mean() < 25.0


def test_points_beside_a_photo_count_as_the_nearest_in_it():
    mask = np.zeros((96, 192), bool)
    mask[-1, 10] = True
    assert at_point(mask, np.array([21.0, 500.0]), (384, 192))
    assert not at_point(mask, np.array([21.0, 100.0]), (384, 192))
