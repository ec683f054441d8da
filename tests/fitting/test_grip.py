"""Holding on to a start by how sure it is of each joint."""

from dataclasses import replace

import pytest
import torch
from fitting_scenes import estimate_of, see, start_near
from toy import random_params, stick_body

from fitloop.body import BodyEstimate, KeypointKinematics, convention_named
from fitloop.body.records import Uncertainty
from fitloop.fitting import FitConfig, StageConfig, fit, load_pose_prior
from fitloop.fitting.coordinates import pack
from fitloop.fitting.grip import make_grip
from fitloop.fitting.landmark_tables import make_tables
from fitloop.fitting.problem import BodyProblem, Evidence, make_stage_tables
from fitloop.geometry import rotvec_to_rotmat
from fitloop.geometry.rotations import geodesic_angle

NAMES = tuple(str(name) for name in convention_named("coco17").landmarks)
HELD = StageConfig(pose_prior=2.0, landmarks=0.0, start_prior=8.0, usual_turn=0.3, usual_shape=1.0, firmest=4.0)
CONFIG = FitConfig(stages=(HELD,))
ROWS = 3


@pytest.fixture(scope="module")
def body():
    return stick_body()


def told(estimate: BodyEstimate, rotations: torch.Tensor | float, betas: float = 1.0) -> BodyEstimate:
    rows = len(estimate.params.transl)
    spread = torch.as_tensor(rotations, dtype=torch.float32).expand(rows, 24).clone()
    return replace(estimate, uncertainty=Uncertainty(spread, torch.full((rows,), betas)))


def scene(body):
    truth = estimate_of(random_params(ROWS, seed=0), body)
    return see(body, truth), estimate_of(start_near(truth.params, spread=0.3), body)


def moved(body, detections, init, config=CONFIG) -> torch.Tensor:
    """How far the root and each joint turned, radians."""
    found = fit(body, detections, init, config)
    return geodesic_angle(found.estimate.params.rotations, init.params.rotations)


def test_spreads_as_usual_change_nothing(body):
    detections, init = scene(body)
    plain, usual = fit(body, detections, init, CONFIG), fit(body, detections, told(init, 0.3), CONFIG)
    torch.testing.assert_close(usual.estimate.params.rotations, plain.estimate.params.rotations, atol=1e-4, rtol=0)
    torch.testing.assert_close(usual.energy, plain.energy, rtol=1e-4, atol=1e-3)


def test_stages_that_hold_all_alike_do_not_listen(body):
    detections, init = scene(body)
    deaf = FitConfig(stages=(replace(HELD, usual_turn=None),))
    plain, unsure = fit(body, detections, init, deaf), fit(body, detections, told(init, 2.0), deaf)
    assert torch.equal(plain.estimate.params.rotations, unsure.estimate.params.rotations)
    assert torch.equal(plain.energy, unsure.energy)


def test_guesses_that_say_how_sure_they_are_go_through_their_own_stages(body):
    detections, init = scene(body)
    config = FitConfig(stages=(StageConfig(),), told_stages=(HELD,))
    told_so, silent = fit(body, detections, told(init, 0.3), config), fit(body, detections, init, config)
    held, plain = fit(body, detections, told(init, 0.3), CONFIG), fit(body, detections, init)
    assert torch.equal(told_so.estimate.params.rotations, held.estimate.params.rotations)
    assert torch.equal(silent.estimate.params.rotations, plain.estimate.params.rotations)


def test_a_sure_joint_stays_and_an_unsure_one_follows_its_keypoint(body):
    detections, init = scene(body)
    knee, elbow = 4, 18
    spread = torch.full((24,), 0.3)
    spread[knee], spread[elbow] = 0.08, 1.2
    before, after = moved(body, detections, init), moved(body, detections, told(init, spread))
    assert float(after[:, knee].mean()) < 0.5 * float(before[:, knee].mean())
    assert float(after[:, elbow].mean()) > 1.2 * float(before[:, elbow].mean())


def test_a_sure_root_and_a_sure_shape_stay(body):
    detections, init = scene(body)
    spread = torch.full((24,), 0.3)
    spread[0] = 0.08
    assert float(moved(body, detections, told(init, spread))[:, 0].mean()) < 0.8 * float(
        moved(body, detections, init)[:, 0].mean()
    )
    sure, unsure = (fit(body, detections, told(init, 0.3, betas), CONFIG).estimate.params for betas in (0.25, 4.0))
    assert float(sure.betas.norm()) < 0.8 * float(unsure.betas.norm())


@pytest.mark.parametrize("wrong", [torch.nan, 0.0, -1.0, torch.inf])
def test_a_spread_that_is_no_positive_number_is_as_if_nothing_were_said(body, wrong):
    detections, init = scene(body)
    spread = torch.full((ROWS, 24), 1.2)
    spread[1, 7] = wrong
    plain, found = fit(body, detections, init, CONFIG), fit(body, detections, told(init, spread), CONFIG)
    torch.testing.assert_close(
        found.estimate.params.rotations[1], plain.estimate.params.rotations[1], atol=1e-4, rtol=0
    )
    assert not torch.allclose(found.estimate.params.rotations[0], plain.estimate.params.rotations[0], atol=1e-3)


def test_rows_are_held_as_if_alone_and_a_fit_says_nothing_of_its_own(body):
    detections, init = scene(body)
    init = told(init, torch.linspace(0.1, 1.5, ROWS * 24).view(ROWS, 24))
    together = fit(body, detections, init, CONFIG)
    assert together.estimate.uncertainty is None
    for row in range(ROWS):
        alone = fit(body, detections[row : row + 1], init[row : row + 1], CONFIG)
        torch.testing.assert_close(alone.energy[0], together.energy[row], rtol=1e-3, atol=1e-3)


def test_uncertainty_of_another_shape_is_refused(body):
    detections, init = scene(body)
    wrong = replace(init, uncertainty=Uncertainty(torch.ones(ROWS, 23), torch.ones(ROWS)))
    with pytest.raises(ValueError, match=r"init.uncertainty has shapes \(3, 23\) and \(3,\), expected \(3, 24\)"):
        fit(body, detections, wrong, CONFIG)


@pytest.mark.parametrize("changes", [{"usual_turn": 0.0}, {"usual_shape": -1.0}, {"firmest": 1.0}])
def test_impossible_holds_are_refused(changes):
    with pytest.raises(ValueError, match=next(iter(changes))):
        StageConfig(**changes)


def problem_of(body, stage, spreads):
    kinematics = KeypointKinematics(body, NAMES)
    points = kinematics(random_params(ROWS, seed=5, dtype=torch.float64))
    focal = torch.full((ROWS,), 300.0, dtype=torch.float64)
    pixels = 300.0 * points[..., :2] / points[..., 2:]
    evidence = Evidence(pixels.mT, torch.ones_like(points[..., 0]), focal, None)
    tables = make_stage_tables(stage, make_tables(kinematics, tuple(range(20))), load_pose_prior(), 30.0)
    anchor = pack(random_params(ROWS, seed=7, dtype=torch.float64))
    return BodyProblem(tables, evidence, anchor, make_grip(stage, tables.hold, tables.unknowns, spreads))


def test_the_gradient_of_the_hold_matches_finite_differences():
    body = stick_body().to(torch.float64)
    spreads = torch.linspace(0.1, 1.5, ROWS * 25, dtype=torch.float64).view(ROWS, 25)
    problem = problem_of(body, HELD, spreads)
    state = pack(random_params(ROWS, seed=1, spread=0.7, dtype=torch.float64))
    model = problem.evaluate(state)
    unknowns = model.gradient.shape[1]
    for unknown in range(unknowns):
        step = torch.zeros(ROWS, unknowns, dtype=torch.float64)
        step[:, unknown] = 1e-6
        ahead, behind = (problem.evaluate(problem.move(state, sign * step)).energy for sign in (1.0, -1.0))
        torch.testing.assert_close(model.gradient[:, unknown], (ahead - behind) / 2e-6, atol=1e-3, rtol=1e-5)
    assert (torch.linalg.eigvalsh(model.hessian) > -1e-6 * model.hessian.abs().amax()).all()


def test_one_spread_for_all_is_another_weight_for_all():
    body = stick_body().to(torch.float64)
    state = pack(random_params(ROWS, seed=1, spread=0.7, dtype=torch.float64))
    spreads = torch.full((ROWS, 25), 0.6, dtype=torch.float64)
    spreads[:, -1] = 2.0
    by_spread = problem_of(body, HELD, spreads).evaluate(state)
    by_weight = problem_of(body, replace(HELD, start_prior=4.0, usual_turn=None), None).evaluate(state)
    for one, other in zip(by_spread, by_weight, strict=True):
        torch.testing.assert_close(one, other)


def turned(body):
    """A person from behind whom the start shows from the front, with keypoints on the face to tell."""
    truth = estimate_of(random_params(ROWS, seed=0, spread=0.1), body)
    half = rotvec_to_rotmat(torch.tensor([0.0, torch.pi, 0.0]))
    params = replace(truth.params, global_orient=truth.params.global_orient @ half)
    return truth, see(body, truth), replace(truth, params=params)


def test_who_may_face_the_other_way_is_turned_around_and_tried():
    body = stick_body()
    truth, detections, init = turned(body)
    config = replace(CONFIG, doubtful_starts=("side",))
    unsure = told(init, torch.tensor([1.5] + [0.3] * 23))
    found = fit(body, detections, unsure, config)
    assert bool((found.start == 1).all())
    assert float(geodesic_angle(found.estimate.params.global_orient, truth.params.global_orient).max()) < 0.5
    stubborn = fit(body, detections, told(init, 0.3), config)
    assert bool((stubborn.start == 0).all())


def test_landmarks_that_were_seen_leave_no_doubt():
    body = stick_body()
    truth, detections, init = turned(body)
    config = replace(CONFIG, doubtful_starts=("side",))
    points = KeypointKinematics(body, NAMES)(truth.params)
    solid = replace(detections, landmarks=points, landmark_confidence=detections.confidence)
    assert bool((fit(body, solid, told(init, 1.5), config).start == 0).all())
