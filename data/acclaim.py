"""Motion capture as CMU distributes it, Acclaim's .asf and .amc files, into ``cmu_poses.npz``."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float
from scipy.spatial.transform import Rotation

from fitloop.body import JOINT_NAMES, load_body
from fitloop.body.files import whole_file
from fitloop.body.model import forward_kinematics
from fitloop.body.params import JOINT_PARENTS
from fitloop.data.mocap import NUM_MOCAP_JOINTS
from fitloop.data.synthetic.sequences import RATE

_INCH = 0.0254
_APART = 0.06
"""Metres that some joint, seen from the pelvis, moves between frames that count as distinct."""
_TRUNK = {"pelvis": "root", "spine1": "lowerback", "spine2": "upperback", "spine3": "thorax", "neck": "lowerneck"}
_LIMBS = {
    **{"hip": "femur", "knee": "tibia", "ankle": "foot", "foot": "toes"},
    **{"collar": "clavicle", "shoulder": "humerus", "elbow": "radius", "wrist": "hand"},
}
BONES = {
    **_TRUNK,
    "head": "head",
    **{f"{side}_{joint}": side[0] + bone for side in ("left", "right") for joint, bone in _LIMBS.items()},
}
"""Joint of SMPL -> the bone of CMU's skeletons that turns at it."""
_TOWARDS = {"hip": "knee", "knee": "ankle", "ankle": "foot", "shoulder": "elbow", "elbow": "wrist", "wrist": "hand"}
"""Joints whose limbs point elsewhere at rest than SMPL's, and where the limb ends."""


@dataclass(frozen=True)
class Bone:
    """One bone of a skeleton, y up, in the pose of rest."""

    direction: np.ndarray
    axis: Rotation
    """Of the frame in which its angles are told."""
    freedom: tuple[int, ...]
    """Which of x, y, z a motion file tells."""
    parent: str = "root"


@dataclass(frozen=True)
class Skeleton:
    """A person's skeleton."""

    bones: dict[str, Bone]
    metre: float
    """Metres in a unit of length."""


def read_skeleton(path: Path) -> Skeleton:
    """Read an .asf file.

    Raises:
        ValueError: If it tells angles in radians, or lacks a bone of CMU's skeletons.
    """
    text = path.read_text(encoding="latin-1")
    if re.search(r"\bangle\s+rad", text):
        raise ValueError(f"{path} tells angles in radians; CMU's files have degrees.")
    data, _, hierarchy = text.partition(":hierarchy")
    parents = {child: words[0] for line in hierarchy.splitlines() if (words := line.split()) for child in words[1:]}
    bones = {name: bone for name, bone in map(_bone, re.findall(r"\bbegin\b(.*?)\bend\b", data, re.DOTALL))}
    bones = {name: Bone(bone.direction, bone.axis, bone.freedom, parents[name]) for name, bone in bones.items()}
    missing = sorted(set(BONES.values()) - {"root"} - set(bones))
    if missing:
        raise ValueError(f"{path} lacks the bones {', '.join(missing)} of CMU's skeletons.")
    length = re.search(r"\blength\s+([\d.]+)", text.partition(":root")[0])
    return Skeleton(bones, _INCH / float(length[1] if length else 1.0))


def _bone(block: str) -> tuple[str, Bone]:
    words = {line.split()[0]: line.split()[1:] for line in block.splitlines() if line.split()}
    axis = Rotation.from_euler("xyz", [float(value) for value in words["axis"][:3]], degrees=True)
    freedom = tuple("xyz".index(name[1]) for name in words.get("dof", ()) if name in ("rx", "ry", "rz"))
    return words["name"][0], Bone(np.array(words["direction"][:3], float), axis, freedom)


def read_motion(path: Path, every: int = 1) -> dict[str, Float[np.ndarray, "frames values"]]:
    """Read what an .amc file tells of each bone, degrees; of the root place and angles.

    Args:
        path: The file.
        every: Take only one of so many frames.

    Raises:
        ValueError: If frames tell different bones.
    """
    frames: list[dict[str, list[float]]] = []
    for line in path.read_text(encoding="latin-1").splitlines():
        words = line.split()
        if words and words[0].isdigit():
            frames.append({})
        elif words and frames:
            frames[-1][words[0]] = [float(word) for word in words[1:]]
    if not frames or any(frame.keys() != frames[0].keys() for frame in frames):
        raise ValueError(f"{path} holds no frames, or frames of different bones: is it whole?")
    return {name: np.array([frame[name] for frame in frames[::every]]) for name in frames[0]}


def to_smpl(
    skeleton: Skeleton, motion: dict[str, np.ndarray]
) -> tuple[Float[np.ndarray, "frames 22 3"], Float[np.ndarray, "frames 3"]]:
    """Turn a motion of a skeleton into SMPL's joints.

    Both stand upright and face z, but limbs at rest point elsewhere: each limb is turned as far as its rest asks.

    Returns:
        Axis-angle as `fitloop.data.mocap` has it, and places of the pelvis in metres, y up.
    """
    turned = {"root": Rotation.from_euler("xyz", motion["root"][:, 3:], degrees=True)}
    rest = load_body("open").rest_joints(torch.zeros(10)).numpy()
    names = JOINT_NAMES[:NUM_MOCAP_JOINTS]
    globally = {}
    for joint in names:
        side, _, kind = joint.rpartition("_")
        found = _turned(BONES[joint], skeleton, motion, turned)
        if side and kind in (*_TOWARDS, "foot"):
            # Toes go where the foot goes.
            start = "ankle" if kind == "foot" else kind
            ends = [JOINT_NAMES.index(f"{side}_{name}") for name in (start, _TOWARDS[start])]
            bone = skeleton.bones[BONES[f"{side}_{start}"]]
            found = found * _between(rest[ends[1]] - rest[ends[0]], bone.direction)
        globally[joint] = found
    parents = [JOINT_NAMES[parent] for parent in JOINT_PARENTS[1:NUM_MOCAP_JOINTS]]
    local = [globally["pelvis"]]
    local += [globally[parent].inv() * globally[joint] for parent, joint in zip(parents, names[1:], strict=True)]
    return np.stack([one.as_rotvec() for one in local], 1), motion["root"][:, :3] * skeleton.metre


def _turned(name: str, skeleton: Skeleton, motion: dict[str, np.ndarray], known: dict[str, Rotation]) -> Rotation:
    """A bone's turn from rest, in the world."""
    if name not in known:
        bone, angles = skeleton.bones[name], np.zeros((len(motion["root"]), 3))
        if name in motion:
            angles[:, bone.freedom] = motion[name]
        turn = bone.axis * Rotation.from_euler("xyz", angles, degrees=True) * bone.axis.inv()
        known[name] = _turned(bone.parent, skeleton, motion, known) * turn
    return known[name]


def _between(first: np.ndarray, second: np.ndarray) -> Rotation:
    """The shortest rotation that brings one direction to another."""
    first, second = first / np.linalg.norm(first), second / np.linalg.norm(second)
    axis, cos = np.cross(first, second), float(first @ second)
    size = float(np.linalg.norm(axis))
    return Rotation.from_rotvec(axis / max(size, 1e-12) * np.arctan2(size, cos))


def distinct_frames(pose: Float[np.ndarray, "frames 22 3"]) -> np.ndarray:
    """Mark the frames of a clip whose joints lie centimetres from those of the last one marked."""
    full = np.concatenate([pose, np.zeros((len(pose), len(JOINT_NAMES) - NUM_MOCAP_JOINTS, 3))], 1)
    rotations = Rotation.from_rotvec(full.reshape(-1, 3)).as_matrix().reshape(*full.shape[:2], 3, 3)
    rest = load_body("open").rest_joints(torch.zeros(10))
    _, joints = forward_kinematics(torch.from_numpy(rotations).float(), rest.expand(len(full), -1, -1))
    places, last, marks = (joints - joints[:, :1]).numpy(), 0, np.zeros(len(pose), bool)
    for frame in range(len(pose)):
        marks[frame] = frame == 0 or np.linalg.norm(places[frame] - places[last], axis=-1).max() >= _APART
        last = frame if marks[frame] else last
    return marks


def convert_cmu(folder: Path, out: Path, rate: float = 120.0) -> int:
    """Write ``cmu_poses.npz`` from CMU's files; docs/synthetic.md says where they are and what the arrays mean.

    Args:
        folder: ``SUBJECT/SUBJECT.asf`` with ``SUBJECT_CLIP.amc`` beside it, at any depth.
        out: Where to write.
        rate: Frames per second of the files, which do not say; a few of CMU's have 60.

    Returns:
        How many clips there are.

    Raises:
        ValueError: If there are none, or a file is damaged.
    """
    clips = list(_clips(folder, max(round(rate / RATE), 1)))
    if not clips:
        raise ValueError(f"{folder} holds no .asf with .amc files beside it: give the unpacked folder of CMU's files.")
    names, subjects, poses, places = zip(*clips, strict=True)
    lengths = np.array([len(pose) for pose in poses])
    arrays = {
        "pose": np.concatenate(poses).astype(np.float16),
        "trans": np.concatenate(places).astype(np.float32),
        "clip_start": np.concatenate([[0], lengths.cumsum()[:-1]]),
        "clip_len": lengths,
        "clip_id": np.array(names),
        "clip_subject": np.array(subjects),
        "clip_source": np.full(len(names), "cmu"),
        "clip_quality": np.full(len(names), "asf"),
        "distinct": np.concatenate([distinct_frames(pose) for pose in poses]),
    }
    with whole_file(out) as file:
        np.savez_compressed(file, **arrays)  # pyright: ignore[reportArgumentType]
    return len(names)


def _clips(folder: Path, every: int) -> Iterator[tuple[str, str, np.ndarray, np.ndarray]]:
    for path in sorted(folder.rglob("*.asf")):
        skeleton = read_skeleton(path)
        subject = f"Subject #{int(path.stem)}" if path.stem.isdigit() else path.stem
        for motion in sorted(path.parent.glob(f"{path.stem}_*.amc")):
            yield (motion.stem, subject, *to_smpl(skeleton, read_motion(motion, every)))
