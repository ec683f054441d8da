"""Fitting works where its inputs lie, and finds there what it finds on a CPU."""

import pytest
import torch
from fitting_scenes import estimate_of, see, start_near
from pretend import PRETEND
from toy import random_params, stick_body

from fitloop.body import SurfaceEvidence
from fitloop.fitting import AFTER_REGRESSION, FitConfig, StageConfig, fit

CONFIGS = {
    "after a regressor": AFTER_REGRESSION,
    "from several starts": FitConfig(starts=("init", "mean", "side"), camera_init="torso", limb_flips=("left_arm",)),
    "limb by limb": FitConfig(stages=(StageConfig(interpenetration=1.0, place_prior=1.0, depth_prior=1.0),)),
}


@pytest.mark.parametrize("name", CONFIGS)
def test_a_fit_on_another_device_is_the_fit_on_a_cpu(pretend_device, name):
    body, truth = stick_body(pose_correctives=True), random_params(2, seed=0)
    detections, start = see(body, estimate_of(truth, body)), estimate_of(start_near(truth), body)
    detections.confidence[1, 3:] = 0.0
    seen = SurfaceEvidence((1, 5, 9), torch.full((2, 3, 2), 300.0), torch.ones(2, 3))
    expected = fit(body, detections, start, CONFIGS[name], seen)
    moved = (one.to(PRETEND) for one in (body, detections, start))
    found = fit(*moved, CONFIGS[name], seen.to(PRETEND))  # pyright: ignore[reportCallIssue]
    assert {found.energy.device, found.status.device, found.estimate.params.betas.device} == {PRETEND}
    assert found.status.tolist() == expected.status.tolist()
    torch.testing.assert_close(found.energy.cpu(), expected.energy, atol=0.1, rtol=0.01)
