"""Photos with the camera that the options ask for, from files or from pixels at hand."""

import math
from dataclasses import replace
from pathlib import Path

import numpy as np

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
    return with_camera(load_image(folder / photo, name=photo), config)


def as_image(photo: str | Path | np.ndarray | Image, config: SourcesConfig, name: str | None = None) -> Image:
    """What somebody gave as a photo: a file, pixels, or an `Image`, whose camera stays unless options say otherwise.

    Args:
        photo: Pixels are (height, width, 3), RGB, uint8.
        config: Says what is known of the camera.
        name: What to call it; a file's own name if not given.

    Raises:
        FileNotFoundError: If there is no such file.
        UnreadableImage: If the file is no picture, or damaged.
        ValueError: If pixels have another shape or type.
    """
    if isinstance(photo, Image):
        return with_camera(photo, config)
    if isinstance(photo, str | Path):
        path = Path(photo)
        if not path.exists():
            raise FileNotFoundError(f"There is no photo {path}.")
        return with_camera(load_image(path, name=name or path.name), config)
    if photo.ndim != 3 or photo.shape[2] != 3 or photo.dtype != np.uint8 or 0 in photo.shape:
        raise ValueError(
            f"A photo as an array is (height, width, 3), RGB, uint8; got shape {photo.shape}, {photo.dtype}. "
            "OpenCV's BGR: pixels[..., ::-1].copy(); numbers in [0, 1]: (255 * pixels).astype('uint8')."
        )
    height, width = photo.shape[:2]
    return with_camera(Image(photo, camera_of(width, height), name or "photo"), config)


def with_camera(image: Image, config: SourcesConfig) -> Image:
    """The photo as taken by the camera that the options describe; as it is where they say nothing.

    Raises:
        ImpossibleCamera: If no camera takes a photo of this size with the focal length that was given.
    """
    height, width = image.pixels.shape[:2]
    focal = config.focal_length
    if config.field_of_view is not None:
        focal = field_of_view_to_focal(config.field_of_view, width)
    if focal is None:
        return image
    _check_focal(focal, (width, height), image.name)
    return replace(image, camera=camera_of(width, height, focal))


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
