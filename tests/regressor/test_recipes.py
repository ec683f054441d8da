"""CLIFF's formulas as its authors published them, in NumPy, against what is done with its weights."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from toy import stick_body

from fitloop.body import Detections, Image
from fitloop.geometry import Camera, crop_of_box
from fitloop.regressor import HeadConfig, HMRConfig, Weights, build_hmr
from fitloop.regressor.recipes import RECIPES, crop_of, view_of
from fitloop.regressor.regressor import NetworkRegressor
from fitloop.regressor.views import view_of_boxes

WIDTH, HEIGHT = 640, 480
FOCAL = np.hypot(WIDTH, HEIGHT)
WEAK = np.array([0.8, 0.06, -0.11])
IMAGENET = np.array([[0.485, 0.456, 0.406], [0.229, 0.224, 0.225]])
BOXES = {"tall, right of the middle": (420.0, 60.0, 560.0, 400.0), "wide, left below": (30.0, 250.0, 270.0, 390.0)}


def turned(axis: np.ndarray, angle: float) -> np.ndarray:
    """Rodrigues."""
    x, y, z = axis / np.linalg.norm(axis)
    cross = np.array([[0, -z, y], [z, 0, -x], [-y, x, 0]])
    return np.eye(3) + np.sin(angle) * cross + (1 - np.cos(angle)) * cross @ cross


ROTATION = turned(np.array([0.3, 1.0, 0.2]), 0.7) @ np.diag([1.0, -1.0, -1.0])


def run_cliff(box: tuple[float, ...]):
    """Run a network of CLIFF's kind that always answers `ROTATION` and `WEAK`; also what it was fed."""
    config = HMRConfig(
        "resnet18", width=8, image_size=256, head=HeadConfig(hidden=8, extra_inputs=3, dropout=0.0), kind="cliff"
    )
    model = build_hmr(config).eval()
    for layer in (model.head.decpose, model.head.decshape, model.head.deccam):
        torch.nn.init.zeros_(layer.weight)
        torch.nn.init.zeros_(layer.bias)
    # CLIFF reads the six numbers as a 3 x 2 matrix: the first two columns, row by row.
    model.head.init_pose[0, :6] = torch.from_numpy(ROTATION[:, :2].reshape(6).copy())
    model.head.init_cam[0] = torch.from_numpy(WEAK)
    fed = []
    model.register_forward_pre_hook(lambda module, given: fed.append(given))
    body = stick_body()
    regressor = NetworkRegressor("cliff", Weights(model, config, body.name), body)
    camera = Camera(torch.tensor(float(FOCAL)), torch.tensor([WIDTH / 2, HEIGHT / 2]))
    blind = Detections(torch.zeros(1, 17, 2), torch.zeros(1, 17), torch.tensor([box]), "coco17")
    params = regressor(Image(gradient(), camera, "a.png"), blind, camera).params
    return fed[0][0][0].numpy(), fed[0][1][0].numpy(), params


def gradient() -> np.ndarray:
    y, x = np.mgrid[:HEIGHT, :WIDTH]
    return np.stack([x * 255.0 / WIDTH, y * 255.0 / HEIGHT, np.full_like(x, 90.0)], -1).round().astype(np.uint8)


def cliffs_box(box: tuple[float, ...]) -> tuple[float, float, float]:
    left, top, right, bottom = box
    return (left + right) / 2, (top + bottom) / 2, 1.1 * max((right - left) * 256 / 192, bottom - top)


@pytest.mark.parametrize("box", BOXES.values(), ids=BOXES)
def test_cliffs_crop_is_256_by_192_and_holds_the_box_at_its_own_shape(box):
    crop = run_cliff(box)[0]
    x, y, size = cliffs_box(box)
    assert crop.shape == (3, 256, 192)
    # Middles of the crop's pixels in the photo, where the middle of pixel 0 is 0.
    columns = x + ((np.arange(192) + 0.5) / 192 - 0.5) * size * 192 / 256 - 0.5
    rows = y + ((np.arange(256) + 0.5) / 256 - 0.5) * size - 0.5
    inside = (columns > 0) & (columns < WIDTH - 1), (rows > 0) & (rows < HEIGHT - 1)
    red, green = (crop[k] * IMAGENET[1, k] + IMAGENET[0, k] for k in (0, 1))
    assert np.abs(red[inside[1]][:, inside[0]] - columns[inside[0]] / WIDTH).max() < 0.5 / 255 + 1e-4
    assert np.abs(green[inside[1]][:, inside[0]] - rows[inside[1], None] / HEIGHT).max() < 0.5 / 255 + 1e-4
    outside = red[:, (columns < -1) | (columns > WIDTH)]
    assert np.abs(outside).max(initial=0.0) < 1e-5


@pytest.mark.parametrize("box", BOXES.values(), ids=BOXES)
def test_cliff_is_told_where_its_crop_lies(box):
    x, y, size = cliffs_box(box)
    expected = [
        *(2.8 * (x - WIDTH / 2) / FOCAL, 2.8 * (y - HEIGHT / 2) / FOCAL),
        (size - 0.24 * FOCAL) / (0.06 * FOCAL),
    ]
    np.testing.assert_allclose(run_cliff(box)[1], expected, rtol=1e-5)


@pytest.mark.parametrize("box", BOXES.values(), ids=BOXES)
def test_cliff_answers_in_the_photos_camera(box):
    params = run_cliff(box)[2]
    x, y, size = cliffs_box(box)
    scale, across, down = WEAK
    translation = [
        across + 2 * (x - WIDTH / 2) / (size * scale),
        down + 2 * (y - HEIGHT / 2) / (size * scale),
        2 * FOCAL / (size * scale),
    ]
    np.testing.assert_allclose(params.global_orient[0].numpy(), ROTATION, atol=1e-5)
    np.testing.assert_allclose(params.transl[0].numpy(), translation, rtol=1e-5)


@pytest.mark.parametrize("kind", ["fitloop", "spin"])
def test_the_other_kinds_cut_and_look_as_spin_does(kind):
    boxes = torch.tensor(list(BOXES.values()))
    camera = Camera(torch.full((2,), float(FOCAL)), torch.tensor([[WIDTH / 2, HEIGHT / 2]] * 2))
    crop, view = crop_of(RECIPES[kind], boxes), view_of(RECIPES[kind], boxes, camera)
    assert torch.equal(crop.side, crop_of_box(boxes).side) and torch.equal(crop.center, crop_of_box(boxes).center)
    assert torch.equal(view.rotation, view_of_boxes(boxes, camera).rotation)
    assert torch.equal(view.half_size, view_of_boxes(boxes, camera).half_size)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"kind": "cliff"}, "kind 'cliff' takes 3 numbers beside the features, the head is made for 0"),
        ({"kind": "spin", "encoder": "keypoints"}, "kind 'spin' reads RGB crops, the encoder is 'keypoints'"),
    ],
)
def test_a_kind_that_does_not_fit_the_network_is_refused(changes, words):
    with pytest.raises(ValueError, match=words):
        replace(HMRConfig("resnet18"), **changes)
