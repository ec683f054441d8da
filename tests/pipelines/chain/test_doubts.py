"""Bodies that can hardly be right are told, ordinary ones are not."""

from dataclasses import replace

import pytest
import torch
from fitting_scenes import see
from toy import stick_body, toy_camera

from fitloop.body import BodyEstimate, upright
from fitloop.fitting import Fit, Status
from fitloop.geometry import rotvec_to_rotmat
from fitloop.pipelines.chain.doubts import with_doubts
from fitloop.pipelines.chain.people import People

BODY = stick_body()


def two(off: float = 0.0, status: Status = Status.CONVERGED, **changed) -> People:
    """Two people upright, the second changed; the keypoints of the second lie ``off`` of its box beside its body."""
    params = upright(2)
    params = replace(params, transl=torch.tensor([[0.0, 0.0, 4.0]]).repeat(2, 1))
    values = {name: torch.stack([getattr(params, name)[0], value]) for name, value in changed.items()}
    estimate = BodyEstimate(replace(params, **values), toy_camera(2), BODY.name)
    numbers = torch.arange(2)
    states = torch.tensor([int(Status.CONVERGED), int(status)])
    fitted = Fit(estimate, torch.tensor([500.0, 500.0]), states, numbers, numbers)
    seen = see(BODY, estimate)
    side = float((seen.boxes[1, 2:] - seen.boxes[1, :2]).max())
    moved = torch.stack([seen.keypoints[0], seen.keypoints[1] + off * side * torch.tensor([0.6, 0.8])])
    seen = replace(seen, keypoints=moved)
    return People("a.jpg", BODY, seen, estimate, fitted, notices=("Before.",))


def bent() -> torch.Tensor:
    pose = upright(1).body_pose[0].clone()
    pose[:] = rotvec_to_rotmat(torch.tensor([0.0, 2.5, 0.0]))
    return pose


@pytest.mark.parametrize(
    ("people", "words"),
    [
        (two(off=0.05), "Person 1 is probably wrong.*focal length"),
        (two(off=float("nan")), "Person 1 is probably wrong"),
        (two(body_pose=bent()), "Person 1 is doubtful: hardly anybody bends"),
        (two(betas=torch.full_like(upright(1).betas[0], 7.0)), "Person 1 is doubtful: its bones"),
    ],
)
def test_a_body_that_can_hardly_be_right_is_told(people, words):
    import re

    before, told = with_doubts(people).notices
    assert before == "Before." and re.match(words, told)


def test_ordinary_bodies_and_those_without_evidence_are_not_told():
    for people in (two(), two(off=0.03), two(off=1.0, status=Status.NOT_ENOUGH_EVIDENCE), replace(two(), fitted=None)):
        assert with_doubts(people).notices == ("Before.",)
