"""Masks that a data set names."""

from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from fitloop.data.images import UnreadableImage
from fitloop.data.spin_dataset import SpinDataset
from fitloop.data.spin_masks import GRID, person_masks

SIZES = np.array([[100.0, 80.0], [100.0, 80.0]], np.float32)


@pytest.fixture
def dataset(tmp_path):
    """Two people; the first one's mask is the left half of the box, the second has none."""
    mask = np.zeros((80, 100), np.uint8)
    mask[:, :50] = 1
    Image.fromarray(mask).save(tmp_path / "mask.png")
    nothing = np.zeros((2, 24, 3), np.float32)
    centers, scales = np.array([[50.0, 40.0], [50.0, 40.0]], np.float32), np.array([0.24, 0.24], np.float32)
    names = ("mask.png", "")
    return SpinDataset("toy", ("a.jpg", "b.jpg"), centers, scales, nothing, mask_names=names)


def test_grids_span_the_crop_and_hold_the_mask(dataset, tmp_path):
    grids, boxes = person_masks(dataset, tmp_path, SIZES)
    np.testing.assert_allclose(boxes[0], [26.0, 16.0, 74.0, 64.0], atol=1e-4)
    assert grids[0, :, : GRID // 2 - 1].min() == 1.0 and grids[0, :, GRID // 2 + 1 :].max() == 0.0
    assert not grids[1].any()


def test_a_mask_of_another_size_is_told_with_both(dataset, tmp_path):
    with pytest.raises(ValueError, match=r"100 x 80 pixels and its photo 'a.jpg' 200 x 80"):
        person_masks(dataset, tmp_path, SIZES * np.array([2.0, 1.0], np.float32))


def test_missing_and_damaged_masks_are_told(dataset, tmp_path):
    with pytest.raises(FileNotFoundError, match=r"gone.png is missing"):
        person_masks(replace(dataset, mask_names=("gone.png", "")), tmp_path, SIZES)
    (tmp_path / "bad.png").write_bytes(b"no picture")
    with pytest.raises(UnreadableImage, match="is not a mask"):
        person_masks(replace(dataset, mask_names=("bad.png", "")), tmp_path, SIZES)
