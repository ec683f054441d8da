"""Photos from disk: one `Image` from each file."""

import logging
import struct
import warnings
import zlib
from pathlib import Path

import numpy as np
import PIL.Image
from jaxtyping import UInt8
from PIL import ExifTags

from fitloop.body.records import Image
from fitloop.data.photo_files import SUFFIXES as SUFFIXES
from fitloop.data.photo_files import find_images as find_images
from fitloop.data.photo_files import find_unread_pictures as find_unread_pictures
from fitloop.data.pixel_values import range_in_file, to_rgb
from fitloop.geometry.cameras import camera_of

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

_TURNS = {
    2: PIL.Image.Transpose.FLIP_LEFT_RIGHT,
    3: PIL.Image.Transpose.ROTATE_180,
    4: PIL.Image.Transpose.FLIP_TOP_BOTTOM,
    5: PIL.Image.Transpose.TRANSPOSE,
    6: PIL.Image.Transpose.ROTATE_270,
    7: PIL.Image.Transpose.TRANSVERSE,
    8: PIL.Image.Transpose.ROTATE_90,
}
"""What EXIF's orientation asks for; 1 is upright."""

_logger = logging.getLogger(__name__)


class UnreadableImage(ValueError):
    """A file that cannot be read as a photo; the message is a sentence for the user."""


def load_image(
    path: str | Path, name: str | None = None, focal: float | None = None, max_megapixels: float = MAX_MEGAPIXELS
) -> Image:
    """Read a photo: upright, 8 bits, RGB.

    EXIF orientation is applied. Transparent pixels are laid over white, of an animation the first frame is taken,
    16-bit values are scaled to 8 bits by their real range (`fitloop.data.pixel_values`), other colour spaces are
    converted to RGB.

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
            pixels, known, orientation = _decode(Path(path), max_megapixels)
    except UnreadableImage:
        raise
    except (*_DECODING_ERRORS, PIL.Image.DecompressionBombError, MemoryError) as error:
        raise UnreadableImage(f"{str(path)!r} {_reason(error, Path(path))}.") from error
    height, width = pixels.shape[:2]
    camera = camera_of(width, height, focal if focal is not None else known)
    return Image(pixels, camera, Path(path).name if name is None else name, orientation)


def _reason(error: BaseException, path: Path) -> str:
    if isinstance(error, (FileNotFoundError, PermissionError, IsADirectoryError)):
        return f"cannot be opened: {error.strerror}"
    if isinstance(error, PIL.UnidentifiedImageError):
        empty = path.stat().st_size == 0
        return "is not a photo: " + ("the file is empty" if empty else "its content is not a picture in a known format")
    if isinstance(error, PIL.Image.DecompressionBombError):
        return "has more megapixels than are accepted; shrink it"
    return f"is damaged or incomplete and cannot be decoded: {str(error).rstrip('.') or type(error).__name__}"


def _decode(path: Path, max_megapixels: float) -> tuple[UInt8[np.ndarray, "height width 3"], float | None, int]:
    with PIL.Image.open(path) as photo:
        width, height = photo.size
        if width * height > max_megapixels * 1e6:
            raise UnreadableImage(
                f"{str(path)!r} has {width * height / 1e6:.0f} megapixels, more than the {max_megapixels:g} accepted; "
                "shrink it."
            )
        focal, orientation = exif_focal(photo), _orientation(photo)
        known = range_in_file(photo, path)
        photo.load()
        # Pillow turns some kinds (TIFF) while it loads them, and then no longer says so.
        turn = _TURNS.get(_orientation(photo))
        pixels = to_rgb(photo, path, known)
    return np.array(pixels if turn is None else pixels.transpose(turn)), focal, orientation


def _orientation(photo: PIL.Image.Image) -> int:
    try:
        found = photo.getexif().get(ExifTags.Base.Orientation, 1)
    except _DECODING_ERRORS:
        _logger.warning("The EXIF orientation of a photo is damaged and was ignored.")
        return 1
    return found if found in _TURNS else 1


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
