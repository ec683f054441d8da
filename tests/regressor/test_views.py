import pytest
import torch
from toy import random_params, stick_body, toy_camera

from fitloop.body.keypoints import SURFACE_LANDMARKS
from fitloop.body.kinematics import KeypointKinematics
from fitloop.body.mirror import rest_pelvis, turn_params
from fitloop.geometry import Camera, project
from fitloop.geometry.cameras import weak_to_translation
from fitloop.regressor.views import bearing, points_in_view, project_in_view, view_of_boxes, weak_to_place

BOXES = torch.tensor([[100.0, 50.0, 180.0, 300.0], [400.0, 200.0, 640.0, 480.0], [300.0, 220.0, 340.0, 260.0]])


def test_the_middle_of_the_box_is_the_middle_of_the_view():
    camera = toy_camera(3)
    view = view_of_boxes(BOXES, camera)
    centers = (BOXES[:, :2] + BOXES[:, 2:])[:, None] / 2.0
    torch.testing.assert_close(points_in_view(centers, camera, view), torch.zeros(3, 1, 2), atol=1e-4, rtol=0)


def test_the_square_around_the_box_spans_the_view():
    camera = toy_camera(1)
    view = view_of_boxes(BOXES[2:], camera, margin=1.5)
    corner = torch.tensor([[[350.0, 270.0]]])
    torch.testing.assert_close(points_in_view(corner, camera, view), torch.ones(1, 1, 2), atol=0.01, rtol=0)


def test_the_turn_to_the_view_is_a_rotation_also_straight_ahead():
    view = view_of_boxes(BOXES, toy_camera(3))
    eye = torch.eye(3).expand(3, 3, 3)
    torch.testing.assert_close(view.rotation @ view.rotation.mT, eye, atol=1e-6, rtol=0)
    torch.testing.assert_close(view.rotation[2], torch.eye(3), atol=1e-6, rtol=0)


def test_pixels_and_points_of_the_camera_agree_in_the_view():
    camera = toy_camera(3)
    view = view_of_boxes(BOXES, camera)
    points = torch.randn(3, 7, 3, generator=torch.Generator().manual_seed(0)) * 0.3 + torch.tensor([0.0, 0.0, 3.0])
    seen = points_in_view(project(points, camera), camera, view)
    torch.testing.assert_close(project_in_view(points @ view.rotation.mT, view), seen, atol=1e-3, rtol=1e-4)


def test_a_turned_body_is_the_body_seen_by_a_turned_camera():
    body = stick_body()
    params = random_params(3)
    view = view_of_boxes(BOXES, toy_camera(3))
    pelvis = rest_pelvis(body, params.betas)
    kinematics = KeypointKinematics(body, ("pelvis", "head", "left_wrist", *SURFACE_LANDMARKS[:3]))
    turned = turn_params(params, view.rotation, pelvis)
    torch.testing.assert_close(kinematics(turned), kinematics(params) @ view.rotation.mT, atol=1e-5, rtol=0)
    back = turn_params(turned, view.rotation.mT, pelvis)
    torch.testing.assert_close(back.transl, params.transl, atol=1e-5, rtol=0)


def test_the_rest_pelvis_is_the_first_rest_joint():
    body, betas = stick_body(), torch.randn(4, 10, generator=torch.Generator().manual_seed(2))
    torch.testing.assert_close(rest_pelvis(body, betas), body.rest_joints(betas)[:, 0], atol=1e-6, rtol=0)


def test_straight_ahead_the_weak_camera_is_the_one_of_the_crop():
    camera = Camera(torch.tensor([800.0]), torch.tensor([[320.0, 240.0]]))
    view = view_of_boxes(BOXES[2:], camera, margin=1.0)
    weak = torch.tensor([[0.9, 0.1, -0.2]])
    expected = weak_to_translation(weak, torch.tensor([[320.0, 240.0]]), torch.tensor([40.0]), camera)
    torch.testing.assert_close(weak_to_place(weak, view), expected)


@pytest.mark.parametrize(("axis", "sign"), [(0, -1.0), (1, -1.0)])
def test_the_bearing_points_to_where_the_person_is(axis, sign):
    numbers = bearing(toy_camera(1), view_of_boxes(BOXES[:1], toy_camera(1)))
    center = (BOXES[0, :2] + BOXES[0, 2:]) / 2.0
    slope = (center - toy_camera().principal_point) / 800.0
    torch.testing.assert_close(numbers[0, axis], slope[axis])
    assert numbers[0, axis] * sign > 0
