"""A photo with people painted over: whoever stands behind them draws the landmark network's square to themselves."""

from collections.abc import Sequence

import cv2
import numpy as np
from jaxtyping import Float, UInt8

from fitloop.detection.landmarks import Place, Pose
from fitloop.detection.pixels import PhotoPieces

_CELLS = 32
"""Cells along a side of a piece in which the surroundings are spread over what is painted."""
_MARGIN = np.ones((3, 3), np.uint8)
"""Pixels around a silhouette that are painted too: its edge would still look like a person."""


class PaintedPieces(PhotoPieces):
    """Pieces of a photo in which people are painted over in the colours around them."""

    def __init__(self, photo: PhotoPieces, people: Sequence[Pose]) -> None:
        self._levels = photo._levels
        self._people = tuple(people)

    def cut(
        self, center: Float[np.ndarray, "2"], side: float, angle: float, size: int
    ) -> UInt8[np.ndarray, "size size 3"]:
        """Cut one square, as `PhotoPieces.cut`."""
        piece = super().cut(center, side, angle, size)
        square = Place(np.asarray(center, dtype=float), side, angle)
        hidden = np.zeros((size, size), np.float32)
        for pose in self._people:
            # Squares farther apart than half their diagonals have nothing in common, however they are turned.
            if np.linalg.norm(pose.place.center - square.center) > np.sqrt(0.5) * (pose.place.side + side):
                continue
            hidden = np.maximum(hidden, silhouette_over(pose, square, size))
        return painted(piece, hidden) if hidden.any() else piece


def silhouette_over(pose: Pose, square: Place, size: int) -> Float[np.ndarray, "size size"]:
    """The person's silhouette as another square shows it: 1 inside, 0 outside."""
    rows = len(pose.mask)
    to_mask = pose.place.turn.T @ square.turn * (square.side / size) * (rows / pose.place.side)
    middle = pose.place.turn.T @ (square.center - pose.place.center) * (rows / pose.place.side)
    # OpenCV counts from the middle of the first pixel.
    shift = middle + (rows - 1.0) / 2.0 - to_mask @ np.full(2, (size - 1.0) / 2.0)
    matrix = np.concatenate([to_mask, shift[:, None]], 1)
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    return cv2.dilate(cv2.warpAffine((pose.mask > 0.5).astype(np.float32), matrix, (size, size), flags=flags), _MARGIN)


def painted(
    piece: UInt8[np.ndarray, "size size 3"], hidden: Float[np.ndarray, "size size"]
) -> UInt8[np.ndarray, "size size 3"]:
    """Fill what is hidden (1; 0 is kept) with the colours around it, blurred the more the farther they are."""
    kept = 1.0 - hidden[..., None]
    # Colours times weight, and weight: their quotient is a mean of kept pixels only.
    cells = cv2.resize(np.concatenate([piece * kept, kept], -1), (_CELLS, _CELLS), interpolation=cv2.INTER_AREA)
    near, far = (cv2.GaussianBlur(cells, (0, 0), sigma) for sigma in (1.0, 4.0))
    spread = cells + near + 0.05 * far + 1e-3 * cells.mean((0, 1))
    colours = spread[..., :3] / np.maximum(spread[..., 3:], 1e-6)
    around = cv2.resize(colours, piece.shape[1::-1], interpolation=cv2.INTER_LINEAR)
    return np.round(piece * kept + around * (1.0 - kept)).astype(np.uint8)
