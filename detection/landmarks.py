"""The body of one person in a turned square: mediapipe's landmark network (BlazePose GHUM, full)."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from fitloop.body.keypoints import MEDIAPIPE_33
from fitloop.detection.pixels import PhotoPieces
from fitloop.detection.tflite import Network

_SIZE = 256
_BODY = 33
_FLIP = list(MEDIAPIPE_33.flip)
_WINDOW = 3
"""Cells around a landmark that its heatmap may move it by: mediapipe's kernel of 7."""


@dataclass(frozen=True)
class Place:
    """A turned square around a person, in full-image pixels."""

    center: Float[np.ndarray, "2"]
    side: float
    angle: float
    """Radians, clockwise as seen; 0 when the person is upright."""


@dataclass(frozen=True)
class Pose:
    """What the network sees in one square."""

    score: float
    """Probability that there is a person."""
    keypoints: Float[np.ndarray, "33 2"]
    """Full-image pixels."""
    visibility: Float[np.ndarray, "33"]
    """Probability that a keypoint is in the square and not hidden."""
    presence: Float[np.ndarray, "33"]
    """Probability that a keypoint is in the square."""
    peak: Float[np.ndarray, "33"]
    """Greatest value, in [0, 1], of a keypoint's heatmap around it."""
    unity: Float[np.ndarray, "33"]
    """Share, in [0, 1], of a keypoint's heatmap that lies around it: less where there are two places, or none."""
    landmarks: Float[np.ndarray, "33 3"]
    """Metres, camera axes, relative to the middle of the hips."""
    mask: Float[np.ndarray, "256 256"]
    """Probability of belonging to the person, over ``place``."""
    place: Place
    """The square it was seen in."""
    next_place: Place
    """The square that fits the person better."""


def place_of(middle: Float[np.ndarray, "2"], end: Float[np.ndarray, "2"], margin: float = 1.25) -> Place:
    """The square of mediapipe: ``margin`` times twice the distance from the middle of the hips to ``end``, above it."""
    x, y = end - middle
    return Place(middle, float(2.0 * margin * max(np.hypot(x, y), 1e-3)), float(np.arctan2(x, -y)))


class LandmarkNetwork:
    """Runs the network on places of a photo."""

    def __init__(self, threads: int) -> None:
        self.network = Network("pose_landmark/pose_landmark_full.tflite", threads)

    def __call__(self, photo: PhotoPieces, place: Place, mirrored: bool = False) -> Pose:
        """See one person; ``mirrored`` shows the network the mirrored square, and mirrors back what it sees."""
        piece = photo.cut(place.center, place.side, place.angle, _SIZE).astype(np.float32) / 255.0
        raw, score, mask, heatmaps, world = self.network(piece[:, ::-1] if mirrored else piece)
        values = raw.reshape(-1, 5).astype(float)
        points, heat = _refined(values[:, :2] / _SIZE, heatmaps)
        certainty = np.concatenate([_sigmoid(values[:_BODY, 3:]), heat[:_BODY]], -1)
        landmarks = world.reshape(-1, 3)[:_BODY].astype(float)
        if mirrored:
            points = np.concatenate([points[_FLIP], points[_BODY:]]) * (-1.0, 1.0) + (1.0, 0.0)
            certainty, landmarks, mask = certainty[_FLIP], landmarks[_FLIP] * (-1.0, 1.0, 1.0), mask[:, ::-1]
        cos, sin = np.cos(place.angle), np.sin(place.angle)
        turn = np.array([[cos, sin], [-sin, cos]])
        in_photo = (points - 0.5) @ turn * place.side + place.center
        landmarks = np.concatenate([landmarks[:, :2] @ turn, landmarks[:, 2:]], -1)
        return Pose(
            float(score[0]),
            in_photo[:_BODY],
            certainty[:, 0],
            certainty[:, 1],
            certainty[:, 2],
            certainty[:, 3],
            landmarks - landmarks[[23, 24]].mean(0),
            _sigmoid(mask[..., 0]),
            place,
            place_of(in_photo[33], in_photo[34]),
        )


def _sigmoid(values: np.ndarray) -> np.ndarray:
    return 1.0 / (1.0 + np.exp(-np.clip(values, -60.0, 60.0)))


def _refined(
    points: Float[np.ndarray, "points 2"], heatmaps: Float[np.ndarray, "rows columns points"]
) -> tuple[Float[np.ndarray, "points 2"], Float[np.ndarray, "points 2"]]:
    """Move points, in [0, 1], to the centre of mass of the heatmap around them where it is confident (0.5).

    Returns:
        The points, and for each the heatmap's peak around it and the share of the whole map that lies there.
    """
    rows, columns, count = heatmaps.shape
    offsets = np.arange(-_WINDOW, _WINDOW + 1)
    x = np.floor(points[:, 0] * columns).astype(int)[:, None, None] + offsets[None, None, :]
    y = np.floor(points[:, 1] * rows).astype(int)[:, None, None] + offsets[None, :, None]
    inside = (x >= 0) & (x < columns) & (y >= 0) & (y < rows)
    which = np.arange(count)[:, None, None]
    heat = _sigmoid(heatmaps)
    weight = heat[np.clip(y, 0, rows - 1), np.clip(x, 0, columns - 1), which] * inside
    total = np.maximum(weight.sum((1, 2)), 1e-9)
    moved = np.stack([(weight * x).sum((1, 2)) / total / columns, (weight * y).sum((1, 2)) / total / rows], -1)
    peak = weight.max((1, 2))
    # Squares, so that thousands of faint cells do not outweigh a place.
    unity = np.square(weight).sum((1, 2)) / np.maximum(np.square(heat).sum((0, 1)), 1e-9)
    return np.where(peak[:, None] >= 0.5, moved, points), np.stack([peak, unity], -1)
