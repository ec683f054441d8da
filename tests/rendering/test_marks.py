"""Keypoints drawn over a photo."""

import numpy as np
import pytest
import torch

from fitloop.body import Convention
from fitloop.rendering import draw_keypoints

WRISTS = ("left_wrist", "right_wrist")
PAIR = Convention("pair", WRISTS, WRISTS, (WRISTS,))


@pytest.fixture
def photo():
    return np.full((60, 80, 3), 90, np.uint8)


def test_observed_keypoints_are_drawn_and_joined(photo):
    points, seen = torch.tensor([[[20.0, 30.0], [60.0, 30.0]]]), torch.ones(1, 2)
    picture = draw_keypoints(photo, points, seen, PAIR)
    changed = (picture != photo).any(-1)
    assert changed[30, 18:62].all() and not changed[:20].any() and not changed[40:].any()
    assert (photo == 90).all(), "the photo is left alone"


def test_keypoints_not_observed_are_not_drawn(photo):
    points = torch.tensor([[[20.0, 30.0], [60.0, 30.0]]])
    picture = draw_keypoints(photo, points, torch.tensor([[1.0, 0.0]]), PAIR)
    changed = (picture != photo).any(-1)
    assert changed[30, 20] and not changed[:, 30:].any()


def test_wild_keypoints_are_harmless(photo):
    points = torch.tensor([[[torch.nan, 3.0], [torch.inf, 0.0]], [[-1e9, 5.0], [-500.0, 1e9]]])
    assert (draw_keypoints(photo, points, torch.ones(2, 2), PAIR) == photo).all()


def test_another_convention_is_refused(photo):
    with pytest.raises(ValueError, match="pair has 2 keypoints, got 17"):
        draw_keypoints(photo, torch.zeros(1, 17, 2), torch.zeros(1, 17), PAIR)
