"""Human poses from motion capture: loading, a fixed split by subject, mirroring, sampling balanced over clips."""

import hashlib
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from fitloop.body.keypoints import mirrored
from fitloop.body.params import JOINT_NAMES
from fitloop.data.archives import read_arrays

NUM_MOCAP_JOINTS = 22
"""SMPL's first 22: no hands."""
HELD_OUT_PERCENT = 20
_NEEDED = ("pose", "clip_start", "clip_len", "clip_id", "clip_subject", "clip_source", "clip_quality", "distinct")
_MANUAL = "docs/synthetic.md tells how to make one"
_MIRROR = [JOINT_NAMES.index(mirrored(name)) for name in JOINT_NAMES[:NUM_MOCAP_JOINTS]]


@dataclass(frozen=True)
class Mocap:
    """Frames of many clips."""

    pose: Float[np.ndarray, "frames 22 3"]
    """Axis-angle, radians, in SMPL's order; the first is the global orientation in a world with y up."""
    clip: Int[np.ndarray, "frames"]
    """Which clip each frame belongs to."""
    clip_names: tuple[str, ...]
    clip_groups: tuple[str, ...]
    """Subject of each clip, or the source where the subject is unknown; splits never cut through a group."""
    clip_quality: tuple[str, ...]
    """How the clip was made: ``asf``, ``bvh`` or ``retarget-*``."""

    def __len__(self) -> int:
        return len(self.pose)

    def frames(self, keep: np.ndarray) -> "Mocap":
        """Keep only some frames.

        Args:
            keep: Boolean mask or indices.
        """
        return replace(self, pose=self.pose[keep], clip=self.clip[keep])

    def mirror(self) -> "Mocap":
        """Swap left and right: the same poses seen in a mirror."""
        return replace(self, pose=mirror_pose(self.pose))

    def training(self) -> "Mocap":
        """Frames whose subjects may be used to fit priors and weights."""
        return self.frames(~self._held_out()[self.clip])

    def held_out(self) -> "Mocap":
        """Frames of the subjects kept for testing; nothing that ships is fitted to them."""
        return self.frames(self._held_out()[self.clip])

    def _held_out(self) -> np.ndarray:
        return np.array([is_held_out(group) for group in self.clip_groups])

    def sample(self, count: int, generator: torch.Generator) -> Float[np.ndarray, "count 22 3"]:
        """Draw poses with every clip equally likely, half of them mirrored.

        Args:
            count: How many.
            generator: Source of randomness.
        """
        clips, starts, sizes = np.unique(self.clip, return_index=True, return_counts=True)
        order = np.argsort(self.clip, kind="stable")
        offset = np.searchsorted(self.clip[order], clips)
        chosen = torch.randint(len(clips), (count,), generator=generator).numpy()
        within = (torch.rand(count, generator=generator).numpy() * sizes[chosen]).astype(int)
        pose = self.pose[order[offset[chosen] + within]]
        flip = torch.rand(count, generator=generator).numpy() < 0.5
        return np.where(flip[:, None, None], mirror_pose(pose), pose)


def is_held_out(group: str) -> bool:
    """Say on which side of the split a subject is; depends on the name alone."""
    return int(hashlib.sha256(group.encode()).hexdigest()[:8], 16) % 100 < HELD_OUT_PERCENT


def mirror_pose(pose: Float[np.ndarray, "*batch 22 3"]) -> Float[np.ndarray, "*batch 22 3"]:
    """Swap left and right joints and reflect each rotation in the body's yz plane (axis-angle)."""
    return pose[..., _MIRROR, :] * np.array([1.0, -1.0, -1.0], pose.dtype)


def load_mocap(path: str | Path, distinct: bool = True) -> Mocap:
    """Load poses from a ``cmu_poses.npz`` file (docs/synthetic.md names its arrays).

    Args:
        path: The file.
        distinct: Keep only frames marked as differing by centimetres from the ones before.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If it is another file, or lacks an array.
    """
    arrays = read_mocap(Path(path), _NEEDED)
    clip = np.full(len(arrays["pose"]), -1)
    for number, (start, length) in enumerate(zip(arrays["clip_start"], arrays["clip_len"], strict=True)):
        clip[start : start + length] = number
    groups = zip(arrays["clip_subject"], arrays["clip_source"], strict=True)
    mocap = Mocap(
        pose=arrays["pose"].astype(np.float32),
        clip=clip,
        clip_names=tuple(str(name) for name in arrays["clip_id"]),
        clip_groups=tuple(subject_or_source(str(subject), str(source)) for subject, source in groups),
        clip_quality=tuple(str(quality) for quality in arrays["clip_quality"]),
    )
    usable = np.isfinite(mocap.pose).all((1, 2)) & (clip >= 0)
    return mocap.frames(usable & arrays["distinct"].astype(bool) if distinct else usable)


def read_mocap(path: Path, needed: tuple[str, ...]) -> dict[str, np.ndarray]:
    """Read arrays of a ``cmu_poses.npz`` file.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If it is another file, or lacks an array; says what a mocap file is.
    """
    if not path.is_file():
        raise FileNotFoundError(f"{path} does not exist; give the path of cmu_poses.npz ({_MANUAL}).")
    try:
        arrays = read_arrays(path, known=needed)
    except ValueError as error:
        raise ValueError(f"{path} is no file of motion capture such as cmu_poses.npz ({_MANUAL}): {error}") from error
    missing = [key for key in needed if key not in arrays]
    if missing:
        raise ValueError(f"{path} has no {', '.join(missing)}; a mocap file has {', '.join(needed)} ({_MANUAL}).")
    if arrays["pose"].ndim != 3 or arrays["pose"].shape[1:] != (NUM_MOCAP_JOINTS, 3):
        raise ValueError(f"{path}: pose is {arrays['pose'].shape}, expected (frames, 22, 3) axis-angle.")
    return {key: arrays[key] for key in needed}


def subject_or_source(subject: str, source: str) -> str:
    """What a split must not cut through: the subject, or the source where the subject is unknown."""
    return subject.split("(")[0].strip() if subject else source


def full_pose(pose: Float[np.ndarray, "*batch 22 3"]) -> Float[Tensor, "*batch 24 3"]:
    """Append two hands at rest: axis-angle of SMPL's 24 joints."""
    hands = np.zeros((*pose.shape[:-2], len(JOINT_NAMES) - NUM_MOCAP_JOINTS, 3), pose.dtype)
    return torch.from_numpy(np.concatenate([pose, hands], axis=-2))
