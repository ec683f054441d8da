from dataclasses import replace

import pytest
import torch
from fitting_scenes import estimate_of, see
from toy import random_params, stick_body

from fitloop.body import KeypointKinematics
from fitloop.body.params import JOINT_NAMES
from fitloop.fitting import FitConfig, SequenceConfig, StageConfig, Status, fit, fit_sequence
from fitloop.geometry import rotvec_to_rotmat

FRAMES = 13
CONFIG = FitConfig(stages=(StageConfig(pose_prior=1.0, angle_prior=0.0),))


@pytest.fixture(scope="module")
def video():
    body = stick_body()
    base = random_params(1, seed=0).map(lambda tensor: tensor.expand(FRAMES, *tensor.shape[1:]).clone())
    time = torch.linspace(0.0, 1.0, FRAMES)
    swing = torch.zeros(FRAMES, 3)
    swing[:, 1] = 0.6 * time
    pose = base.body_pose.clone()
    pose[:, 17] = pose[:, 17] @ rotvec_to_rotmat(swing)
    truth = estimate_of(replace(base, body_pose=pose, transl=base.transl + 0.2 * time[:, None]), body)
    detections = see(body, truth, "coco17")
    noise = 4.0 * torch.randn(detections.keypoints.shape, generator=torch.Generator().manual_seed(1))
    return body, truth, replace(detections, keypoints=detections.keypoints + noise)


def joints(body, estimate):
    return KeypointKinematics(body, JOINT_NAMES)(estimate.params)


def test_smoothing_takes_the_jitter_away_and_comes_closer_to_the_truth(video):
    body, truth, detections = video
    alone = fit(body, detections, truth, CONFIG)
    smooth = fit_sequence(body, detections, truth, SequenceConfig(fit=CONFIG))
    first, second = joints(body, alone.estimate), joints(body, smooth.estimate)
    assert second.diff(n=2, dim=0).norm(dim=-1).mean() < 0.5 * first.diff(n=2, dim=0).norm(dim=-1).mean()
    exact = joints(body, truth)
    assert (second - exact).norm(dim=-1).mean() < (first - exact).norm(dim=-1).mean()


def test_a_frame_without_evidence_is_carried_by_its_neighbours_and_says_so(video):
    body, truth, detections = video
    confidence = detections.confidence.clone()
    confidence[6] = 0.0
    far = replace(truth, params=replace(truth.params, transl=truth.params.transl.clone()))
    far.params.transl[6] += 3.0
    smooth = fit_sequence(body, replace(detections, confidence=confidence), far, SequenceConfig(fit=CONFIG))
    assert smooth.status[6] == Status.NOT_ENOUGH_EVIDENCE
    places = joints(body, smooth.estimate)[:, 0]
    assert (places[6] - 0.5 * (places[5] + places[7])).norm() < 0.05


def test_a_sequence_has_one_axis(video):
    body, truth, detections = video
    with pytest.raises(ValueError, match="one batch axis"):
        fit_sequence(body, detections[0], truth[0])


def test_weights_must_not_be_negative():
    with pytest.raises(ValueError, match="must not be negative"):
        SequenceConfig(rotation=-1.0)
