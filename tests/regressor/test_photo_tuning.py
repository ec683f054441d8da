"""Tuning a network to one photo."""

from dataclasses import replace

import pytest
import torch

from fitloop.body import BodyParams, Detections, KeypointKinematics, convention_named, load_body
from fitloop.geometry import camera_of, concatenate, project, rotvec_to_rotmat
from fitloop.regressor import load_regressor
from fitloop.regressor.photo_tuning import PhotoTuner, TuningConfig
from fitloop.regressor.regressor import NetworkRegressor
from fitloop.regressor.silhouettes import SIZE

ZERO = torch.zeros(1, SIZE, SIZE)
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
    tuned = PhotoTuner(regressor, TuningConfig(steps=15))(None, seen, camera)
    assert distance(body, tuned.estimate, seen) < 0.9 * distance(body, before, seen)
    assert tuned.steps.tolist() == [15]
    after = regressor(None, seen, camera)
    assert torch.equal(after.params.body_pose, before.params.body_pose)


def test_masks_count_where_the_loss_asks_for_them(scene):
    _, regressor, seen, camera = scene
    tuner = PhotoTuner(regressor, TuningConfig(steps=1))
    with pytest.raises(ValueError, match="bring them to one size"):
        tuner(None, seen, camera, torch.ones(1, 7, 7))
    plain, empty, masked = (tuner(None, seen, camera, masks) for masks in (None, ZERO, torch.ones(1, SIZE, SIZE)))
    assert torch.equal(plain.estimate.params.betas, empty.estimate.params.betas)
    assert not torch.equal(plain.estimate.params.betas, masked.estimate.params.betas)
    without = PhotoTuner(regressor, TuningConfig(steps=1, silhouette=0.0))(None, seen, camera, torch.ones(1, 7, 7))
    assert torch.equal(without.estimate.params.betas, plain.estimate.params.betas)


def test_the_detectors_own_silhouette_serves_as_mask(scene):
    body, regressor, seen, camera = scene
    tuner = PhotoTuner(regressor, TuningConfig(steps=3))
    everywhere = replace(seen, silhouettes=torch.ones(1, 16, 16), silhouette_boxes=seen.boxes)
    plain, wide = tuner(None, seen, camera), tuner(None, everywhere, camera)
    assert not torch.equal(plain.estimate.params.betas, wide.estimate.params.betas)


def test_each_person_is_tuned_to_alone(scene):
    _, regressor, seen, camera = scene
    other = replace(seen, keypoints=seen.keypoints.flip(-2))
    tuner = PhotoTuner(regressor, TuningConfig(steps=2))
    both = tuner(None, concatenate([seen, other]), concatenate([camera, camera]))
    alone = tuner(None, seen, camera)
    torch.testing.assert_close(both.estimate.params.betas[:1], alone.estimate.params.betas, atol=1e-4, rtol=1e-4)


def test_who_has_hardly_a_keypoint_keeps_the_guess(scene):
    _, regressor, seen, camera = scene
    sure = seen.confidence.clone()
    sure[:, 2:] = 0.0
    blind = replace(seen, confidence=sure)
    tuned = PhotoTuner(regressor, TuningConfig(steps=2))(None, blind, camera)
    assert tuned.steps.tolist() == [0]
    assert torch.equal(tuned.estimate.params.betas, regressor(None, blind, camera).params.betas)


def test_a_tuning_that_leaves_the_finite_numbers_is_thrown_away(scene):
    _, regressor, seen, camera = scene
    tuned = PhotoTuner(regressor, TuningConfig(steps=2, learning_rate=1e30))(None, seen, camera)
    assert tuned.steps.tolist() == [0]
    assert torch.equal(tuned.estimate.params.betas, regressor(None, seen, camera).params.betas)


def test_nobody_is_tuned_to_nothing(scene):
    _, regressor, seen, camera = scene
    assert len(PhotoTuner(regressor)(None, seen[:0], camera[:0]).steps) == 0


def test_frames_of_a_track_share_one_network_and_hold_each_other(scene):
    body, regressor, seen, camera = scene
    count = 7
    noise = 6.0 * torch.randn(count, 17, 2, generator=torch.Generator().manual_seed(1))
    frames = concatenate([seen] * count)
    frames, cameras = replace(frames, keypoints=frames.keypoints + noise), concatenate([camera] * count)

    def shaking(motion):
        tuned = PhotoTuner(regressor, TuningConfig(steps=8, motion=motion)).track(frames, cameras)
        joints = KeypointKinematics(body, NAMES)(replace(tuned.estimate.params, transl=torch.zeros(count, 3)))
        return float((joints[1:-1] - 0.5 * (joints[:-2] + joints[2:])).norm(dim=-1).mean())

    assert shaking(3.0) < 0.9 * shaking(0.0)


def test_networks_that_answer_for_the_photos_camera_come_nearer_too(scene):
    """SPIN's and CLIFF's heads place another point, in another frame."""
    body, regressor, seen, camera = scene
    config = replace(regressor.weights.config, camera_point="origin")
    other = NetworkRegressor("other", replace(regressor.weights, config=config), body)
    given = other.look(None, seen, camera)
    tuning = PhotoTuner(other).begin(given)
    before = float(tuning.loss().detach())
    for _ in range(10):
        tuning.step()
    assert float(tuning.loss().detach()) < 0.8 * before


def test_steps_and_rate_must_move_something():
    with pytest.raises(ValueError, match="at least one step"):
        TuningConfig(steps=0)
