from math import pi
from typing import Any

import pytest
import torch
from toy import random_params, stick_body

from fitloop.body import KeypointKinematics, convention_named
from fitloop.body.params import JOINT_PARENTS
from fitloop.fitting.coordinates import exponential, logarithm, pack, unpack, wrap
from fitloop.fitting.landmark_tables import make_tables
from fitloop.fitting.landmarks import move, place, pull
from fitloop.geometry.rotations import rotmat_to_rotvec, rotvec_to_rotmat

NAMES = tuple(dict.fromkeys(str(name) for name in convention_named("body25").landmarks))


@pytest.fixture(scope="module", params=[False, True], ids=["plain", "correctives"])
def kinematics(request):
    return KeypointKinematics(stick_body(request.param).to(torch.float64), NAMES)


def directions(batch, count):
    return torch.eye(3, dtype=torch.float64)[None, :, :, None].expand(batch, 3, 3, count)


def test_packing_keeps_the_body():
    params = random_params(4, dtype=torch.float64)
    again = unpack(pack(params))
    torch.testing.assert_close(again.rotations, params.rotations, atol=1e-7, rtol=0)
    torch.testing.assert_close(again.transl, params.transl)
    torch.testing.assert_close(again.betas, params.betas)


@pytest.mark.parametrize("size", [0.0, 1e-7, 1e-3, 0.5, 3.0, 3.1415926])
def test_exponential_and_its_jacobian_hold_from_zero_to_pi(size):
    axis = torch.nn.functional.normalize(torch.randn(5, 3, dtype=torch.float64), dim=-1)
    rotation, jacobian = exponential(size * axis)
    torch.testing.assert_close(rotation, rotvec_to_rotmat(size * axis), atol=1e-6, rtol=0)
    step = 1e-5
    for column in range(3):
        shift = step * torch.eye(3, dtype=torch.float64)[column]
        moved, _ = exponential(size * axis + shift)
        turned = rotation @ exponential(step * jacobian[..., column])[0]
        torch.testing.assert_close(moved, turned, atol=1e-8, rtol=0)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("size", [0.0, 1e-7, 1e-3, 1.0, 2.5, 3.14, pi - 1e-6])
def test_logarithm_is_that_of_the_rotations_library(size, dtype):
    axis = torch.nn.functional.normalize(torch.randn(500, 3, generator=torch.Generator().manual_seed(1)), dim=-1)
    rotation = rotvec_to_rotmat(size * axis.double()).to(dtype)
    found = logarithm(rotation)
    close: dict[str, Any] = {"atol": 2e-6 if dtype == torch.float32 else 1e-12, "rtol": 0.0}
    torch.testing.assert_close(rotvec_to_rotmat(found), rotation, **close)
    torch.testing.assert_close(found.norm(dim=-1), rotmat_to_rotvec(rotation).norm(dim=-1), **close)


def test_a_turn_by_half_a_circle_has_a_logarithm():
    for axis in torch.eye(3):
        rotation = 2.0 * axis[:, None] * axis - torch.eye(3)
        torch.testing.assert_close(logarithm(rotation).abs(), pi * axis)


def test_exponential_is_right_in_float32_near_zero():
    vector = 1e-4 * torch.randn(100, 3)
    for single, double in zip(exponential(vector), exponential(vector.double()), strict=True):
        torch.testing.assert_close(single.double(), double, atol=2e-7, rtol=0)


def test_wrapping_keeps_the_rotation_and_shortens_the_vector():
    vector = 4.0 * torch.randn(50, 3, dtype=torch.float64)
    wrapped = wrap(vector)
    assert (wrapped.norm(dim=-1) <= torch.pi + 1e-9).all()
    torch.testing.assert_close(exponential(wrapped)[0], exponential(vector)[0], atol=1e-9, rtol=0)


@pytest.mark.parametrize("free", [tuple(range(24)), (0,), (3, 16, 18), (0, 2, 5, 12)])
def test_points_are_those_of_the_kinematics(kinematics, free):
    params = random_params(3, dtype=torch.float64)
    placed = place(make_tables(kinematics, free), pack(params))
    torch.testing.assert_close(placed.points.mT, kinematics(params), atol=1e-8, rtol=0)


def test_shape_moments_are_those_of_a_loop_over_shares_and_the_bones_above_them():
    moments = KeypointKinematics(stick_body(), NAMES)
    dirs, landmarks = moments.joint_dirs, len(moments.gather)
    expected = torch.zeros(24, 3, 10, landmarks)
    for pair, (landmark, joint) in enumerate(zip(moments.pair_landmark, moments.pair_joint, strict=True)):
        mass = moments.pair_mass[pair]
        expected[joint, :, :, landmark] += moments.pair_dirs[pair] - mass * dirs[joint]
        while joint > 0:
            parent = JOINT_PARENTS[joint]
            expected[parent, :, :, landmark] += mass * (dirs[joint] - dirs[parent])
            joint = parent
    found = make_tables(moments, (0,)).shape_moment
    assert torch.equal(found, expected.flatten(2).flatten(0, 1)), "to the last bit, so that fits stay the same"


@pytest.mark.parametrize(
    ("free", "transl", "betas"),
    [(tuple(range(24)), True, True), ((0,), True, False), ((3, 16, 18), False, True), ((0, 2, 5, 12), False, False)],
)
def test_derivatives_match_finite_differences(kinematics, free, transl, betas):
    params = random_params(2, dtype=torch.float64)
    tables, state = make_tables(kinematics, free, transl, betas), pack(params)
    lines = pull(tables, place(tables, state), directions(2, len(NAMES)))
    assert lines.shape == (2, 3 * len(free) + 3 * transl + 10 * betas, 3 * len(NAMES))
    for unknown in range(lines.shape[1]):
        step = torch.zeros(2, lines.shape[1], dtype=torch.float64)
        step[:, unknown] = 1e-6
        ahead = place(tables, move(tables, state, step)).points
        behind = place(tables, move(tables, state, -step)).points
        numeric = ((ahead - behind) / 2e-6).flatten(1)
        torch.testing.assert_close(lines[:, unknown], numeric, atol=1e-7, rtol=0)


def test_a_step_moves_only_what_is_free():
    params = random_params(2, dtype=torch.float64)
    kinematics = KeypointKinematics(stick_body().to(torch.float64), NAMES)
    tables = make_tables(kinematics, (0, 4), transl=False, betas=False)
    moved = unpack(move(tables, pack(params), torch.full((2, 6), 0.1, dtype=torch.float64)))
    changed = (moved.rotations - params.rotations).abs().amax((0, 2, 3)) > 1e-6
    assert changed.nonzero()[:, 0].tolist() == [0, 4]
    assert torch.equal(moved.transl, params.transl)
    assert torch.equal(moved.betas, params.betas)
