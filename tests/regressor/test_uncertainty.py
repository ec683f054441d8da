"""How sure a network is: what teaches it, and whether what it claims comes true."""

from dataclasses import replace

import pytest
import torch
from scipy import stats
from toy import random_params, stick_body, toy_camera

from fitloop.body import KeypointKinematics, convention_named, load_body
from fitloop.body.records import Detections
from fitloop.body.spreads import (
    FREEDOM,
    LEVELS,
    log_spread_of,
    share_inside,
    spread_loss,
    temperatures,
    uncertainty_from,
)
from fitloop.geometry import project, rotvec_to_rotmat
from fitloop.regressor import HeadConfig, HMRConfig, Weights, build_hmr, load_weights, save_weights
from fitloop.regressor.hmr import FIRST_SPREAD, SPREADS, HMROutput, IterativeHead
from fitloop.regressor.regressor import BLIND, NetworkRegressor, load_regressor
from fitloop.regressor.starts import blend, start_from_keypoints
from fitloop.regressor.uncertainty import misses, uncertainty_of

SURE = HMRConfig(width=16, blocks=1, head=HeadConfig(2, 16, 0.0, uncertainty=8))
SILENT = replace(SURE, head=replace(SURE.head, uncertainty=0))


def student(people: int, scale: float, seed: int = 0) -> torch.Tensor:
    """Errors of rotations and shape, drawn from the distribution that the network claims."""
    generator = torch.Generator().manual_seed(seed)
    shared = torch.distributions.Chi2(FREEDOM)
    torch.manual_seed(seed)
    wide = (FREEDOM / shared.sample((people, SPREADS))).sqrt()
    turns = torch.randn(people, SPREADS - 1, 3, generator=generator).norm(dim=-1)
    shape = torch.randn(people, 1, 10, generator=generator).norm(dim=-1)
    return scale * wide * torch.cat([turns, shape], -1)


@pytest.mark.parametrize(("level", "axes"), [(0.5, (3, 10)), (0.9, (3, 10))])
def test_the_limits_are_quantiles_of_the_distribution(level, axes):
    assert LEVELS[level] == pytest.approx([stats.f.ppf(level, count, FREEDOM) for count in axes], abs=1e-5)


def test_the_likeliest_spread_is_the_one_that_errors_were_drawn_with():
    missed, ones = student(4000, 0.4), torch.ones(4000)
    losses = [
        float(spread_loss(missed, torch.full((4000, SPREADS), scale).log(), ones, 10))
        for scale in (0.3, 0.36, 0.4, 0.45, 0.55)
    ]
    assert min(losses) == losses[2]


def test_no_error_is_paid_for_by_the_answer_itself():
    missed = student(8, 0.4).requires_grad_()
    told = torch.zeros(8, SPREADS, requires_grad=True)
    spread_loss(missed, told, torch.ones(8), 10).backward()
    assert missed.grad is None and told.grad is not None and bool((told.grad != 0).any())


def test_people_without_truth_teach_nothing():
    missed, told = student(6, 0.4), torch.zeros(6, SPREADS)
    known = torch.tensor([1.0, 1.0, 1.0, 0.0, 0.0, 0.0])
    torch.testing.assert_close(spread_loss(missed, told, known, 10), spread_loss(missed[:3], told[:3], known[:3], 10))
    assert float(spread_loss(missed, told, 0.0 * known, 10)) == 0.0


@pytest.mark.parametrize("level", [0.5, 0.9])
def test_true_spreads_hold_what_they_claim(level):
    inside = share_inside(student(4000, 0.4), torch.full((4000, SPREADS), 0.4).log(), 10, level)
    torch.testing.assert_close(inside, torch.full((SPREADS,), level), atol=0.03, rtol=0)


def test_temperatures_set_wrong_spreads_right():
    missed, told = student(4000, 0.4), torch.full((4000, SPREADS), 0.1).log()
    right = told + temperatures(missed, told, 10)
    torch.testing.assert_close(share_inside(missed, right, 10, 0.5), torch.full((SPREADS,), 0.5), atol=0.01, rtol=0)
    torch.testing.assert_close(right.exp(), torch.full_like(right, 0.4), rtol=0.06, atol=0)


def test_what_was_missed_is_an_angle_and_a_length():
    turns = torch.zeros(2, 24, 3)
    turns[:, 5, 1] = 0.7
    eye = torch.eye(3).expand(2, 24, 3, 3)
    output = HMROutput(rotvec_to_rotmat(turns), torch.full((2, 10), 0.5), torch.ones(2, 3))
    missed = misses(output, eye, torch.zeros(2, 10))
    expected = torch.zeros(2, SPREADS)
    expected[:, 5], expected[:, -1] = 0.7, 0.5 * 10**0.5
    torch.testing.assert_close(missed, expected, atol=1e-3, rtol=0)


def test_an_untrained_head_is_alike_unsure_of_everything_and_a_silent_one_says_nothing():
    told = IterativeHead(6, SURE.head)(torch.randn(3, 6)).log_spread
    assert told is not None
    torch.testing.assert_close(told.exp(), torch.full((3, SPREADS), FIRST_SPREAD))
    assert IterativeHead(6, SILENT.head)(torch.randn(3, 6)).log_spread is None


def test_the_loss_of_doubt_does_not_move_the_answer():
    head = IterativeHead(6, SURE.head)
    output = head(torch.randn(3, 6))
    assert output.log_spread is not None
    output.log_spread.sum().backward()
    assert head.decpose.weight.grad is None and head.fc1.weight.grad is None


def test_standard_deviations_are_those_of_the_student_distribution():
    told = torch.full((2, SPREADS), 0.2).log()
    eye = torch.eye(3).expand(2, 24, 3, 3)
    found = uncertainty_of(HMROutput(eye, torch.zeros(2, 10), torch.ones(2, 3), told))
    assert found is not None and found.rotations.shape == (2, 24) and found.betas.shape == (2,)
    torch.testing.assert_close(found.rotations, torch.full((2, 24), 0.2 * stats.t(FREEDOM).std()))
    assert uncertainty_of(HMROutput(eye, torch.zeros(2, 10), torch.ones(2, 3))) is None


def test_the_temperature_travels_with_the_weights(tmp_path):
    model = build_hmr(SURE)
    assert model.head.spread is not None
    model.head.spread.temperature += 0.25
    save_weights(tmp_path / "w.safetensors", Weights(model, SURE, "open-1"))
    again = load_weights(tmp_path / "w.safetensors").model.head.spread
    assert again is not None
    torch.testing.assert_close(again.temperature, torch.full((SPREADS,), 0.25))


@pytest.mark.parametrize(("source", "target"), [(SILENT, SURE), (SURE, SILENT), (SURE, SURE)])
def test_training_starts_from_weights_that_do_or_do_not_say_how_sure_they_are(source, target):
    torch.manual_seed(0)
    older, model = build_hmr(source), build_hmr(target)
    started = start_from_keypoints(model, Weights(older, source, "open-1"))
    torch.testing.assert_close(model.head.fc1.weight, older.head.fc1.weight)
    fresh = {name for name, one in model.named_parameters() if all(one is not other for other in started)}
    expected = {"expand.weight", "expand.bias", "contract.weight", "contract.bias"} if source is SILENT else set()
    assert {name.removeprefix("head.spread.") for name in fresh} == expected


def test_a_blend_lies_between_two_networks_and_says_how_sure_it_is_as_the_second_does():
    first, second = (Weights(build_hmr(one), one, "open-1") for one in (SILENT, SURE))
    middle = blend(first, second, 0.25)
    expected = 0.75 * first.model.head.fc1.weight + 0.25 * second.model.head.fc1.weight
    torch.testing.assert_close(middle.model.head.fc1.weight, expected)
    assert middle.config == SURE
    assert torch.equal(middle.model.head.spread.expand.weight, second.model.head.spread.expand.weight)
    assert blend(second, first, 0.25).model.head.spread is None
    assert torch.equal(blend(first, second, 0.0).model.head.fc2.weight, first.model.head.fc2.weight)
    with pytest.raises(ValueError, match=r"lies in \[0, 1\], got 1.5"):
        blend(first, second, 1.5)
    other = replace(SURE, width=24)
    with pytest.raises(ValueError, match="The second network to blend does not fit"):
        blend(first, Weights(build_hmr(other), other, "open-1"), 0.5)


def test_spin_goes_on_from_weights_without_what_it_does_not_teach():
    weights = Weights(build_hmr(SURE).eval(), SURE, "open-1")
    known = weights.to_train()
    assert known.config == SILENT and known.model.head.spread is None and not known.model.training
    assert torch.equal(known.model.head.fc1.weight, weights.model.head.fc1.weight)
    silent = Weights(build_hmr(SILENT), SILENT, "open-1")
    assert silent.to_train().model is silent.model


def _seen(body, params):
    names = tuple(name or "pelvis" for name in convention_named("coco17").landmarks)
    camera = toy_camera(len(params.betas))
    pixels = project(KeypointKinematics(body, names)(params), camera)
    boxes = torch.cat([pixels.amin(1), pixels.amax(1)], -1)
    return Detections(pixels, torch.ones(pixels.shape[:2]), boxes, "coco17"), camera


def test_estimates_carry_how_sure_the_network_is_and_people_without_keypoints_are_unsure():
    body = load_body()
    regressor = NetworkRegressor("toy", Weights(build_hmr(SURE).eval(), SURE, body.name), body)
    detections, camera = _seen(body, random_params(3, seed=1))
    detections = replace(detections, confidence=detections.confidence * torch.tensor([1.0, 1.0, 0.0])[:, None])
    told = regressor(None, detections, camera).uncertainty
    assert told is not None and told.rotations.shape == (3, 24)
    assert float(told.rotations[0].max()) < BLIND and bool((told.rotations[2] == BLIND).all())


def test_regressors_that_do_not_say_how_sure_they_are_still_work():
    body = stick_body()
    detections, camera = _seen(body, random_params(2, seed=1))
    assert load_regressor("mean", body)(None, detections, camera).uncertainty is None
    silent = NetworkRegressor("toy", Weights(build_hmr(SILENT).eval(), SILENT, body.name), body)
    assert silent(None, detections, camera).uncertainty is None


def test_the_spread_is_found_again_in_the_uncertainty():
    told = torch.randn(4, 25, generator=torch.Generator().manual_seed(0))
    assert torch.allclose(log_spread_of(uncertainty_from(told)), told, atol=1e-5)
