"""Drawing works where the mesh lies; pictures and files are made of what comes back."""

import numpy as np
import pytest
import torch
from pretend import PRETEND

from fitloop.geometry import Camera
from fitloop.rendering import draw_overlay, draw_side_view, export_glb, interpolate, load_rasterizer, normal_map
from fitloop.rendering.flow import Flow, draw_flow

SIZE = (24, 32)


@pytest.mark.parametrize("name", ["auto", "numba", "torch"])
def test_fragments_lie_where_the_mesh_lies(pretend_device, make_soup, make_camera, name):
    vertices, faces = make_soup(2)
    expected = load_rasterizer(name)(vertices, faces, make_camera(), SIZE)
    rasterizer = load_rasterizer(name, PRETEND)
    found = rasterizer(vertices.to(PRETEND), faces.to(PRETEND), make_camera().to(PRETEND), SIZE)
    assert {found.face_ids.device, found.barycentrics.device, found.depth.device} == {PRETEND}
    assert torch.equal(found.face_ids.cpu(), expected.face_ids)
    normals = normal_map(found, vertices.to(PRETEND), faces.to(PRETEND))
    torch.testing.assert_close(normals.cpu(), normal_map(expected, vertices, faces))
    shown = interpolate(found, vertices.to(PRETEND), faces.to(PRETEND))
    torch.testing.assert_close(shown.cpu(), interpolate(expected, vertices, faces))


def test_a_rasterizer_of_the_cpu_is_chosen_for_the_cpu_alone():
    assert load_rasterizer("auto", "cpu").name == "numba"
    assert load_rasterizer("auto", PRETEND).name != "numba"


def test_pictures_and_files_are_those_of_a_cpu(pretend_device, make_sphere, tmp_path):
    vertices, faces = make_sphere(rings=8)
    photo, camera = np.full((60, 80, 3), 90, np.uint8), Camera(torch.tensor(80.0), torch.tensor([40.0, 30.0]))
    there = vertices.to(PRETEND), faces.to(PRETEND)
    expected = draw_overlay(photo, vertices[None], faces, camera)
    found = draw_overlay(photo, there[0][None], there[1], camera.to(PRETEND))
    assert np.abs(found.astype(int) - expected).max() <= 1
    sides = [draw_side_view(*mesh, (60, 60)) for mesh in ((vertices, faces), there)]
    assert np.abs(sides[0].astype(int) - sides[1]).max() <= 1
    for name, mesh in {"here": (vertices, faces), "there": there}.items():
        export_glb(tmp_path / f"{name}.glb", *mesh)
    assert (tmp_path / "here.glb").read_bytes() == (tmp_path / "there.glb").read_bytes()


def test_a_flow_from_another_device_is_drawn(pretend_device):
    offset = torch.randn(1, 2, 16, 16, generator=torch.Generator().manual_seed(0))
    parts = (offset, torch.ones(1, 16, 16) > 0, torch.tensor([[16.0, 12.0]]), torch.tensor([20.0]))
    photo = np.full((24, 32, 3), 90, np.uint8)
    drawn = [draw_flow(photo, 1.0, Flow(*given)) for given in (parts, [part.to(PRETEND) for part in parts])]
    np.testing.assert_array_equal(*drawn)  # pyright: ignore[reportArgumentType]
