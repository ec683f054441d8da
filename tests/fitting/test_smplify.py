from dataclasses import replace

import pytest
import torch
from fitting_scenes import estimate_of, see, start_near
from toy import random_params, stick_body

from fitloop.body import KeypointKinematics, convention_named
from fitloop.fitting import FitConfig, SolverConfig, StageConfig, Status, fit
from fitloop.fitting.config import SMPLIFY_STAGES, SPIN_STAGES

DATA_ONLY = FitConfig(
    stages=(
        StageConfig(
            pose_prior=0.2, angle_prior=0.0, shape_prior=0.2, solver=SolverConfig(max_steps=80, tolerance=1e-3)
        ),
    ),
    camera_init="none",
)


@pytest.fixture(scope="module")
def body():
    return stick_body()


@pytest.mark.parametrize("batch", [(), (1,), (2, 3)])
@pytest.mark.parametrize("convention", ["coco17", "body25", "lsp14", "spin49", "mediapipe33"])
def test_fit_recovers_the_keypoints_of_the_body_that_made_them(body, batch, convention):
    truth = estimate_of(random_params(*batch, seed=0), body)
    detections = see(body, truth, convention)
    init = estimate_of(start_near(truth.params), body)
    result = fit(body, detections, init, DATA_ONLY)
    again = see(body, result.estimate, convention).keypoints
    torch.testing.assert_close(again, detections.keypoints, atol=1.0, rtol=0)
    assert result.energy.shape == batch
    assert result.converged.all()
    eye = torch.eye(3).expand_as(result.estimate.params.body_pose)
    rotations = result.estimate.params.body_pose
    torch.testing.assert_close(rotations @ rotations.mT, eye, atol=1e-5, rtol=0)


def test_fit_leaves_its_inputs_alone(body):
    truth = estimate_of(random_params(2, seed=0), body)
    detections, init = see(body, truth), estimate_of(random_params(2, seed=1), body)
    before = (detections.map(torch.clone), init.map(torch.clone))
    fit(body, detections, init)
    assert torch.equal(detections.confidence, before[0].confidence)
    assert torch.equal(detections.keypoints, before[0].keypoints)
    assert torch.equal(init.params.rotations, before[1].params.rotations)
    assert torch.equal(init.params.transl, before[1].params.transl)


def test_a_loss_may_compare_with_a_fit_and_no_gradient_flows_into_it(body):
    truth = estimate_of(random_params(2, seed=0), body)
    betas = truth.params.betas.clone().requires_grad_()
    init = replace(truth, params=replace(truth.params, betas=betas))
    result = fit(body, see(body, truth), init)
    scale = torch.ones(1, requires_grad=True)
    (scale * result.estimate.params.betas * result.estimate.camera.focal[:, None]).square().sum().backward()
    assert scale.grad is not None and betas.grad is None


def test_a_batch_gives_what_the_singles_give_and_two_runs_are_identical(body):
    truth = estimate_of(random_params(5, seed=0), body)
    detections, init = see(body, truth), estimate_of(start_near(truth.params), body)
    together, again = fit(body, detections, init), fit(body, detections, init)
    assert torch.equal(together.energy, again.energy)
    assert torch.equal(together.estimate.params.rotations, again.estimate.params.rotations)
    for row in range(5):
        alone = fit(body, detections[row : row + 1], init[row : row + 1])
        torch.testing.assert_close(alone.energy[0], together.energy[row], rtol=1e-3, atol=1e-3)
        torch.testing.assert_close(
            alone.estimate.params.rotations[0], together.estimate.params.rotations[row], rtol=0, atol=5e-3
        )


def test_energy_does_not_depend_on_the_resolution_of_the_photo(body):
    truth = estimate_of(random_params(3, seed=0), body)
    detections, init = see(body, truth), estimate_of(start_near(truth.params), body)
    camera = replace(init.camera, focal=2.0 * init.camera.focal, principal_point=2.0 * init.camera.principal_point)
    larger = replace(detections, keypoints=2.0 * detections.keypoints, boxes=2.0 * detections.boxes)
    first, second = fit(body, detections, init), fit(body, larger, replace(init, camera=camera))
    torch.testing.assert_close(first.energy, second.energy, rtol=1e-3, atol=1e-3)


def test_rows_without_evidence_keep_their_start_and_say_so(body):
    truth = estimate_of(random_params(4, seed=0), body)
    detections, init = see(body, truth), estimate_of(random_params(4, seed=1), body)
    confidence = detections.confidence.clone()
    confidence[1] = 0.0
    keypoints = detections.keypoints.clone()
    keypoints[2] = 100.0
    keypoints[3] = torch.nan
    result = fit(body, replace(detections, confidence=confidence, keypoints=keypoints), init)
    expected = [Status.NOT_ENOUGH_EVIDENCE, Status.DEGENERATE, Status.NOT_ENOUGH_EVIDENCE]
    assert result.status[1:].tolist() == expected
    assert torch.isfinite(result.energy).all()
    torch.testing.assert_close(result.estimate.params.rotations[1:], init.params.rotations[1:], atol=1e-5, rtol=0)
    torch.testing.assert_close(result.estimate.params.transl[1:], init.params.transl[1:])


def test_a_missing_keypoint_has_no_pull(body):
    truth = estimate_of(random_params(2, seed=0), body)
    detections, init = see(body, truth), estimate_of(start_near(truth.params), body)
    confidence = detections.confidence.clone()
    confidence[:, 9] = 0.0
    far = detections.keypoints.clone()
    far[:, 9] = 1e6
    hidden = replace(detections, confidence=confidence)
    first = fit(body, hidden, init)
    second = fit(body, replace(hidden, keypoints=far), init)
    assert torch.equal(first.energy, second.energy)


def test_several_starts_are_never_worse_than_one_and_name_the_winner(body):
    truth = estimate_of(random_params(4, seed=3, spread=0.2), body)
    detections, init = see(body, truth), estimate_of(random_params(4, seed=1), body)
    one = fit(body, detections, init)
    more = fit(body, detections, init, FitConfig(starts=("init", "mean", "back", "yaw90", "yaw270")))
    assert (more.energy <= one.energy * 1.001 + 1e-3).all()
    kept = more.start == 0
    torch.testing.assert_close(more.energy[kept], one.energy[kept], rtol=1e-3, atol=1e-3)
    assert more.start.max() > 0


def test_mismatches_are_refused_naming_both_sides(body):
    truth = estimate_of(random_params(2, seed=0), body)
    detections = see(body, truth)
    with pytest.raises(ValueError, match="'other'.*'stick-1'"):
        fit(body, detections, replace(truth, body="other"))
    with pytest.raises(ValueError, match="3.*2|2.*3"):
        fit(body, detections, estimate_of(random_params(3, seed=0), body))
    with pytest.raises(ValueError, match="has 25 keypoints, the detections have 17"):
        fit(body, replace(detections, convention="body25"), truth)
    with pytest.raises(ValueError, match="known: smpl24"):
        fit(body, replace(detections, convention="mine"), truth)
    with pytest.raises(ValueError, match="no keypoint 'tail'"):
        fit(body, detections, truth, FitConfig(ignored=("tail",)))


def limbs(detections, *parts):
    names = convention_named(detections.convention).keypoints
    return [k for k, name in enumerate(names) if any(part in name for part in parts)]


@pytest.mark.parametrize("parts", [("knee", "ankle", "hip"), ("left_elbow", "left_wrist")])
def test_what_is_not_seen_neither_collapses_nor_flies_away(body, parts):
    truth = estimate_of(random_params(4, seed=2, spread=0.2), body)
    full = see(body, truth)
    confidence = full.confidence.clone()
    confidence[:, limbs(full, *parts)] = 0.0
    init = estimate_of(start_near(truth.params), body)
    result = fit(body, replace(full, confidence=confidence), init)
    params = result.estimate.params
    assert result.converged.all()
    assert (params.betas.abs() < 3.0).all()
    assert ((params.transl - truth.params.transl).norm(dim=-1) < 0.25 * truth.params.transl[:, 2]).all()
    seen = confidence > 0
    error = (see(body, result.estimate).keypoints - full.keypoints).norm(dim=-1)
    side = (full.boxes[:, 2:] - full.boxes[:, :2]).amax(-1)
    assert ((error * seen).sum(-1) / seen.sum(-1) < 0.05 * side).all()
    assert (error.amax(-1) < 0.6 * side).all()


def test_a_body_behind_the_camera_is_brought_before_it(body):
    truth = estimate_of(random_params(2, seed=0), body)
    behind = replace(truth.params, transl=-truth.params.transl)
    for camera_init in ("none", "torso", "least_squares"):
        result = fit(body, see(body, truth), estimate_of(behind, body), FitConfig(camera_init=camera_init))
        assert (result.estimate.params.transl[:, 2] > 0).all()
        assert torch.isfinite(result.energy).all()


def test_a_start_that_is_not_a_number_is_replaced_by_the_mean_pose(body):
    truth = estimate_of(random_params(2, seed=0, spread=0.1), body)
    broken = replace(truth.params, betas=torch.full_like(truth.params.betas, torch.nan))
    result = fit(body, see(body, truth), estimate_of(broken, body))
    assert torch.isfinite(result.estimate.params.rotations).all()
    assert result.converged.all()


def test_limb_flips_never_raise_the_energy(body):
    truth = estimate_of(random_params(4, seed=3, spread=0.5), body)
    init = estimate_of(start_near(truth.params, spread=0.5), body)
    plain = fit(body, see(body, truth), init)
    flipped = fit(
        body, see(body, truth), init, FitConfig(limb_flips=("left_arm", "right_arm", "left_leg", "right_leg"))
    )
    assert (flipped.energy <= plain.energy).all()


@pytest.mark.parametrize("stages", [SMPLIFY_STAGES, SPIN_STAGES], ids=["smplify", "spin"])
def test_the_schedules_of_the_papers_run_and_lower_the_energy(body, stages):
    truth = estimate_of(random_params(3, seed=0, spread=0.3), body)
    init = estimate_of(start_near(truth.params, spread=0.4), body)
    config = FitConfig(stages=stages, robust_scale=100.0, camera_init="torso")
    idle = tuple(replace(stage, solver=SolverConfig(max_steps=0)) for stage in stages)
    before = fit(body, see(body, truth), init, replace(config, stages=idle))
    after = fit(body, see(body, truth), init, config)
    assert (after.energy < 0.5 * before.energy).all()


def test_the_detector_s_3d_landmarks_decide_what_one_view_cannot(body):
    truth = estimate_of(random_params(6, seed=5, spread=0.5), body)
    detections = see(body, truth)
    names = tuple(str(name) for name in convention_named("coco17").landmarks)
    points = KeypointKinematics(body, names)(truth.params)
    informed = replace(detections, landmarks=points - points[:, 11:13].mean(1, keepdim=True))
    init = estimate_of(start_near(truth.params, spread=0.5), body)

    def error(result):
        found = KeypointKinematics(body, names)(result.estimate.params)
        return ((found - found[:, :1]) - (points - points[:, :1])).norm(dim=-1).mean()

    assert error(fit(body, informed, init)) < 0.6 * error(fit(body, detections, init))


@pytest.mark.parametrize(
    "change",
    [{"robust_scale": 0.0}, {"stages": ()}, {"starts": ()}],
)
def test_configurations_that_make_no_sense_are_refused(change):
    with pytest.raises(ValueError, match=next(iter(change))):
        FitConfig(**change)


def test_nobody_and_people_without_any_evidence_are_no_error(body):
    truth = estimate_of(random_params(3, seed=0), body)
    detections = see(body, truth)
    assert fit(body, detections[:0], truth[:0]).energy.shape == (0,)
    unseen = replace(detections, confidence=torch.zeros_like(detections.confidence))
    for rows in (slice(0, 3), slice(0, 1)):
        result = fit(body, unseen[rows], truth[rows])
        assert (result.status == Status.NOT_ENOUGH_EVIDENCE).all()
        torch.testing.assert_close(result.estimate.params.transl, truth.params.transl[rows])


def test_large_batches_worked_on_in_shares_give_the_same(body):
    truth = estimate_of(random_params(300, seed=0, spread=0.2), body)
    detections, init = see(body, truth), estimate_of(start_near(truth.params), body)
    together, last = fit(body, detections, init), fit(body, detections[256:], init[256:])
    assert torch.equal(together.energy[256:], last.energy)
