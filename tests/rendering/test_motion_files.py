"""Motion files, read back by NumPy, by a reader of BVH, by glTF's rules, by Blender and by Khronos' validator."""

import json
import os
import re
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from gltf_reader import posed, read
from motion_scenes import BODY, FRAMES, RATE, make_motion
from scipy.spatial.transform import Rotation

from fitloop.body import Motion, upright
from fitloop.geometry import rotvec_to_rotmat
from fitloop.rendering.motion_files import (
    move_params,
    read_motion_npz,
    to_world,
    write_bvh,
    write_motion_glb,
    write_motion_npz,
)

BLENDER, NODE = shutil.which("blender"), shutil.which("node")
VALIDATOR = Path(os.environ.get("GLTF_VALIDATOR", Path.home() / "node_modules" / "gltf-validator"))
"""Folder of npm's package gltf-validator."""


def world_joints(motion: Motion) -> torch.Tensor:
    """Joints with z up, by the body model and not by the writers."""
    joints = BODY(motion.params).joints
    rotation, translation = motion.to_world_rotation, motion.to_world_translation
    if rotation is None or translation is None:
        return torch.stack([joints[..., 0], joints[..., 2], -joints[..., 1]], -1)
    return joints @ rotation.mT + translation


def y_up(points: torch.Tensor) -> torch.Tensor:
    return torch.stack([points[..., 0], points[..., 2], -points[..., 1]], -1)


def read_bvh(path: Path) -> tuple[list[str], np.ndarray, float]:
    """Names and places of the joints in every frame by the rules of BVH, and seconds a frame."""
    text, numbers = path.read_text().split("MOTION\n")
    names, parents, offsets, stack = [], [], [], []
    for line in text.splitlines():
        words = line.split()
        if words[0] in ("ROOT", "JOINT", "End"):
            stack.append(None if words[0] == "End" else len(names))
            if words[0] != "End":
                names.append(words[1])
                parents.append(next((s for s in reversed(stack[:-1]) if s is not None), -1))
        elif words[0] == "OFFSET" and stack[-1] is not None:
            offsets.append(np.array(words[1:], float))
        elif words[0] == "}":
            stack.pop()
    head, rate, *rows = numbers.strip().splitlines()
    values = np.array([row.split() for row in rows], float)
    assert head == f"Frames: {len(values)}"
    places = np.zeros((len(values), len(names), 3))
    world: list[Rotation] = []
    for joint, parent in enumerate(parents):
        turn = Rotation.from_euler("ZXY", values[:, 3 + 3 * joint : 6 + 3 * joint], degrees=True)
        world.append(turn if parent < 0 else world[parent] * turn)
        above = values[:, :3] if parent < 0 else places[:, parent] + world[parent].apply(offsets[joint])
        places[:, joint] = above
    return names, places, float(rate.split(":")[1])


@pytest.mark.parametrize("world", [True, False])
def test_amass_arrays_pose_the_body_in_the_world_with_z_up(tmp_path, world):
    motion = make_motion(world)
    write_motion_npz(tmp_path / "a.npz", motion, BODY)
    with np.load(tmp_path / "a.npz", allow_pickle=False) as file:
        found = {key: file[key] for key in file.files}
    assert found["poses"].shape == (FRAMES, 72) and found["betas"].shape == (10,) and str(found["gender"]) == "neutral"
    assert float(found["mocap_frame_rate"]) == RATE and bool(found["world_known"]) is world
    rotations = rotvec_to_rotmat(torch.from_numpy(found["poses"]).view(-1, 24, 3))
    params = replace(
        motion.params,
        global_orient=rotations[:, 0],
        body_pose=rotations[:, 1:],
        transl=torch.from_numpy(found["trans"]),
    )
    torch.testing.assert_close(BODY(params).joints, world_joints(motion), atol=1e-5, rtol=0)


@pytest.mark.parametrize("world", [True, False])
def test_a_motion_comes_back_from_its_arrays(tmp_path, world):
    motion = make_motion(world)
    write_motion_npz(tmp_path / "a.npz", motion, BODY)
    found = read_motion_npz(tmp_path / "a.npz", BODY)
    torch.testing.assert_close(BODY(found.params).joints, BODY(motion.params).joints, atol=1e-5, rtol=0)
    assert torch.equal(found.seen, motion.seen) and torch.equal(found.times, motion.times)
    assert (found.track, found.frame_rate, found.body) == (2, RATE, "open-1")
    assert (found.to_world_rotation is not None) is world
    torch.testing.assert_close(found.camera.focal, motion.camera.focal)


@pytest.mark.parametrize("world", [True, False])
def test_bvh_puts_every_joint_where_the_body_has_it(tmp_path, world):
    motion = make_motion(world)
    write_bvh(tmp_path / "a.bvh", motion, BODY)
    names, places, seconds = read_bvh(tmp_path / "a.bvh")
    assert seconds == pytest.approx(1 / RATE, abs=1e-7) and set(names) == set(BODY.joint_names)
    found = torch.from_numpy(places)[:, [names.index(name) for name in BODY.joint_names]]
    torch.testing.assert_close(found.float(), y_up(world_joints(motion)), atol=1e-4, rtol=0)


def test_bvh_angles_never_jump_by_a_full_turn(tmp_path):
    motion = make_motion(frames=60)
    write_bvh(tmp_path / "a.bvh", motion, BODY)
    rows = np.loadtxt((tmp_path / "a.bvh").read_text().split("Frame Time")[1].splitlines()[1:])
    assert np.abs(np.diff(rows[:, 3:], axis=0)).max() <= 180.0 and np.ptp(rows[:, 3:6], axis=0).max() > 360.0


def test_a_single_frame_is_a_motion_too(tmp_path):
    motion = make_motion(frames=1)
    write_bvh(tmp_path / "a.bvh", motion, BODY)
    assert read_bvh(tmp_path / "a.bvh")[1].shape == (1, 24, 3)


@pytest.mark.parametrize("world", [True, False])
def test_the_moving_skeleton_carries_the_mesh(tmp_path, world):
    motion = make_motion(world)
    write_motion_glb(tmp_path / "a.glb", motion, BODY)
    tree, arrays = read(tmp_path / "a.glb")
    animation = tree["animations"][0]
    carried = animation["samplers"][animation["channels"][-1]["sampler"]]
    assert animation["channels"][-1]["target"] == {"node": 1, "path": "translation"}
    clock = arrays[carried["input"]]
    np.testing.assert_allclose(clock, np.arange(FRAMES) / RATE, atol=1e-6)
    turn, move = to_world(motion)
    there = move_params(motion.params, turn, move, BODY)
    expected = y_up(BODY(there).vertices)
    for frame in (0, FRAMES - 1):
        # The reader's own walk takes the pelvis from the node, so each frame's key is put there.
        tree["nodes"][1]["translation"] = arrays[carried["output"]][frame].tolist()
        turned = {**tree, "animations": [{**animation, "channels": animation["channels"][:-1]}]}
        found = torch.from_numpy(posed(turned, arrays, frame)).float()
        torch.testing.assert_close(found, expected[frame], atol=1e-4, rtol=0)


def test_quaternions_stay_on_one_side_so_that_blending_takes_the_short_way(tmp_path):
    write_motion_glb(tmp_path / "a.glb", make_motion(frames=60), BODY)
    tree, arrays = read(tmp_path / "a.glb")
    animation = tree["animations"][0]
    for channel in animation["channels"][:-1]:
        quaternions = arrays[animation["samplers"][channel["sampler"]]["output"]]
        assert ((quaternions[1:] * quaternions[:-1]).sum(-1) > 0).all()


@pytest.mark.parametrize("write", [write_motion_npz, write_bvh, write_motion_glb])
def test_motions_that_are_none_are_refused(tmp_path, write):
    kind = {write_motion_npz: ".npz", write_bvh: ".bvh", write_motion_glb: ".glb"}[write]
    motion = make_motion()
    growing = replace(motion, params=replace(motion.params, betas=torch.randn(FRAMES, 10)))
    for wrong, words in (
        (replace(motion, body="smpl"), "of body 'smpl', not of 'open-1'"),
        (make_motion(frames=0), "has no frames"),
        (growing, "changes its shape"),
    ):
        with pytest.raises(ValueError, match=words):
            write(tmp_path / f"a{kind}", wrong, BODY)
    with pytest.raises(ValueError, match=f"should end in {kind}"):
        write(tmp_path / "a.txt", motion, BODY)
    assert not list(tmp_path.iterdir())


def test_arrays_of_something_else_are_no_motion(tmp_path):
    np.savez(tmp_path / "a.npz", poses=np.zeros((1, 72)))
    with pytest.raises(ValueError, match=r"has no betas, body, focal"):
        read_motion_npz(tmp_path / "a.npz", BODY)


@pytest.mark.slow
@pytest.mark.skipif(BLENDER is None, reason="Blender is not installed.")
@pytest.mark.parametrize("world", [True, False])
@pytest.mark.parametrize("kind", ["bvh", "glb"])
def test_blender_has_every_joint_where_the_body_has_it(tmp_path, kind, world):
    motion = make_motion(world)
    path, out = tmp_path / f"a.{kind}", tmp_path / "joints.json"
    {"bvh": write_bvh, "glb": write_motion_glb}[kind](path, motion, BODY)
    script = Path(__file__).with_name("blender_joints.py")
    command = [BLENDER, "--background", "--factory-startup", "--python", script, "--", path, "30", str(FRAMES), out]
    run = subprocess.run([str(word) for word in command], capture_output=True, text=True, timeout=300)
    assert out.is_file(), run.stdout[-2000:] + run.stderr[-2000:]
    told = json.loads(out.read_text())
    found = torch.tensor([told["joints"][name] for name in BODY.joint_names]).permute(1, 0, 2)
    assert told["metres"] == 1.0
    assert (found - world_joints(motion)).norm(dim=-1).max() < 2e-3, "two millimetres, z up, in every frame"


def test_who_faces_the_camera_faces_the_animator(tmp_path):
    motion = make_motion(False, frames=1)
    facing = replace(motion, params=replace(motion.params, global_orient=upright(1).global_orient))
    write_bvh(tmp_path / "a.bvh", facing, BODY)
    names, places, _ = read_bvh(tmp_path / "a.bvh")
    across = places[0, names.index("left_hip")] - places[0, names.index("right_hip")]
    up = places[0, names.index("spine1")] - places[0, names.index("pelvis")]
    assert np.cross(across, up)[2] > 0.0, "y up, facing z"


@pytest.mark.slow
@pytest.mark.skipif(NODE is None or not VALIDATOR.is_dir(), reason="npm's gltf-validator is not installed.")
def test_khronos_validator_has_nothing_to_say(tmp_path):
    write_motion_glb(tmp_path / "a.glb", make_motion(), BODY)
    script = (
        f"require({json.dumps(str(VALIDATOR))}).validateBytes(new Uint8Array(require('fs').readFileSync("
        f"{json.dumps(str(tmp_path / 'a.glb'))}))).then((r) => console.log(JSON.stringify(r.issues)))"
    )
    run = subprocess.run([str(NODE), "-e", script], capture_output=True, text=True, timeout=60, check=True)
    issues = json.loads(run.stdout)
    assert (issues["numErrors"], issues["numWarnings"]) == (0, 0), re.sub(r"\s+", " ", run.stdout)[:2000]
