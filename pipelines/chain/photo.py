"""Photos with the camera that the options ask for, from files or from pixels at hand."""

from dataclasses import replace
from pathlib import Path

import numpy as np

from fitloop.body import Image
from fitloop.data import load_image
from fitloop.geometry.cameras import camera_of, field_of_view_to_focal
from fitloop.pipelines.chain.config import StagesConfig


def open_photo(folder: Path, photo: str, config: StagesConfig) -> Image:
    """Read a photo with the camera that the options ask for.

    Raises:
        UnreadableImage: If it is no picture, or damaged.
    """
    return with_camera(load_image(folder / photo, name=photo), config)


def as_image(photo: str | Path | np.ndarray | Image, config: StagesConfig, name: str | None = None) -> Image:
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


def with_camera(image: Image, config: StagesConfig) -> Image:
    """The photo as taken by the camera that the options describe; as it is where they say nothing."""
    height, width = image.pixels.shape[:2]
    focal = config.focal_length
    if config.field_of_view is not None:
        focal = field_of_view_to_focal(config.field_of_view, width)
    return image if focal is None else replace(image, camera=camera_of(width, height, focal))
