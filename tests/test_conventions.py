"""Each numbered line of docs/conventions.md."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image as PillowImage
from toy import random_params, rest_joints, stick_body, toy_camera

from fitloop.body import BodyEstimate, BodyParams, Detections, KeypointKinematics, convention_named, upright
from fitloop.body.params import JOINT_NAMES
from fitloop.data import load_image
from fitloop.fitting import fit
from fitloop.geometry import camera_of, project, rotvec_to_rotmat
from fitloop.geometry.cameras import weak_to_translation
from fitloop.geometry.rotations import rot6d_to_rotmat


def _standing() -> BodyParams:
    return replace(upright(), transl=torch.tensor([0.0, 0.0, 4.0]))


def test_1_x_is_right_and_y_is_down_in_the_photo():
    camera = toy_camera()
    left, right, up, down = project(torch.tensor([[-1.0, 0, 4], [1.0, 0, 4], [0, -1.0, 4], [0, 1.0, 4]]), camera)
    assert left[0] < right[0] and up[1] < down[1]


def test_2_and_5_photos_are_rgb_rows_by_columns(tmp_path):
    pixels = np.zeros((4, 6, 3), np.uint8)
    pixels[0, 5] = (255, 0, 0)
    PillowImage.fromarray(pixels).save(tmp_path / "photo.png")
    image = load_image(tmp_path / "photo.png")
    assert image.pixels.shape == (4, 6, 3) and image.pixels[0, 5].tolist() == [255, 0, 0]
    assert image.camera.principal_point.tolist() == [3.0, 2.0]


def test_3_the_optical_axis_lands_on_the_principal_point():
    camera = toy_camera()
    assert project(torch.tensor([[0.0, 0.0, 7.0]]), camera)[0].tolist() == camera.principal_point.tolist()


def test_4_an_unknown_focal_length_is_the_diagonal():
    assert float(camera_of(300, 400).focal) == 500.0


def test_6_matrices_turn_column_vectors():
    quarter = rotvec_to_rotmat(torch.tensor([0.0, 0.0, torch.pi / 2]))
    torch.testing.assert_close(
        quarter @ torch.tensor([1.0, 0.0, 0.0]), torch.tensor([0.0, 1.0, 0.0]), atol=1e-6, rtol=0
    )


def test_7_an_upright_body_faces_the_camera_head_up_left_hand_on_the_right_of_the_photo():
    body = stick_body()
    joints = body(_standing()).joints
    pixels = project(joints, toy_camera())
    at = JOINT_NAMES.index
    assert pixels[at("head"), 1] < pixels[at("pelvis"), 1] < pixels[at("left_foot"), 1]
    assert pixels[at("left_hand"), 0] > pixels[at("right_hand"), 0]
    assert joints[at("left_foot"), 2] < joints[at("left_ankle"), 2], "toes point to the camera"


def test_8_transl_is_added_to_the_posed_body():
    body = stick_body()
    params = random_params(seed=0)
    moved = body(replace(params, transl=params.transl + 1.0))
    torch.testing.assert_close(moved.vertices, body(params).vertices + 1.0)
    rest = body.rest_joints(params.betas)[0]
    torch.testing.assert_close(body(params).joints[0], rest + params.transl)


def test_9_body_pose_turns_a_joint_relative_to_its_parent():
    params = _standing()
    knee = JOINT_NAMES.index("left_knee")
    pose = params.body_pose.clone()
    pose[knee - 1] = rotvec_to_rotmat(torch.tensor([0.3, 0.0, 0.0]))
    before, after = (stick_body()(p).joints for p in (params, replace(params, body_pose=pose)))
    moved = (before - after).norm(dim=-1) > 1e-6
    assert [JOINT_NAMES[i] for i in moved.nonzero()[:, 0]] == ["left_ankle", "left_foot"]
    assert len(rest_joints()) == len(JOINT_NAMES)


def _evidence(params: BodyParams) -> Detections:
    convention = convention_named("coco17")
    points = KeypointKinematics(stick_body(), tuple(filter(None, convention.landmarks)))(params)
    pixels = project(points, toy_camera(*params.transl.shape[:-1]))
    low, high = pixels.amin(-2), pixels.amax(-2)
    return Detections(pixels, torch.ones(pixels.shape[:-1]), torch.cat([low, high], -1), convention.name)


def test_10_coordinates_of_unobserved_keypoints_mean_nothing():
    detections = _evidence(random_params(1, seed=0, spread=0.2))
    confidence = detections.confidence.clone()
    confidence[:, 3] = 0.0
    pixels = detections.keypoints.clone()
    pixels[:, 3] = 1e5
    start = BodyEstimate(random_params(1, seed=0, spread=0.0), toy_camera(1), "stick-1")
    plain = fit(stick_body(), replace(detections, confidence=confidence), start)
    moved = fit(stick_body(), replace(detections, confidence=confidence, keypoints=pixels), start)
    torch.testing.assert_close(plain.estimate.params.body_pose, moved.estimate.params.body_pose)


def test_11_the_two_6d_layouts_differ_and_are_named():
    six = torch.arange(1.0, 7.0)
    first, second = rot6d_to_rotmat(six, "interleaved"), rot6d_to_rotmat(six, "block")
    torch.testing.assert_close(first[:, 0], torch.nn.functional.normalize(torch.tensor([1.0, 3.0, 5.0]), dim=0))
    torch.testing.assert_close(second[:, 0], torch.nn.functional.normalize(torch.tensor([1.0, 2.0, 3.0]), dim=0))


def test_12_a_batch_gives_what_the_single_ones_give():
    params = random_params(3, seed=5)
    body = stick_body()
    singles = torch.stack([body(params[row]).vertices for row in range(3)])
    torch.testing.assert_close(body(params).vertices, singles, atol=1e-6, rtol=0)


def test_13_estimates_hold_parameters_only():
    assert set(BodyEstimate.__dataclass_fields__) == {"params", "camera", "body", "uncertainty"}


def test_14_weak_perspective_spans_minus_one_to_one_across_the_crop():
    camera, center, side = toy_camera(), torch.tensor([200.0, 150.0]), torch.tensor(120.0)
    weak = torch.tensor([0.8, 0.0, 0.0])
    transl = weak_to_translation(weak, center, side, camera)
    edge = torch.tensor([[1.0 / 0.8, 0.0, 0.0]]) + transl
    torch.testing.assert_close(project(edge, camera)[0], torch.tensor([260.0, 150.0]), atol=1e-3, rtol=0)


def test_15_estimates_of_another_body_are_refused():
    params = random_params(1, seed=0)
    with pytest.raises(ValueError, match="open-1.*stick-1|stick-1.*open-1"):
        fit(stick_body(), _evidence(params), BodyEstimate(params, toy_camera(1), "open-1"))
