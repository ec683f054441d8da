"""Every term against its plain twin and against finite differences, alone and all together."""

from dataclasses import replace

import pytest
import torch
from toy import random_params, stick_body

from fitloop.body import KeypointKinematics, convention_named
from fitloop.fitting import StageConfig, load_pose_prior
from fitloop.fitting.coordinates import ORIENT, POSE, pack
from fitloop.fitting.interpenetration import interpenetration, make_capsule_tables
from fitloop.fitting.landmark_tables import make_tables
from fitloop.fitting.problem import BodyProblem, Evidence, make_stage_tables
from fitloop.fitting.terms import (
    angle_prior,
    centre_landmarks,
    geman_mcclure,
    landmarks_3d,
    pose_prior,
    reprojection,
    shape_prior,
)
from fitloop.geometry.rotations import right_jacobian_inverse, rotmat_to_rotvec

NAMES = tuple(str(name) for name in convention_named("coco17").landmarks)
OFF = StageConfig(pose_prior=0.0, angle_prior=0.0, shape_prior=0.0, landmarks=0.0)
ROWS = 3


@pytest.fixture(scope="module")
def body():
    return stick_body().to(torch.float64)


@pytest.fixture(scope="module")
def evidence(body):
    seen = KeypointKinematics(body, NAMES)(random_params(ROWS, seed=5, dtype=torch.float64))
    generator = torch.Generator().manual_seed(0)
    confidence = torch.rand(ROWS, len(NAMES), generator=generator, dtype=torch.float64)
    confidence[:, 3] = 0.0
    pixels = 300.0 * seen[..., :2] / seen[..., 2:]
    focal = torch.full((ROWS,), 300.0, dtype=torch.float64)
    return Evidence(pixels.mT, confidence, focal, centre_landmarks(seen.mT, confidence))


def problem_of(body, evidence, stage, scale=30.0):
    kinematics = KeypointKinematics(body, NAMES)
    free = tuple(range(20))
    capsules = make_capsule_tables(body, free, True, True) if stage.interpenetration > 0 else None
    tables = make_stage_tables(stage, make_tables(kinematics, free), load_pose_prior(), scale, capsules)
    return BodyProblem(tables, evidence, pack(random_params(ROWS, seed=7, dtype=torch.float64)))


def numeric_gradient(problem, state, unknowns):
    columns = []
    for unknown in range(unknowns):
        step = torch.zeros(ROWS, unknowns, dtype=torch.float64)
        step[:, unknown] = 1e-6
        ahead, behind = (problem.evaluate(problem.move(state, sign * step)).energy for sign in (1.0, -1.0))
        columns.append((ahead - behind) / 2e-6)
    return torch.stack(columns, dim=1)


WEIGHTS = [
    {},
    {"pose_prior": 4.0},
    {"angle_prior": 3.0},
    {"shape_prior": 5.0},
    {"depth_prior": 10.0},
    {"start_prior": 3.0},
    {"place_prior": 20.0},
    {"landmarks": 40.0},
    {"interpenetration": 200.0},
    {"pose_prior": 8.0, "angle_prior": 15.0, "shape_prior": 4.0, "landmarks": 30.0, "interpenetration": 100.0},
]


@pytest.mark.parametrize("weights", WEIGHTS, ids=lambda weights: "+".join(weights) or "reprojection")
def test_gradients_match_finite_differences(body, evidence, weights):
    problem = problem_of(body, evidence, replace(OFF, **weights))
    state = pack(random_params(ROWS, seed=1, spread=0.7, dtype=torch.float64))
    model = problem.evaluate(state)
    numeric = numeric_gradient(problem, state, model.gradient.shape[1])
    torch.testing.assert_close(model.gradient, numeric, atol=1e-3, rtol=1e-5)
    assert (torch.linalg.eigvalsh(model.hessian) > -1e-6 * model.hessian.abs().amax()).all()


def test_the_hold_on_the_start_has_the_curvature_of_gauss_and_newton(body, evidence):
    state = pack(random_params(ROWS, seed=1, spread=0.7, dtype=torch.float64))
    held, loose = (problem_of(body, evidence, replace(OFF, start_prior=weight)) for weight in (3.0, 0.0))
    added = held.evaluate(state).hessian - loose.evaluate(state).hessian
    anchor, orient = (rows[:, ORIENT].view(-1, 3, 3) for rows in (held.anchor, state))
    jacobian = right_jacobian_inverse(rotmat_to_rotvec(anchor.mT @ orient))
    torch.testing.assert_close(added[:, :3, :3], 2.0 * 3.0**2 * jacobian.mT @ jacobian, atol=1e-6, rtol=1e-6)


def test_the_energy_is_the_visible_sum_of_its_terms(body, evidence):
    stage = replace(OFF, pose_prior=8.0, angle_prior=15.0, shape_prior=4.0, landmarks=30.0, interpenetration=100.0)
    params = random_params(ROWS, seed=1, spread=0.6, dtype=torch.float64)
    state = pack(params)
    points = KeypointKinematics(body, NAMES)(params)
    projected = 300.0 * points[..., :2] / points[..., 2:]
    problem = problem_of(body, evidence, stage)
    capsules = problem.tables.capsules
    assert evidence.centred is not None and capsules is not None
    expected = (
        reprojection(projected, evidence.observed.mT, evidence.confidence, 30.0)
        + 8.0**2 * pose_prior(state[:, POSE], load_pose_prior())
        + 15.0**2 * angle_prior(state[:, POSE])
        + 4.0**2 * shape_prior(params.betas)
        + 30.0**2 * landmarks_3d(points.mT, evidence.centred)
        + 100.0**2 * interpenetration(capsules, state)
    )
    torch.testing.assert_close(problem.evaluate(state).energy, expected, rtol=1e-6, atol=1e-4)


def test_geman_mcclure_is_quadratic_for_small_errors_and_bounded_for_large_ones():
    error = torch.tensor([0.0, 0.01, 1e6], dtype=torch.float64)
    torch.testing.assert_close(
        geman_mcclure(error, 100.0), torch.tensor([0.0, 1e-4, 1e4], dtype=torch.float64), rtol=1e-6, atol=0
    )


def test_the_right_gauss_newton_step_solves_a_quadratic_problem_at_once(body, evidence):
    problem = problem_of(body, evidence, replace(OFF, shape_prior=5.0), scale=1e9)
    problem = replace(problem, evidence=replace(evidence, confidence=torch.zeros_like(evidence.confidence)))
    state = pack(random_params(ROWS, seed=1, dtype=torch.float64))
    model = problem.evaluate(state)
    step = -torch.linalg.pinv(model.hessian) @ model.gradient[..., None]
    assert (problem.evaluate(problem.move(state, step[..., 0])).energy < 1e-12).all()


def test_3d_landmarks_ignore_place_and_size_of_what_was_observed(body, evidence):
    points = KeypointKinematics(body, NAMES)(random_params(ROWS, seed=1, dtype=torch.float64)).mT
    weights = torch.ones(ROWS, len(NAMES), dtype=torch.float64)
    shifted = 0.8 * points + torch.tensor([1.0, -2.0, 3.0], dtype=torch.float64)[:, None]
    torch.testing.assert_close(
        landmarks_3d(points, centre_landmarks(shifted, weights)), torch.zeros(ROWS, dtype=torch.float64)
    )
    other = centre_landmarks(points.flip(0), weights)
    torch.testing.assert_close(landmarks_3d(points, other), landmarks_3d(0.5 * points, other))
    assert (landmarks_3d(points, other)[[0, 2]] > 1e-3).all()


def test_bending_an_elbow_or_knee_the_wrong_way_costs_more():
    bent = torch.zeros(2, 69, dtype=torch.float64)
    bent[0, 3 * 3] = 1.0
    bent[1, 3 * 3] = -1.0
    right_way, wrong_way = angle_prior(bent)
    assert right_way < 4.0 < wrong_way


def test_a_landmark_behind_the_camera_makes_the_energy_infinite(body, evidence):
    params = random_params(ROWS, seed=1, dtype=torch.float64)
    behind = replace(params, transl=params.transl * torch.tensor([1.0, 1.0, -1.0], dtype=torch.float64))
    energy = problem_of(body, evidence, OFF).evaluate(pack(behind)).energy
    assert torch.isinf(energy).all()
