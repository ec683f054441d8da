"""Keypoints of photos that EXIF turns."""

import numpy as np
import PIL.Image
import pytest
from keypoint_documents import HEIGHT, WIDTH, coco, photo, result, write
from PIL import ExifTags

from fitloop.body.keypoints import COCO_17
from fitloop.data.images import load_image
from fitloop.detection import BadKeypoints, KeypointFile


def standing() -> np.ndarray:
    """A person who stands in the displayed photo."""
    heights = {
        "nose": 8,
        "eye": 7,
        "ear": 7,
        "shoulder": 12,
        "elbow": 18,
        "wrist": 23,
        "hip": 25,
        "knee": 34,
        "ankle": 42,
    }
    rows = []
    for name in COCO_17.keypoints:
        side = {"l": 4.0, "r": -4.0, "n": 0.0}[name[0]]
        rows.append([20.0 + side, heights[name.split("_")[-1]], 2.0])
    return np.array(rows)


def stored_pixels_of(orientation: int, tmp_path) -> np.ndarray:
    """Where each pixel of the stored photo is displayed, as Pillow turns it: (stored height, stored width, 2)."""
    swapped = orientation >= 5
    width, height = (HEIGHT, WIDTH) if swapped else (WIDTH, HEIGHT)
    y, x = np.mgrid[:height, :width]
    exif = PIL.Image.Exif()
    exif[ExifTags.Base.Orientation] = orientation
    path = tmp_path / f"{orientation}.png"
    PIL.Image.fromarray(np.stack([x, y, 0 * x], -1).astype(np.uint8)).save(path, exif=exif)
    image = load_image(path)
    assert image.orientation == orientation and image.pixels.shape[:2] == (HEIGHT, WIDTH)
    return image.pixels[..., :2]


def stored(person: np.ndarray, orientation: int, tmp_path) -> np.ndarray:
    """The same person in the stored photo."""
    came_from = stored_pixels_of(orientation, tmp_path)
    cells = person[:, :2].astype(int)
    places = came_from[cells[:, 1], cells[:, 0]].astype(float)
    return np.concatenate([places, person[:, 2:]], -1)


@pytest.mark.parametrize("orientation", [5, 6, 7, 8])
def test_points_of_the_stored_photo_are_turned_with_it(tmp_path, orientation):
    person = stored(standing(), orientation, tmp_path)
    content = coco({"keypoints": person.ravel().tolist()}, width=HEIGHT, height=WIDTH)
    source = KeypointFile(write(tmp_path / "c.json", content))
    report = source.detect_with_notices(photo(orientation=orientation))
    # A pixel's corner may become another of its corners.
    assert np.allclose(report.detections.keypoints[0].numpy(), standing()[:, :2], atol=1.001)
    assert "turned with the photo" in report.notices[0]


def test_points_of_the_displayed_photo_with_the_stored_size_are_taken_as_they_are(tmp_path):
    content = coco({"keypoints": standing().ravel().tolist()}, width=HEIGHT, height=WIDTH)
    report = KeypointFile(write(tmp_path / "c.json", content)).detect_with_notices(photo(orientation=6))
    assert np.allclose(report.detections.keypoints[0].numpy(), standing()[:, :2])
    assert "fit the displayed photo" in report.notices[0]


def test_points_that_fit_only_the_stored_photo_are_turned_even_of_people_who_lie(tmp_path):
    person = standing()[:, [0, 1, 2]] + (0.0, 20.0, 0.0)
    content = coco({"keypoints": person.ravel().tolist()}, width=HEIGHT, height=WIDTH)
    report = KeypointFile(write(tmp_path / "c.json", content)).detect_with_notices(photo(orientation=6))
    assert "turned with the photo" in report.notices[0]
    assert np.allclose(report.detections.keypoints[0, :, 1].numpy(), person[:, 0])


def test_where_nothing_tells_one_sentence_explains(tmp_path):
    person = standing()
    person[:, 0] = person[:, 1]
    content = coco({"keypoints": person.ravel().tolist()}, width=HEIGHT, height=WIDTH)
    with pytest.raises(
        BadKeypoints, match="EXIF turns 'a.jpg'.*stored as 48 x 64.*cannot be told.*64 x 48 as its size"
    ):
        KeypointFile(write(tmp_path / "c.json", content))(photo(orientation=6))


def test_swapped_sizes_of_a_photo_that_is_not_turned_are_refused(tmp_path):
    content = coco({"keypoints": standing().ravel().tolist()}, width=HEIGHT, height=WIDTH)
    with pytest.raises(BadKeypoints, match="width and height are swapped"):
        KeypointFile(write(tmp_path / "c.json", content))(photo())


def test_results_without_a_size_whose_people_lie_in_a_turned_photo_are_told(tmp_path):
    person = stored(standing(), 6, tmp_path) * (1.0, 1.0, 0.45)
    rows = [result("a.jpg", keypoints=person.ravel().tolist())]
    report = KeypointFile(write(tmp_path / "r.json", rows)).detect_with_notices(photo(orientation=6))
    assert "would stand if their points were turned too" in report.notices[0]
    rows = [result("a.jpg", keypoints=standing().ravel().tolist())]
    assert KeypointFile(write(tmp_path / "r.json", rows)).detect_with_notices(photo(orientation=6)).notices == ()


@pytest.mark.parametrize(
    "size", [(None, None), (0, 0), (float("nan"), 48), ("64", "48"), (-1, 5), ([], {}), (10**400, 1)]
)
def test_sizes_that_say_nothing_are_no_size(tmp_path, size):
    content = coco({"keypoints": standing().ravel().tolist()}, width=size[0], height=size[1])
    assert len(KeypointFile(write(tmp_path / "c.json", content))(photo()).boxes) == 1
