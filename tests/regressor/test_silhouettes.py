"""Silhouettes as supervision."""

from dataclasses import replace

import pytest
import torch
from toy import random_params

from fitloop.body import load_body
from fitloop.regressor import HMROutput, LossConfig
from fitloop.regressor.keypoint_encoder import KEYPOINT_NAMES
from fitloop.regressor.losses import Criterion, Supervision
from fitloop.regressor.silhouettes import SIZE, SilhouetteLoss
from fitloop.regressor.views import View

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
