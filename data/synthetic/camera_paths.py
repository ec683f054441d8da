"""Cameras that stand, and cameras that somebody holds: how a scene's camera moves over the frames of a clip."""

from dataclasses import dataclass, replace

import numpy as np
import torch
from jaxtyping import Float

from fitloop.data.synthetic.placement import Backdrop, CameraPlan
from fitloop.geometry import rotvec_to_rotmat

ROOM = 1.5
"""How much larger than the picture the background of a moving camera is drawn."""
_SHAKE = np.radians((0.5, 0.4, 0.3))
"""Pitch, yaw and roll of a hand, one standard deviation."""
_SWAY = (0.02, 0.02, 0.03)
"""Metres, right, down and forward."""
_FOLLOWED = 0.8
_WAVES = 4


@dataclass(frozen=True)
class CameraPath:
    """Where the camera of each frame is, seen from the scene's own."""

    rotations: Float[np.ndarray, "frames 3 3"]
    """Scene's camera to that of the frame."""
    centers: Float[np.ndarray, "frames 3"]
    """Metres, in the scene's camera frame."""

    def plan(self, plan: CameraPlan, frame: int) -> CameraPlan:
        """The camera of a frame; places are those of the scene's camera until `see` moves them."""
        turn = self.rotations[frame]
        return replace(plan, rotation=turn @ plan.rotation, light=plan.light.turned(turn))

    def backdrop(self, backdrop: Backdrop, focal: float, frame: int) -> Backdrop:
        """The part of the background that the frame shows; far away, so that only turns move it."""
        ahead = self.rotations[frame][:, 2]
        x, y = focal * ahead[:2] / ahead[2]
        x = -x if backdrop.mirrored else x
        cos, sin = np.cos(backdrop.roll) / backdrop.scale, np.sin(backdrop.roll) / backdrop.scale
        center = (backdrop.center[0] - cos * x - sin * y, backdrop.center[1] + sin * x - cos * y)
        return replace(backdrop, center=(float(center[0]), float(center[1])))

    def see(self, points: Float[np.ndarray, "frames points 3"]) -> Float[np.ndarray, "frames points 3"]:
        """Points of the scene's camera frame in that of each frame."""
        return np.einsum("fab,fpb->fpa", self.rotations, points - self.centers[:, None])


def standing(frames: int) -> CameraPath:
    """A camera on a tripod."""
    return CameraPath(np.tile(np.eye(3), (frames, 1, 1)), np.zeros((frames, 3)))


def held(
    target: Float[np.ndarray, "frames 3"], seconds: float, room: tuple[float, float], rng: np.random.Generator
) -> CameraPath:
    """A camera in somebody's hands that follows a target by turning, with shake and sway.

    Args:
        target: What is followed, scene's camera frame, metres.
        seconds: Length of the clip.
        room: How far the view may turn to the sides and up or down, radians.
        rng: Source of randomness.
    """
    time = np.linspace(0.0, seconds, len(target))
    middle = target - target.mean(0)
    depth = target[:, 2].mean()
    follow = _FOLLOWED * np.stack([-middle[:, 1], middle[:, 0], np.zeros(len(target))], 1) / depth
    angles = follow + _waves(time, rng) * _SHAKE
    # The view turns back before the background ends.
    limits = np.array([room[1], room[0]])
    angles[:, :2] = limits * np.tanh(angles[:, :2] / limits)
    turns = rotvec_to_rotmat(torch.from_numpy(-angles)).numpy()
    return CameraPath(turns, _waves(time, rng) * np.array(_SWAY))


def room_of(backdrop: Backdrop, size: tuple[int, int], focal: float) -> tuple[float, float]:
    """How far a camera may turn to the sides and up or down before the background ends, radians."""
    rows, columns = backdrop.source.pixels.shape[:2]
    height, width = size
    x, y = backdrop.center
    spread = abs(np.sin(backdrop.roll)) * max(size)
    sides = min(x, columns - x) * backdrop.scale - (width + spread) / 2.0
    ends = min(y, rows - y) * backdrop.scale - (height + spread) / 2.0
    return tuple(float(np.arctan(max(gap, 1.0) / focal)) for gap in (sides, ends))  # pyright: ignore[reportReturnType]


def _waves(time: np.ndarray, rng: np.random.Generator) -> Float[np.ndarray, "frames 3"]:
    """Smooth noise of unit strength: a few sines between a third and two and a half hertz."""
    frequency, phase = rng.uniform(0.3, 2.5, (_WAVES, 1, 3)), rng.uniform(0.0, 2.0 * np.pi, (_WAVES, 1, 3))
    # Fast shakes are small ones.
    strength = 1.0 / frequency
    sines = strength * np.sin(2.0 * np.pi * frequency * time[None, :, None] + phase)
    return sines.sum(0) / np.sqrt(0.5 * (strength**2).sum(0))
