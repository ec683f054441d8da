"""The PyTorch3D back end's own part, against a stand-in that keeps PyTorch3D's documented conventions.

The stand-in says nothing about PyTorch3D itself: the contract in test_rasterizer.py runs where that is installed.
"""

import sys
from dataclasses import dataclass
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest
import torch

from fitloop.geometry import Camera
from fitloop.rendering import load_rasterizer
from fitloop.rendering.pytorch3d_backend import PyTorch3DRasterizer


@dataclass
class _Meshes:
    verts: list
    faces: list


@dataclass
class _MeshRasterizer:
    """x left, y up, row vectors (X R + T); faces numbered through all meshes; -1 in the background."""

    cameras: Any
    raster_settings: Any

    def __call__(self, meshes):
        cameras, settings, first, layers = self.cameras, self.raster_settings, 0, []
        assert not cameras.in_ndc and settings.faces_per_pixel == 1 and settings.blur_radius == 0.0
        assert settings.perspective_correct and not settings.cull_backfaces
        for index, (verts, faces) in enumerate(zip(meshes.verts, meshes.faces, strict=True)):
            assert tuple(cameras.image_size[index].tolist()) == settings.image_size
            view = verts @ cameras.R[index] + cameras.T[index]
            ours = view * torch.tensor([-1.0, -1.0, 1.0])
            camera = Camera(cameras.focal_length[index], cameras.principal_point[index])
            found = load_rasterizer("torch")(ours, faces, camera, settings.image_size)
            empty = ~found.covered
            layers.append(
                (
                    torch.where(empty, -1, found.face_ids + first),
                    found.depth.masked_fill(empty, -1.0),
                    found.barycentrics.masked_fill(empty[..., None], -1.0),
                )
            )
            first += len(faces)
        ids, depth, weights = (torch.stack(rows)[:, :, :, None] for rows in zip(*layers, strict=True))
        return SimpleNamespace(pix_to_face=ids, zbuf=depth, bary_coords=weights)


@pytest.fixture
def stand_in(monkeypatch):
    renderer, structures, package = (ModuleType(f"pytorch3d{end}") for end in (".renderer", ".structures", ""))
    renderer.PerspectiveCameras = renderer.RasterizationSettings = SimpleNamespace  # pyright: ignore[reportAttributeAccessIssue]
    renderer.MeshRasterizer, structures.Meshes = _MeshRasterizer, _Meshes  # pyright: ignore[reportAttributeAccessIssue]
    package.renderer, package.structures = renderer, structures  # pyright: ignore[reportAttributeAccessIssue]
    for module in (renderer, structures, package):
        monkeypatch.setitem(sys.modules, module.__name__, module)
    return PyTorch3DRasterizer()


def test_faces_keep_their_numbers_through_packing_and_dropping(stand_in, make_soup):
    vertices, faces = make_soup(3, faces=40)
    vertices[0, 3, 2] = -1.0
    vertices[2, 30, 0] = torch.nan
    vertices[1, 60] = vertices[1, 61]
    camera = Camera(torch.tensor([90.0, 120.0, 150.0]), torch.tensor([[20.0, 15.0], [3.0, 12.5], [30.0, 20.0]]))
    ours, theirs = (backend(vertices, faces, camera, (30, 44)) for backend in (load_rasterizer("numba"), stand_in))
    assert torch.equal(ours.face_ids, theirs.face_ids)
    torch.testing.assert_close(ours.depth, theirs.depth)
    torch.testing.assert_close(ours.barycentrics, theirs.barycentrics, atol=1e-5, rtol=0)


def test_a_scene_wholly_behind_the_camera_never_reaches_pytorch3d(stand_in, make_soup, make_camera):
    vertices, faces = make_soup(2)
    fragments = stand_in(vertices * torch.tensor([1.0, 1.0, -1.0]), faces, make_camera(), (8, 9))
    assert (fragments.face_ids == -1).all() and (fragments.depth == 0).all() and (fragments.barycentrics == 0).all()


def test_a_missing_pytorch3d_is_said_with_what_to_use_instead(monkeypatch):
    monkeypatch.setitem(sys.modules, "pytorch3d", None)
    with pytest.raises(ModuleNotFoundError, match="docs/rendering.md says, or use the rasterizer auto, numba or torch"):
        load_rasterizer("pytorch3d")
