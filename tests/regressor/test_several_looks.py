from dataclasses import replace

import pytest
import torch
from toy import random_params

from fitloop.body import BodyParams, Detections, KeypointKinematics, load_body
from fitloop.body.mirror import MIRRORED_PARTS, mirror_params, mirror_points
from fitloop.body.records import Uncertainty
from fitloop.geometry import Camera, project
from fitloop.geometry.rotations import geodesic_angle
from fitloop.regressor import load_weights
from fitloop.regressor.hmr import HMR
from fitloop.regressor.keypoint_encoder import KEYPOINT_NAMES, keypoint_inputs
from fitloop.regressor.looks import MIRRORED_KEYPOINTS
from fitloop.regressor.proxy import NUM_PROXY_CHANNELS, mirror_proxy
from fitloop.regressor.regressor import NetworkInput, NetworkRegressor, weights_path
from fitloop.regressor.several_looks import Seen, look_several_times

MIDDLE, FOCAL = 400.0, 900.0


@pytest.fixture(scope="module")
def body():
    return load_body()


@pytest.fixture(scope="module")
def network():
    return load_weights(weights_path("keypoints")).model


@pytest.fixture(scope="module")
def seen(body):
    params = random_params(5, seed=4)
    params = replace(params, transl=torch.tensor([0.2, 0.1, 5.0]).expand(5, 3))
    camera = Camera(torch.full((5,), FOCAL), torch.full((5, 2), MIDDLE))
    keypoints = project(KeypointKinematics(body, KEYPOINT_NAMES)(params), camera)
    sure = 0.3 + 0.7 * torch.rand(5, len(KEYPOINT_NAMES), generator=torch.Generator().manual_seed(1))
    boxes = torch.cat([keypoints.amin(1), keypoints.amax(1)], -1)
    return Detections(keypoints, sure, boxes, "smpl24"), camera


def in_the_mirror(detections: Detections) -> Detections:
    keypoints = mirror_points(detections.keypoints - MIDDLE, MIRRORED_KEYPOINTS) + MIDDLE
    boxes = torch.cat([keypoints.amin(1), keypoints.amax(1)], -1)
    return replace(
        detections, keypoints=keypoints, confidence=detections.confidence[:, MIRRORED_KEYPOINTS], boxes=boxes
    )


@torch.no_grad()
def asked(network: HMR, seen: Seen, body) -> tuple[BodyParams, Uncertainty]:
    said, told = look_several_times(network, seen, body)
    assert told is not None
    return said, told


def once(body, detections: Detections, camera: Camera) -> BodyParams:
    regressor = NetworkRegressor("one look", load_weights(weights_path("keypoints")), body, looks=False)
    inputs, view = keypoint_inputs(detections, camera)
    return regressor.params_of(regressor.weights.model(inputs), NetworkInput(inputs, None, view, detections, camera))


def test_people_in_the_mirror_get_the_mirrored_answer(body, network, seen):
    detections, camera = seen
    straight, told = asked(network, Seen(detections, camera), body)
    mirrored, told_mirrored = asked(network, Seen(in_the_mirror(detections), camera), body)
    expected = mirror_params(straight, body)
    assert float(geodesic_angle(mirrored.rotations, expected.rotations).max()) < 1e-3
    assert torch.allclose(mirrored.betas, expected.betas, atol=1e-4)
    assert torch.allclose(mirrored.transl, expected.transl, atol=1e-4)
    assert torch.allclose(told_mirrored.parts, told.parts[:, MIRRORED_PARTS], atol=1e-4)


def test_the_answer_is_the_mean_of_single_looks(body, network, seen, monkeypatch):
    """One turn of 0 degrees leaves two looks; their mean lies half way on the shortest path between them."""
    detections, camera = seen
    monkeypatch.setattr("fitloop.regressor.several_looks.TURNS", (0.0,))
    both, told = asked(network, Seen(detections, camera), body)
    with torch.no_grad():
        straight = once(body, detections, camera)
        mirrored = mirror_params(once(body, in_the_mirror(detections), camera), body)
    apart = geodesic_angle(straight.rotations, mirrored.rotations)
    assert float(apart.mean()) > 0.02
    assert torch.allclose(geodesic_angle(both.rotations, straight.rotations), apart / 2.0, atol=2e-3)
    assert torch.allclose(both.betas, (straight.betas + mirrored.betas) / 2.0, atol=1e-4)
    assert bool((told.rotations > 0).all())


def test_looks_that_disagree_make_the_answer_less_sure(body, network, seen, monkeypatch):
    detections, camera = seen
    _, told = asked(network, Seen(detections, camera), body)
    monkeypatch.setattr("fitloop.regressor.several_looks._widened", lambda spread, said, mean: spread)
    _, alone = asked(network, Seen(detections, camera), body)
    assert bool((told.parts > alone.parts).all())


def test_one_person_or_many_get_the_same_answer(body, network, seen):
    detections, camera = seen
    with torch.no_grad():
        everybody, _ = look_several_times(network, Seen(detections, camera), body)
        alone, _ = look_several_times(network, Seen(detections[2:3], camera[2:3]), body)
        nobody, _ = look_several_times(network, Seen(detections[:0], camera[:0]), body)
    assert torch.allclose(alone.rotations, everybody.rotations[2:3], atol=1e-4)
    assert len(nobody.betas) == 0


def test_a_network_that_does_not_say_how_sure_it_is_is_asked_several_times_too(body, seen):
    detections, camera = seen
    silent = load_weights(weights_path("keypoints")).silent().model
    with torch.no_grad():
        mean, told = look_several_times(silent, Seen(detections, camera), body)
    assert told is None and mean.rotations.shape == (5, 24, 3, 3)


def test_crops_are_mirrored_with_the_keypoints(body, seen):
    """A mirrored photo gives the mirrored answer, of a network that reads crops, too."""
    detections, camera = seen
    proxy = load_weights(weights_path("proxy")).model
    maps = torch.rand(5, NUM_PROXY_CHANNELS, 96, 96, generator=torch.Generator().manual_seed(2))
    with torch.no_grad():
        straight, _ = look_several_times(proxy, Seen(detections, camera, maps), body)
        mirrored, _ = look_several_times(proxy, Seen(in_the_mirror(detections), camera, mirror_proxy(maps)), body)
        other, _ = look_several_times(proxy, Seen(detections, camera, mirror_proxy(maps)), body)
    expected = mirror_params(straight, body).rotations
    assert float(geodesic_angle(mirrored.rotations, expected).max()) < 1e-3
    assert float(geodesic_angle(mirror_params(other, body).rotations, expected).max()) > 1e-2
