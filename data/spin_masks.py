"""Masks that a data set names, on small grids over its people."""

from pathlib import Path

import numpy as np
import PIL.Image
from jaxtyping import Float

from fitloop.data.images import UnreadableImage
from fitloop.data.spin_dataset import BOX_MARGIN, SpinDataset

GRID = 64
"""Rows and columns of a grid."""


def person_masks(
    dataset: SpinDataset, folder: str | Path, sizes: Float[np.ndarray, "people 2"]
) -> tuple[Float[np.ndarray, "people grid grid"], Float[np.ndarray, "people 4"]]:
    """Read every person's mask: shares of the person in the cells of a grid, all 0 where none is named.

    Args:
        dataset: Names the masks.
        folder: Where its names start from.
        sizes: Width and height of each person's photo.

    Returns:
        The grids, and the x y x y boxes in full-image pixels that they span.

    Raises:
        FileNotFoundError: If a mask is missing.
        UnreadableImage: If a file is no picture.
        ValueError: If a mask has another size than its photo.
    """
    half = (dataset.boxes[:, 2:] - dataset.boxes[:, :2]) * (BOX_MARGIN / 2.0)
    boxes = np.concatenate([dataset.centers - half, dataset.centers + half], 1).astype(np.float32)
    grids = np.zeros((len(dataset), GRID, GRID), np.float32)
    for row, name in enumerate(dataset.mask_names or ()):
        if name:
            mask = _read(Path(folder) / name, (int(sizes[row, 0]), int(sizes[row, 1])), dataset.image_names[row])
            # Pillow averages over the cells, and counts what lies outside of the picture as 0.
            left, top, right, bottom = boxes[row].round().tolist()
            cut = mask.crop((left, top, right, bottom))
            grids[row] = np.asarray(cut.resize((GRID, GRID), PIL.Image.Resampling.BOX), np.float32) / 255.0
    return grids, boxes


def _read(path: Path, size: tuple[int, int], photo: str) -> PIL.Image.Image:
    if not path.is_file():
        raise FileNotFoundError(f"The mask {path} is missing; the folder of the photos should hold the masks, too.")
    try:
        with PIL.Image.open(path) as picture:
            pixels = np.asarray(picture)
    except (OSError, SyntaxError, ValueError) as error:
        raise UnreadableImage(f"{str(path)!r} is not a mask: {error}.") from error
    # Masks saved as colour pictures repeat the label in every channel.
    mask = PIL.Image.fromarray(255 * ((pixels[..., 0] if pixels.ndim == 3 else pixels) > 0).astype(np.uint8))
    if mask.size != size:
        raise ValueError(
            f"The mask {path} is {mask.width} x {mask.height} pixels and its photo {photo!r} {size[0]} x {size[1]}; "
            "a mask covers the whole photo, pixel by pixel."
        )
    return mask
