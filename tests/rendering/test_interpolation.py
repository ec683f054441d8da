"""Pictures from fragments."""

import pytest
import torch

from fitloop.geometry import Camera
from fitloop.rendering import interpolate, load_rasterizer, normal_map, part_map, sample_texture, unique_vertex_colors
from fitloop.rendering.interpolation import can_be_compiled, smooth_normals, vertex_normals

SIZE = (40, 50)
CAMERA = Camera(torch.tensor(120.0), torch.tensor([25.0, 20.0]))


def _interpolate_reference(fragments, values, faces):
    corners = values[faces[fragments.face_ids.clamp_min(0)]]
    return (corners * fragments.barycentrics[..., None]).sum(-2) * fragments.covered[..., None]


def test_values_at_vertices_are_mixed_by_the_barycentrics(make_soup):
    vertices, faces = make_soup()
    fragments = load_rasterizer()(vertices, faces, CAMERA, SIZE)
    values = torch.randn(len(vertices), 5)
    expected = _interpolate_reference(fragments, values, faces)
    torch.testing.assert_close(interpolate(fragments, values, faces), expected)


def test_positions_interpolate_to_the_ray_of_each_pixel(make_sphere):
    vertices, faces = make_sphere()
    fragments = load_rasterizer()(vertices, faces, CAMERA, SIZE)
    points = interpolate(fragments, vertices, faces)[fragments.covered]
    torch.testing.assert_close(points[:, 2], fragments.depth[fragments.covered])
    rows, columns = fragments.covered.nonzero().T
    torch.testing.assert_close(points[:, 0] / points[:, 2] * 120 + 25, columns + 0.5, atol=1e-3, rtol=0)
    torch.testing.assert_close(points[:, 1] / points[:, 2] * 120 + 20, rows + 0.5, atol=1e-3, rtol=0)


@pytest.mark.parametrize("batch", [(), (1,), (2, 3)])
def test_each_mesh_of_a_batch_has_its_own_values_or_shares_them(make_soup, batch):
    vertices, faces = make_soup(*batch)
    fragments = load_rasterizer()(vertices, faces, CAMERA, SIZE)
    own = torch.randn(*batch, vertices.shape[-2], 4)
    together = interpolate(fragments, own, faces)
    shared = interpolate(fragments, own.reshape(-1, *own.shape[-2:])[0], faces)
    assert together.shape == shared.shape == (*batch, *SIZE, 4)
    for index in torch.ones(batch).nonzero().tolist():
        alone = interpolate(fragments[tuple(index)], own[tuple(index)], faces)
        torch.testing.assert_close(together[tuple(index)], alone)
    first = (0,) * len(batch)
    torch.testing.assert_close(shared[first], together[first])


def test_values_per_corner_may_jump_between_faces(make_soup):
    vertices, faces = make_soup()
    fragments = load_rasterizer()(vertices, faces, CAMERA, SIZE)
    corners = torch.arange(3 * len(faces)).view(-1, 3)
    flat = torch.arange(len(faces)).float().repeat_interleave(3)[:, None]
    seen = interpolate(fragments, flat, corners)[..., 0][fragments.covered]
    torch.testing.assert_close(seen, fragments.face_ids[fragments.covered].float())


def test_gradients_reach_the_values(make_soup):
    vertices, faces = make_soup(2, faces=12)
    camera = Camera(torch.tensor(20.0), torch.tensor([4.0, 4.0]))
    fragments = load_rasterizer()(vertices.double(), faces, camera, (8, 9))
    values = torch.randn(2, vertices.shape[1], 2, dtype=torch.float64, requires_grad=True)
    assert fragments.covered.any()
    assert torch.autograd.gradcheck(lambda table: interpolate(fragments, table, faces), values)


def test_disagreeing_batches_are_refused(make_soup):
    vertices, faces = make_soup(2)
    fragments = load_rasterizer()(vertices, faces, CAMERA, SIZE)
    with pytest.raises(ValueError, match=r"batch shape \(3,\), the fragments \(2,\)"):
        interpolate(fragments, torch.zeros(3, vertices.shape[1], 1), faces)


def test_normals_of_a_sphere_point_away_from_its_middle(make_sphere):
    vertices, faces = make_sphere()
    outward = (vertices - torch.tensor([0.0, 0.0, 3.0])) / 0.5
    assert ((vertex_normals(vertices, faces) * outward).sum(-1) > 0.999).all()
    fragments = load_rasterizer()(vertices, faces, CAMERA, SIZE)
    normals = normal_map(fragments, vertices, faces)
    torch.testing.assert_close(normals.norm(dim=-1), fragments.covered.float())
    points = interpolate(fragments, vertices, faces) - torch.tensor([0.0, 0.0, 3.0])
    assert ((normals * points / 0.5).sum(-1)[fragments.covered] > 0.98).all()


@pytest.mark.parametrize("batch", [(), (1,), (2, 3), (0,)])
def test_compiled_normals_are_those_of_the_readable_twin(make_sphere, batch):
    vertices, faces = make_sphere()
    meshes = vertices * torch.rand(*batch, 1, 3).add(0.5)
    torch.testing.assert_close(smooth_normals(meshes, faces), vertex_normals(meshes, faces), rtol=0, atol=1e-5)


def test_normals_keep_gradients_and_refuse_vertices_that_are_not_there(make_soup):
    vertices, faces = make_soup()
    points = vertices.clone().requires_grad_()
    smooth_normals(points, faces).square().sum().backward()
    assert points.grad is not None
    for wrong in (-1, len(vertices)):
        assert not can_be_compiled(vertices, torch.cat([faces, torch.tensor([[0, 1, wrong]])]))


@pytest.mark.parametrize("normals_of", [vertex_normals, smooth_normals])
def test_a_vertex_without_faces_has_no_normal(normals_of):
    vertices = torch.tensor([[0.0, 0.0, 1.0], [1.0, 0.0, 1.0], [0.0, 1.0, 1.0], [5.0, 5.0, 5.0]])
    normals = normals_of(vertices, torch.tensor([[0, 1, 2]]))
    torch.testing.assert_close(normals, torch.tensor([[0.0, 0.0, 1.0]] * 3 + [[0.0, 0.0, 0.0]]))


def test_parts_are_looked_up_by_face(make_soup):
    vertices, faces = make_soup()
    fragments = load_rasterizer()(vertices, faces, CAMERA, SIZE)
    parts = torch.arange(len(faces)) % 7
    picture = part_map(fragments, parts)
    assert (picture[~fragments.covered] == -1).all()
    assert torch.equal(picture[fragments.covered], fragments.face_ids[fragments.covered] % 7)


def test_unique_colors_span_the_cube_and_differ(make_sphere):
    colors = unique_vertex_colors(make_sphere()[0])
    torch.testing.assert_close(colors.amin(0), torch.zeros(3))
    torch.testing.assert_close(colors.amax(0), torch.ones(3))
    assert len(colors.unique(dim=0)) == len(colors)


def test_a_texture_is_read_with_its_origin_at_the_bottom_left():
    texture = torch.arange(12.0).view(3, 4, 1)
    u = (torch.arange(4) + 0.5) / 4
    v = 1 - (torch.arange(3) + 0.5) / 3
    centres = torch.stack([u.expand(3, 4), v[:, None].expand(3, 4)], dim=-1)
    torch.testing.assert_close(sample_texture(texture, centres), texture)
    between = torch.tensor([[[0.25, 1 - 0.5 / 3], [-3.0, 7.0]]])
    torch.testing.assert_close(sample_texture(texture, between)[0, :, 0], torch.tensor([0.5, 0.0]))


def test_textures_of_a_batch_stay_apart():
    textures, uv = torch.rand(2, 5, 6, 3), torch.rand(2, 7, 8, 2)
    together = sample_texture(textures, uv)
    for index in range(2):
        torch.testing.assert_close(together[index], sample_texture(textures[index], uv[index]))
