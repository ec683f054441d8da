"""The contract that every rasterizer back end keeps."""

import pytest
import torch

from fitloop.geometry import Camera, backproject
from fitloop.rendering import load_rasterizer
from fitloop.rendering.rasterizer import NEAR

SIZE = (30, 44)


def _rays(camera, size):
    rows, columns = torch.meshgrid(torch.arange(size[0]), torch.arange(size[1]), indexing="ij")
    pixels = torch.stack([columns, rows], -1).flatten(0, 1) + 0.5
    return backproject(pixels.double(), torch.ones(len(pixels)).double(), camera.to(torch.float64))


def _cast_reference(vertices, faces, camera, size):
    """Face and depth of the nearest hit of a ray through each pixel centre, and whether it is a clear case."""
    rays = _rays(camera, size)[:, None]
    a, b, c = vertices.double()[faces].unbind(1)
    normal = torch.linalg.cross(b - a, c - a)
    depth = (a * normal).sum(-1) / (rays * normal).sum(-1)
    hit = rays * depth[..., None]
    edges = ((b, c), (c, a), (a, b))
    area = normal.square().sum(-1)
    weights = torch.stack(
        [(torch.linalg.cross((q - p).expand_as(hit), hit - p) * normal).sum(-1) / area for p, q in edges], -1
    )
    inside = weights.amin(-1)
    kept = (vertices[faces][..., 2] >= NEAR).all(-1)
    nearest, face = torch.where((inside >= 0) & kept, depth, torch.inf).sort(1)
    clear = (inside.abs().amin(1) > 1e-5) & ~(nearest[:, 1] - nearest[:, 0] < 1e-5)
    ids = torch.where(nearest[:, 0].isinf(), -1, face[:, 0])
    return ids.view(size), nearest[:, 0].view(size), clear.view(size)


@pytest.mark.parametrize("principal_point", [(22.0, 15.0), (3.3, 27.9)])
def test_each_pixel_sees_what_a_ray_through_its_centre_hits(rasterizer, make_soup, principal_point):
    vertices, faces = make_soup()
    camera = Camera(torch.tensor(120.0), torch.tensor(principal_point))
    fragments = rasterizer(vertices, faces, camera, SIZE)
    ids, depth, clear = _cast_reference(vertices, faces, camera, SIZE)
    assert clear.float().mean() > 0.97 and 0.2 < fragments.covered.float().mean() < 1.0
    assert torch.equal(fragments.face_ids[clear].long(), ids[clear])
    seen = clear & (ids >= 0)
    torch.testing.assert_close(fragments.depth[seen], depth[seen].float(), atol=1e-5, rtol=1e-5)


def test_barycentrics_give_the_surface_point_back(rasterizer, make_soup):
    vertices, faces = make_soup(seed=1)
    camera = Camera(torch.tensor(120.0), torch.tensor([20.0, 16.0]))
    fragments = rasterizer(vertices, faces, camera, SIZE)
    seen = fragments.covered
    points = (vertices[faces[fragments.face_ids[seen]]] * fragments.barycentrics[seen][..., None]).sum(1)
    rays = _rays(camera, SIZE).view(*SIZE, 3)[seen].float()
    torch.testing.assert_close(points, rays * fragments.depth[seen][:, None], atol=2e-5, rtol=1e-5)
    torch.testing.assert_close(fragments.barycentrics[seen].sum(-1), torch.ones(int(seen.sum())))


def test_background_is_minus_one_and_zero(rasterizer, make_sphere, make_camera):
    vertices, faces = make_sphere(rings=6, radius=0.1)
    fragments = rasterizer(vertices, faces, make_camera(), SIZE)
    empty = ~fragments.covered
    assert 0 < empty.sum() < empty.numel()
    assert (fragments.face_ids[empty] == -1).all()
    assert (fragments.depth[empty] == 0).all() and (fragments.barycentrics[empty] == 0).all()


@pytest.mark.parametrize("batch", [(), (1,), (2, 3), (0,)])
def test_a_batch_gives_what_its_meshes_give_alone(rasterizer, make_soup, make_camera, batch):
    vertices, faces = make_soup(*batch)
    camera = make_camera().map(lambda tensor: tensor.expand((*batch, *tensor.shape)))
    shift = torch.arange(len(camera.focal.flatten())).view(batch) * 3.0
    camera = Camera(camera.focal + shift, camera.principal_point)
    together = rasterizer(vertices, faces, camera, SIZE)
    assert together.face_ids.shape == (*batch, *SIZE)
    assert together.barycentrics.shape == (*batch, *SIZE, 3)
    for index in torch.ones(batch).nonzero().tolist():
        place = tuple(index)
        alone = rasterizer(vertices[place], faces, camera[place], SIZE)
        assert torch.equal(alone.face_ids, together.face_ids[place])
        assert torch.equal(alone.barycentrics, together.barycentrics[place])
        assert torch.equal(alone.depth, together.depth[place])


def test_moving_the_principal_point_by_whole_pixels_moves_the_picture(rasterizer, make_sphere, make_camera):
    vertices, faces = make_sphere(rings=8, radius=0.2)
    here = rasterizer(vertices, faces, make_camera(x=20.0, y=15.0), SIZE).face_ids
    there = rasterizer(vertices, faces, make_camera(x=25.0, y=12.0), SIZE).face_ids
    changed = (here[3:, :-5] != there[:-3, 5:]).float().mean()
    assert changed < 0.002, "only centres that lie on an edge may fall to the other side"


def test_sizes_need_not_be_square_nor_larger_than_one(rasterizer, make_sphere, make_camera):
    vertices, faces = make_sphere(radius=1.0)
    whole = rasterizer(vertices, faces, make_camera(), (30, 50)).face_ids
    assert torch.equal(rasterizer(vertices, faces, make_camera(), (20, 7)).face_ids, whole[:20, :7])
    assert rasterizer(vertices, faces, make_camera(0.5, 0.5, 0.5), (1, 1)).covered.all()


def test_faces_near_or_behind_the_camera_are_left_out(rasterizer, make_camera):
    wall = torch.tensor([[-9.0, -9.0, 5.0], [9.0, -9.0, 5.0], [0.0, 20.0, 5.0]])
    behind = wall * torch.tensor([1.0, 1.0, -0.2])
    crossing = torch.tensor([[-1.0, -1.0, -1.0], [1.0, -1.0, 2.0], [0.0, 1.0, 2.0]])
    close = torch.tensor([[-1.0, -1.0, NEAR / 2], [1.0, -1.0, NEAR / 2], [0.0, 1.0, NEAR / 2]])
    vertices = torch.cat([behind, crossing, close, torch.zeros(3, 3), wall])
    fragments = rasterizer(vertices, torch.arange(15).view(5, 3), make_camera(), SIZE)
    assert (fragments.face_ids == 4).all()
    torch.testing.assert_close(fragments.depth, torch.full(SIZE, 5.0))


def test_degenerate_faces_and_corners_that_are_not_finite_change_nothing(rasterizer, make_soup, make_camera):
    vertices, faces = make_soup()
    clean = rasterizer(vertices, faces, make_camera(), SIZE)
    nan, inf = torch.nan, torch.inf
    odd = torch.tensor([[nan, 0, 1], [inf, 0, 1], [0, 0.05, inf], [0, 0.05, nan], [-0.1, 0, 1], [0.1, 0, 1]])
    first = len(vertices)
    bad = torch.tensor([[0, 1, 2], [0, 4, 5], [1, 4, 5], [2, 4, 5], [3, 4, 5], [4, 5, 4], [4, 4, 4]]) + first
    fragments = rasterizer(torch.cat([vertices, odd]), torch.cat([faces, bad]), make_camera(), SIZE)
    assert torch.equal(fragments.face_ids, clean.face_ids)
    assert torch.equal(fragments.depth, clean.depth)


def test_a_mesh_beside_the_picture_leaves_it_empty(rasterizer, make_sphere, make_camera):
    for center in ((5.0, 0.0, 3.0), (0.0, -5.0, 3.0), (1e6, 1e6, 3.0)):
        vertices, faces = make_sphere(rings=6, center=center)
        assert not rasterizer(vertices, faces, make_camera(), SIZE).covered.any()


def test_no_faces_give_an_empty_picture(rasterizer, make_camera):
    fragments = rasterizer(torch.zeros(2, 4, 3), torch.zeros(0, 3, dtype=torch.long), make_camera(), SIZE)
    assert not fragments.covered.any()


def test_the_back_of_a_face_is_seen(rasterizer, make_soup, make_camera):
    vertices, faces = make_soup()
    turned = rasterizer(vertices, faces.flip(1), make_camera(), SIZE)
    assert torch.equal(turned.covered, rasterizer(vertices, faces, make_camera(), SIZE).covered)


def test_a_closed_surface_has_no_holes(rasterizer, make_sphere, make_camera):
    vertices, faces = make_sphere(rings=30)
    covered = rasterizer(vertices, faces, make_camera(focal=450.0, x=50.0, y=50.0), (100, 100)).covered
    columns, rows = torch.meshgrid(torch.arange(100) - 49.5, torch.arange(100) - 49.5, indexing="xy")
    radius = (columns.square() + rows.square()).sqrt()
    limit = 450.0 * 0.5 / (9.0 - 0.25) ** 0.5
    assert covered[radius < limit - 1].all() and not covered[radius > limit + 1].any()


def test_inputs_are_left_alone(rasterizer, make_soup, make_camera):
    vertices, faces = make_soup(2)
    before = vertices.clone(), faces.clone()
    rasterizer(vertices.requires_grad_(), faces, make_camera(), SIZE)
    assert torch.equal(vertices.detach(), before[0]) and torch.equal(faces, before[1])


def test_bad_input_is_refused_with_a_sentence(rasterizer, make_soup, make_camera):
    vertices, faces = make_soup(2)
    with pytest.raises(ValueError, match="name vertices 1 to 180, but the mesh has 180"):
        rasterizer(vertices, faces + 1, make_camera(), SIZE)
    with pytest.raises(ValueError, match="at least 1 pixel, got 0 x 5"):
        rasterizer(vertices, faces, make_camera(), (0, 5))
    cameras = make_camera().map(lambda tensor: tensor.expand(3, *tensor.shape))
    with pytest.raises(ValueError, match=r"batch shape \(3,\), the vertices \(2,\)"):
        rasterizer(vertices, faces, cameras, SIZE)


@pytest.mark.parametrize("name", ["numba", "torch"])
def test_a_centre_on_a_shared_edge_goes_to_the_first_face(name, make_camera):
    """A square of two faces whose corners and diagonal lie exactly on pixel centres."""
    corners = torch.tensor([[2.5, 2.5], [10.5, 2.5], [10.5, 10.5], [2.5, 10.5]])
    vertices = torch.cat([(corners - torch.tensor([16.0, 16.0])) / 64.0 * 2.0, torch.full((4, 1), 2.0)], 1)
    camera = make_camera(64.0, 16.0, 16.0)
    for faces in ([[0, 1, 2], [0, 2, 3]], [[0, 2, 3], [0, 1, 2]]):
        fragments = load_rasterizer(name)(vertices, torch.tensor(faces), camera, (16, 16))
        expected = torch.zeros(16, 16, dtype=torch.bool)
        expected[2:11, 2:11] = True
        assert torch.equal(fragments.covered, expected), "the border of a face belongs to it"
        assert (fragments.face_ids[2:11, 2:11].diagonal() == 0).all()


def test_embedded_back_ends_agree_to_the_last_bit(make_sphere, make_soup, make_camera):
    for vertices, faces in (make_sphere(rings=40), make_soup(3, faces=200)):
        camera = make_camera(300.0, 50.0, 70.0)
        compiled = load_rasterizer("numba")(vertices, faces, camera, (120, 100))
        scattered = load_rasterizer("torch")(vertices, faces, camera, (120, 100))
        assert torch.equal(compiled.face_ids, scattered.face_ids)
        assert torch.equal(compiled.depth, scattered.depth)
        torch.testing.assert_close(compiled.barycentrics, scattered.barycentrics, atol=1e-6, rtol=0)


@pytest.mark.parametrize("threads", [2, 3, 7])
def test_threads_do_not_change_the_picture(make_soup, make_camera, threads):
    vertices, faces = make_soup(2)
    before = torch.get_num_threads()
    try:
        pictures = []
        for count in (1, threads):
            torch.set_num_threads(count)
            pictures.append(load_rasterizer("numba")(vertices, faces, make_camera(), SIZE))
    finally:
        torch.set_num_threads(before)
    assert torch.equal(pictures[0].face_ids, pictures[1].face_ids)
    assert torch.equal(pictures[0].barycentrics, pictures[1].barycentrics)


def test_many_pairs_are_looked_at_in_chunks(make_soup, make_camera, monkeypatch):
    vertices, faces = make_soup(2)
    whole = load_rasterizer("torch")(vertices, faces, make_camera(), SIZE)
    monkeypatch.setattr("fitloop.rendering.torch_backend.CHUNK", 500)
    assert torch.equal(load_rasterizer("torch")(vertices, faces, make_camera(), SIZE).face_ids, whole.face_ids)


def test_loops_compile_where_no_cache_can_be_written(monkeypatch):
    from fitloop.rendering import kernels

    options = []

    def refuse_cache(**given):
        options.append(given)
        if given.get("cache"):
            raise RuntimeError("cannot cache function: no locator available")
        return lambda function: function

    monkeypatch.setattr(kernels, "njit", refuse_cache)
    assert kernels.compiled(len) is len
    assert "cache" in options[0] and "cache" not in options[1]


def test_auto_takes_the_compiled_loop_on_a_cpu():
    assert load_rasterizer("auto", "cpu").name == "numba"
    assert load_rasterizer("auto", "cuda").name in ("torch", "pytorch3d")
