"""The body of one person in a turned square: mediapipe's landmark network (BlazePose GHUM, full)."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from fitloop.body.keypoints import MEDIAPIPE_33
from fitloop.detection.pixels import PhotoPieces
from fitloop.detection.tflite import LateNetwork

_SIZE = 256
_BODY = 33
_FLIP = list(MEDIAPIPE_33.flip)
_MASK = 2
"""Position of the mask among the network's outputs."""
_WINDOW = 3
"""Cells around a landmark that its heatmap may move it by: mediapipe's kernel of 7."""


@dataclass(frozen=True)
class Place:
    """A turned square around a person, in full-image pixels."""

    center: Float[np.ndarray, "2"]
    side: float
    angle: float
    """Radians, clockwise as seen; 0 when the person is upright."""

    @property
    def turn(self) -> Float[np.ndarray, "2 2"]:
        """Directions of the upright square to those of the photo."""
        cos, sin = np.cos(self.angle), np.sin(self.angle)
        return np.array([[cos, -sin], [sin, cos]])


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
    seen_mask: "Float[np.ndarray, '256 256'] | LateMask"
    """What `mask` gives; where nobody asked for it yet, how to make it."""
    place: Place
    """The square it was seen in."""
    next_place: Place
    """The square that fits the person better."""

    @property
    def mask(self) -> Float[np.ndarray, "256 256"]:
        """Probability of belonging to the person, over ``place``."""
        return self.seen_mask() if isinstance(self.seen_mask, LateMask) else self.seen_mask


class LateMask:
    """A mask that is made when it is first asked for: two fifths of a look, and half of the looks need none."""

    def __init__(self, make: Callable[[], Float[np.ndarray, "256 256 1"]], mirrored: bool) -> None:
        """Note how to make it.

        Args:
            make: Gives logits.
            mirrored: Whether the network was shown the mirrored square.
        """
        self._make: Callable[[], Float[np.ndarray, "256 256 1"]] | None = make
        self._mirrored = mirrored
        self._mask = np.zeros((0, 0), np.float32)

    def __call__(self) -> Float[np.ndarray, "256 256"]:
        """Probability, over the square that was looked at."""
        if self._make is not None:
            mask = _sigmoid(self._make()[..., 0])
            self._mask = mask[:, ::-1] if self._mirrored else mask
            # What it was made of takes five times its memory.
            self._make = None
        return self._mask


def place_of(middle: Float[np.ndarray, "2"], end: Float[np.ndarray, "2"], margin: float = 1.25) -> Place:
    """The square of mediapipe: ``margin`` times twice the distance from the middle of the hips to ``end``, above it."""
    x, y = end - middle
    return Place(middle, float(2.0 * margin * max(np.hypot(x, y), 1e-3)), float(np.arctan2(x, -y)))


class LandmarkNetwork:
    """Runs the network on places of a photo."""

    def __init__(self, threads: int) -> None:
        self.network = LateNetwork("pose_landmark/pose_landmark_full.tflite", threads, _MASK)

    def __call__(self, photo: PhotoPieces, place: Place, mirrored: bool = False) -> Pose:
        """See one person; ``mirrored`` shows the network the mirrored square, and mirrors back what it sees."""
        piece = photo.cut(place.center, place.side, place.angle, _SIZE).astype(np.float32) / 255.0
        (raw, score, heatmaps, world), make_mask = self.network.see(piece[:, ::-1] if mirrored else piece)
        values = raw.reshape(-1, 5).astype(float)
        points, heat = _refined(values[:, :2] / _SIZE, heatmaps)
        certainty = np.concatenate([_sigmoid(values[:_BODY, 3:]), heat[:_BODY]], -1)
        landmarks = world.reshape(-1, 3)[:_BODY].astype(float)
        if mirrored:
            points = np.concatenate([points[_FLIP], points[_BODY:]]) * (-1.0, 1.0) + (1.0, 0.0)
            certainty, landmarks = certainty[_FLIP], landmarks[_FLIP] * (-1.0, 1.0, 1.0)
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
            LateMask(make_mask, mirrored),
            place,
            place_of(in_photo[33], in_photo[34]),
        )


def _sigmoid(values: np.ndarray) -> np.ndarray:
    # In place: a look has a quarter of a million of them.
    found = np.clip(values, -60.0, 60.0)
    np.negative(found, out=found)
    np.exp(found, out=found)
    found += 1.0
    return np.divide(1.0, found, out=found)


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
