"""Reading a photo with the camera that the options ask for."""

import math
from pathlib import Path

from fitloop.body import Image
from fitloop.data import load_image
from fitloop.data.images import FILM_DIAGONAL
from fitloop.geometry.cameras import camera_of, field_of_view_to_focal
from fitloop.pipelines.chain.config import SourcesConfig

NARROWEST, WIDEST = 50.0, 0.1
"""Focal lengths of cameras, over the photo's diagonal: a telescope, and wider than a fisheye."""


class ImpossibleCamera(ValueError):
    """A focal length that no camera has for this photo; the message is a sentence for the user."""


def open_photo(folder: Path, photo: str, config: SourcesConfig) -> Image:
    """Read a photo with the camera that the options ask for.

    Raises:
        UnreadableImage: If it is no picture, or damaged.
        ImpossibleCamera: If no camera takes a photo of this size with the focal length that was given.
    """
    image = load_image(folder / photo, name=photo)
    height, width = image.pixels.shape[:2]
    focal = config.focal_length
    if config.field_of_view is not None:
        focal = field_of_view_to_focal(config.field_of_view, width)
    if focal is None:
        return image
    _check_focal(focal, (width, height), photo)
    return Image(image.pixels, camera_of(width, height, focal), photo)


def _check_focal(focal: float, size: tuple[int, int], photo: str) -> None:
    diagonal = math.hypot(*size)
    if WIDEST * diagonal <= focal <= NARROWEST * diagonal:
        return
    told = f"A focal length of {focal:g} pixels is impossible for {photo!r} ({size[0]} x {size[1]} pixels)."
    if 5.0 <= focal <= 2000.0:
        told += (
            f" --focal-length takes pixels. If {focal:g} is millimetres (35 mm equivalent), it is "
            f"{focal:g} / {FILM_DIAGONAL:.1f} x {diagonal:.0f} = {focal / FILM_DIAGONAL * diagonal:.0f} pixels here."
        )
    raise ImpossibleCamera(f"{told} Give pixels, or --field-of-view in degrees.")
