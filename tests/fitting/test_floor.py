"""Gravity, floor and feet of people whose true floor is known."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from fitloop.body import JOINT_NAMES, KeypointKinematics, load_body, upright
from fitloop.body.mirror import rest_pelvis, turn_params
from fitloop.fitting.contacts import foot_points, resting_points, runs, sliding
from fitloop.fitting.feet import hold_feet
from fitloop.fitting.floor import find_floor
from fitloop.geometry import rotvec_to_rotmat

RATE, FRAMES = 30.0, 60
PITCH = 0.35
"""Radians by which the camera looks down."""


@pytest.fixture(scope="module")
def body():
    return load_body("open")


def standing(body, place=(0.0, 0.0, 4.0), frames=FRAMES):
    """Somebody who stands with hanging arms, seen by a camera that looks down."""
    still = upright(frames)
    pose = still.body_pose.clone()
    for name, turn in (("left_shoulder", -1.2), ("right_shoulder", 1.2)):
        joint = JOINT_NAMES.index(name) - 1
        pose[:, joint] = rotvec_to_rotmat(torch.tensor([0.0, 0.0, turn]))
    still = replace(still, body_pose=pose, transl=still.transl + torch.tensor(place))
    tilt = rotvec_to_rotmat(torch.tensor([PITCH, 0.0, 0.0])).expand(frames, 3, 3)
    return turn_params(still, tilt, rest_pelvis(body, still.betas))


def true_up():
    return rotvec_to_rotmat(torch.tensor([PITCH, 0.0, 0.0])) @ torch.tensor([0.0, -1.0, 0.0])


def angle(first, second):
    return float(torch.rad2deg(torch.acos((first @ second).clamp(-1.0, 1.0))))


def test_gravity_is_found_from_people_who_stand(body):
    places = [(-1.0, 0.0, 3.0), (1.0, 0.0, 5.0), (0.5, 0.0, 7.0)]
    people = [standing(body, place) for place in places]
    seen = [torch.ones(FRAMES, dtype=torch.bool)] * 3
    floors = [floor for floor in find_floor(body, people, seen, RATE) if floor is not None]
    assert len(floors) == 3
    assert all(angle(floor.up, true_up()) < 4.0 for floor in floors)


def test_in_the_world_z_points_up_and_soles_are_on_the_floor(body):
    params = standing(body)
    (floor,) = find_floor(body, [params], [torch.ones(FRAMES, dtype=torch.bool)], RATE)
    assert floor is not None
    rotation, translation = floor.to_world()
    torch.testing.assert_close(rotation @ rotation.T, torch.eye(3), atol=1e-5, rtol=0)
    assert torch.linalg.det(rotation) == pytest.approx(1.0, abs=1e-5)
    placed = body(params[[0]]).vertices[0] @ rotation.T + translation
    assert abs(float(placed[:, 2].min())) < 0.02
    assert float(placed[:, 2].max()) > 1.4


def test_nobody_whose_feet_never_rest_gets_a_floor(body):
    params = standing(body)
    running = replace(params, transl=params.transl + torch.linspace(0.0, 4.0, FRAMES)[:, None] * torch.eye(3)[0])
    assert find_floor(body, [running], [torch.ones(FRAMES, dtype=torch.bool)], RATE) == [None]


def test_frames_without_evidence_say_nothing_of_the_floor(body):
    assert find_floor(body, [standing(body)], [torch.zeros(FRAMES, dtype=torch.bool)], RATE) == [None]


def test_feet_that_seem_to_slide_are_held_and_the_rest_of_the_body_hardly_moves(body):
    params = standing(body)
    drift = 0.02 * torch.sin(torch.linspace(0.0, 9.0, FRAMES))[:, None] * torch.tensor([1.0, 0.0, 2.0])
    sway = params.body_pose.clone()
    knee = JOINT_NAMES.index("left_knee") - 1
    bend = 0.15 * (1.0 + torch.sin(torch.linspace(0.0, 5.0, FRAMES)))[:, None] * torch.tensor([1.0, 0.0, 0.0])
    sway[:, knee] = sway[:, knee] @ rotvec_to_rotmat(bend)
    slid = replace(params, transl=params.transl + drift, body_pose=sway)
    points = foot_points(body, slid)
    resting = np.ones((FRAMES, 2, 2), dtype=bool)
    held = hold_feet(body, slid, resting, RATE)
    assert sliding(foot_points(body, held), resting, RATE) < 0.1 * sliding(points, resting, RATE)
    joints = [KeypointKinematics(body, ("head", "left_wrist"))(one) for one in (slid, held)]
    assert (joints[0] - joints[1]).norm(dim=-1).max() < 0.08
    assert torch.equal(held.betas, slid.betas)


def test_without_rest_nothing_is_held(body):
    params = standing(body)
    assert hold_feet(body, params, np.zeros((FRAMES, 2, 2), dtype=bool), RATE) is params


def test_a_foot_that_steps_rests_before_and_after():
    place = torch.zeros(FRAMES, 2, 2, 3)
    place[..., 2] = 4.0
    step = torch.linspace(0.0, 0.6, 10)
    place[25:35, 0, :, 0] = step[:, None]
    place[35:, 0, :, 0] = 0.6
    resting = resting_points(place, RATE)
    assert resting[:, 1].all()
    assert [end - start for start, end in runs(resting[:, 0, 0])] == [25, 25] or len(runs(resting[:, 0, 0])) == 2
    assert not resting[27:33, 0].any()


def test_what_travels_slowly_stands_on_something_that_moves():
    place = torch.zeros(FRAMES, 2, 2, 3)
    place[..., 2] = 4.0
    place[..., 0] = torch.linspace(0.0, 0.4, FRAMES)[:, None, None]
    assert not resting_points(place, RATE).any()
