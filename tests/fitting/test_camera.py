import pytest
import torch

from fitloop.fitting.camera import least_squares_translation, similar_triangles_depth, torso_translation


def scene(rows=4, seed=0):
    generator = torch.Generator().manual_seed(seed)
    points = torch.randn(rows, 3, 12, generator=generator, dtype=torch.float64) * torch.tensor(
        [[0.3], [0.7], [0.1]], dtype=torch.float64
    )
    transl = torch.tensor([0.3, -0.2, 5.0], dtype=torch.float64) + torch.randn(
        rows, 3, generator=generator, dtype=torch.float64
    ) * torch.tensor([0.5, 0.5, 1.0], dtype=torch.float64)
    focal = torch.full((rows,), 900.0, dtype=torch.float64)
    placed = points + transl[..., None]
    observed = focal[:, None, None] * placed[:, :2] / placed[:, 2:]
    return points, transl, focal, observed, torch.ones(rows, 12, dtype=torch.float64)


def test_least_squares_finds_the_translation_that_made_the_pixels():
    points, transl, focal, observed, confidence = scene()
    found = least_squares_translation(points, observed, confidence, focal)
    torch.testing.assert_close(found, transl, atol=1e-9, rtol=0)


def test_least_squares_ignores_points_that_were_not_observed():
    points, transl, focal, observed, confidence = scene()
    confidence[:, 4] = 0.0
    observed[:, :, 4] = 1e4
    found = least_squares_translation(points, observed, confidence, focal)
    torch.testing.assert_close(found, transl, atol=1e-9, rtol=0)


def test_a_wrong_pose_does_not_send_the_body_behind_the_camera_or_far_away():
    points, transl, focal, observed, confidence = scene()
    found = least_squares_translation(points.flip(2), observed, confidence, focal)
    assert (found[:, 2] > 0.4 * transl[:, 2]).all()
    assert (found[:, 2] < 2.5 * transl[:, 2]).all()


@pytest.mark.parametrize("function", [least_squares_translation, torso_translation])
def test_coinciding_points_still_give_numbers(function):
    points, _, focal, observed, confidence = scene()
    found = function(torch.zeros_like(points), torch.zeros_like(observed), confidence, focal)
    assert torch.isfinite(found).all()


def test_similar_triangles_give_the_depth_of_a_flat_cloud():
    points, transl, focal, _, confidence = scene()
    points[:, 2] = 0.0
    placed = points + transl[..., None]
    observed = focal[:, None, None] * placed[:, :2] / placed[:, 2:]
    torch.testing.assert_close(similar_triangles_depth(points, observed, confidence, focal), transl[:, 2])
    found = torso_translation(points, observed, confidence, focal)
    torch.testing.assert_close(found, transl, atol=1e-6, rtol=0)
