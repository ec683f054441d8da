"""The fast fitter against the plain one: same energy, lower result."""

from dataclasses import replace

import pytest
import torch
from fitting_scenes import estimate_of, see, start_near
from toy import random_params, stick_body

from fitloop.fitting import FitConfig, SolverConfig, StageConfig, fit
from fitloop.fitting.reference import ReferenceConfig, ReferenceFitter

STAGE = StageConfig(pose_prior=4.78, angle_prior=15.2, shape_prior=5.0, landmarks=0.0)


@pytest.fixture(scope="module")
def scene():
    body = stick_body()
    truth = estimate_of(random_params(3, seed=0), body)
    return body, see(body, truth, "body25"), estimate_of(start_near(truth.params, spread=0.3), body)


def test_both_fitters_count_the_same_energy(scene):
    body, detections, init = scene
    nothing = FitConfig(
        stages=(replace(STAGE, solver=SolverConfig(max_steps=0)),),
        robust_scale=100.0,
        camera_init="none",
    )
    ours = fit(body, detections, init, nothing)
    theirs = ReferenceFitter(body, "body25", ReferenceConfig(steps=0)).fit(detections, init)
    torch.testing.assert_close(ours.energy, theirs.energy, rtol=2e-4, atol=0.1)


def test_levenberg_marquardt_ends_no_higher_than_adam(scene):
    body, detections, init = scene
    ours = fit(body, detections, init, FitConfig(stages=(STAGE,), robust_scale=100.0))
    theirs = ReferenceFitter(body, "body25", ReferenceConfig(steps=40)).fit(detections, init)
    assert (ours.energy < theirs.energy).all()


def test_the_quirk_of_spin_leaves_hips_and_neck_out_and_the_caller_s_tensors_alone(scene):
    body, detections, init = scene
    before = detections.confidence.clone()
    plain = ReferenceFitter(body, "body25", ReferenceConfig(steps=5)).fit(detections, init)
    quirky = ReferenceFitter(body, "body25", ReferenceConfig(steps=5, spin_compat=True)).fit(detections, init)
    assert torch.equal(detections.confidence, before)
    assert not torch.allclose(plain.estimate.params.body_pose, quirky.estimate.params.body_pose)
