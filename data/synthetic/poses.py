"""Poses for synthetic people: motion capture by clip, mirrored, loosened; the extreme ones apart."""

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Int

from fitloop.body import JOINT_NAMES
from fitloop.body.params import JOINT_PARENTS
from fitloop.data.mocap import Mocap, full_pose, mirror_pose
from fitloop.geometry import rotvec_to_rotmat

_NOISY = {
    "left_wrist": 0.4,
    "right_wrist": 0.4,
    "left_ankle": 0.8,
    "right_ankle": 0.8,
    "left_foot": 0.5,
    "right_foot": 0.5,
}
"""Joints that differ between capture rigs: how much of their rotation to keep."""
ACROBATIC_SHARE = 0.06


@dataclass(frozen=True)
class PosePool:
    """Frames to draw from, clip by clip."""

    pose: Float[np.ndarray, "frames 24 3"]
    """Axis-angle; the first is the root in a world with y up."""
    clip_rows: tuple[Int[np.ndarray, "_"], ...]
    names: tuple[str, ...]
    """Clip of each entry of `clip_rows`."""

    def draw(self, rng: np.random.Generator, looseness: float) -> Float[np.ndarray, "24 3"]:
        """Draw a pose: any clip, any frame of it, perhaps mirrored, every joint turned a little.

        Args:
            rng: Source of randomness.
            looseness: Standard deviation of the turns, radians.
        """
        rows = self.clip_rows[int(rng.integers(len(self.clip_rows)))]
        pose = self.pose[rows[int(rng.integers(len(rows)))]].copy()
        if rng.random() < 0.5:
            pose[:22] = mirror_pose(pose[:22])
        pose[1:] += rng.normal(0.0, looseness, (23, 3)).astype(np.float32)
        return pose


def make_pool(mocap: Mocap) -> PosePool:
    """Prepare the frames of one side of the split; turns of badly captured joints are shrunk."""
    pose = shrink_noisy(full_pose(mocap.pose).numpy().astype(np.float32))
    return _by_clip(pose, mocap.clip, mocap.clip_names)


def shrink_noisy(pose: Float[np.ndarray, "frames 24 3"]) -> Float[np.ndarray, "frames 24 3"]:
    """Shrink the turns (axis-angle) of joints in which capture rigs differ."""
    shares = np.ones((len(JOINT_NAMES), 1), pose.dtype)
    for name, share in _NOISY.items():
        shares[JOINT_NAMES.index(name)] = share
    return pose * shares


def _by_clip(pose: np.ndarray, clip: np.ndarray, names: tuple[str, ...]) -> PosePool:
    present = np.unique(clip)
    return PosePool(
        pose, tuple(np.flatnonzero(clip == number) for number in present), tuple(names[number] for number in present)
    )


def acrobatic(pool: PosePool, share: float = ACROBATIC_SHARE) -> PosePool:
    """The hardest frames of a pool: see `difficulty`.

    Args:
        pool: Frames of any kind.
        share: Of the frames to keep.
    """
    score = difficulty(pool.pose)
    limit = np.quantile(score, 1.0 - share)
    kept = [(rows[score[rows] >= limit], name) for rows, name in zip(pool.clip_rows, pool.names, strict=True)]
    kept = [(rows, name) for rows, name in kept if len(rows)]
    return PosePool(pool.pose, tuple(rows for rows, _ in kept), tuple(name for _, name in kept))


def difficulty(pose: Float[np.ndarray, "frames 24 3"]) -> Float[np.ndarray, "frames"]:
    """How far a pose is from standing: lean of the trunk, knees or hands raised, joints bent, in radians.

    The sum of the trunk's angle to the vertical, the angle of each thigh to straight down, a share of each arm's
    elevation above the shoulder, and a fifth of the sum of all joint angles.
    """
    world = _world_rotations(pose)
    trunk = _angle(world[:, JOINT_NAMES.index("spine2")] @ np.array([0.0, 1.0, 0.0]), 1.0)
    thighs = [
        _angle(world[:, JOINT_NAMES.index(name)] @ np.array([0.0, -1.0, 0.0]), -1.0)
        for name in ("left_hip", "right_hip")
    ]
    bends = np.linalg.norm(pose[:, 1:22], axis=-1).sum(-1)
    return 1.5 * trunk + 0.5 * (thighs[0] + thighs[1]) + 0.2 * bends


def _angle(direction: np.ndarray, up: float) -> np.ndarray:
    return np.arccos(np.clip(up * direction[:, 1], -1.0, 1.0))


def _world_rotations(pose: np.ndarray) -> np.ndarray:
    local = rotvec_to_rotmat(torch.from_numpy(pose)).numpy()
    world = [local[:, 0]]
    for joint, parent in enumerate(JOINT_PARENTS[1:], start=1):
        world.append(world[parent] @ local[:, joint])
    return np.stack(world, 1)
