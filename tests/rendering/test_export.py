"""Mesh files, read back."""

import json
import struct

import numpy as np
import pytest
import torch
import trimesh

from fitloop.rendering import Material, export_glb
from fitloop.rendering.export import export_obj, export_ply, to_gltf_axes


def _header(path):
    content = path.read_bytes()
    magic, version, length, size = struct.unpack("<4sIII", content[:16])
    assert magic == b"glTF" and version == 2 and length == len(content)
    return json.loads(content[20 : 20 + size])


@pytest.fixture
def body(make_sphere):
    return make_sphere(rings=8, center=(0.3, -0.2, 3.0))


def test_gltf_axes_are_the_cameras_turned_by_pi_about_x():
    up_and_near = torch.tensor([1.0, -2.0, 3.0])
    assert to_gltf_axes(up_and_near).tolist() == [1.0, 2.0, -3.0]
    assert torch.equal(to_gltf_axes(to_gltf_axes(up_and_near)), up_and_near)


def test_a_glb_holds_the_vertices_in_metres_y_up(body, tmp_path):
    vertices, faces = body
    export_glb(tmp_path / "a.glb", vertices, faces)
    (mesh,) = trimesh.load_scene(tmp_path / "a.glb", process=False).geometry.values()
    np.testing.assert_allclose(mesh.vertices, vertices * torch.tensor([1.0, -1.0, -1.0]), atol=1e-6)
    np.testing.assert_array_equal(mesh.faces, faces)
    assert mesh.volume > 0, "faces still turn outwards"
    assert list(tmp_path.iterdir()) == [tmp_path / "a.glb"]


def test_a_glb_has_smooth_normals_and_no_metal(body, tmp_path):
    export_glb(tmp_path / "a.glb", *body)
    header = _header(tmp_path / "a.glb")
    assert "NORMAL" in header["meshes"][0]["primitives"][0]["attributes"]
    assert header["materials"][0]["pbrMetallicRoughness"]["metallicFactor"] == 0.0
    (mesh,) = trimesh.load_scene(tmp_path / "a.glb", process=False).geometry.values()
    outward = (mesh.vertices - [0.3, 0.2, -3.0]) / 0.5
    assert (np.einsum("vc,vc->v", mesh.vertex_normals, outward) > 0.98).all()


def test_people_of_one_photo_share_a_file_as_named_meshes(body, tmp_path):
    vertices, faces = body
    people = torch.stack([vertices, vertices + 1])
    looks = (Material(vertex_colors=torch.full_like(vertices, 0.5)), Material())
    export_glb(tmp_path / "all.glb", people, faces, looks)
    header = _header(tmp_path / "all.glb")
    assert [mesh["name"] for mesh in header["meshes"]] == ["person_0", "person_1"]
    colored = ["COLOR_0" in mesh["primitives"][0]["attributes"] for mesh in header["meshes"]]
    assert colored == [True, False]


def test_vertex_colours_are_stored_linear(body, tmp_path):
    vertices, faces = body
    export_glb(tmp_path / "a.glb", vertices, faces, Material(vertex_colors=torch.full_like(vertices, 0.5)))
    header = _header(tmp_path / "a.glb")
    color = header["accessors"][header["meshes"][0]["primitives"][0]["attributes"]["COLOR_0"]]
    assert color["max"][:3] == [round(255 * 0.5**2.2)] * 3 and color["max"][3] == 255


def test_a_texture_splits_the_vertices_at_its_seams(body, tmp_path):
    vertices, faces = body
    uv = torch.rand(len(vertices) + 1, 2)
    uv_faces = faces.clone()
    uv_faces[0, 0] = len(vertices)
    texture = np.random.default_rng(0).integers(0, 255, (8, 16, 3), dtype=np.uint8)
    export_glb(tmp_path / "a.glb", vertices, faces, Material(texture=texture, uv=uv, uv_faces=uv_faces))
    (mesh,) = trimesh.load_scene(tmp_path / "a.glb", process=False).geometry.values()
    assert len(mesh.vertices) == len(vertices) + 1
    np.testing.assert_allclose(mesh.visual.uv[mesh.faces], uv[uv_faces], atol=1e-6)
    np.testing.assert_array_equal(np.asarray(mesh.visual.material.baseColorTexture)[..., :3], texture)
    with pytest.raises(ValueError, match="needs uv and uv_faces"):
        Material(texture=texture)


def test_obj_and_ply_keep_the_order_of_the_vertices(body, tmp_path):
    vertices, faces = body
    export_obj(tmp_path / "a.obj", vertices, faces)
    export_ply(tmp_path / "a.ply", vertices, faces, torch.rand_like(vertices))
    for name in ("a.obj", "a.ply"):
        mesh = trimesh.load_mesh(tmp_path / name, process=False, maintain_order=True)
        np.testing.assert_allclose(mesh.vertices, to_gltf_axes(vertices), atol=1e-6)
        np.testing.assert_array_equal(mesh.faces, faces)


def test_a_failed_write_leaves_the_old_file_and_nothing_else(body, tmp_path, monkeypatch):
    target = tmp_path / "a.glb"
    target.write_bytes(b"old")

    def fail(self, content):
        raise OSError("disk full")

    monkeypatch.setattr("pathlib.Path.write_bytes", fail)
    with pytest.raises(OSError, match="disk full"):
        export_glb(target, *body)
    assert list(tmp_path.iterdir()) == [target] and target.read_bytes() == b"old"


def test_bad_meshes_and_names_are_refused(body, tmp_path):
    vertices, faces = body
    with pytest.raises(ValueError, match=r"a.obj should end in .glb"):
        export_glb(tmp_path / "a.obj", vertices, faces)
    with pytest.raises(ValueError, match="finite"):
        export_glb(tmp_path / "a.glb", vertices * torch.nan, faces)
    with pytest.raises(ValueError, match="There are 1 bodies and 2 appearances"):
        export_glb(tmp_path / "a.glb", vertices, faces, (Material(), Material()))
    assert not list(tmp_path.iterdir())
