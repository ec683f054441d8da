"""Keypoints drawn over a photo, as smooth discs and lines."""

import numpy as np
from jaxtyping import Float, UInt8
from torch import Tensor

from fitloop.body import Convention
from fitloop.rendering.shading import PERSON_COLORS


def draw_keypoints(
    pixels: UInt8[np.ndarray, "height width 3"],
    keypoints: Float[Tensor, "people keypoints 2"],
    confidence: Float[Tensor, "people keypoints"],
    convention: Convention,
    radius: float | None = None,
) -> UInt8[np.ndarray, "height width 3"]:
    """Draw the observed keypoints of each person, joined along the convention's skeleton.

    Left limbs are lighter than right ones. Keypoints with confidence 0 or outside the photo are not drawn.

    Args:
        pixels: The photo, RGB; left untouched.
        keypoints: Full-image pixels.
        confidence: In [0, 1]; the opacity grows with it.
        convention: Of the keypoints.
        radius: Of a disc, pixels; by default 0.5 % of the photo's longer side, at least 2.

    Returns:
        A new picture of the photo's size.

    Raises:
        ValueError: If the number of keypoints is not the convention's.
    """
    if keypoints.shape[1] != len(convention):
        raise ValueError(f"{convention.name} has {len(convention)} keypoints, got {keypoints.shape[1]}.")
    picture = pixels.astype(np.float32)
    radius = max(2.0, 0.005 * max(pixels.shape[:2])) if radius is None else radius
    left = [name.startswith("left") for name in convention.keypoints]
    bones = [(convention.index(a), convention.index(b)) for a, b in convention.skeleton]
    for person, (points, weights) in enumerate(zip(keypoints.cpu().numpy(), confidence.cpu().numpy(), strict=True)):
        color = np.array(PERSON_COLORS[person % len(PERSON_COLORS)]) * 255
        bright, dark = 0.5 * color + 127.0, 0.75 * color
        seen = (weights > 0) & np.isfinite(points).all(1)
        for a, b in bones:
            if seen[a] and seen[b]:
                opacity = 0.4 + 0.5 * float(min(weights[a], weights[b]))
                _capsule(picture, points[[a, b]], 0.45 * radius, bright if left[a] or left[b] else dark, opacity)
        for index in np.flatnonzero(seen):
            # A dark rim keeps the disc visible on any background.
            ends, opacity = points[[index, index]], 0.4 + 0.6 * float(weights[index])
            _capsule(picture, ends, 1.35 * radius, np.full(3, 25.0), 0.7 * opacity)
            _capsule(picture, ends, radius, bright if left[index] else dark, opacity)
    return np.clip(picture + 0.5, 0, 255).astype(np.uint8)


def _capsule(picture: np.ndarray, ends: np.ndarray, radius: float, color: np.ndarray, opacity: float) -> None:
    """Blend all points within ``radius`` of a segment into the picture, smooth over one pixel at the border."""
    size = np.array([picture.shape[1], picture.shape[0]])
    low = np.clip(np.floor(ends.min(0) - radius - 1), 0, size).astype(int)
    high = np.clip(np.ceil(ends.max(0) + radius + 1), 0, size).astype(int)
    if (low >= high).any():
        return
    columns, rows = np.meshgrid(np.arange(low[0], high[0]) + 0.5, np.arange(low[1], high[1]) + 0.5)
    from_start = np.stack([columns, rows], axis=-1) - ends[0]
    along = ends[1] - ends[0]
    share = np.clip(from_start @ along / max(float(along @ along), 1e-9), 0.0, 1.0)
    distance = np.linalg.norm(from_start - share[..., None] * along, axis=-1)
    cover = (opacity * np.clip(radius + 0.5 - distance, 0.0, 1.0))[..., None]
    box = picture[low[1] : high[1], low[0] : high[0]]
    box += cover * (color - box)
