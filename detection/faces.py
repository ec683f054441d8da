"""Where people may be, by their faces: mediapipe's full-range face detector.

It sees people of whom the photo shows little more than head and shoulders, whom the person detector often misses.
"""

import numpy as np
from jaxtyping import Float

from fitloop.detection.person_detector import Candidates, look_at_tile, suppress
from fitloop.detection.pixels import PhotoPieces
from fitloop.detection.tflite import Network

_SIZE = 192
_CELLS = 48
_HIPS = 4.2
"""From the middle of the face's box down to the hips, in sides of the box: an adult's proportions."""


class FaceDetector:
    """Finds faces that fill at least a twentieth of a tile, and guesses the bodies below them."""

    def __init__(self, threads: int) -> None:
        self.network = Network("face_detection/face_detection_full_range_sparse.tflite", threads)
        ticks = (np.arange(_CELLS) + 0.5) / _CELLS
        self._anchors = np.stack(np.meshgrid(ticks, ticks), -1).reshape(-1, 1, 2)

    def __call__(self, photo: PhotoPieces, tiles: Float[np.ndarray, "tiles 3"], threshold: float) -> Candidates:
        """Find faces of at least this probability in every tile (x, y of the corner, side) of the photo."""
        found = [self._in_tile(photo, tile, threshold) for tile in tiles]
        return suppress(Candidates.joined(found), 0.3)

    def _in_tile(self, photo: PhotoPieces, tile: Float[np.ndarray, "3"], threshold: float) -> Candidates:
        corner, side = tile[:2], tile[2]
        raw, scores = look_at_tile(self.network, photo, tile, _SIZE)
        kept = scores >= threshold
        # Middle and extent of the box, then right eye, left eye, nose, mouth, ears.
        values = raw[kept].astype(float).reshape(-1, 8, 2) / _SIZE
        points = (values + self._anchors[kept]) * side + corner
        middle, extent = points[:, 0], values[:, 1] * side
        faces = np.concatenate([middle - extent / 2.0, middle + extent / 2.0], -1)
        eyes = points[:, 3] - points[:, 2]
        across = eyes / np.maximum(np.linalg.norm(eyes, axis=-1, keepdims=True), 1e-9)
        down = np.stack([-across[:, 1], across[:, 0]], -1) * extent.max(-1, keepdims=True) * _HIPS
        hips = middle + down
        return Candidates(scores[kept], faces, np.stack([hips, hips - 1.2 * down, middle, middle], 1))
