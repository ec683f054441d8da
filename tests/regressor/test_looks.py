import pytest
import torch
from toy import random_params, stick_body, toy_camera

from fitloop.body import Detections, KeypointKinematics
from fitloop.body.mirror import mirror_params, mirror_points
from fitloop.geometry import project
from fitloop.regressor.keypoint_encoder import KEYPOINT_NAMES, keypoint_inputs
from fitloop.regressor.looks import (
    MIRRORED_KEYPOINTS,
    AugmentationConfig,
    Changes,
    augmented_keypoint_view,
    draw_changes,
    into_augmented_view,
    keypoint_inputs_of,
    no_changes,
    out_of_augmented_view,
)
from fitloop.regressor.views import project_in_view

BODY = stick_body()
KINEMATICS = KeypointKinematics(BODY, KEYPOINT_NAMES)


@pytest.fixture
def symmetric():
    """A stick figure whose left is the mirror image of its right, in every shape."""
    return BODY


def people(count=4):
    params, camera = random_params(count, seed=3), toy_camera(count)
    pixels = project(KINEMATICS(params), camera)
    boxes = torch.cat([pixels.amin(1), pixels.amax(1)], -1)
    return params, camera, Detections(pixels, torch.ones_like(pixels[..., 0]), boxes, "smpl24")


def changed(count=4):
    return Changes(torch.arange(count) % 2 == 0, torch.linspace(-0.8, 0.9, count), torch.linspace(0.8, 1.2, count))


def test_out_of_a_look_undoes_into_it():
    params, camera, detections = people()
    augmented = augmented_keypoint_view(detections, camera, changed())
    back = out_of_augmented_view(into_augmented_view(params, augmented, BODY), augmented, BODY)
    for first, second in ((back.rotations, params.rotations), (back.transl, params.transl), (back.betas, params.betas)):
        torch.testing.assert_close(first, second, atol=1e-5, rtol=0)


def test_without_changes_the_encoder_reads_what_it_reads_elsewhere():
    _, camera, detections = people()
    augmented = augmented_keypoint_view(detections, camera, no_changes(4))
    inputs, view = keypoint_inputs(detections, camera)
    ours = keypoint_inputs_of(detections, camera, augmented)
    torch.testing.assert_close(ours.points, inputs.points)
    torch.testing.assert_close(ours.bearing, inputs.bearing)
    torch.testing.assert_close(augmented.view.rotation, view.rotation)


def test_a_body_taken_into_a_turned_view_falls_on_the_keypoints_that_the_encoder_reads():
    params, camera, detections = people()
    straight = Changes(torch.zeros(4, dtype=torch.bool), changed().angle, changed().scale)
    augmented = augmented_keypoint_view(detections, camera, straight)
    seen = project_in_view(KINEMATICS(into_augmented_view(params, augmented, BODY)), augmented.view)
    torch.testing.assert_close(seen, keypoint_inputs_of(detections, camera, augmented).points, atol=1e-4, rtol=0)


def test_mirroring_twice_changes_nothing():
    params = random_params(3, seed=1)
    twice = mirror_params(mirror_params(params, BODY), BODY)
    torch.testing.assert_close(twice.rotations, params.rotations)
    torch.testing.assert_close(twice.transl, params.transl, atol=1e-6, rtol=0)


def test_the_mirror_image_of_the_open_body_has_its_joints_mirrored():
    from fitloop.body import load_body

    body = load_body()
    names = [name for name in KEYPOINT_NAMES if name in body.joint_names]
    kinematics = KeypointKinematics(body, tuple(names))
    params = random_params(3, seed=2)
    from fitloop.body.keypoints import mirrored

    order = [names.index(mirrored(name)) for name in names]
    mirror = kinematics(mirror_params(params, body))
    distance = (mirror - mirror_points(kinematics(params), order)).norm(dim=-1)
    assert distance.max() < 0.01


def test_a_mirrored_look_shows_left_as_right():
    _, camera, detections = people()
    flipped = Changes(torch.ones(4, dtype=torch.bool), torch.zeros(4), torch.ones(4))
    plain = keypoint_inputs_of(detections, camera, augmented_keypoint_view(detections, camera, no_changes(4)))
    mirror = keypoint_inputs_of(detections, camera, augmented_keypoint_view(detections, camera, flipped))
    left, right = KEYPOINT_NAMES.index("left_knee"), KEYPOINT_NAMES.index("right_knee")
    torch.testing.assert_close(mirror.points[:, left, 0], -plain.points[:, right, 0])
    torch.testing.assert_close(mirror.points[:, left, 1], plain.points[:, right, 1])
    assert MIRRORED_KEYPOINTS[left] == right


def test_a_turned_photo_and_a_turned_view_tell_the_network_the_same():
    _, camera, detections = people()
    angle = 0.5
    turn = torch.tensor([[torch.cos(torch.tensor(angle)), -torch.sin(torch.tensor(angle))],
                         [torch.sin(torch.tensor(angle)), torch.cos(torch.tensor(angle))]])  # fmt: skip
    turned = (detections.keypoints - camera.principal_point[:, None]) @ turn.mT + camera.principal_point[:, None]
    augmented = augmented_keypoint_view(
        detections, camera, Changes(torch.zeros(4, dtype=torch.bool), torch.full((4,), -angle), torch.ones(4))
    )
    ours = keypoint_inputs_of(detections, camera, augmented)
    # The same square, seen in the turned photo: its center turns along.
    from fitloop.regressor.views import View, bearing, points_in_view

    axis = torch.block_diag(turn, torch.eye(1))
    photo_view = View(augmented.view.rotation @ axis.mT, augmented.view.half_size)
    torch.testing.assert_close(ours.points, points_in_view(turned, camera, photo_view), atol=1e-4, rtol=0)
    torch.testing.assert_close(ours.bearing[:, :2], bearing(camera, photo_view)[:, :2], atol=1e-5, rtol=0)


def test_changes_are_drawn_as_spin_draws_them():
    drawn = draw_changes(20000, AugmentationConfig(), torch.Generator().manual_seed(0))
    assert abs(drawn.flipped.float().mean() - 0.5) < 0.02
    assert abs((drawn.angle == 0).float().mean() - 0.6) < 0.02
    assert drawn.angle.abs().max() <= torch.pi / 3 + 1e-6
    assert drawn.scale.min() >= 0.75 - 1e-6 and drawn.scale.max() <= 1.25 + 1e-6
