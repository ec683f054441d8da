"""Poses that move from one body to another."""

import pytest
import torch
from toy import random_params, stick_body, toy_camera

from fitloop.body import BodyEstimate, load_body
from fitloop.body.transfer import transfer


@pytest.mark.parametrize("batch", [(), (3,)])
def test_the_other_body_takes_the_pose_and_stands_at_the_same_place(batch):
    source, target = stick_body(), load_body()
    estimate = BodyEstimate(random_params(*batch, seed=0), toy_camera(*batch), source.name)
    moved = transfer(estimate, source, target)
    assert moved.body == target.name
    torch.testing.assert_close(moved.params.body_pose, estimate.params.body_pose)
    before, after = source(estimate.params).joints, target(moved.params).joints
    torch.testing.assert_close(after[..., 0, :], before[..., 0, :])
    bone = lambda joints: torch.nn.functional.normalize(joints[..., 4, :] - joints[..., 1, :], dim=-1)  # noqa: E731
    assert ((bone(after) * bone(before)).sum(-1) > 0.9).all()


def test_an_estimate_of_another_body_is_refused():
    estimate = BodyEstimate(random_params(seed=0), toy_camera(), "smpl-1")
    with pytest.raises(ValueError, match="smpl-1.*stick-1"):
        transfer(estimate, stick_body(), load_body())
