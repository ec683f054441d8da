import os

import numpy as np
import pytest
import skimage.data
import torch

from fitloop.body.keypoints import MEDIAPIPE_33
from fitloop.body.records import Detections, Image
from fitloop.detection import DETECTOR_NAMES, MediapipeConfig, MediapipeDetector, RtmlibConfig, load_detector
from fitloop.detection.search import SearchConfig
from fitloop.detection.tflite import quiet_start
from fitloop.geometry.cameras import camera_of

SMALL = MediapipeConfig(SearchConfig(coarse=0.0, fine=0.0))
AT = MEDIAPIPE_33.index


def image_of(pixels: np.ndarray) -> Image:
    height, width = pixels.shape[:2]
    return Image(np.ascontiguousarray(pixels), camera_of(width, height), "photo.png")


@pytest.fixture(scope="module")
def astronaut() -> np.ndarray:
    """A woman from the hips up who faces the camera, 512 x 512, public domain."""
    return skimage.data.astronaut()


@pytest.fixture(scope="module")
def seen(astronaut) -> Detections:
    return MediapipeDetector(SMALL)(image_of(astronaut))


def test_one_person_is_found_where_she_is(seen):
    assert seen.convention == "mediapipe33" and seen.keypoints.shape == (1, 33, 2)
    # Read off the picture: the tip of the nose, the outer ends of the shoulders.
    for name, place in (("nose", (215, 120)), ("left_shoulder", (330, 260)), ("right_shoulder", (110, 260))):
        assert (seen.keypoints[0, AT(name)] - torch.tensor(place)).norm() < 45.0, name
    assert (seen.confidence[0, [AT("nose"), AT("left_shoulder"), AT("right_shoulder")]] > 0.6).all()
    assert ((seen.boxes >= 0) & (seen.boxes <= 512)).all()


def test_keypoints_below_the_photo_are_not_observed(seen):
    below = seen.keypoints[0, :, 1] > 512
    assert below[[AT("left_knee"), AT("right_ankle")]].all()
    assert (seen.confidence[0, below] == 0).all()


def test_landmarks_are_metres_in_camera_axes_relative_to_the_hips(seen):
    landmarks = seen.landmarks[0]
    left, right = landmarks[AT("left_shoulder")], landmarks[AT("right_shoulder")]
    assert left[0] > right[0], "she faces the camera: her left is to the right of the photo"
    assert left[1] < -0.3 and landmarks[AT("nose"), 1] < left[1], "y points down"
    assert landmarks[AT("nose"), 2] < landmarks[[AT("left_ear"), AT("right_ear")], 2].mean(), "z points away"
    assert 0.2 < (left - right).norm() < 0.5
    assert landmarks[[AT("left_hip"), AT("right_hip")]].mean(0).norm() < 1e-5


def test_the_silhouette_lies_on_the_person(seen):
    grid, box = seen.silhouettes[0], seen.silhouette_boxes[0]
    size = grid.shape[-1]

    def value(x: float, y: float) -> float:
        column, row = (size * (v - low) / (box[2] - box[0]) for v, low in ((x, box[0]), (y, box[1])))
        return float(grid[int(row), int(column)])

    assert value(220, 380) > 0.9, "her chest"
    assert value(440, 60) < 0.1, "the shuttle behind her"
    assert ((grid >= 0) & (grid <= 1)).all()


def test_a_photo_turned_by_a_quarter_gives_the_turned_person(astronaut, seen):
    turned = MediapipeDetector(SMALL)(image_of(np.rot90(astronaut, -1)))
    assert len(turned.boxes) == 1
    upper = [AT(f"{side}_{part}") for side in ("left", "right") for part in ("shoulder", "eye")]
    expected = torch.stack([512 - seen.keypoints[0, upper, 1], seen.keypoints[0, upper, 0]], -1)
    assert (turned.keypoints[0, upper] - expected).norm(dim=-1).max() < 40.0
    span = turned.landmarks[0, AT("left_shoulder")] - turned.landmarks[0, AT("right_shoulder")]
    assert span[1] > 0.8 * span.norm(), "her left shoulder is below her right one now"


def test_people_side_by_side_are_all_found(astronaut):
    shrunk = astronaut[::2, ::2]
    two = np.concatenate([shrunk, shrunk[:, ::-1]], 1)
    found = MediapipeDetector(MediapipeConfig(SearchConfig(fine=0.0)))(image_of(two))
    centres = sorted((found.boxes[:, 0] + found.boxes[:, 2]).div(2).tolist())
    assert len(centres) == 2 and centres[0] < 256 < centres[1]


@pytest.mark.parametrize("shape", [(1, 1), (3, 200), (64, 48)])
def test_a_photo_without_people_gives_none(shape):
    found = MediapipeDetector(SMALL)(image_of(np.full((*shape, 3), 90, np.uint8)))
    assert found.keypoints.shape == (0, 33, 2) and found.boxes.shape == (0, 4)
    assert found.landmarks.shape == (0, 33, 3) and found.silhouettes.shape == (0, 128, 128)


def test_the_same_photo_gives_the_same_people(astronaut, seen):
    again = MediapipeDetector(SMALL)(image_of(astronaut))
    assert torch.equal(again.keypoints, seen.keypoints) and torch.equal(again.silhouettes, seen.silhouettes)  # pyright: ignore[reportArgumentType]


def test_each_box_is_seen_whether_a_person_is_in_it_or_not(astronaut, seen):
    boxes = torch.cat([seen.boxes, torch.tensor([[420.0, 10.0, 500.0, 90.0]])])
    found = MediapipeDetector(SMALL).in_boxes(image_of(astronaut), boxes)
    assert len(found.boxes) == 2
    assert (found.keypoints[0, AT("nose")] - seen.keypoints[0, AT("nose")]).norm() < 20.0


def test_nothing_reaches_the_terminal(astronaut, capfd):
    MediapipeDetector(SMALL)(image_of(astronaut))
    assert capfd.readouterr() == ("", "")


def test_chatter_is_hidden_and_shown_again_when_something_fails(capfd):
    with quiet_start():
        os.write(2, b"INFO: delegate created\n")
    assert capfd.readouterr().err == ""
    with pytest.raises(RuntimeError), quiet_start():
        os.write(2, b"INFO: what went before\n")
        raise RuntimeError
    assert "what went before" in capfd.readouterr().err


def test_unknown_detectors_and_foreign_settings_are_refused():
    with pytest.raises(ValueError, match="Unknown detector 'yolo'; known: mediapipe, mmpose, rtmlib"):
        load_detector("yolo")
    with pytest.raises(ValueError, match="mediapipe takes a MediapipeConfig, got RtmlibConfig"):
        load_detector("mediapipe", RtmlibConfig())
    assert DETECTOR_NAMES == ("mediapipe", "mmpose", "rtmlib")


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_keypoints_agree_with_mediapipes_own_graph(astronaut, seen):
    import mediapipe  # pyright: ignore[reportMissingImports]

    with mediapipe.solutions.pose.Pose(static_image_mode=True, model_complexity=1) as pose:
        theirs = pose.process(astronaut)
    pixels = torch.tensor([[p.x * 512, p.y * 512] for p in theirs.pose_landmarks.landmark])
    world = torch.tensor([[p.x, p.y, p.z] for p in theirs.pose_world_landmarks.landmark])
    sure = seen.confidence[0] > 0.5
    # We look two more times than the graph does: 9 px and 26 mm apart on the mean over photos, of a square of 1000 px.
    assert (pixels - seen.keypoints[0]).norm(dim=-1)[sure].mean() < 20.0
    assert (world - seen.landmarks[0]).norm(dim=-1)[sure].mean() < 0.08
