"""Cameras and crops: projection, weak perspective, round trips."""

import pytest
import torch
from toy import toy_camera

from fitloop.geometry.cameras import (
    Camera,
    backproject,
    camera_of,
    field_of_view_to_focal,
    project,
    translation_to_weak,
    weak_to_translation,
)
from fitloop.geometry.crops import Crop, crop_of_box, from_crop, sampling_grid, to_crop

BATCHES = [(), (1,), (2, 3)]


@pytest.mark.parametrize("batch", BATCHES)
def test_back_projection_undoes_projection(batch):
    generator = torch.Generator().manual_seed(0)
    points = torch.randn(*batch, 5, 3, generator=generator) + torch.tensor([0.0, 0.0, 5.0])
    camera = toy_camera(*batch)
    torch.testing.assert_close(backproject(project(points, camera), points[..., 2], camera), points)


def test_points_behind_the_camera_project_far_away_but_finite():
    pixels = project(torch.tensor([[0.5, 0.5, -1.0]]), toy_camera())
    assert torch.isfinite(pixels).all() and (pixels.abs() > 1e4).all()


def test_weak_perspective_depth_is_spins_golden_value():
    camera = Camera(torch.tensor(5000.0), torch.tensor([112.0, 112.0]))
    transl = weak_to_translation(
        torch.tensor([0.9, 0.0, 0.0]), torch.tensor([112.0, 112.0]), torch.tensor(224.0), camera
    )
    torch.testing.assert_close(transl, torch.tensor([0.0, 0.0, 49.603]), atol=1e-3, rtol=0)


@pytest.mark.parametrize("batch", BATCHES)
def test_weak_and_full_cameras_round_trip(batch):
    camera = toy_camera(*batch)
    weak = torch.tensor([0.8, 0.1, -0.2]).expand(*batch, 3)
    center, side = torch.tensor([100.0, 300.0]).expand(*batch, 2), torch.full(batch, 180.0)
    transl = weak_to_translation(weak, center, side, camera)
    torch.testing.assert_close(translation_to_weak(transl, center, side, camera), weak)


def test_a_default_camera_sees_53_degrees_along_the_diagonal():
    camera = camera_of(640, 480)
    assert float(camera.focal) == 800.0
    assert camera.principal_point.tolist() == [320.0, 240.0]


def test_a_right_angle_of_view_is_half_the_width():
    assert field_of_view_to_focal(90.0, 640) == pytest.approx(320.0)
    with pytest.raises(ValueError, match="between 0 and 180"):
        field_of_view_to_focal(180.0, 640)


@pytest.mark.parametrize("batch", BATCHES)
def test_crop_coordinates_round_trip_under_rotation(batch):
    crop = Crop(torch.full((*batch, 2), 50.0), torch.full(batch, 40.0), torch.full(batch, 0.3))
    pixels = 100 * torch.rand(*batch, 7, 2, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(from_crop(to_crop(pixels, crop), crop), pixels)


def test_a_crop_is_a_square_around_the_longer_side_with_margin():
    crop = crop_of_box(torch.tensor([10.0, 20.0, 30.0, 120.0]))
    assert crop.center.tolist() == [20.0, 70.0]
    assert float(crop.side) == pytest.approx(120.0)


def test_the_sampling_grid_cuts_the_crop_out_of_the_photo():
    photo = torch.arange(64.0).reshape(1, 1, 8, 8)
    crop = Crop(torch.tensor([[4.0, 4.0]]), torch.tensor([4.0]), torch.zeros(1))
    cut = torch.nn.functional.grid_sample(photo, sampling_grid(crop, 4, 8, 8), align_corners=False)
    torch.testing.assert_close(cut[0, 0], photo[0, 0, 2:6, 2:6], atol=1e-4, rtol=0)
