"""Which poses agree with each other, and which are of the same person."""

import numpy as np
from jaxtyping import Bool, Float

from fitloop.body.keypoints import MEDIAPIPE_33
from fitloop.detection.landmarks import Pose

_MAIN = [
    MEDIAPIPE_33.index(name)
    for name in (
        *("nose", "left_ear", "right_ear", "left_shoulder", "right_shoulder", "left_elbow", "right_elbow"),
        *("left_wrist", "right_wrist", "left_hip", "right_hip", "left_knee", "right_knee", "left_ankle", "right_ankle"),
    )
]
_FACE = slice(0, 11)
_TORSO = [MEDIAPIPE_33.index(f"{side}_{part}") for part in ("shoulder", "hip") for side in ("left", "right")]
_GRID = 192
"""Cells along the photo's longer side in which masks are compared."""


def agreement(first: Pose, second: Pose, tolerance: float = 0.05) -> float:
    """Mean closeness of the main keypoints, in [0, 1], as object keypoint similarity has it (COCO).

    Args:
        first: A pose.
        second: Another look at what should be the same person.
        tolerance: Distance, over the side of the first pose's square, at which a keypoint counts exp(-1/2).
    """
    distance = np.linalg.norm(first.keypoints[_MAIN] - second.keypoints[_MAIN], axis=-1)
    return float(np.exp(-((distance / (first.place.side * tolerance)) ** 2) / 2.0).mean())


def quality(direct: Pose, mirrored: Pose) -> float:
    """How much speaks for a body, in [0, 1]: the product of five shares, none of them fitted to data.

    Agreement of the pose with the mirrored view of it (textures that look like people lose it), the torso's presence
    in the square, the mean visibility, how decided the mask is, and the mask's mean at shoulders and hips.
    """
    return agreement(direct, mirrored) * quality_bound(direct)


def quality_bound(direct: Pose) -> float:
    """The greatest quality that a pose can have: that of a mirrored view which agrees in full."""
    decided = ((direct.mask > 0.8).sum() + 1.0) / ((direct.mask > 0.2).sum() + 1.0)
    present = direct.presence[_TORSO].mean()
    covered = _mask_at(direct, direct.keypoints[_TORSO]).mean()
    return float(present * direct.visibility.mean() * decided * covered)


def _mask_at(pose: Pose, points: Float[np.ndarray, "*points 2"]) -> Float[np.ndarray, "*points"]:
    """The mask where points of the photo lie, in full-image pixels; 0 outside its square."""
    in_square = (points - pose.place.center) @ pose.place.turn / pose.place.side + 0.5
    size = len(pose.mask)
    column, row = np.moveaxis(np.floor(in_square * size).astype(int), -1, 0)
    inside = (column >= 0) & (column < size) & (row >= 0) & (row < size)
    return pose.mask[row.clip(0, size - 1), column.clip(0, size - 1)] * inside


def face_agrees(pose: Pose, faces: Float[np.ndarray, "faces 4"]) -> bool:
    """Whether the pose has its face in the middle of one of the boxes (x y x y, full-image pixels)."""
    face = pose.keypoints[_FACE].mean(0)
    off = np.linalg.norm((faces[:, :2] + faces[:, 2:]) / 2.0 - face, axis=-1)
    return bool((off < 0.3 * np.linalg.norm(faces[:, 2:] - faces[:, :2], axis=-1)).any())


def head_agrees(pose: Pose, head: Float[np.ndarray, "4"]) -> bool:
    """Whether a head (x y x y, full-image pixels) is the pose's own: a body has but one."""
    face = pose.keypoints[_FACE].mean(0)
    size = np.linalg.norm(head[2:] - head[:2])
    off = np.linalg.norm((head[:2] + head[2:]) / 2.0 - face)
    return bool(off < 0.25 * size and size < 0.6 * pose.place.side)


def mask_in_photo(pose: Pose, width: int, height: int) -> Bool[np.ndarray, "rows columns"]:
    """Where the person is, in cells of which the photo's longer side has 192."""
    cell = max(width, height) / _GRID
    y, x = np.meshgrid(np.arange(0.5, height / cell), np.arange(0.5, width / cell), indexing="ij")
    return _mask_at(pose, np.stack([x * cell, y * cell], -1)) > 0.5


def common_share(mask: Bool[np.ndarray, "rows columns"], other: Bool[np.ndarray, "rows columns"]) -> float:
    """Intersection over the smaller of two masks: part of a person is that person."""
    return float((mask & other).sum() / max(min(mask.sum(), other.sum()), 1))
