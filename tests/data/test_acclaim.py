"""CMU's motion files: a made-up skeleton moves, and the body's limbs point where its bones do."""

import numpy as np
import pytest
import torch

from fitloop.body import JOINT_NAMES, load_body
from fitloop.body.model import forward_kinematics
from fitloop.data.acclaim import BONES, convert_cmu, read_motion, read_skeleton, to_smpl
from fitloop.data.mocap import full_pose, load_mocap
from fitloop.data.synthetic.sequences import load_sequences
from fitloop.geometry import rotvec_to_rotmat

CHAINS = (
    ("lowerback", "upperback", "thorax"),
    *((f"{s}hipjoint", f"{s}femur", f"{s}tibia", f"{s}foot", f"{s}toes") for s in "lr"),
)
ARMS = (
    ("lowerneck", "upperneck", "head"),
    *((f"{s}clavicle", f"{s}humerus", f"{s}radius", f"{s}wrist", f"{s}hand", f"{s}fingers") for s in "lr"),
)
SIDE = {"l": 1.0, "r": -1.0}
LIMBS = {"hip": "knee", "knee": "ankle", "ankle": "foot", "shoulder": "elbow", "elbow": "wrist", "wrist": "hand"}


def rest_direction(bone: str) -> np.ndarray:
    """Splayed legs, arms a little lowered, feet forward: no T-pose."""
    kind, side = bone[1:], SIDE.get(bone[0], 1.0)
    if kind in ("hipjoint", "femur", "tibia"):
        vector = [0.34 * side, -0.94, 0.05]
    elif kind in ("foot", "toes"):
        vector = [0.1 * side, -0.3, 0.95]
    elif kind in ("humerus", "radius", "wrist", "hand", "fingers"):
        vector = [0.96 * side, -0.2, 0.1]
    else:
        vector = [0.0, 1.0, 0.1]
    return np.array(vector) / np.linalg.norm(vector)


def turn(x: float, y: float, z: float) -> np.ndarray:
    """Degrees about x, then y, then z of axes that stay."""
    x, y, z = np.radians([x, y, z])
    about_x = [[1, 0, 0], [0, np.cos(x), -np.sin(x)], [0, np.sin(x), np.cos(x)]]
    about_y = [[np.cos(y), 0, np.sin(y)], [0, 1, 0], [-np.sin(y), 0, np.cos(y)]]
    about_z = [[np.cos(z), -np.sin(z), 0], [np.sin(z), np.cos(z), 0], [0, 0, 1]]
    return np.array(about_z) @ about_y @ about_x


class MadeUp:
    """A skeleton and motions of it on disk, and where its bones point."""

    def __init__(self, folder, frames: int) -> None:
        random = np.random.default_rng(0)
        self.parents = {bone: parent for chain in CHAINS for parent, bone in zip(("root", *chain), chain, strict=False)}
        self.parents |= {bone: parent for arm in ARMS for parent, bone in zip(("thorax", *arm), arm, strict=False)}
        self.axes = {bone: random.uniform(-60, 60, 3) for bone in self.parents}
        self.freedom = {bone: "" if bone.endswith("hipjoint") else "xyz" for bone in self.parents}
        self.freedom |= {"ltibia": "x", "lclavicle": "yz"}
        self.frames = [self._frame(random, number) for number in range(frames)]
        folder.mkdir(parents=True)
        (folder / "07.asf").write_text(self._skeleton())
        (folder / "07_03.amc").write_text(self._motion())

    def _frame(self, random, number) -> dict[str, np.ndarray]:
        angles = {bone: random.uniform(-40, 40, len(free)) for bone, free in self.freedom.items() if free}
        return {"root": np.array([1.0, 17.0, 0.1 * number, *random.uniform(-30, 30, 3)]), **angles}

    def _skeleton(self) -> str:
        blocks = []
        for number, bone in enumerate(self.parents):
            direction, axis = (" ".join(map(str, values)) for values in (rest_direction(bone), self.axes[bone]))
            free = f"dof {' '.join(f'r{name}' for name in self.freedom[bone])}\n limits (-160.0 20.0)\n"
            block = f"id {number}\n name {bone}\n direction {direction}\n length 7.1\n axis {axis}  XYZ\n"
            blocks.append(f"  begin\n {block}{free if self.freedom[bone] else ''}  end\n")
        lines = [f"    {parent} {child}\n" for child, parent in self.parents.items()]
        top = ":version 1.10\n:name VICON\n:units\n  mass 1.0\n  length 0.45\n  angle deg\n:documentation\n  made up\n"
        root = ":root\n  order TX TY TZ RX RY RZ\n  axis XYZ\n  position 0 0 0\n  orientation 0 0 0\n"
        return f"{top}{root}:bonedata\n{''.join(blocks)}:hierarchy\n  begin\n{''.join(lines)}  end\n"

    def _motion(self) -> str:
        lines = ["#!OML:ASF made up", ":FULLY-SPECIFIED", ":DEGREES"]
        for number, frame in enumerate(self.frames):
            lines += [str(number + 1), *(f"{bone} {' '.join(map(str, values))}" for bone, values in frame.items())]
        return "\n".join(lines) + "\n"

    def turned(self, bone: str, frame: dict[str, np.ndarray]) -> np.ndarray:
        if bone == "root":
            return turn(*frame["root"][3:])
        told = dict(zip(self.freedom[bone], frame.get(bone, ()), strict=True))
        axis = turn(*self.axes[bone])
        own = axis @ turn(*(told.get(name, 0.0) for name in "xyz")) @ axis.T
        return self.turned(self.parents[bone], frame) @ own


@pytest.fixture
def made_up(tmp_path):
    return MadeUp(tmp_path / "subjects" / "07", 8)


def test_limbs_point_where_bones_do_and_the_trunk_turns_with_them(made_up, tmp_path):
    folder = tmp_path / "subjects" / "07"
    pose, places = to_smpl(read_skeleton(folder / "07.asf"), read_motion(folder / "07_03.amc"))
    rest = load_body("open").rest_joints(torch.zeros(10)).double()
    rotations = rotvec_to_rotmat(full_pose(pose))
    turns, joints = forward_kinematics(rotations, rest.expand(len(pose), -1, -1))
    for number, frame in enumerate(made_up.frames):
        for joint in ("pelvis", "spine3", "head", "left_collar"):
            expected = made_up.turned(BONES[joint], frame)
            np.testing.assert_allclose(turns[number, JOINT_NAMES.index(joint)].numpy(), expected, atol=1e-5)
        for side in ("left", "right"):
            for start, end in LIMBS.items():
                ends = [joints[number, JOINT_NAMES.index(f"{side}_{name}")].numpy() for name in (start, end)]
                limb = (ends[1] - ends[0]) / np.linalg.norm(ends[1] - ends[0])
                bone = BONES[f"{side}_{start}"]
                np.testing.assert_allclose(limb, made_up.turned(bone, frame) @ rest_direction(bone), atol=1e-5)
    np.testing.assert_allclose(places[0], np.array([1.0, 17.0, 0.0]) * 0.0254 / 0.45)


def test_a_folder_becomes_a_file_that_training_and_clips_read(made_up, tmp_path):
    assert convert_cmu(tmp_path, tmp_path / "cmu_poses.npz") == 1
    mocap = load_mocap(tmp_path / "cmu_poses.npz")
    assert mocap.clip_names == ("07_03",) and mocap.clip_groups == ("Subject #7",) and len(mocap) == 2
    found = [load_sequences(tmp_path / "cmu_poses.npz", "training", 2)[0]]
    assert found[0].group == "Subject #7" and len(found[0]) == 2


def test_frames_that_hardly_differ_do_not_count_twice(made_up, tmp_path):
    made_up.frames[4:] = [made_up.frames[0]] * 4
    (tmp_path / "subjects" / "07" / "07_03.amc").write_text(made_up._motion())
    convert_cmu(tmp_path, tmp_path / "cmu_poses.npz", rate=30.0)
    with np.load(tmp_path / "cmu_poses.npz") as file:
        assert file["distinct"].tolist() == [True] * 5 + [False] * 3


def test_other_files_are_refused(made_up, tmp_path):
    skeleton, motion = (tmp_path / "subjects" / "07" / name for name in ("07.asf", "07_03.amc"))
    motion.write_text("\n".join(motion.read_text().splitlines()[:-1]))
    with pytest.raises(ValueError, match="07_03.amc holds no frames, or frames of different bones"):
        convert_cmu(tmp_path, tmp_path / "cmu_poses.npz")
    skeleton.write_text(skeleton.read_text().replace("lfemur", "thigh"))
    with pytest.raises(ValueError, match="lacks the bones lfemur"):
        read_skeleton(skeleton)
    with pytest.raises(ValueError, match="holds no .asf"):
        convert_cmu(tmp_path / "nothing", tmp_path / "cmu_poses.npz")
    assert not (tmp_path / "cmu_poses.npz").exists()
