"""Sequences of motion capture: poses and places over time, in a world with y up, for one side of the split."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float
from scipy.ndimage import gaussian_filter1d
from torch import Tensor

from fitloop.body import Body
from fitloop.body.model import forward_kinematics
from fitloop.data.mocap import full_pose, is_held_out, read_mocap, subject_or_source
from fitloop.data.synthetic.config import Split
from fitloop.data.synthetic.poses import shrink_noisy
from fitloop.geometry import rotvec_to_rotmat
from fitloop.geometry.rotations import rotmat_to_unitquat, unitquat_to_rotmat

RATE = 30.0
"""Frames per second of the motion capture."""
_SMOOTHING = 1.0
"""Frames: takes out what half precision and the capture shake, keeps steps."""
_FEET = ("left_foot", "right_foot")


@dataclass(frozen=True)
class Sequence:
    """One recording of one person."""

    name: str
    group: str
    """Whom it shows; splits never cut through a group."""
    rotations: Float[Tensor, "frames 24 3 3"]
    """The first into a world with y up, the others relative to their parents."""
    place: Float[Tensor, "frames 3"]
    """Of the pelvis, metres, for the body's mean shape; the floor at about 0."""

    def __len__(self) -> int:
        return len(self.place)

    def excerpt(self, start: int, frames: int, step: int = 1) -> "Sequence":
        """Every ``step``-th frame from ``start`` on."""
        rows = slice(start, start + frames * step, step)
        return Sequence(self.name, self.group, self.rotations[rows], self.place[rows])

    def walked(self) -> float:
        """Metres on the floor between the first and the last frame."""
        return float((self.place[-1] - self.place[0])[[0, 2]].norm())

    def joints(self, body: Body, betas: Float[Tensor, "betas"]) -> Float[Tensor, "frames 24 3"]:
        """Joints of somebody of this shape who moves like this, world, metres.

        Steps grow with the legs, so that feet that rest stay where they are.
        """
        rest = body.rest_joints(betas)
        _, joints = forward_kinematics(self.rotations, rest.expand(len(self), -1, -1))
        return joints - rest[0] + (self.place * _leg_ratio(body, betas))[:, None]


def load_sequences(path: Path, split: Split, frames: int) -> tuple[Sequence, ...]:
    """Recordings of at least so many frames, in an order in which neighbours show different people.

    Args:
        path: cmu_poses.npz; needs ``trans`` beside what `fitloop.data.mocap.load_mocap` reads.
        split: Which subjects.
        frames: At `RATE`.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If it has no places, or no recording is long enough.
    """
    keys = ("pose", "trans", "clip_start", "clip_len", "clip_id", "clip_subject", "clip_source", "clip_quality")
    found = read_mocap(path, keys)
    groups = [
        subject_or_source(str(a), str(b)) for a, b in zip(found["clip_subject"], found["clip_source"], strict=True)
    ]
    by_group: dict[str, list[Sequence]] = {}
    for number, group in enumerate(groups):
        # Retargeted recordings have feet that slide.
        good = not str(found["clip_quality"][number]).startswith("retarget")
        if good and found["clip_len"][number] >= frames and is_held_out(group) == (split == "held-out"):
            start = int(found["clip_start"][number])
            rows = slice(start, start + int(found["clip_len"][number]))
            by_group.setdefault(group, []).append(
                _sequence(str(found["clip_id"][number]), group, found["pose"][rows], found["trans"][rows])
            )
    if not by_group:
        raise ValueError(f"{path} has no recording of {frames} frames for the {split} side; ask for fewer seconds.")
    longest = max(map(len, by_group.values()))
    turns = [(turn, group) for turn in range(longest) for group in sorted(by_group) if turn < len(by_group[group])]
    return tuple(by_group[group][turn] for turn, group in turns)


def _sequence(name: str, group: str, pose: np.ndarray, place: np.ndarray) -> Sequence:
    vectors = shrink_noisy(full_pose(pose.astype(np.float32)).numpy())
    quaternions = rotmat_to_unitquat(rotvec_to_rotmat(torch.from_numpy(vectors)))
    smooth = torch.from_numpy(gaussian_filter1d(quaternions.numpy(), _SMOOTHING, axis=0, mode="nearest"))
    place = gaussian_filter1d(place.astype(np.float32), _SMOOTHING, axis=0, mode="nearest")
    return Sequence(name, group, unitquat_to_rotmat(smooth), torch.from_numpy(place))


def _leg_ratio(body: Body, betas: Tensor) -> float:
    def height(shape: Tensor) -> float:
        rest = body.rest_joints(shape)
        return float(rest[0, 1] - rest[[body.joint_names.index(name) for name in _FEET], 1].mean())

    return height(betas) / height(torch.zeros_like(betas))
