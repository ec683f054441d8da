"""When feet rest, from the motion of heels and toes in the frame of a camera that stands still."""

import numpy as np
from jaxtyping import Bool, Float
from torch import Tensor

from fitloop.body import Body, BodyParams, KeypointKinematics

FEET = (("left_heel", "left_big_toe"), ("right_heel", "right_big_toe"))
"""Points of each foot that may rest."""
_JOINTS = (("left_ankle", "left_foot"), ("right_ankle", "right_foot"))
"""The same of a body that has no such landmarks."""
SLOW = 0.25
"""Metres per second across the view below which a point rests: a foot that swings is five times as fast."""
_ALONG = 0.3
"""Share of the speed along the view that counts: a single camera sees most of it wrongly."""
_TRAVEL = 0.12
"""Metres across the view that a resting point may seem to be away from its mean place."""
_SHORTEST, _GAP = 0.1, 0.07
"""Seconds that a foot rests at least, and that it may seem to move in between."""


def foot_points(body: Body, params: BodyParams) -> Float[Tensor, "frames feet points 3"]:
    """Heel and big toe of the left and the right foot, metres."""
    names = FEET if all(name in body.landmark_names for foot in FEET for name in foot) else _JOINTS
    return KeypointKinematics(body, tuple(name for foot in names for name in foot))(params).unflatten(-2, (2, 2))


def resting_points(
    points: Float[Tensor, "frames feet points 3"], frame_rate: float
) -> Bool[np.ndarray, "frames feet points"]:
    """Which points rest in which frame.

    Args:
        points: Frame of a camera that stands still, metres.
        frame_rate: Frames per second.
    """
    place = points.detach().double().cpu().numpy()
    if len(place) < 3:
        return np.zeros(place.shape[:-1], dtype=bool)
    speed = np.gradient(place, axis=0) * frame_rate
    ray = place / np.maximum(np.linalg.norm(place, axis=-1, keepdims=True), 1e-6)
    along = (speed * ray).sum(-1, keepdims=True)
    counted = speed - (1.0 - _ALONG) * along * ray
    slow = np.linalg.norm(counted, axis=-1) < SLOW
    flat, aim = slow.reshape(len(slow), -1), ray.reshape(len(slow), -1, 3)
    far = np.linalg.norm(place, axis=-1).reshape(len(slow), -1)
    lasting = [_without_short(column, frame_rate) for column in flat.T]
    kept = [_without_carried(one, aim[:, at], far[:, at]) for at, one in enumerate(lasting)]
    return np.stack(kept, -1).reshape(slow.shape)


def runs(values: Bool[np.ndarray, "frames"]) -> list[tuple[int, int]]:
    """First frame and end of each stretch of true values."""
    edges = np.flatnonzero(np.diff(np.concatenate([[False], values, [False]]).astype(int)))
    return list(zip(edges[0::2].tolist(), edges[1::2].tolist(), strict=True))


def _without_short(values: Bool[np.ndarray, "frames"], frame_rate: float) -> Bool[np.ndarray, "frames"]:
    filled = values.copy()
    for start, end in runs(~values):
        if 0 < start and end < len(values) and end - start <= _GAP * frame_rate:
            filled[start:end] = True
    for start, end in runs(filled):
        if end - start < _SHORTEST * frame_rate:
            filled[start:end] = False
    return filled


def _without_carried(
    values: Bool[np.ndarray, "frames"], ray: Float[np.ndarray, "frames 3"], far: Float[np.ndarray, "frames"]
) -> Bool[np.ndarray, "frames"]:
    """Leave out stretches in which a point slowly travels across the view: what it stands on moves, as on a board."""
    kept = values.copy()
    for start, end in runs(values):
        travelled = np.linalg.norm(ray[start:end] - ray[start:end].mean(0), axis=-1) * far[start:end].mean()
        kept[start:end] = travelled.max() < _TRAVEL
    return kept


def down_to_lowest(
    resting: Bool[np.ndarray, "frames feet points"],
    points: Float[Tensor, "frames feet points 3"],
    up: Float[Tensor, "3"],
    margin: float = 0.12,
) -> Bool[np.ndarray, "frames feet points"]:
    """Resting points that are not far above the lowest point of the frame: a foot held up in the air carries nobody.

    Args:
        resting: As `resting_points`.
        points: The same points.
        up: Against gravity, unit length.
        margin: Metres.
    """
    height = (points @ up.to(points)).detach().cpu().numpy()
    return resting & (height - height.min(axis=(1, 2), keepdims=True) < margin)


def stances(
    resting: Bool[np.ndarray, "frames feet points"], points: Float[Tensor, "frames feet points 3"]
) -> Float[np.ndarray, "stances 3"]:
    """The mean place of each point in each stretch in which it rests, metres."""
    place = points.detach().double().cpu().numpy().reshape(len(resting), -1, 3)
    flat = resting.reshape(len(resting), -1)
    found = [place[start:end, at].mean(0) for at in range(flat.shape[1]) for start, end in runs(flat[:, at])]
    return np.array(found).reshape(-1, 3)


def sliding(
    points: Float[Tensor, "frames feet points 3"], resting: Bool[np.ndarray, "frames feet points"], frame_rate: float
) -> float:
    """Mean speed, in metres per second, at which points move while they rest; 0 where nothing rests."""
    place = points.detach().double().cpu().numpy()
    both = resting[1:] & resting[:-1]
    speed = np.linalg.norm(np.diff(place, axis=0), axis=-1) * frame_rate
    return float(speed[both].mean()) if both.any() else 0.0
