"""Cuts between scenes, and whether the camera rests."""

from dataclasses import dataclass, replace

import cv2
import numpy as np
from jaxtyping import Float, UInt8

_THUMB = (32, 18)
_CUT = 24.0
"""Grey levels of mean difference between thumbnails of two scenes: half of what chance gives, ten times a motion's."""
_SUDDEN = 4.0
"""A cut changes the picture so many times more than the frames before it did."""
_WIDTH = 320
"""Columns of the picture in which the background is followed."""
_FEATURES = 8
"""With fewer corners outside people the background says nothing by itself."""
_REST = 1.5e-3
"""Of the frame's width: what a background on a tripod seems to move, by compression and light."""
_SAME = 3.0
"""Grey levels by which a background without corners may change while the camera rests."""


@dataclass(frozen=True)
class ShotState:
    """What is known of the scene so far; plain arrays, so that an interrupted clip goes on from them."""

    thumbnail: Float[np.ndarray, "18 32 3"]
    usual: float
    """Running mean of the change between thumbnails, grey levels."""
    reference: UInt8[np.ndarray, "rows columns"]
    """The picture against which the background is followed."""
    taken: UInt8[np.ndarray, "rows columns"]
    """Where it shows background: 255, and people: 0."""


def begin(pixels: UInt8[np.ndarray, "height width 3"]) -> ShotState:
    """Start with the first frame of a scene."""
    grey = _small_grey(pixels)
    return ShotState(_thumbnail(pixels), 0.0, grey, np.full_like(grey, 255))


def is_cut(state: ShotState, pixels: UInt8[np.ndarray, "height width 3"]) -> tuple[bool, ShotState]:
    """Whether a frame belongs to another scene than the one before, and what is known after it."""
    thumbnail = _thumbnail(pixels)
    change = float(np.abs(thumbnail - state.thumbnail).mean())
    cut = change > max(_CUT, _SUDDEN * state.usual)
    usual = 0.0 if cut else 0.9 * state.usual + 0.1 * change
    return cut, replace(state, thumbnail=thumbnail, usual=usual)


def background_motion(
    state: ShotState, pixels: UInt8[np.ndarray, "height width 3"], boxes: Float[np.ndarray, "people 4"]
) -> tuple[float, ShotState]:
    """How far the background has moved since the reference, over the frame's width; the frame is the next reference.

    Args:
        state: Of the scene.
        pixels: The frame.
        boxes: People in it, who are not background: x y x y, full-image pixels.

    Returns:
        The motion, NaN where the background says nothing, and what is known after it.
    """
    grey = _small_grey(pixels)
    mask = np.full_like(grey, 255)
    for box in np.nan_to_num(boxes) * (grey.shape[1] / pixels.shape[1]):
        left, top, right, bottom = (int(value) for value in np.clip(box, 0, 2 * _WIDTH))
        mask[top : bottom + 1, left : right + 1] = 0
    both = np.minimum(mask, state.taken)
    moved = _motion(state.reference, grey, both) if grey.shape == state.reference.shape else float("nan")
    return moved, replace(state, reference=grey, taken=mask)


def rests(motions: Float[np.ndarray, "measurements"]) -> bool:
    """Whether a camera with these background motions stood still; without any measurement it is not known to."""
    known = motions[np.isfinite(motions)]
    # A passer-by, or a light that is switched on, moves the background now and then.
    return len(known) > 0 and bool(np.quantile(known, 0.8) <= _REST)


def _motion(
    before: UInt8[np.ndarray, "rows columns"],
    after: UInt8[np.ndarray, "rows columns"],
    mask: UInt8[np.ndarray, "rows columns"],
) -> float:
    corners = cv2.goodFeaturesToTrack(before, 100, 0.02, 6, mask=mask)
    if corners is not None and len(corners) >= _FEATURES:
        found, status, _ = cv2.calcOpticalFlowPyrLK(before, after, corners, np.empty_like(corners))
        shifts = np.linalg.norm((found - corners).reshape(-1, 2), axis=-1)[status.ravel() > 0]
        if len(shifts) >= _FEATURES:
            return float(np.median(shifts)) / before.shape[1]
    shown = mask > 0
    if shown.mean() < 0.05:
        return float("nan")
    change = np.abs(before[shown].astype(float) - after[shown]).mean()
    return 0.0 if change < _SAME else float("nan")


def _small_grey(pixels: UInt8[np.ndarray, "height width 3"]) -> UInt8[np.ndarray, "rows columns"]:
    height = max(round(pixels.shape[0] * _WIDTH / pixels.shape[1]), 8)
    small = cv2.resize(pixels, (_WIDTH, height), interpolation=cv2.INTER_AREA)
    return np.asarray(cv2.cvtColor(small, cv2.COLOR_RGB2GRAY), dtype=np.uint8)


def _thumbnail(pixels: UInt8[np.ndarray, "height width 3"]) -> Float[np.ndarray, "18 32 3"]:
    # Every tenth pixel or so is enough to tell scenes apart, at a hundredth of the time.
    step = max(pixels.shape[1] // 320, 1)
    coarse = np.ascontiguousarray(pixels[::step, ::step])
    return cv2.resize(coarse, _THUMB, interpolation=cv2.INTER_AREA).astype(np.float64)
