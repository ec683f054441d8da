"""Gravity and floor, in the frame of a camera that stands still.

Feet that rest lie on a plane. Somebody who stands on one spot shows only a point of it, so two more things count: who
stands has the middle of their mass above their feet, and cameras are seldom held far from level.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Bool, Float
from scipy.optimize import least_squares
from torch import Tensor

from fitloop.body import JOINT_NAMES, Body, BodyParams, KeypointKinematics
from fitloop.fitting.contacts import down_to_lowest, foot_points, resting_points, stances

_CAMERA_UP = np.array([0.0, -1.0, 0.0])
_CAMERA_TILT = 0.35
"""Radians, standard deviation, by which cameras are tilted."""
_LEAN = 0.15
"""Radians, standard deviation, by which the mean direction from feet to mass misses gravity."""
_ACROSS, _ALONG = 0.03, 0.15
"""Metres, standard deviation, of a resting place across the view and along it."""
_MASSES = {
    **{"left_hip": 0.125, "right_hip": 0.125, "left_shoulder": 0.15, "right_shoulder": 0.15, "head": 0.08},
    **{"left_knee": 0.115, "right_knee": 0.115, "left_ankle": 0.03, "right_ankle": 0.03},
    **{"left_elbow": 0.025, "right_elbow": 0.025, "left_wrist": 0.015, "right_wrist": 0.015},
}
"""Shares of the body's mass by the nearest joint, after Dempster (1955)."""
_CHECKED = 60
"""Frames, at most, whose whole surface is looked at for the height of the soles."""


@dataclass(frozen=True)
class Floor:
    """The floor under one person."""

    up: Float[Tensor, "3"]
    """Against gravity, unit length, camera frame."""
    height: float
    """Metres: points x of the floor have ``up @ x == height``."""

    def to_world(self) -> tuple[Float[Tensor, "3 3"], Float[Tensor, "3"]]:
        """Camera to world: z up with the floor at 0, x to the camera's right, the origin below the camera."""
        right = torch.tensor([1.0, 0.0, 0.0]) - self.up[0] * self.up
        right = right / right.norm().clamp_min(1e-6)
        rotation = torch.stack([right, torch.linalg.cross(self.up, right), self.up])
        return rotation, torch.tensor([0.0, 0.0, -self.height])


def find_floor(
    body: Body, people: Sequence[BodyParams], seen: Sequence[Bool[Tensor, "_"]], frame_rate: float
) -> list[Floor | None]:
    """Find gravity from everybody, and the floor under each.

    Distances along the view are those of people of unknown height, so floors of several people need not agree; gravity
    does.

    Args:
        body: The body model.
        people: Motion of each person, one row per frame, frame of a camera that stands still.
        seen: Whether a frame had evidence of the person.
        frame_rate: Frames per second.

    Returns:
        A floor per person; None for somebody whose feet never rest.
    """
    points = [foot_points(body, params).cpu() for params in people]
    resting = [
        resting_points(one, frame_rate) & there.cpu().numpy()[:, None, None]
        for one, there in zip(points, seen, strict=True)
    ]
    masses = [_mass(body, params) for params in people]
    up = torch.from_numpy(_CAMERA_UP).float()
    carrying = resting
    # Which foot carries depends on where up is, and up on the feet that carry.
    for _ in range(2):
        carrying = [down_to_lowest(rests, one, up) for rests, one in zip(resting, points, strict=True)]
        if not any(one.any() for one in carrying):
            return [None] * len(people)
        up = torch.from_numpy(_gravity(carrying, points, masses)).float()
    return [
        _under(body, params, carries, up) if carries.any() else None
        for params, carries in zip(people, carrying, strict=True)
    ]


def _mass(body: Body, params: BodyParams) -> Float[Tensor, "frames 3"]:
    joints = KeypointKinematics(body, JOINT_NAMES)(params).cpu()
    shares = torch.tensor([_MASSES.get(name, 0.0) for name in JOINT_NAMES])
    return (joints * shares[:, None]).sum(1) / shares.sum()


def _gravity(carrying: list[np.ndarray], points: list[Tensor], masses: list[Tensor]) -> Float[np.ndarray, "3"]:
    lean = np.concatenate([_toward(*one) for one in zip(carrying, points, masses, strict=True)]).mean(0)
    lean = lean / max(float(np.linalg.norm(lean)), 1e-9)
    found = [stances(carries, one) for carries, one in zip(carrying, points, strict=True)]
    place = np.concatenate(found)
    owner = np.repeat(np.arange(len(found)), [len(one) for one in found])
    heights = np.array([(one @ lean).mean() if len(one) else 0.0 for one in found])
    ray = place / np.linalg.norm(place, axis=-1, keepdims=True)

    def residuals(unknown: np.ndarray) -> np.ndarray:
        length = np.linalg.norm(unknown[:3])
        up = unknown[:3] / length
        # Of every person one height is free, so that a single resting place says nothing about the slope.
        off = (place @ up - unknown[3:][owner]) / np.hypot(_ACROSS, _ALONG * (ray @ up))
        robust = np.sign(off) * np.sqrt(2.0 * (np.sqrt(1.0 + off**2) - 1.0))
        return np.concatenate([robust, (up - lean) / _LEAN, (up - _CAMERA_UP) / _CAMERA_TILT, [length - 1.0]])

    start = lean + (_LEAN / _CAMERA_TILT) ** 2 * _CAMERA_UP
    solved = least_squares(residuals, np.concatenate([start / np.linalg.norm(start), heights])).x[:3]
    return solved / np.linalg.norm(solved)


def _toward(carries: np.ndarray, points: Tensor, mass: Tensor) -> Float[np.ndarray, "frames 3"]:
    """Direction from what carries to the middle of the mass, in frames in which something does."""
    weight = torch.from_numpy(carries).float()[..., None]
    feet = (points * weight).sum((1, 2)) / weight.sum((1, 2)).clamp_min(1.0)
    return torch.nn.functional.normalize(mass - feet, dim=-1).double().numpy()[carries.any((1, 2))]


def _under(body: Body, params: BodyParams, carries: np.ndarray, up: Tensor) -> Floor:
    """The floor at the usual height of the lowest point of the surface while a foot rests."""
    rows = np.flatnonzero(carries.any((1, 2)))
    rows = rows[:: max(len(rows) // _CHECKED, 1)]
    heights = [float((body(params[[int(row)]]).vertices[0].cpu() @ up).min()) for row in rows]
    return Floor(up, float(np.median(heights)))
