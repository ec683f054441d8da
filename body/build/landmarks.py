"""Named points on the skin, and points under it, as weights of base mesh vertices."""

from dataclasses import dataclass

import numpy as np

from fitloop.body.build.source import BaseMesh
from fitloop.body.keypoints import SURFACE_LANDMARKS

LEFT_POINTS: dict[str, dict[int, float]] = {
    "eye": {14598: 1, 14607: 1, 14616: 1, 14661: 1},
    "ear": {12223: 1, 12231: 1},
    "mouth": {11942: 1},
    "eye_inner": {11487: 1},
    "eye_outer": {11473: 1},
    "heel": {12453: 1, 12442: 1},
    "big_toe": {11551: 1, 12756: 1},
    "small_toe": {13280: 1},
    "hip_lsp": {10917: 4, 10960: 3, 10846: 3},
    "thumb_tip": {9348: 1},
    "index_tip": {8595: 1},
    "middle_tip": {8787: 1},
    "ring_tip": {8979: 1},
    "pinky_tip": {9171: 1},
}
"""Base mesh vertices of points on the left; the right side takes the mirror images. Weights are normalised."""

MIDDLE_POINTS: dict[str, dict[int, float]] = {
    "nose": {294: 1},
    "head_top": {881: 1},
    "neck_lsp": {1522: 1, 1467: 1},
    "pelvis_mpii": {10917: 4, 10960: 3, 10846: 3},
    "thorax_mpii": {1399: 1, 1597: 1},
    "spine_h36m": {4093: 2, 4002: 3},
    "jaw_h36m": {5225: 7, 294: 5, 12223: 4, 12231: 4},
    "head_h36m": {881: 4, 12223: 1},
}
"""The same for points on the middle plane; each is averaged with its mirror image."""

LEFT_CUBES = {"pinky": "joint-l-finger-5-1", "index": "joint-l-finger-2-1", "thumb": "joint-l-finger-1-2"}
"""Knuckles: helper cubes whose centre is regressed from the skin around it."""


@dataclass(frozen=True)
class Regressor:
    """Points as weighted means of body vertices, in sparse rows."""

    rows: np.ndarray
    cols: np.ndarray
    values: np.ndarray

    @classmethod
    def from_dense(cls, weights: np.ndarray) -> "Regressor":
        """From (points, V) weights; rows are normalised to 1."""
        weights = weights / weights.sum(1, keepdims=True)
        rows, cols = np.nonzero(weights)
        return cls(rows.astype(np.int32), cols.astype(np.int32), weights[rows, cols].astype(np.float32))

    def dense(self, num_points: int, num_vertices: int) -> np.ndarray:
        """(points, V)."""
        table = np.zeros((num_points, num_vertices))
        table[self.rows, self.cols] = self.values
        return table


def landmark_weights(mesh: BaseMesh, knuckles: dict[str, np.ndarray]) -> np.ndarray:
    """(landmarks, 19158) weights, in the order of `SURFACE_LANDMARKS`.

    Args:
        mesh: The base mesh.
        knuckles: (19158,) weights of the left knuckles named in `LEFT_CUBES`.
    """
    table = {}
    for name, points in LEFT_POINTS.items():
        table[f"left_{name}"] = _row(points, len(mesh.mirror))
    for name, row in knuckles.items():
        table[f"left_{name}"] = row
    for name, row in list(table.items()):
        table["right_" + name.removeprefix("left_")] = row[mesh.mirror]
    for name, points in MIDDLE_POINTS.items():
        row = _row(points, len(mesh.mirror))
        table[name] = (row + row[mesh.mirror]) / 2
    return np.stack([table[name] for name in SURFACE_LANDMARKS])


def _row(points: dict[int, float], num_vertices: int) -> np.ndarray:
    row = np.zeros(num_vertices)
    row[list(points)] = list(points.values())
    return row / row.sum()
