"""What a data set says, held against the photos it speaks of."""

import logging
from dataclasses import replace
from pathlib import Path

import numpy as np
import PIL.Image
from jaxtyping import Int

from fitloop.data.images import UnreadableImage
from fitloop.data.spin_format import SpinDataset

BORDER = 0.1
"""Annotators may guess a keypoint this far outside the photo, as a share of the person's box."""

_logger = logging.getLogger(__name__)


def photo_sizes(dataset: SpinDataset, folder: str | Path) -> Int[np.ndarray, "people 2"]:
    """Width and height of each person's photo, from the files' headers.

    Args:
        dataset: Names the photos.
        folder: Where they lie.

    Raises:
        ValueError: If photos are missing; names the first and says how many.
        UnreadableImage: If a file is not a photo.
    """
    folder = Path(folder)
    names = sorted(set(dataset.image_names))
    missing = [name for name in names if not (folder / name).is_file()]
    if missing:
        raise ValueError(
            f"{dataset.name}: {len(missing)} of {len(names)} photos are not in {folder}, the first is {missing[0]!r}. "
            "Give the folder that the names start from."
        )
    sizes = {name: _size(folder / name) for name in names}
    return np.array([sizes[name] for name in dataset.image_names])


def _size(path: Path) -> tuple[int, int]:
    try:
        with PIL.Image.open(path) as photo:
            width, height = photo.size
            # Keypoints are of the photo as it is shown, so its header's size is turned with it.
            # Keypoints are of the photo as it is shown, so the size is turned with it.
            sideways = photo.getexif().get(0x0112, 1) in (5, 6, 7, 8)
    except (OSError, SyntaxError, ValueError) as error:
        raise UnreadableImage(f"{str(path)!r} is not a photo: {error}.") from error
    return (height, width) if sideways else (width, height)


def within_photos(dataset: SpinDataset, sizes: Int[np.ndarray, "people 2"]) -> SpinDataset:
    """Take keypoints far outside their photo as not observed.

    Args:
        dataset: Full-image pixels.
        sizes: Width and height of each person's photo.

    Raises:
        ValueError: If more than half of the observed keypoints lie outside: they are then of other photos, of crops, or
            no pixels at all.
    """
    changed = {}
    for field in ("keypoints", "openpose"):
        points = getattr(dataset, field)
        if points is None:
            continue
        border = BORDER * dataset.scales * 200.0
        low, high = -border[:, None, None], (sizes + border[:, None])[:, None]
        seen = points[..., 2] > 0
        outside = seen & ((points[..., :2] < low) | (points[..., :2] > high)).any(-1)
        if outside.sum() > 0.5 * seen.sum():
            raise ValueError(
                f"{dataset.name}: {int(outside.sum())} of {int(seen.sum())} keypoints lie outside their photos. "
                "Expected full-image pixels (x, y) of the photos in the folder."
            )
        if outside.any():
            _logger.warning("%s: %d keypoints outside their photos count as not observed.", dataset.name, outside.sum())
        points = points.copy()
        points[outside] = 0.0
        changed[field] = points
    return replace(dataset, **changed)
