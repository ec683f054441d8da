from dataclasses import replace

import numpy as np
import pytest
import torch
from toy import random_params, stick_body, toy_camera

from fitloop.body import BodyEstimate, BodyParams, Detections, Image, KeypointKinematics, convention_named, load_body
from fitloop.body.assets import verify_assets
from fitloop.geometry import Camera, project, rotvec_to_rotmat
from fitloop.regressor import (
    HeadConfig,
    HMRConfig,
    Regressor,
    Weights,
    build_hmr,
    load_regressor,
    mean_regressor,
    save_weights,
)
from fitloop.regressor.regressor import ASSETS, NetworkRegressor, mean_rotations

FOCAL = 900.0


@pytest.fixture(scope="module")
def body():
    return load_body()


@pytest.fixture(scope="module")
def keypoints(body):
    return load_regressor("keypoints", body)


def people(count: int) -> BodyParams:
    """Mean poses with a bent arm, turned this way and that, 4 m away."""
    generator = torch.Generator().manual_seed(3)
    rotations = mean_rotations().expand(count, 24, 3, 3).clone()
    yaw = torch.zeros(count, 3)
    yaw[:, 1] = torch.linspace(-1.0, 1.0, count)
    rotations[:, 0] = rotations[:, 0] @ rotvec_to_rotmat(yaw)
    turns = torch.zeros(count, 24, 3)
    turns[:, 18:20, 1] = torch.rand(count, 2, generator=generator) - 0.5
    rotations = rotations @ rotvec_to_rotmat(turns)
    place = torch.tensor([0.4, 0.1, 4.0]) + 0.3 * torch.randn(count, 3, generator=generator)
    return BodyParams(rotations[:, 0], rotations[:, 1:], torch.zeros(count, 10), place)


def seen(body, params: BodyParams, convention: str = "coco17") -> tuple[Detections, Camera]:
    names = convention_named(convention).landmarks
    camera = Camera(torch.tensor(FOCAL), torch.tensor([500.0, 400.0]))
    points = KeypointKinematics(body, tuple(name or "pelvis" for name in names))(params)
    count = len(points)
    pixels = project(points, Camera(camera.focal.expand(count), camera.principal_point.expand(count, 2)))
    boxes = torch.cat([pixels.amin(1), pixels.amax(1)], -1)
    return Detections(pixels, torch.ones(pixels.shape[:2]), boxes, convention), camera


def joint_error(body, estimate: BodyEstimate, truth: BodyParams) -> float:
    joints = KeypointKinematics(body, body.joint_names)
    found, wanted = joints(estimate.params), joints(truth)
    return float(((found - found[:, :1]) - (wanted - wanted[:, :1])).norm(dim=-1).mean())


def test_shipped_files_are_whole():
    assert verify_assets(ASSETS) == []


@pytest.mark.parametrize("convention", ["coco17", "mediapipe33", "lsp14", "body25"])
def test_the_shipped_regressor_beats_the_mean_pose(body, keypoints, convention):
    truth = people(8)
    detections, camera = seen(body, truth, convention)
    assert isinstance(keypoints, Regressor)
    regressed = joint_error(body, keypoints(None, detections, camera), truth)
    assert regressed < 0.5 * joint_error(body, mean_regressor(body)(None, detections, camera), truth)
    assert regressed < 0.12


def test_bodies_are_placed_on_their_keypoints(body, keypoints):
    truth = people(4)
    detections, camera = seen(body, truth)
    estimate = keypoints(None, detections, camera)
    assert (estimate.body, estimate.camera.focal.shape) == (body.name, (4,))
    found, _ = seen(body, estimate.params)
    sides = (detections.boxes[:, 2:] - detections.boxes[:, :2]).amax(-1)
    distance = (found.keypoints - detections.keypoints).norm(dim=-1).mean(-1)
    assert float((distance / sides).max()) < 0.1
    assert float((estimate.params.transl - truth.transl).norm(dim=-1).max()) < 0.6


def test_people_do_not_depend_on_who_is_beside_them(body, keypoints):
    detections, camera = seen(body, people(3))
    together, alone = keypoints(None, detections, camera), keypoints(None, detections[1:2], camera)
    torch.testing.assert_close(together.params.transl[1:2], alone.params.transl, atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(together.params.rotations[1:2], alone.params.rotations, atol=1e-4, rtol=1e-4)


def test_turning_the_camera_turns_the_bodies(body, keypoints):
    truth = people(4)
    detections, camera = seen(body, truth)
    turn = rotvec_to_rotmat(torch.tensor([0.05, -0.15, 0.0]))
    place = (turn @ truth.transl[..., None])[..., 0]
    turned, _ = seen(body, replace(truth, global_orient=turn @ truth.global_orient, transl=place))
    first, second = keypoints(None, detections, camera), keypoints(None, turned, camera)
    expected = turn @ first.params.global_orient
    assert float((second.params.global_orient - expected).abs().max()) < 0.15


def test_nobody_gives_nobody(body, keypoints):
    detections, camera = seen(body, people(2))
    for regressor in (keypoints, mean_regressor(body)):
        assert regressor(None, detections[:0], camera).params.betas.shape == (0, 10)


@pytest.mark.parametrize("source", ["keypoints", "mean"])
def test_without_keypoints_the_body_fills_its_box(body, source):
    detections, camera = seen(body, people(2))
    blind = replace(detections, confidence=torch.zeros_like(detections.confidence))
    estimate = load_regressor(source, body)(None, blind, camera)
    found, _ = seen(body, estimate.params)
    center = (detections.boxes[:, :2] + detections.boxes[:, 2:]) / 2.0
    side = (detections.boxes[:, 2:] - detections.boxes[:, :2]).amax(-1)
    assert bool(((found.keypoints.mean(1) - center).norm(dim=-1) < 0.4 * side).all())
    assert bool(estimate.params.transl.isfinite().all())


def test_the_inputs_are_left_alone(body, keypoints):
    detections, camera = seen(body, people(2))
    before = detections.map(torch.clone)
    keypoints(None, detections, camera)
    assert torch.equal(before.keypoints, detections.keypoints)
    assert torch.equal(before.confidence, detections.confidence)


def test_landmarks_are_told_to_the_network_on_demand(body, keypoints):
    detections, camera = seen(body, people(2), "smpl24")
    points = torch.randn(2, 24, 3, generator=torch.Generator().manual_seed(5))
    told = replace(detections, landmarks=points, landmark_confidence=torch.ones(2, 24))
    plain, heard = (
        keypoints(None, detections, camera),
        load_regressor("keypoints", body, landmarks=True)(None, told, camera),
    )
    assert torch.equal(keypoints(None, told, camera).params.body_pose, plain.params.body_pose)
    assert not torch.allclose(heard.params.body_pose, plain.params.body_pose, atol=0.01)


def test_the_proxy_encoder_sees_the_detectors_silhouettes(body):
    proxy = load_regressor("proxy", body)
    detections, camera = seen(body, people(1))
    photo = Image(np.full((800, 1000, 3), 128, np.uint8), camera, "grey")
    shown = replace(detections, silhouettes=torch.ones(1, 16, 16), silhouette_boxes=detections.boxes)
    assert not torch.equal(
        proxy(photo, shown, camera).params.body_pose, proxy(photo, detections, camera).params.body_pose
    )


def test_weights_for_another_body_are_refused():
    with pytest.raises(ValueError, match="regress body 'open-1', but body 'stick-1' is loaded"):
        load_regressor("keypoints", stick_body())


def test_the_mean_pose_serves_any_body():
    body = stick_body()
    detections, camera = seen(body, random_params(3))
    assert load_regressor("mean", body)(None, detections, camera).body == "stick-1"


def test_people_and_cameras_must_agree_in_number(body, keypoints):
    detections, _ = seen(body, people(3))
    with pytest.raises(ValueError, match="3 people but 2 cameras"):
        keypoints(None, detections, toy_camera(2))
    with pytest.raises(ValueError, match="one row per person"):
        keypoints(None, detections[0], toy_camera())


@pytest.mark.parametrize("encoder", ["resnet18", "proxy"])
def test_encoders_of_images_regress_from_a_photo(tmp_path, encoder):
    torch.manual_seed(0)
    config = HMRConfig(encoder, width=8, image_size=64, head=HeadConfig(hidden=16))
    body = stick_body()
    save_weights(tmp_path / "a.safetensors", Weights(build_hmr(config), config, body.name))
    regressor = load_regressor(tmp_path / "a.safetensors", body)
    detections, camera = seen(body, random_params(2))
    photo = Image(np.zeros((800, 1000, 3), np.uint8), camera, "black.png")
    estimate = regressor(photo, detections, camera)
    assert estimate.params.global_orient.shape == (2, 3, 3)
    assert bool(estimate.params.transl.isfinite().all())
    with pytest.raises(ValueError, match="give it the photo"):
        regressor(None, detections, camera)


def test_spins_camera_places_the_bodys_origin(body):
    """Without keypoints, SPIN's formula: t = (tx, ty, 2 f / (side s)) for a box in the middle of the photo."""
    config = HMRConfig("resnet18", width=8, image_size=64, head=HeadConfig(hidden=8), kind="spin")
    model = build_hmr(config).eval()
    for layer in (model.head.decpose, model.head.decshape, model.head.deccam):
        torch.nn.init.zeros_(layer.weight)
        torch.nn.init.zeros_(layer.bias)
    regressor = NetworkRegressor("spin", Weights(model, config, body.name), body)
    camera = Camera(torch.tensor(FOCAL), torch.tensor([500.0, 400.0]))
    box = torch.tensor([[450.0, 300.0, 550.0, 500.0]])
    blind = Detections(torch.zeros(1, 17, 2), torch.zeros(1, 17), box, "coco17")
    estimate = regressor(Image(np.zeros((800, 1000, 3), np.uint8), camera, "a.png"), blind, camera)
    expected = torch.tensor([[0.0, 0.0, 2.0 * FOCAL / (1.2 * 200.0 * 0.9)]])
    torch.testing.assert_close(estimate.params.transl, expected, atol=1e-4, rtol=1e-4)
