"""Pixels of any kind of picture as 8 bits, RGB.

White of a 16-bit picture is the largest value of the bits that its camera used: those the file names (PNG's sBIT,
TIFF's BitsPerSample and MaxSampleValue); else, where no value is above 1023 or 4095, 10 or 12 bits. Pictures without a
value above 255 stay dark: they are black in any of these ranges.
"""

import struct
from pathlib import Path

import cv2
import numpy as np
import PIL.Image
from jaxtyping import Shaped

_TEN, _TWELVE, _SIXTEEN = 1023.0, 4095.0, 65535.0
_TIFF_BITS, _TIFF_LARGEST = 258, 281
_LEFT_OF_TWELVE = 15
"""Largest value that 12 bits leave in the upper half of 16, which is all that Pillow keeps of colour pictures."""


def range_in_file(photo: PIL.Image.Image, path: Path) -> float | None:
    """The value that stands for white, where a file of more than 8 bits says it; None where it does not.

    Args:
        photo: Opened, not yet loaded.
        path: Its file.
    """
    if photo.format == "TIFF":
        tags = getattr(photo, "tag_v2", {})
        largest, bits = _first(tags.get(_TIFF_LARGEST)), _first(tags.get(_TIFF_BITS))
        if largest is not None and 255.0 < largest <= _SIXTEEN:
            return largest
        return 2.0**bits - 1.0 if bits is not None and 8 < bits < 16 else None
    if photo.format == "PNG":
        bits = _significant_bits(path)
        return 2.0**bits - 1.0 if bits is not None and 8 < bits < 16 else None
    # Pillow has scaled these by the largest value that the file's heading names.
    return _SIXTEEN if photo.format == "PPM" and photo.mode == "I" else None


def _first(value: object) -> float | None:
    found = value[0] if isinstance(value, tuple) and value else value
    return float(found) if isinstance(found, (int, float)) else None


def _significant_bits(path: Path) -> int | None:
    """Read PNG's sBIT, which lies before the pixels and which Pillow leaves aside."""
    with path.open("rb") as opened:
        opened.seek(8)
        while len(head := opened.read(8)) == 8:
            length, kind = struct.unpack(">I4s", head)
            if kind == b"sBIT":
                return max(opened.read(min(length, 4)), default=None)
            if kind in (b"IDAT", b"IEND"):
                return None
            opened.seek(length + 4, 1)
    return None


def to_rgb(photo: PIL.Image.Image, path: Path, known: float | None) -> PIL.Image.Image:
    """Convert a loaded picture to 8 bits, RGB; transparent pixels are laid over white.

    Args:
        photo: Loaded.
        path: Its file, read again where Pillow has dropped the lower bits.
        known: What stands for white, where the file says it.
    """
    if photo.mode == "F" or photo.mode.startswith("I"):
        values = np.nan_to_num(np.asarray(photo).astype(np.float32))
        return PIL.Image.fromarray(_eight_bits(values, _white(photo.mode, float(values.max()), known))).convert("RGB")
    photo = _with_lower_bits(photo, path, known)
    if photo.mode == "RGB" and "transparency" not in photo.info:
        return photo
    if photo.mode in ("RGBA", "LA", "PA", "RGBa", "La") or "transparency" in photo.info:
        colour = photo.convert("RGBA")
        white = PIL.Image.new("RGBA", colour.size, (255, 255, 255, 255))
        return PIL.Image.alpha_composite(white, colour).convert("RGB")
    return photo.convert("RGB")


def _eight_bits(values: Shaped[np.ndarray, "..."], white: float) -> Shaped[np.ndarray, "..."]:
    return (values / white * 255.0).round().clip(0, 255).astype(np.uint8)


def _white(mode: str, peak: float, known: float | None) -> float:
    """Value that stands for white: what the file says, else the smallest usual one that holds the brightest pixel."""
    if known is not None and peak <= known:
        return known
    if mode == "F":
        usual = (1.0, 255.0, _SIXTEEN)
    elif mode.startswith("I;16"):
        usual = (_TEN, _TWELVE, _SIXTEEN) if peak > 255.0 else (_SIXTEEN,)
    else:
        usual = (255.0, _TEN, _TWELVE, _SIXTEEN)
    return next((white for white in usual if peak <= white), peak)


def _with_lower_bits(photo: PIL.Image.Image, path: Path, known: float | None) -> PIL.Image.Image:
    """Read a colour picture again of which Pillow kept only the upper half of 16 bits, and this is almost black."""
    if photo.format not in ("PNG", "TIFF") or photo.mode not in ("RGB", "RGBA") or "transparency" in photo.info:
        return photo
    colour = np.asarray(photo)[..., :3]
    if int(colour.max(initial=0)) > _LEFT_OF_TWELVE:
        return photo
    values = cv2.imdecode(np.fromfile(path, np.uint8), cv2.IMREAD_UNCHANGED)
    if values is None or values.dtype != np.uint16 or values.shape != np.asarray(photo).shape:
        return photo
    peak = float(values[..., :3].max())
    white = _white("I;16", peak, known)
    if white == _SIXTEEN:
        return photo
    colour = _eight_bits(values[..., 2::-1].astype(np.float32), white)
    alpha = [(values[..., 3:] // 256).astype(np.uint8)] if values.shape[-1] == 4 else []
    return PIL.Image.fromarray(np.concatenate([colour, *alpha], -1))
