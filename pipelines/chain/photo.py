"""Reading a photo with the camera that the options ask for."""

from pathlib import Path

from fitloop.body import Image
from fitloop.data import load_image
from fitloop.geometry.cameras import camera_of, field_of_view_to_focal
from fitloop.pipelines.chain.config import SourcesConfig


def open_photo(folder: Path, photo: str, config: SourcesConfig) -> Image:
    """Read a photo with the camera that the options ask for.

    Raises:
        UnreadableImage: If it is no picture, or damaged.
    """
    image = load_image(folder / photo, name=photo)
    height, width = image.pixels.shape[:2]
    focal = config.focal_length
    if config.field_of_view is not None:
        focal = field_of_view_to_focal(config.field_of_view, width)
    return image if focal is None else Image(image.pixels, camera_of(width, height, focal), photo)
