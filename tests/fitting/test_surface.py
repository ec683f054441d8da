"""The dense term: vertices drawn to where they were seen."""

from dataclasses import replace

import pytest
import torch
from fitting_scenes import estimate_of, see, start_near
from toy import random_params, stick_body

from fitloop.body import KeypointKinematics, SurfaceEvidence
from fitloop.fitting import FitConfig, StageConfig, fit, load_pose_prior
from fitloop.fitting.coordinates import pack
from fitloop.fitting.landmark_tables import make_tables
from fitloop.fitting.problem import BodyProblem, Evidence, SeenSurface, make_stage_tables
from fitloop.fitting.terms import reprojection
from fitloop.geometry import project

ROWS = 3
STAGE = StageConfig(pose_prior=0.0, angle_prior=0.0, shape_prior=0.0, landmarks=0.0, surface=0.7, surface_scale=15.0)


def seen_vertices(body, estimate, vertices):
    pixels = project(body(estimate.params).vertices[..., list(vertices), :], estimate.camera)
    return SurfaceEvidence(vertices, pixels, torch.ones_like(pixels[..., 0]))


@pytest.fixture(scope="module")
def body():
    return stick_body().to(torch.float64)


def metric_of(count):
    """Distances along some direction of each vertex count a third."""
    angle = torch.linspace(0.0, 3.0, ROWS * count, dtype=torch.float64).view(ROWS, count)
    along = torch.stack([angle.cos(), angle.sin()], -1)
    return torch.eye(2, dtype=torch.float64) - (2.0 / 3.0) * along[..., :, None] * along[..., None, :]


@pytest.fixture(scope="module", params=["plain", "directed"])
def problem(body, request):
    vertices = tuple(range(0, len(body.template), 3))
    kinematics = KeypointKinematics(body, ("left_knee",)), KeypointKinematics(body, (), vertices)
    free = tuple(range(24))
    tables = make_stage_tables(STAGE, make_tables(kinematics[0], free), load_pose_prior(), 30.0)
    tables = replace(tables, surface=make_tables(kinematics[1], free))
    points = body(random_params(ROWS, seed=5, dtype=torch.float64)).vertices[:, list(vertices)]
    confidence = torch.rand(ROWS, len(vertices), generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    confidence[:, 2] = 0.0
    metric = metric_of(len(vertices)).permute(0, 2, 3, 1) if request.param == "directed" else None
    surface = SeenSurface((300.0 * points[..., :2] / points[..., 2:]).mT, confidence, metric)
    nothing = torch.zeros(ROWS, 2, 1, dtype=torch.float64)
    focal = torch.full((ROWS,), 300.0, dtype=torch.float64)
    evidence = Evidence(nothing, nothing[:, 0], focal, None, surface)
    return BodyProblem(tables, evidence, pack(random_params(ROWS, seed=7, dtype=torch.float64)))


def test_vertices_move_as_the_mesh_does(body):
    params = random_params(2, seed=1, dtype=torch.float64)
    placed = KeypointKinematics(body, ("nose",) if "nose" in body.landmark_names else (), (4, 0))(params)
    torch.testing.assert_close(placed[:, -2:], body(params).vertices[:, [4, 0]])


def test_the_term_is_the_robust_distance_of_the_vertices(body, problem):
    params = random_params(ROWS, seed=9, dtype=torch.float64)
    surface = problem.evidence.surface
    points = body(params).vertices[:, ::3]
    projected = 300.0 * points[..., :2] / points[..., 2:]
    apart = projected - surface.observed.mT
    if surface.metric is not None:
        apart = torch.einsum("brav,bva->bvr", surface.metric, apart)
    expected = reprojection(apart, torch.zeros_like(apart), 0.7 * surface.confidence, 15.0)
    torch.testing.assert_close(problem.evaluate(pack(params)).energy, expected)


def test_its_gradient_matches_finite_differences(problem):
    state = pack(random_params(ROWS, seed=9, dtype=torch.float64))
    gradient = problem.evaluate(state).gradient
    columns = []
    for unknown in range(gradient.shape[1]):
        step = torch.zeros_like(gradient)
        step[:, unknown] = 1e-6
        ahead, behind = (problem.evaluate(problem.move(state, sign * step)).energy for sign in (1.0, -1.0))
        columns.append((ahead - behind) / 2e-6)
    torch.testing.assert_close(gradient, torch.stack(columns, 1), rtol=1e-4, atol=1e-3)


def test_seen_vertices_turn_what_no_keypoint_sees():
    body = stick_body()
    truth = estimate_of(random_params(4, seed=2), body)
    start = replace(truth, params=start_near(truth.params, spread=0.08))
    vertices = tuple(range(len(body.template)))
    weak = StageConfig(pose_prior=0.3, angle_prior=0.3, shape_prior=0.3, surface=1.0, surface_scale=100.0)
    config = FitConfig(stages=(weak,))
    surface = seen_vertices(body, truth, vertices)
    plain, dense = (fit(body, see(body, truth), start, config, seen) for seen in (None, surface))

    def error(found):
        return (project(body(found.estimate.params).vertices, truth.camera) - surface.targets).norm(dim=-1).mean()

    assert error(dense) < 0.5 * error(plain)


def test_what_is_known_in_one_direction_alone_pulls_in_that_direction_alone():
    body = stick_body()
    truth = estimate_of(random_params(1, seed=2), body)
    surface = seen_vertices(body, truth, tuple(range(len(body.template))))
    beside = surface.targets + torch.tensor([30.0, 0.0])
    upright = torch.tensor([[0.0, 0.0], [0.0, 1.0]]).expand(1, len(surface.vertices), 2, 2)
    config = FitConfig(stages=(StageConfig(landmarks=0.0, surface=5.0, surface_scale=100.0, start_prior=3.0),))
    blind, pulled = (
        fit(body, see(body, truth), truth, config, replace(surface, targets=beside, metric=metric))
        for metric in (upright, torch.eye(2).expand_as(upright))
    )

    def moved(found):
        apart = project(body(found.estimate.params).vertices, truth.camera) - surface.targets
        return apart[..., 0].abs().mean()

    assert moved(blind) < 0.2 * moved(pulled)


def test_vertices_that_were_not_seen_change_nothing():
    body = stick_body()
    truth = estimate_of(random_params(2, seed=2), body)
    start = replace(truth, params=start_near(truth.params))
    vertices = (3, 8)
    nonsense = torch.full((2, 2, 2), torch.nan)
    unseen = SurfaceEvidence(vertices, nonsense, torch.ones(2, 2))
    unsure = SurfaceEvidence(vertices, torch.zeros_like(nonsense), torch.zeros(2, 2))
    first, second = (fit(body, see(body, truth), start, surface=surface) for surface in (unseen, unsure))
    torch.testing.assert_close(first.energy, second.energy)
    assert torch.isfinite(first.energy).all()


def test_rows_of_a_batch_are_fitted_as_if_alone():
    body = stick_body()
    truth = estimate_of(random_params(3, seed=2), body)
    start = replace(truth, params=start_near(truth.params))
    surface = seen_vertices(body, truth, (1, 5, 9))
    together = fit(body, see(body, truth), start, surface=surface)
    alone = fit(body, see(body, truth)[1], start[1], surface=surface[1])
    torch.testing.assert_close(together.energy[1], alone.energy)


def test_mismatched_surface_evidence_is_refused():
    body = stick_body()
    truth = estimate_of(random_params(2, seed=2), body)
    surface = seen_vertices(body, truth, (1, 5))
    with pytest.raises(ValueError, match="surface.targets has shape"):
        fit(body, see(body, truth), truth, surface=surface[:1])
    with pytest.raises(ValueError, match="vertices 0 to"):
        fit(body, see(body, truth), truth, surface=replace(surface, vertices=(1, 10**6)))
    with pytest.raises(ValueError, match="surface_scale"):
        StageConfig(surface_scale=0.0)
