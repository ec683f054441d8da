import json

import numpy as np
import pytest

from fitloop.body.keypoints import BODY_25, SPIN_24
from fitloop.data import converters


@pytest.fixture
def openpose(lsp):
    """Next to the first person of LSP stand a good detection and one 100 pixels away; the second has a far one only."""
    folder, _ = lsp
    dataset = converters.convert_lsp(folder)
    detections = folder / "openpose"
    detections.mkdir()

    def person(row, shift):
        points = np.zeros((25, 3))
        for number, name in enumerate(BODY_25.keypoints):
            if name in SPIN_24.keypoints:
                points[number] = [*(dataset.keypoints[row, SPIN_24.index(name), :2] + shift), 0.8]
        return {"pose_keypoints_2d": points.ravel().tolist()}

    for row, people in ((0, [person(0, 100), person(0, 1)]), (1, [person(1, 100)])):
        path = detections / f"im{row + 1:04d}_keypoints.json"
        path.write_text(json.dumps({"version": 1.3, "people": people}))
    return dataset, detections


def test_openpose_gives_each_person_the_nearest_detection_or_none(openpose):
    dataset = converters.add_openpose(*openpose)
    knee = dataset.openpose[0, BODY_25.index("left_knee")]
    expected = dataset.keypoints[0, SPIN_24.index("left_knee"), :2] + 1
    np.testing.assert_allclose(knee, [*expected, 0.8], rtol=1e-6)
    assert (dataset.openpose[1] == 0).all()


def test_openpose_matched_as_spin_does_refuses_nothing_far_away(openpose):
    dataset = converters.add_openpose(*openpose, matching="spin_mpii")
    assert (dataset.openpose[1] != 0).any()


def test_hands_without_a_body_and_one_broken_file_cost_nobody_else_a_detection(openpose, caplog):
    dataset, folder = openpose
    first = folder / "im0001_keypoints.json"
    tree = json.loads(first.read_text())
    tree["people"] += [{"pose_keypoints_2d": [], "hand_left_keypoints_2d": [1.0] * 63}, {"pose_keypoints_2d": [1, 2]}]
    first.write_text(json.dumps(tree))
    (folder / "im0002_keypoints.json").write_text('{"people": [')
    found = converters.add_openpose(dataset, folder)
    assert (found.openpose[0] != 0).any() and (found.openpose[1] == 0).all()
    assert "2 of 4 people have no body of 25 keypoints" in caplog.text
    assert "1 photos go without OpenPose's keypoints" in caplog.text


def test_another_model_of_openpose_is_named_by_its_number_of_keypoints(openpose):
    dataset, folder = openpose
    for path in folder.iterdir():
        path.write_text(json.dumps({"people": [{"pose_keypoints_2d": [1.0] * 54}]}))
    with pytest.raises(ValueError, match=r"has 18 keypoints per person, expected 25 \(BODY_25\)"):
        converters.add_openpose(dataset, folder)


def test_a_folder_of_other_photos_is_refused(openpose):
    dataset, folder = openpose
    for path in folder.iterdir():
        path.unlink()
    with pytest.raises(FileNotFoundError, match="im0001_keypoints.json is missing"):
        converters.add_openpose(dataset, folder)
