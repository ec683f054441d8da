"""What colours a person wears: a cheap sign of who is who."""

import numpy as np
from jaxtyping import Float, UInt8

from fitloop.body import convention_named

_BINS = 4
_GRID = np.linspace(0.1, 0.9, 8)


def colours(
    pixels: UInt8[np.ndarray, "height width 3"], keypoints: Float[np.ndarray, "keypoints 2"], convention: str
) -> Float[np.ndarray, "64"]:
    """Histogram of the colours between shoulders and hips and along the thighs, sum 1; zeros where unknown.

    Args:
        pixels: The frame.
        keypoints: Full-image pixels.
        convention: Of the keypoints.
    """
    points = _on_body(keypoints, convention)
    if points is None:
        return np.zeros(_BINS**3)
    height, width = pixels.shape[:2]
    columns, rows = np.clip(points, 0, (width - 1, height - 1)).astype(int).T
    found = pixels[rows, columns].astype(int) * _BINS // 256
    counts = np.bincount(found @ (_BINS**2, _BINS, 1), minlength=_BINS**3).astype(float)
    return counts / counts.sum()


def unlikeness(first: Float[np.ndarray, "64"], second: Float[np.ndarray, "64"]) -> float:
    """Between two histograms: 0 for equal ones, 1 for such without a common colour; 0.5 where one is unknown."""
    if not first.any() or not second.any():
        return 0.5
    return float(np.sqrt(max(1.0 - np.sqrt(first * second).sum(), 0.0)))


def _on_body(keypoints: Float[np.ndarray, "keypoints 2"], convention: str) -> Float[np.ndarray, "points 2"] | None:
    names = convention_named(convention).keypoints
    wanted = [f"{side}_{part}" for part in ("shoulder", "hip", "knee") for side in ("left", "right")]
    if not all(name in names for name in wanted):
        return None
    corners = keypoints[[names.index(name) for name in wanted]]
    if not np.isfinite(corners).all():
        return None
    left, right, left_hip, right_hip, left_knee, right_knee = corners
    across, down = _GRID[:, None, None], _GRID[None, :, None]
    upper, lower = left + across * (right - left), left_hip + across * (right_hip - left_hip)
    torso = (upper + down * (lower - upper)).reshape(-1, 2)
    thighs = [hip + _GRID[:, None] * (knee - hip) for hip, knee in ((left_hip, left_knee), (right_hip, right_knee))]
    return np.concatenate([torso, *thighs])
