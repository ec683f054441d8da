from dataclasses import replace

import pytest
import torch
from fitting_scenes import estimate_of, see
from toy import random_params, stick_body

from fitloop.body import KeypointKinematics, convention_named
from fitloop.body.params import JOINT_NAMES
from fitloop.fitting import FitConfig, StageConfig, Status, fit
from fitloop.fitting.motion import MotionConfig, bridged, fit_motion, windows
from fitloop.geometry import rotvec_to_rotmat

FRAMES = 40
FIT = FitConfig(stages=(StageConfig(pose_prior=1.0, angle_prior=0.0),))
CONFIG = MotionConfig(fit=FIT)


def swinging(body, frames=FRAMES):
    base = random_params(1, seed=0).map(lambda tensor: tensor.expand(frames, *tensor.shape[1:]).clone())
    time = torch.linspace(0.0, 1.0, frames)
    swing = torch.zeros(frames, 3)
    swing[:, 1] = 0.6 * torch.sin(3.0 * time)
    pose = base.body_pose.clone()
    pose[:, 17] = pose[:, 17] @ rotvec_to_rotmat(swing)
    return estimate_of(replace(base, body_pose=pose, transl=base.transl + 0.2 * time[:, None]), body)


def observed(body, truth, seed):
    """Keypoints with three pixels of noise and 3D landmarks with two centimetres, as a detector gives them."""
    seen, random = see(body, truth, "coco17"), torch.Generator().manual_seed(seed)
    names = tuple(str(name) for name in convention_named("coco17").landmarks)
    points = KeypointKinematics(body, names)(truth.params)
    landmarks = points - points[:, 11:13].mean(1, keepdim=True)
    return replace(
        seen,
        keypoints=seen.keypoints + 3.0 * torch.randn(seen.keypoints.shape, generator=random),
        landmarks=landmarks + 0.02 * torch.randn(landmarks.shape, generator=random),
        landmark_confidence=seen.confidence.clone(),
    )


@pytest.fixture(scope="module")
def video():
    body = stick_body()
    truth = swinging(body)
    return body, truth, observed(body, truth, 1)


def joints(body, estimate):
    """Relative to the pelvis: how far away a stick figure is, one camera hardly tells."""
    found = KeypointKinematics(body, JOINT_NAMES)(estimate.params)
    return found - found[:, :1]


def test_a_motion_is_smoother_than_its_frames_and_closer_to_the_truth(video):
    body, truth, detections = video
    alone = joints(body, fit(body, detections, truth, FIT).estimate)
    smooth = joints(body, fit_motion(body, detections, truth, 30.0, CONFIG).estimate)
    exact = joints(body, truth)
    first, second, true = (points.diff(n=2, dim=0) for points in (alone, smooth, exact))
    assert (second - true).norm(dim=-1).mean() < (first - true).norm(dim=-1).mean() / 3.0
    assert (smooth - exact).norm(dim=-1).mean() < (alone - exact).norm(dim=-1).mean()


def test_smoothing_does_not_lag(video):
    body, truth, detections = video
    smooth = joints(body, fit_motion(body, detections, truth, 30.0, CONFIG).estimate)
    exact = joints(body, truth)
    wrist = JOINT_NAMES.index("left_wrist")
    path, true = (points[:, wrist] - points[:, wrist].mean(0) for points in (smooth, exact))
    inner = slice(3, FRAMES - 3)
    off = {lag: float((path.roll(lag, 0) - true)[inner].square().sum()) for lag in range(-3, 4)}
    assert abs(min(off, key=off.get)) <= 1


def test_one_person_has_one_shape(video):
    body, truth, detections = video
    betas = fit_motion(body, detections, truth, 30.0, CONFIG).estimate.params.betas
    assert torch.equal(betas, betas[:1].expand_as(betas))


def test_windows_leave_no_seam(video):
    body, truth, detections = video
    whole = fit_motion(body, detections, truth, 30.0, CONFIG)
    parts = fit_motion(body, detections, truth, 30.0, replace(CONFIG, window=20, overlap=10))
    one, other = joints(body, whole.estimate), joints(body, parts.estimate)
    assert (one - other).norm(dim=-1).max() < 0.03
    # A seam would be a jump: far more acceleration in one frame than anywhere in a motion that was solved at once.
    bends = [points.diff(n=2, dim=0).norm(dim=-1).mean(-1).max() for points in (one, other)]
    assert bends[1] < 1.5 * bends[0]


def test_frames_without_evidence_are_bridged_and_say_so(video):
    body, truth, detections = video
    confidence = detections.confidence.clone()
    confidence[15:21] = 0.0
    found = fit_motion(body, replace(detections, confidence=confidence), truth, 30.0, CONFIG)
    assert (found.status[15:21] == Status.NOT_ENOUGH_EVIDENCE).all()
    assert (found.status[:15] < Status.NOT_ENOUGH_EVIDENCE).all()
    off = (joints(body, found.estimate) - joints(body, truth)).norm(dim=-1).mean(-1)
    assert off[15:21].max() < 3.0 * off[:15].mean()


def test_the_weights_mean_the_same_accelerations_at_another_rate(video):
    body, truth, detections = video
    twice = swinging(body, 2 * FRAMES)
    fast = fit_motion(body, observed(body, twice, 2), twice, 60.0, CONFIG)
    off = (joints(body, fast.estimate) - joints(body, twice)).norm(dim=-1).mean()
    slow = fit_motion(body, detections, truth, 30.0, CONFIG)
    assert off < 1.1 * (joints(body, slow.estimate) - joints(body, truth)).norm(dim=-1).mean()


@pytest.mark.parametrize("count", [1, 2, 3])
def test_short_motions_are_fitted(video, count):
    body, truth, detections = video
    found = fit_motion(body, detections[:count], truth[:count], 30.0, CONFIG)
    assert found.energy.shape == (count,)
    assert torch.isfinite(found.estimate.params.transl).all()


def test_inputs_are_left_alone(video):
    body, truth, detections = video
    before = detections.map(torch.clone), truth.map(torch.clone)
    fit_motion(body, detections[:5], truth[:5], 30.0, CONFIG)
    assert torch.equal(before[0].keypoints, detections.keypoints)
    assert torch.equal(before[1].params.betas, truth.params.betas)


def test_windows_cover_every_frame_and_overlap():
    assert list(windows(25, 10, 4)) == [(0, 10), (6, 16), (12, 22), (18, 25)]
    assert list(windows(10, 10, 4)) == [(0, 10)]


def test_bridges_are_even_and_ends_stay():
    state = torch.zeros(5, 94)
    state[:, 72:81] = torch.eye(3).flatten()
    state[1, 81], state[3, 81] = 1.0, 3.0
    filled = bridged(state, torch.tensor([False, True, False, True, False]))
    assert filled[:, 81].tolist() == [1.0, 1.0, 2.0, 3.0, 3.0]


@pytest.mark.parametrize("bad", [{"turn": -1.0}, {"overlap": 1}, {"window": 10, "overlap": 9}])
def test_impossible_settings_are_refused(bad):
    with pytest.raises(ValueError, match="got"):
        MotionConfig(**bad)


def test_a_rate_that_is_none_is_refused(video):
    body, truth, detections = video
    with pytest.raises(ValueError, match="frame_rate must be positive"):
        fit_motion(body, detections, truth, 0.0)
