"""Squares cut from whole photos keep everything where it was seen."""

import numpy as np
import torch
from fitting_scenes import see
from refinement_scenes import BODY, SIZE, standing

from fitloop.geometry import project
from fitloop.pipelines.lessons.windows import Window, moved_detections, moved_estimate, window_around

TRUTH = standing((-0.5, 0.1, 3.0), (0.6, 0.1, 3.4))


def test_a_window_lies_in_the_photo_and_around_the_person():
    for box in ((10.0, 20.0, 60.0, 120.0), (250.0, 150.0, 319.0, 239.0), (0.0, 0.0, 320.0, 240.0)):
        window = window_around(np.array(box), SIZE, 64)
        (x, y), edge = window.corner, window.edge
        assert 0 <= x <= 320 - edge and 0 <= y <= 240 - edge and edge <= 240
        inside = box[0] >= x and box[1] >= y and box[2] <= x + edge and box[3] <= y + edge
        assert inside or edge == 240, "only who is wider than the photo is high is cut"


def test_a_speck_gets_a_window_of_some_pixels():
    assert window_around(np.array([5.0, 5.0, 6.0, 6.0]), SIZE, 64).edge == 16


def test_bodies_and_keypoints_fall_on_the_same_place_of_the_picture():
    windows = [Window((40, 10), 128, 64), Window((150, 20), 200, 64)]
    pixels = project(BODY(TRUTH.params).joints, TRUTH.camera)
    moved = moved_estimate(TRUTH, windows)
    found = project(BODY(moved.params).joints, moved.camera)
    torch.testing.assert_close(found[0], (pixels[0] - torch.tensor([40.0, 10.0])) / 2.0)
    torch.testing.assert_close(found[1], (pixels[1] - torch.tensor([150.0, 20.0])) * 0.32)
    seen = see(BODY, TRUTH)
    shown = moved_detections(seen, windows)
    torch.testing.assert_close(shown.keypoints[0], (seen.keypoints[0] - torch.tensor([40.0, 10.0])) / 2.0)
    torch.testing.assert_close(shown.boxes[1], (seen.boxes[1] - torch.tensor([150.0, 20.0, 150.0, 20.0])) * 0.32)


def test_pictures_are_averaged_where_they_shrink():
    picture = np.zeros((40, 60, 3), np.uint8)
    picture[10:30:2, 20:40] = 200
    cut = Window((20, 10), 20, 10).cut(picture)
    assert cut.shape == (10, 10, 3) and (cut == 100).all()
