import numpy as np
import pytest
import torch
from toy import toy_camera

from fitloop.body import Detections, Image
from fitloop.geometry import Crop
from fitloop.regressor.crops import crop_inputs, cut_crops, cut_silhouettes
from fitloop.regressor.keypoint_encoder import KEYPOINT_NAMES
from fitloop.regressor.models import HMRConfig


def photo(height: int = 48, width: int = 64) -> Image:
    y, x = np.mgrid[:height, :width]
    pixels = np.stack([x * 4, y * 5, np.zeros_like(x)], -1).astype(np.uint8)
    return Image(pixels, toy_camera(), "gradient.png")


def crop_at(x: float, y: float, side: float) -> Crop:
    return Crop(torch.tensor([[x, y]]), torch.tensor([side]), torch.zeros(1))


def test_a_crop_of_whole_pixels_is_those_pixels():
    cut = cut_crops(photo(), crop_at(24.0, 20.0, 16.0), 16)
    expected = torch.from_numpy(photo().pixels[12:28, 16:32].copy()).permute(2, 0, 1) / 255.0
    torch.testing.assert_close(cut[0], expected, atol=1e-5, rtol=0)


@pytest.mark.parametrize("size", [4, 8, 13])
def test_a_shrunken_crop_keeps_colours_in_place(size):
    cut = cut_crops(photo(47, 63), crop_at(30.0, 24.0, 26.0), size)[0]
    ticks = (torch.arange(size) + 0.5) / size * 26.0 - 13.0
    torch.testing.assert_close(cut[0].mean(0) * 255.0, (30.0 + ticks - 0.5) * 4.0, atol=2.5, rtol=0)
    torch.testing.assert_close(cut[1].mean(1) * 255.0, (24.0 + ticks - 0.5) * 5.0, atol=2.5, rtol=0)


def test_outside_the_photo_is_black():
    assert float(cut_crops(photo(), crop_at(-40.0, 20.0, 16.0), 8).max()) == 0.0


def test_silhouettes_are_cut_where_the_crop_lies():
    grids = torch.zeros(1, 20, 20)
    grids[:, :, 10:] = 1.0
    detections = Detections(
        torch.zeros(1, 17, 2),
        torch.zeros(1, 17),
        torch.zeros(1, 4),
        "coco17",
        silhouettes=grids,
        silhouette_boxes=torch.tensor([[100.0, 100.0, 140.0, 140.0]]),
    )
    cut = cut_silhouettes(detections, crop_at(120.0, 120.0, 20.0), 10)[0]
    assert float(cut[:, :5].max()) == 0.0
    assert float(cut[:, 6:].min()) == 1.0
    no_silhouettes = Detections(detections.keypoints, detections.confidence, detections.boxes, "coco17")
    assert float(cut_silhouettes(no_silhouettes, crop_at(120.0, 120.0, 20.0), 10).max()) == 0.0


@pytest.mark.parametrize(("encoder", "channels"), [("resnet50", 3), ("proxy", 19)])
def test_each_encoder_of_images_gets_its_channels(encoder, channels):
    count = len(KEYPOINT_NAMES)
    boxes = torch.tensor([[10.0, 10.0, 30.0, 40.0], [20.0, 5.0, 40.0, 30.0]])
    detections = Detections(torch.full((2, count, 2), 20.0), torch.ones(2, count), boxes, "smpl24")
    inputs, view = crop_inputs(photo(), detections, toy_camera(2), HMRConfig(encoder, width=8, image_size=32))
    maps = inputs.maps if encoder == "proxy" else inputs  # pyright: ignore[reportAttributeAccessIssue]
    assert maps.shape == (2, channels, 32, 32)  # pyright: ignore[reportAttributeAccessIssue]
    assert view.rotation.shape == (2, 3, 3)


def test_no_people_are_no_crops():
    empty = Crop(torch.zeros(0, 2), torch.zeros(0), torch.zeros(0))
    assert cut_crops(photo(), empty, 8).shape == (0, 3, 8, 8)
