"""Soft silhouettes: the formula pixel by pixel, its gradient, and the thinned-out mesh."""

import numpy as np
import pytest
import torch

from fitloop.body import load_body
from fitloop.geometry import camera_of, project
from fitloop.rendering.backends import load_rasterizer
from fitloop.rendering.soft_silhouette import coarse_mesh, drawn_by_pairs, silhouette_distance, soft_silhouettes

FACES = torch.tensor([[0, 1, 2], [2, 1, 3], [0, 2, 4]])


def corners(batch=2):
    generator = torch.Generator().manual_seed(0)
    base = torch.tensor([[3.0, 3.0], [12.0, 4.0], [5.0, 11.0], [14.0, 13.0], [1.0, 9.0]], dtype=torch.float64)
    return base + torch.randn(batch, 5, 2, generator=generator, dtype=torch.float64)


def point_to_segment(point, start, end):
    along = np.clip((point - start) @ (end - start) / ((end - start) @ (end - start)), 0.0, 1.0)
    return np.linalg.norm(point - start - along * (end - start))


def drawn_slowly(points, size, softness):
    picture = np.zeros((size, size))
    for row in range(size):
        for column in range(size):
            left = 1.0
            for face in FACES.numpy():
                a, b, c = points[face]
                point = np.array([column + 0.5, row + 0.5])
                distance = min(point_to_segment(point, *ends) for ends in ((a, b), (b, c), (c, a)))
                weights = np.linalg.solve(
                    np.stack(
                        [
                            a,
                            b,
                            c,
                        ]
                    ).T.tolist()
                    + [[1.0, 1.0, 1.0]],
                    [*point, 1.0],
                )
                sign = 1.0 if (weights > 0).all() else -1.0
                left *= 1.0 - 1.0 / (1.0 + np.exp(-sign * distance**2 / softness**2))
            picture[row, column] = 1.0 - left
    return picture


@pytest.mark.parametrize("draw", [soft_silhouettes, drawn_by_pairs])
def test_pictures_are_those_of_the_formula(draw):
    points = corners()
    drawn = draw(points, FACES, 16, 1.2)
    for row in range(2):
        np.testing.assert_allclose(drawn[row], drawn_slowly(points[row].numpy(), 16, 1.2), atol=4e-3)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_compiled_loops_and_plain_torch_agree_in_pictures_and_gradients(dtype):
    points, seen = corners(3).to(dtype).requires_grad_(), torch.zeros(3, 16, 16, dtype=dtype)
    seen[:, 3:11, 4:12] = 1.0
    pictures = [draw(points, FACES, 16, 0.7) for draw in (soft_silhouettes, drawn_by_pairs)]
    assert pictures[0].dtype == dtype
    torch.testing.assert_close(*pictures, atol=1e-3, rtol=0.0)
    gradients = [torch.autograd.grad(silhouette_distance(one, seen).sum(), points)[0] for one in pictures]
    torch.testing.assert_close(*gradients, atol=1e-4, rtol=1e-3)


def test_gradients_match_finite_differences():
    points, seen = corners().requires_grad_(), torch.zeros(2, 16, 16, dtype=torch.float64)
    seen[:, 4:12, 2:9] = 1.0
    (gradient,) = torch.autograd.grad(silhouette_distance(soft_silhouettes(points, FACES, 16), seen).sum(), points)
    numeric = torch.zeros_like(gradient)
    for index in np.ndindex(*points.shape):
        step = torch.zeros_like(points)
        step[index] = 1e-5
        ahead, behind = (
            silhouette_distance(soft_silhouettes(points.detach() + sign * step, FACES, 16), seen).sum()
            for sign in (1.0, -1.0)
        )
        numeric[index] = (ahead - behind) / 2e-5
    torch.testing.assert_close(gradient, numeric, atol=2e-4, rtol=2e-3)


def test_moving_against_the_gradient_brings_a_shape_to_its_mask():
    seen = (soft_silhouettes(corners(1), FACES, 16) > 0.5).double()
    points = (corners(1) + torch.tensor([1.5, -1.0], dtype=torch.float64)).requires_grad_()
    optimizer = torch.optim.Adam([points], 0.1)
    start = float(silhouette_distance(soft_silhouettes(points.detach(), FACES, 16), seen))
    for _ in range(60):
        optimizer.zero_grad()
        silhouette_distance(soft_silhouettes(points, FACES, 16), seen).sum().backward()
        optimizer.step()
    assert float(silhouette_distance(soft_silhouettes(points.detach(), FACES, 16), seen)) < 0.75 * start


def test_a_thinned_out_body_has_nearly_the_same_silhouette():
    body, camera = load_body(), camera_of(64, 64, 120.0)
    kept, faces = coarse_mesh(body.template, body.faces, 0.05)
    assert len(faces) < 0.2 * len(body.faces)
    vertices = body.template * torch.tensor([1.0, -1.0, -1.0]) + torch.tensor([0.0, -0.2, 4.0])
    whole = load_rasterizer("torch")(vertices, body.faces, camera, (64, 64)).covered
    coarse = load_rasterizer("torch")(vertices[kept], faces, camera, (64, 64)).covered
    soft = soft_silhouettes(project(vertices[kept], camera)[None], faces, 64, 0.2)[0] > 0.9
    for other in (coarse, soft):
        assert float((whole & other).sum() / (whole | other).sum()) > 0.93


def test_pictures_agree_with_those_of_pytorch3d():
    renderer = pytest.importorskip("pytorch3d.renderer")
    structures = pytest.importorskip("pytorch3d.structures")
    points, size, softness = corners(1).float(), 16, 0.5
    # Its axes point left and up, from the middle of the picture, whose half is 1.
    flat = torch.cat([1.0 - 2.0 * points / size, torch.ones(1, 5, 1)], -1)
    sigma = (2.0 * softness / size) ** 2
    settings = renderer.RasterizationSettings(size, blur_radius=6.9 * sigma, faces_per_pixel=8, bin_size=0)
    camera = renderer.FoVOrthographicCameras()
    found = renderer.MeshRasterizer(camera, settings)(structures.Meshes(flat, FACES[None]))
    blend = renderer.blending.BlendParams(sigma=sigma)
    colors = torch.ones(*found.pix_to_face.shape, 3)
    theirs = renderer.blending.sigmoid_alpha_blend(colors, found, blend)[..., 3]
    torch.testing.assert_close(soft_silhouettes(points, FACES, size, softness), theirs, atol=2e-2, rtol=0.0)


def test_masks_of_another_size_are_refused_and_empty_ones_do_not_count():
    drawn = torch.rand(2, 8, 8)
    with pytest.raises(ValueError, match=r"masks are \(2, 9, 9\), the drawn silhouettes \(2, 8, 8\)"):
        silhouette_distance(drawn, torch.zeros(2, 9, 9))
    assert torch.equal(silhouette_distance(drawn, torch.zeros(2, 8, 8)), torch.zeros(2))
    with pytest.raises(ValueError, match="softness above 0"):
        soft_silhouettes(torch.zeros(1, 5, 2), FACES, 8, 0.0)


def test_faces_outside_of_the_picture_or_not_finite_draw_nothing():
    points = corners(1) + 1000.0
    for draw in (soft_silhouettes, drawn_by_pairs):
        assert not draw(points, FACES, 16, 1.0).any()
        assert not draw(points * torch.nan, FACES, 16, 1.0).any()
        assert draw(points[:0], FACES, 16, 1.0).shape == (0, 16, 16)


def test_pixels_that_are_not_known_do_not_count():
    drawn, seen = torch.rand(2, 8, 8), torch.ones(2, 8, 8)
    seen[:, :4] = -1.0
    torch.testing.assert_close(silhouette_distance(drawn, seen), silhouette_distance(drawn[:, 4:], seen[:, 4:]))
