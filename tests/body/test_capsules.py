"""Capsules follow the body they are fitted to."""

import dataclasses

import pytest
import torch
from toy import stick_body

from fitloop.body.capsules import PARTS, TRUNK, Capsules, fit_capsules, segment_distance
from fitloop.body.load import load_body
from fitloop.body.model import forward_kinematics
from fitloop.body.params import JOINT_NAMES, JOINT_PARENTS, upright


def fit(body) -> Capsules:
    return fit_capsules(body.template, body.shapedirs, body.joint_regressor, body.lbs_weights)


@pytest.fixture(scope="module")
def body():
    return load_body("open")


@pytest.fixture(scope="module")
def capsules(body):
    return fit(body)


def distance_outside(body, capsules, betas):
    """Of every vertex from the union of capsules, in the T-pose; negative inside."""
    vertices = body.template + torch.einsum("vcb,b->vc", body.shapedirs, betas)
    ends, radius = capsules.pose(torch.eye(3).expand(24, 3, 3), body.rest_joints(betas), betas)
    distance, _, _ = segment_distance(vertices[:, None], ends[None])
    return (distance - radius).amin(1)


def gaps(capsules, ends, radius):
    """Between the surfaces of all pairs, sampled along one axis of each."""
    first, second = capsules.pairs.T
    share = torch.linspace(0, 1, 41)[:, None, None]
    line = ends[first, 0] + share * (ends[first, 1] - ends[first, 0])
    return segment_distance(line, ends[second][None])[0].amin(0) - radius[first] - radius[second]


@pytest.mark.parametrize("axis", [None, 0, 1, 2, 3])
@pytest.mark.parametrize("sign", [-1.0, 1.0])
def test_capsules_cover_the_skin_of_every_shape(body, capsules, axis, sign):
    betas = torch.zeros(10)
    if axis is not None:
        betas[axis] = 2 * sign
    outside = distance_outside(body, capsules, betas)
    assert (outside.abs() < 0.03).float().mean() > 0.95
    assert outside.max() < 0.06


def test_dependence_on_shape_is_that_of_a_new_fit(body, capsules):
    betas = 0.5 * torch.randn(10, generator=torch.Generator().manual_seed(0))
    vertices = body.template + torch.einsum("vcb,b->vc", body.shapedirs, betas)
    again = fit(dataclasses.replace(body, template=vertices))
    eye = torch.eye(3).expand(24, 3, 3)
    ends, radius = capsules.pose(eye, body.rest_joints(betas), betas)
    joints = body.joint_regressor @ vertices
    ends_again, radius_again = again.pose(eye, joints, torch.zeros(10))
    assert (radius - radius_again).abs().max() < 0.004
    assert (ends - ends_again).norm(dim=-1).median() < 0.004
    assert (body.template - vertices).norm(dim=-1).max() > 0.03


def test_capsules_are_symmetric(capsules):
    mirror = torch.tensor([-1.0, 1.0, 1.0])
    for index, name in enumerate(capsules.names):
        if name.startswith("left_"):
            other = capsules.names.index(name.replace("left_", "right_"))
            assert (capsules.radius[index] - capsules.radius[other]).abs() < 0.004
            middle, middle_other = capsules.ends[index].mean(0), capsules.ends[other].mean(0)
            assert (middle - middle_other * mirror).norm() < 0.01


def test_sizes_are_human(capsules):
    radius = dict(zip(capsules.names, capsules.radius.tolist(), strict=True))
    assert 0.06 < radius["head"] < 0.12
    assert 0.06 < radius["left_thigh"] < 0.11
    assert 0.02 < radius["left_forearm"] < 0.05
    assert radius["left_shin"] < radius["left_thigh"]


def test_neighbours_never_collide_and_the_t_pose_is_free(body, capsules):
    neighbours = {(child, parent) for child, parent in enumerate(JOINT_PARENTS)}
    for first, second in capsules.pairs.tolist():
        assert not {capsules.names[first], capsules.names[second]} <= set(TRUNK)
        joints = [int(capsules.joint[first]), int(capsules.joint[second])]
        assert tuple(joints) not in neighbours
        assert tuple(joints[::-1]) not in neighbours
    ends, radius = capsules.pose(torch.eye(3).expand(24, 3, 3), body.rest_joints(torch.zeros(10)), torch.zeros(10))
    assert gaps(capsules, ends, radius).min() > 0


def test_a_forearm_through_the_chest_is_found(body, capsules):
    params = upright()
    pose = params.rotations.clone()
    pose[JOINT_NAMES.index("left_elbow")] = torch.matrix_exp(
        torch.tensor([[0.0, 0.0, -3.0], [0.0, 0.0, 0.0], [3.0, 0.0, 0.0]])
    )
    rotations, joints = forward_kinematics(pose, body.rest_joints(params.betas))
    ends, radius = capsules.pose(rotations, joints, params.betas)
    gap = gaps(capsules, ends, radius)
    touching = {tuple(capsules.names[i] for i in pair) for pair, g in zip(capsules.pairs, gap, strict=True) if g < 0}
    assert any("left_hand" in pair for pair in touching)
    assert not any(name.startswith("right_") for pair in touching for name in pair)


def test_posing_a_batch_is_posing_each(body, capsules):
    generator = torch.Generator().manual_seed(0)
    rotations = torch.linalg.qr(torch.randn(2, 3, 24, 3, 3, generator=generator)).Q
    joints, betas = torch.randn(2, 3, 24, 3, generator=generator), torch.randn(2, 3, 10, generator=generator)
    ends, radius = capsules.pose(rotations, joints, betas)
    for row in range(2):
        for column in range(3):
            one, one_radius = capsules.pose(rotations[row, column], joints[row, column], betas[row, column])
            torch.testing.assert_close(ends[row, column], one)
            torch.testing.assert_close(radius[row, column], one_radius)


def test_distance_from_a_segment():
    ends = torch.tensor([[0.0, 0.0, 0.0], [2.0, 0.0, 0.0]])
    points = torch.tensor([[1.0, 3.0, 0.0], [-4.0, 0.0, 3.0], [2.0, 0.0, -1.0]])
    distance, normal, along = segment_distance(points, ends)
    torch.testing.assert_close(distance, torch.tensor([3.0, 5.0, 1.0]))
    torch.testing.assert_close(along, torch.tensor([0.5, 0.0, 1.0]))
    torch.testing.assert_close(normal[1], torch.tensor([-0.8, 0.0, 0.6]))


def test_any_body_of_smpls_tree_gets_capsules():
    capsules = fit(stick_body())
    assert len(capsules.names) == len(PARTS)
    assert torch.isfinite(capsules.ends_dirs).all()
    assert (capsules.radius > 0).all()


def test_a_body_of_other_joints_is_refused(body):
    with pytest.raises(ValueError, match="24 joints"):
        fit_capsules(body.template, body.shapedirs, body.joint_regressor[:22], body.lbs_weights[:, :22])
