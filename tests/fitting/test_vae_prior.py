"""The autoencoder as pose prior: its energy, exact derivatives, and the fits and poses that come of it."""

from dataclasses import replace
from typing import Literal

import numpy as np
import pytest
import torch
from toy import random_params, stick_body

from fitloop.body import BodyEstimate, Detections, KeypointKinematics, convention_named
from fitloop.fitting import FitConfig, StageConfig, fit, load_pose_prior
from fitloop.fitting.coordinates import exponential
from fitloop.fitting.vae_prior import NUM_TURNED, Perceptron, VaeTables, make_vae_prior
from fitloop.fitting.vae_prior_training import VaeConfig, train_vae
from fitloop.geometry import camera_of, project, rotmat_to_rotvec

LATENT, WIDTH = 5, 16


def random_network(inputs, outputs, seed, slopes=(0.2, 0.2)):
    generator = torch.Generator().manual_seed(seed)
    shapes = ((WIDTH, inputs), (WIDTH,), (WIDTH, WIDTH), (WIDTH,), (outputs, WIDTH), (outputs,))
    first, first_bias, second, second_bias, last, last_bias = (
        0.3 * torch.randn(shape, generator=generator, dtype=torch.float64) for shape in shapes
    )
    return Perceptron(first, first_bias, second, second_bias, last, last_bias, slopes=slopes)


def random_prior(answer: Literal["matrices", "6d"] = "matrices"):
    outputs = NUM_TURNED * (9 if answer == "matrices" else 6)
    deviation = torch.linspace(0.1, 0.4, 23, dtype=torch.float64)
    encoder, decoder = random_network(63, LATENT, 0), random_network(LATENT, outputs, 1, (0.01, 1.0))
    return make_vae_prior(encoder, decoder, deviation, answer)


def poses(count=3, seed=2):
    return 0.5 * torch.randn(count, 69, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def test_the_energy_is_the_code_and_the_distance_to_what_is_decoded_of_it():
    prior, pose = random_prior(), poses(1)[0]
    hidden = pose[:63]
    for weight, bias in (("first", "first_bias"), ("second", "second_bias")):
        hidden = getattr(prior.encoder, weight) @ hidden + getattr(prior.encoder, bias)
        hidden = torch.where(hidden > 0, hidden, 0.2 * hidden)
    code = prior.encoder.last @ hidden + prior.encoder.last_bias
    expected = 0.5 * code @ code
    for joint in range(NUM_TURNED):
        rotation = exponential(pose[3 * joint : 3 * joint + 3])[0]
        apart = rotation - prior.decoder(code)[9 * joint : 9 * joint + 9].view(3, 3)
        expected = expected + (apart**2).sum() / (4.0 * prior.deviation[joint] ** 2)
    expected = expected + 0.5 * ((pose[63:].view(2, 3) / prior.deviation[21:, None]) ** 2).sum()
    torch.testing.assert_close(prior(pose), expected)


@pytest.mark.parametrize("answer", ["matrices", "6d"])
@pytest.mark.parametrize("frozen", [(), (0, 7, 21, 22)], ids=["all free", "some held"])
def test_the_fitter_gets_exact_derivatives(answer, frozen):
    prior, pose = random_prior(answer), poses().requires_grad_()
    columns = torch.tensor([3 * joint + axis for joint in range(23) if joint not in frozen for axis in range(3)])
    energy = prior(pose)
    (gradient,) = torch.autograd.grad(energy.sum(), pose)
    model = VaeTables(prior, columns, pose)(pose.detach())
    torch.testing.assert_close(model.energy, energy.detach())
    torch.testing.assert_close(model.gradient, gradient[:, columns])
    torch.testing.assert_close(model.hessian, model.hessian.mT)
    assert (torch.linalg.eigvalsh(model.hessian) > -1e-9).all()


def test_the_gauss_newton_matrix_is_that_of_the_residuals():
    prior, pose = random_prior(), poses(1)

    def residuals(numbers):
        code = prior.encode(numbers)
        turned = exponential(numbers[:63].view(21, 3))[0] - prior.matrices(code)
        hands = numbers[63:].view(2, 3) / prior.deviation[21:, None]
        scaled = turned.flatten(1) / (2.0**0.5 * prior.deviation[:21, None])
        return torch.cat([code, scaled.flatten(), hands.flatten()])

    jacobian = torch.autograd.functional.jacobian(residuals, pose[0])
    model = VaeTables(prior, torch.arange(69), pose)(pose)
    torch.testing.assert_close(model.hessian[0], jacobian.mT @ jacobian)


def test_the_shipped_prior_is_small_and_prefers_people_to_contortions():
    prior = load_pose_prior("vae")
    drawn = prior.sample(64, torch.Generator().manual_seed(0))
    energy = prior(rotmat_to_rotvec(drawn).flatten(1))
    twisted = poses(64) * 2.0
    assert float(energy.median()) < 60.0 < float(prior(twisted).min())
    assert prior.lowest == 0.0
    assert (energy > 0.0).all()


def test_both_priors_count_half_each():
    vae, mixture, both = (load_pose_prior(name) for name in ("vae", "open", "both"))
    pose = 0.5 * poses()
    torch.testing.assert_close(both(pose), 0.5 * vae(pose) + 0.5 * mixture(pose))


def test_decoded_poses_are_rotations_with_hands_at_rest():
    drawn = random_prior().sample(4, torch.Generator().manual_seed(0))
    assert drawn.shape == (4, 23, 3, 3)
    eye = torch.eye(3, dtype=torch.float64)
    torch.testing.assert_close(drawn @ drawn.mT, eye.expand_as(drawn))
    assert (torch.linalg.det(drawn) > 0).all()
    torch.testing.assert_close(drawn[:, 21:], eye.expand(4, 2, 3, 3))


def test_latent_numbers_that_cannot_be_decoded_are_refused():
    prior = random_prior()
    with pytest.raises(ValueError, match="2 latent numbers are not finite"):
        prior.decode(torch.tensor([0.0, float("nan"), float("inf"), 0.0, 0.0], dtype=torch.float64))
    with pytest.raises(ValueError, match="has 5 latent numbers, got 32"):
        prior.decode(torch.zeros(32, dtype=torch.float64))


@pytest.mark.parametrize("source", ["vae", "both"])
def test_a_fit_under_the_prior_comes_to_rest_on_the_keypoints(source):
    body, camera = stick_body(), camera_of(640, 480)
    truth = random_params(2, seed=5, spread=0.1)
    names = tuple(str(name) for name in convention_named("coco17").landmarks)
    pixels = project(KeypointKinematics(body, names)(truth), camera)
    boxes = torch.cat([pixels.amin(1), pixels.amax(1)], -1)
    seen = Detections(pixels, torch.ones(2, len(names)), boxes, "coco17")
    rows = camera.map(lambda tensor: tensor.expand(2, *tensor.shape).clone())
    start = BodyEstimate(random_params(2, seed=6, spread=0.1), rows, body.name)
    config = FitConfig(stages=(StageConfig(pose_prior=1.0, angle_prior=0.0),), pose_prior=source)
    found = fit(body, seen, start, config)
    moved = project(KeypointKinematics(body, names)(found.estimate.params), rows)
    side = (boxes[:, 2:] - boxes[:, :2]).amax(-1)
    assert ((moved - pixels).norm(dim=-1).mean(-1) < 0.05 * side).all()
    prior = load_pose_prior(source).to(torch.float32)
    before, after = (prior(rotmat_to_rotvec(e.params.body_pose).flatten(1)) for e in (start, found.estimate))
    assert (after < before).all()


def test_training_learns_to_rebuild_poses_and_is_the_same_twice():
    generator = np.random.default_rng(0)
    codes = generator.normal(size=(512, 3))
    mixing = 0.3 * generator.normal(size=(3, 63))
    rest = torch.tensor(generator.normal(size=(24, 3)) * 0.2)
    config = VaeConfig(latent=4, width=32, steps=150, batch_size=64, learning_rate=5e-3)
    prior, losses = train_vae(codes @ mixing, rest, config, seed=1)
    again, _ = train_vae(codes @ mixing, rest, config, seed=1)
    assert torch.equal(prior.decoder.last, again.decoder.last)
    assert losses[-1].joints < 0.5 * losses[0].joints
    free, loose = train_vae(codes @ mixing, rest, replace(config, orth=0.0, det=0.0), seed=1)
    assert losses[-1].orth < loose[-1].orth
    assert not torch.equal(free.decoder.last, prior.decoder.last)


def test_poses_of_another_kind_cannot_be_trained_on():
    with pytest.raises(ValueError, match=r"poses of 63 numbers, got \(10, 69\)"):
        train_vae(np.zeros((10, 69)), torch.zeros(24, 3), VaeConfig(batch_size=4), 0)
    with pytest.raises(ValueError, match="width must lie between"):
        replace(VaeConfig(), width=0)
