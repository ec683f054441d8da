"""Silhouettes as supervision."""

from dataclasses import replace

import pytest
import torch
from toy import random_params

from fitloop.body import Detections, load_body
from fitloop.geometry import Camera
from fitloop.regressor import HMROutput, LossConfig
from fitloop.regressor.keypoint_encoder import KEYPOINT_NAMES
from fitloop.regressor.losses import Criterion, Supervision
from fitloop.regressor.silhouettes import SIZE, UNKNOWN, SilhouetteLoss, masks_in_view
from fitloop.regressor.views import View, view_of_boxes

FACING = torch.diag(torch.tensor([1.0, -1.0, -1.0]))
VIEW = View(torch.eye(3).expand(2, 3, 3), torch.tensor([0.3, 0.3]))


@pytest.fixture(scope="module")
def criterion():
    return Criterion(load_body(), KEYPOINT_NAMES, LossConfig(0.0, 0.0, 0.0, 0.0, silhouette=2.0))


def output(seed=0, spread=0.1):
    params = random_params(2, seed=seed, spread=spread)
    rotations = torch.cat([FACING.expand(2, 1, 3, 3), params.body_pose], 1)
    return HMROutput(rotations, torch.zeros(2, 10), torch.tensor([[0.9, 0.0, 0.1]]).repeat(2, 1))


def supervision(masks):
    points, sure = torch.zeros(2, len(KEYPOINT_NAMES), 3), torch.zeros(2, len(KEYPOINT_NAMES))
    rotations = torch.eye(3).expand(2, 24, 3, 3)
    return Supervision(points[..., :2], sure, points, sure, rotations, torch.zeros(2, 10), torch.zeros(2), masks)


def masks_of(criterion, answer):
    silhouettes = criterion.silhouettes
    place = torch.stack([answer.weak[:, 1], answer.weak[:, 2], 1.0 / (answer.weak[:, 0] * VIEW.half_size)], -1)
    return silhouettes.masks(answer.rotations, answer.betas, place, VIEW)


def test_a_body_in_its_own_mask_costs_less_than_a_wider_one_and_gradients_narrow_it(criterion):
    masks = masks_of(criterion, output())
    assert masks.shape == (2, SIZE, SIZE)
    assert 0.05 < float(masks.mean()) < 0.5
    wide = torch.full((2, 10), 0.0)
    wide[:, 1] = -3.0
    betas = wide.clone().requires_grad_()
    other = replace(output(), betas=betas)
    own, wider = (criterion(answer, VIEW, supervision(masks))["silhouette"] for answer in (output(), other))
    assert own < 0.85 * wider
    wider.backward()
    assert betas.grad is not None
    step = replace(output(), betas=wide - 0.3 * torch.nn.functional.normalize(betas.grad, dim=-1))
    assert criterion(step, VIEW, supervision(masks))["silhouette"] < wider


def test_people_without_a_mask_do_not_count(criterion):
    masks = masks_of(criterion, output())
    half = torch.stack([masks[0], torch.zeros_like(masks[1])])
    one = criterion(output(seed=3, spread=0.4), VIEW, supervision(half))["silhouette"]
    rows = replace(output(seed=3, spread=0.4))
    single = SilhouetteLoss(load_body())
    assert criterion(output(), VIEW, supervision(torch.zeros_like(masks)))["silhouette"] == 0.0
    assert one > 0.0
    assert "silhouette" not in criterion(rows, VIEW, replace(supervision(masks), masks=None))
    assert single.faces.shape[1] == 3


def test_masks_of_another_size_are_told(criterion):
    with pytest.raises(ValueError, match="bring them to one size"):
        criterion(output(), VIEW, supervision(torch.zeros(2, 64, 64)))


def test_pixels_of_which_nothing_is_known_do_not_count(criterion):
    own = masks_of(criterion, output())
    known = own.clone()
    known[:, SIZE // 2 :] = UNKNOWN
    wrong = own.clone()
    wrong[:, SIZE // 2 :] = 0.0
    losses = [criterion(output(), VIEW, supervision(masks))["silhouette"] for masks in (known, wrong)]
    assert losses[0] < 0.5 * losses[1]


def seen_by_a_detector(boxes):
    """Two people whose keypoints lie in their boxes; the silhouettes are the boxes' left halves."""
    corners = torch.stack([boxes[:, [0, 1]], boxes[:, [2, 1]], boxes[:, [2, 3]], boxes[:, [0, 3]]], 1)
    keypoints = torch.zeros(2, 17, 2)
    keypoints[:, :4] = 0.9 * corners + 0.1 * corners.mean(1, keepdim=True)
    sure = torch.zeros(2, 17)
    sure[:, :4] = 1.0
    grids = torch.zeros(2, 16, 16)
    grids[:, :, :8] = 1.0
    return Detections(keypoints, sure, boxes, "coco17", silhouettes=grids, silhouette_boxes=boxes)


BOXES = torch.tensor([[100.0, 100.0, 200.0, 200.0], [300.0, 100.0, 400.0, 200.0]])
CAMERA = Camera(torch.tensor([600.0, 600.0]), torch.tensor([[320.0, 240.0], [320.0, 240.0]]))


def test_a_detectors_silhouettes_come_out_where_they_lie_in_the_view():
    view = view_of_boxes(BOXES, CAMERA)
    masks = masks_in_view(seen_by_a_detector(BOXES), CAMERA, view)
    # The view is 1.2 boxes wide: the left half of the box lies in columns 1/12 to 1/2.
    middle = masks[0, SIZE // 2]
    assert middle[SIZE // 12 + 1 : SIZE // 2 - 1].min() == 1.0
    assert middle[: SIZE // 12].max() == middle[SIZE // 2 + 1 :].max() == 0.0


def test_nothing_is_known_beyond_the_photo():
    photo = torch.tensor([[150.0, 480.0], [640.0, 480.0]])
    masks = masks_in_view(seen_by_a_detector(BOXES), CAMERA, view_of_boxes(BOXES, CAMERA), photo)
    assert (masks[0, :, SIZE // 2 + 1 :] == UNKNOWN).all()
    assert (masks[1] >= 0.0).all()


def test_silhouettes_of_somebody_else_and_missing_ones_come_out_empty():
    seen, view = seen_by_a_detector(BOXES), view_of_boxes(BOXES, CAMERA)
    elsewhere = replace(seen, silhouette_boxes=BOXES + 90.0)
    assert not masks_in_view(elsewhere, CAMERA, view).any()
    without = replace(seen, silhouettes=None, silhouette_boxes=None)
    assert masks_in_view(without, CAMERA, view).shape == (2, SIZE, SIZE)
    assert not masks_in_view(without, CAMERA, view).any()
