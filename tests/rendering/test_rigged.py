"""Rigged bodies, read back as glTF says and posed by its rules."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from gltf_reader import posed, read

from fitloop.body import load_body, upright
from fitloop.geometry import rotvec_to_rotmat
from fitloop.rendering.export import to_gltf_axes
from fitloop.rendering.rigged import export_rigged_glb, srgb_to_linear

BODY = load_body("open")


def test_the_skeleton_poses_the_mesh_as_the_body_model_does(tmp_path):
    generator = torch.Generator().manual_seed(0)
    params = replace(
        upright(2),
        global_orient=rotvec_to_rotmat(torch.randn(2, 3, generator=generator)),
        body_pose=rotvec_to_rotmat(0.5 * torch.randn(2, 23, 3, generator=generator)),
        betas=torch.randn(1, 10, generator=generator).expand(2, 10),
    )
    export_rigged_glb(tmp_path / "a.glb", BODY, params.betas[0], torch.rand(len(BODY.template), 3), params.rotations)
    tree, arrays = read(tmp_path / "a.glb")
    for pose in range(2):
        expected = to_gltf_axes(BODY(params).vertices[pose])
        found = torch.from_numpy(posed(tree, arrays, pose)).float()
        # Both turn about the pelvis; only its place differs.
        shift = (expected - found).mean(0)
        torch.testing.assert_close(found + shift, expected, atol=1e-4, rtol=0)
    times = arrays[tree["animations"][0]["samplers"][0]["input"]]
    assert times.tolist() == [0.0, 1.0, 2.0], "the last pose is held too"


def test_the_rest_pose_stands_on_the_ground_and_joints_have_names(tmp_path):
    export_rigged_glb(tmp_path / "a.glb", BODY, torch.zeros(10), torch.zeros(len(BODY.template), 3))
    tree, arrays = read(tmp_path / "a.glb")
    places = arrays[tree["meshes"][0]["primitives"][0]["attributes"]["POSITION"]]
    assert places[:, 1].min() == 0.0 and 1.6 < places[:, 1].max() < 1.8
    assert [tree["nodes"][node]["name"] for node in tree["skins"][0]["joints"]] == list(BODY.joint_names)
    assert "animations" not in tree
    faces = arrays[tree["meshes"][0]["primitives"][0]["indices"]].reshape(-1, 3)
    np.testing.assert_array_equal(faces, BODY.faces)


def test_a_joint_that_moves_nothing_of_a_vertex_is_joint_0(tmp_path):
    export_rigged_glb(tmp_path / "a.glb", BODY, torch.zeros(10), torch.zeros(len(BODY.template), 3))
    tree, arrays = read(tmp_path / "a.glb")
    names = tree["meshes"][0]["primitives"][0]["attributes"]
    joints, weights = arrays[names["JOINTS_0"]], arrays[names["WEIGHTS_0"]]
    assert (weights == 0).sum() > 10000 and (joints[weights == 0] == 0).all()
    np.testing.assert_allclose(weights.sum(1), 1.0, atol=1e-6)
    targets = [tree["bufferViews"][tree["accessors"][number]["bufferView"]]["target"] for number in names.values()]
    assert targets == [34962] * len(names), "each array of the mesh says that it holds vertices"


def test_colours_are_linear_in_sixteen_bits(tmp_path):
    colors = torch.rand(len(BODY.template), 3, generator=torch.Generator().manual_seed(0))
    colors[0] = torch.tensor([0.5, 0.03, 1.0])
    export_rigged_glb(tmp_path / "a.glb", BODY, torch.zeros(10), colors)
    tree, arrays = read(tmp_path / "a.glb")
    number = tree["meshes"][0]["primitives"][0]["attributes"]["COLOR_0"]
    assert tree["accessors"][number]["normalized"] is True
    found = arrays[number] / 65535.0
    # IEC 61966-2-1: 0.5 is 0.2140 in linear light, and 0.03 lies on the straight part.
    np.testing.assert_allclose(found[0], [0.21404, 0.03 / 12.92, 1.0, 1.0], atol=2e-5)
    np.testing.assert_allclose(found[:, :3], srgb_to_linear(colors), atol=1e-5)


def test_other_programs_read_the_file(tmp_path):
    import trimesh

    export_rigged_glb(tmp_path / "a.glb", BODY, torch.zeros(10), torch.full((len(BODY.template), 3), 0.5))
    (mesh,) = trimesh.load_scene(tmp_path / "a.glb", process=False).geometry.values()
    assert len(mesh.vertices) == len(BODY.template) and mesh.volume > 0.04


def test_wrong_sizes_and_names_are_refused(tmp_path):
    with pytest.raises(ValueError, match="got 5 colours and 10 betas"):
        export_rigged_glb(tmp_path / "a.glb", BODY, torch.zeros(10), torch.zeros(5, 3))
    with pytest.raises(ValueError, match=r"a.obj should end in .glb"):
        export_rigged_glb(tmp_path / "a.obj", BODY, torch.zeros(10), torch.zeros(len(BODY.template), 3))
    assert not list(tmp_path.iterdir())
