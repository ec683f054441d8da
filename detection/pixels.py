"""Square pieces of a photo at the size that a network wants."""

import numpy as np
import PIL.Image
from jaxtyping import Float, UInt8

from fitloop.detection.cutting import cut_square


class PhotoPieces:
    """A photo, ready to be cut into squares of any place, size and turn, black outside the photo.

    Large squares are cut from halved copies, which are made when first needed, so that nothing is aliased.
    """

    def __init__(self, pixels: UInt8[np.ndarray, "height width 3"]) -> None:
        self._levels = [np.ascontiguousarray(pixels)]
        self._photo = PIL.Image.fromarray(self._levels[0])

    @property
    def size(self) -> tuple[int, int]:
        """Width and height in pixels."""
        height, width = self._levels[0].shape[:2]
        return width, height

    def grey(self, tile: Float[np.ndarray, "3"]) -> UInt8[np.ndarray, "rows columns"]:
        """The part of the photo in an upright square (x, y of the corner, side), small and grey."""
        width, height = self.size
        low, high = np.maximum(tile[:2], 0.0), np.minimum(tile[:2] + tile[2], (width, height))
        box = (float(low[0]), float(low[1]), float(max(high[0], low[0] + 1.0)), float(max(high[1], low[1] + 1.0)))
        return np.asarray(self._photo.resize((32, 32), PIL.Image.Resampling.NEAREST, box).convert("L"))

    def cut(
        self, center: Float[np.ndarray, "2"], side: float, angle: float, size: int
    ) -> UInt8[np.ndarray, "size size 3"]:
        """Cut one square.

        Args:
            center: (x, y) in full-image pixels.
            side: Side in full-image pixels.
            angle: Radians, clockwise as seen, as in `fitloop.geometry.crops.Crop`.
            size: Side of the result in pixels.
        """
        level = max(0, int(np.floor(np.log2(max(side, 1.0) / size))))
        while len(self._levels) <= level:
            self._levels.append(np.array(PIL.Image.fromarray(self._levels[-1]).reduce(2)))
        photo, halved = self._levels[level], 2.0**level
        step = side / halved / size
        a, b = step * np.cos(angle), -step * np.sin(angle)
        x, y = np.asarray(center, dtype=float) / halved
        # The centre of a pixel is half a pixel from its corner, in the piece and in the photo.
        to_photo = (a, b, x - (a + b) * size / 2.0, -b, a, y - (a - b) * size / 2.0)
        piece = np.empty((size, size, 3), np.uint8)
        cut_square(photo, tuple(map(float, to_photo)), piece)
        return piece
