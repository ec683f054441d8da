"""Tuning a network to one photo."""

from dataclasses import replace

import pytest
import torch

from fitloop.body import BodyParams, Detections, KeypointKinematics, convention_named, load_body
from fitloop.geometry import camera_of, project, rotvec_to_rotmat
from fitloop.regressor import LossConfig, load_regressor
from fitloop.regressor.photo_tuning import TuningConfig, tuned_estimate
from fitloop.regressor.regressor import NetworkRegressor

NAMES = tuple(str(name) for name in convention_named("coco17").landmarks)


@pytest.fixture(scope="module")
def scene():
    body = load_body()
    pose = 0.3 * torch.randn(1, 23, 3, generator=torch.Generator().manual_seed(0))
    facing = torch.diag(torch.tensor([1.0, -1.0, -1.0]))[None]
    params = BodyParams(facing, rotvec_to_rotmat(pose), torch.zeros(1, 10), torch.tensor([[0.0, -0.2, 4.0]]))
    camera = camera_of(640, 480).map(lambda tensor: tensor.expand(1, *tensor.shape).clone())
    pixels = project(KeypointKinematics(body, NAMES)(params), camera)
    boxes = torch.cat([pixels.amin(1), pixels.amax(1)], -1)
    regressor = load_regressor("keypoints", body)
    assert isinstance(regressor, NetworkRegressor)
    return body, regressor, Detections(pixels, torch.ones(1, 17), boxes, "coco17"), camera


def distance(body, estimate, seen):
    pixels = project(KeypointKinematics(body, NAMES)(estimate.params), estimate.camera)
    return float((pixels - seen.keypoints).norm(dim=-1).mean())


def test_the_tuned_network_comes_nearer_and_the_old_one_stays(scene):
    body, regressor, seen, camera = scene
    before = regressor(None, seen, camera)
    tuned = tuned_estimate(regressor, None, seen, camera, TuningConfig(steps=15))
    assert distance(body, tuned, seen) < 0.9 * distance(body, before, seen)
    after = regressor(None, seen, camera)
    assert torch.equal(after.params.body_pose, before.params.body_pose)


def test_masks_count_where_the_loss_asks_for_them(scene):
    _, regressor, seen, camera = scene
    config = TuningConfig(steps=1, loss=replace(LossConfig(1.0, 0.0, 0.0, 0.0), silhouette=1.0))
    with pytest.raises(ValueError, match="bring them to one size"):
        tuned_estimate(regressor, None, seen, camera, config, torch.ones(1, 7, 7))
    plain = tuned_estimate(regressor, None, seen, camera, config)
    masked = tuned_estimate(regressor, None, seen, camera, config, torch.ones(1, 32, 32))
    assert not torch.equal(plain.params.betas, masked.params.betas)


def test_steps_and_rate_must_move_something():
    with pytest.raises(ValueError, match="at least one step"):
        TuningConfig(steps=0)
