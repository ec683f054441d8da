"""Photos from disk: which files of a folder are photos, and one `Image` from each."""

import logging
import os
import struct
import warnings
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import PIL.Image
from jaxtyping import UInt8
from PIL import ExifTags, ImageOps

from fitloop.body.records import Image
from fitloop.geometry.cameras import camera_of

SUFFIXES = (".jpg", ".jpeg", ".png", ".bmp", ".webp", ".tif", ".tiff", ".gif")
"""Files with these endings, in either case, are photos."""

MAX_MEGAPIXELS = 120.0
"""Larger photos are refused: a photo takes 3 bytes a pixel, and 7 while it is read."""

FILM_DIAGONAL = (36.0**2 + 24.0**2) ** 0.5
"""Millimetres, of the 35 mm film that EXIF's equivalent focal lengths refer to."""

_DECODING_ERRORS = (
    OSError,
    SyntaxError,
    ValueError,
    EOFError,
    struct.error,
    zlib.error,
    TypeError,
    IndexError,
    KeyError,
)
"""What Pillow's decoders raise on damaged files."""

_logger = logging.getLogger(__name__)


class UnreadableImage(ValueError):
    """A file that cannot be read as a photo; the message is a sentence for the user."""


def _log_unreadable(message: str) -> None:
    _logger.warning(message)


def find_images(folder: str | Path, on_unreadable: Callable[[str], None] = _log_unreadable) -> list[str]:
    """List the photos in a folder and below it.

    Links are followed, each folder is visited once. Hidden files and folders (".name") are left out.

    Args:
        folder: Where to look.
        on_unreadable: Told one sentence for each folder below ``folder`` that cannot be read; logs it by default.

    Returns:
        Paths below ``folder`` with forward slashes, sorted; empty if there is no photo.

    Raises:
        ValueError: If ``folder`` is missing, is not a folder, or may not be read.
    """
    root = Path(folder)
    if not root.exists():
        raise ValueError(f"There is no folder {str(root)!r}; give the folder that holds the photos.")
    if not root.is_dir():
        raise ValueError(f"{str(root)!r} is a file; give the folder that holds the photos.")

    def unreadable(error: OSError) -> None:
        if error.filename == str(root):
            raise ValueError(f"The folder {str(root)!r} cannot be read: {error.strerror}.") from error
        on_unreadable(f"The folder {error.filename!r} cannot be read and was left out: {error.strerror}.")

    found: list[str] = []
    visited: set[tuple[int, int]] = set()
    for place, folders, files in os.walk(root, onerror=unreadable, followlinks=True):
        status = Path(place).stat()
        if (status.st_dev, status.st_ino) in visited:
            folders.clear()
            continue
        visited.add((status.st_dev, status.st_ino))
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        photos = [name for name in files if name.lower().endswith(SUFFIXES) and not name.startswith(".")]
        found += [(Path(place) / name).relative_to(root).as_posix() for name in photos]
    return sorted(found)


def load_image(
    path: str | Path, name: str | None = None, focal: float | None = None, max_megapixels: float = MAX_MEGAPIXELS
) -> Image:
    """Read a photo: upright, 8 bits, RGB.

    EXIF orientation is applied. Transparent pixels are laid over white, of an animation the first frame is taken,
    16-bit values are scaled to 8 bits, other colour spaces are converted to RGB.

    Args:
        path: File.
        name: Name to give the image; the file's name if not given.
        focal: Focal length in pixels; if not given, EXIF's (see `exif_focal`), else the photo's diagonal.
        max_megapixels: Larger photos are refused before they are decoded.

    Raises:
        UnreadableImage: If the file is missing, damaged, not a photo, or too large.
        ValueError: If ``focal`` is not a positive number.
    """
    if focal is not None and not (np.isfinite(focal) and focal > 0):
        raise ValueError(f"A focal length is a positive number of pixels, got {focal}.")
    try:
        with warnings.catch_warnings():
            # Pillow warns of large photos and of odd EXIF; our own limit decides, and odd EXIF is ignored.
            warnings.simplefilter("ignore")
            pixels, known = _decode(Path(path), max_megapixels)
    except UnreadableImage:
        raise
    except (*_DECODING_ERRORS, PIL.Image.DecompressionBombError, MemoryError) as error:
        raise UnreadableImage(f"{str(path)!r} {_reason(error, Path(path))}.") from error
    height, width = pixels.shape[:2]
    camera = camera_of(width, height, focal if focal is not None else known)
    return Image(pixels, camera, Path(path).name if name is None else name)


def _reason(error: BaseException, path: Path) -> str:
    if isinstance(error, (FileNotFoundError, PermissionError, IsADirectoryError)):
        return f"cannot be opened: {error.strerror}"
    if isinstance(error, PIL.UnidentifiedImageError):
        empty = path.stat().st_size == 0
        return "is not a photo: " + ("the file is empty" if empty else "its content is not a picture in a known format")
    if isinstance(error, PIL.Image.DecompressionBombError):
        return "has more megapixels than are accepted; shrink it"
    return f"is damaged or incomplete and cannot be decoded: {str(error).rstrip('.') or type(error).__name__}"


def _decode(path: Path, max_megapixels: float) -> tuple[UInt8[np.ndarray, "height width 3"], float | None]:
    with PIL.Image.open(path) as photo:
        width, height = photo.size
        if width * height > max_megapixels * 1e6:
            raise UnreadableImage(
                f"{str(path)!r} has {width * height / 1e6:.0f} megapixels, more than the {max_megapixels:g} accepted; "
                "shrink it."
            )
        focal = exif_focal(photo)
        photo.load()
        upright = _upright(photo)
    return np.array(_to_rgb(upright)), focal


def _upright(photo: PIL.Image.Image) -> PIL.Image.Image:
    try:
        return ImageOps.exif_transpose(photo)
    except _DECODING_ERRORS:
        _logger.warning("The EXIF orientation of a photo is damaged and was ignored.")
        return photo


def _to_rgb(photo: PIL.Image.Image) -> PIL.Image.Image:
    if photo.mode == "F" or photo.mode.startswith("I"):
        values = np.nan_to_num(np.asarray(photo).astype(np.float32))
        eight_bit = (values / _white(photo.mode, float(values.max())) * 255.0).round().clip(0, 255).astype(np.uint8)
        return PIL.Image.fromarray(eight_bit).convert("RGB")
    if photo.mode == "RGB" and "transparency" not in photo.info:
        return photo
    if photo.mode in ("RGBA", "LA", "PA", "RGBa", "La") or "transparency" in photo.info:
        colour = photo.convert("RGBA")
        white = PIL.Image.new("RGBA", colour.size, (255, 255, 255, 255))
        return PIL.Image.alpha_composite(white, colour).convert("RGB")
    return photo.convert("RGB")


def _white(mode: str, peak: float) -> float:
    """Value that stands for white: 65535 in 16 bits, else the smallest usual one that holds the brightest pixel."""
    usual = (65535.0,) if mode.startswith("I;16") else (1.0, 255.0, 65535.0) if mode == "F" else (255.0, 65535.0)
    return next((white for white in usual if peak <= white), peak)


def exif_focal(photo: PIL.Image.Image) -> float | None:
    """Focal length in pixels from EXIF, or None where it is not given or not believable.

    From the 35 mm equivalent f35: ``f35 / sqrt(36^2 + 24^2) * diagonal``, with the photo's diagonal in pixels.
    Otherwise from the focal length in mm and the pixels per unit of the focal plane, scaled from the width that EXIF
    gives to the width that the photo has. Values below a tenth of the diagonal or above 50 diagonals are dropped.
    """
    width, height = photo.size
    diagonal = (width**2 + height**2) ** 0.5
    try:
        tags = photo.getexif().get_ifd(ExifTags.IFD.Exif)
        film = _number(tags, ExifTags.Base.FocalLengthIn35mmFilm)
        length = _number(tags, ExifTags.Base.FocalLength)
        density = _number(tags, ExifTags.Base.FocalPlaneXResolution)
        unit = {2.0: 25.4, 3.0: 10.0, 4.0: 1.0}.get(_number(tags, ExifTags.Base.FocalPlaneResolutionUnit) or 2.0, 0.0)
        recorded = _number(tags, ExifTags.Base.ExifImageWidth) or float(width)
    except _DECODING_ERRORS:
        return None
    if film:
        focal = film / FILM_DIAGONAL * diagonal
    elif length and density and unit:
        focal = length / unit * density * width / recorded
    else:
        return None
    return focal if 0.1 * diagonal <= focal <= 50.0 * diagonal else None


def _number(tags: dict, tag: int) -> float | None:
    try:
        value = float(tags[tag])
    except (KeyError, TypeError, ValueError, ZeroDivisionError):
        return None
    return value if np.isfinite(value) and value > 0 else None
