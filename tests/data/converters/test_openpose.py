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
