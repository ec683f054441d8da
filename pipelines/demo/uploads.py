"""What somebody dropped into the page: its name made safe, refused where it is too large or of another kind."""

import re
import struct
import warnings
from pathlib import Path, PurePosixPath

import av
import PIL.Image
from av.error import FFmpegError

from fitloop.data.clip_files import CLIP_SUFFIXES
from fitloop.data.photo_files import SUFFIXES
from fitloop.data.video import ClipReader, UnreadableClip
from fitloop.pipelines.demo.config import DemoConfig

_LONGEST = 60
"""Letters of a name that are kept, before its ending."""


class Refused(ValueError):
    """A file that is not worked on; the message is a sentence for who dropped it."""


def safe_name(given: str) -> str:
    """A file's name without folders and without letters that addresses or file systems dislike.

    Raises:
        Refused: If it does not end as photos and clips do.
    """
    base = PurePosixPath(given.replace("\\", "/"))
    ending = base.suffix.lower()
    if ending not in (*SUFFIXES, *CLIP_SUFFIXES):
        kinds = "give .jpg, .png, .webp, .mp4, .mov or the like"
        raise Refused(f"{base.name!r} is neither a photo nor a clip by its name: {kinds}.")
    kept = re.sub(r"[^\w-]+", "_", base.stem, flags=re.ASCII).strip("_")[:_LONGEST]
    return (kept or "upload") + ending


def is_clip(name: str) -> bool:
    """Whether a file is a clip, by its name."""
    return name.lower().endswith(CLIP_SUFFIXES)


def check_size(size: int, config: DemoConfig) -> None:
    """Refuse a file of too many bytes.

    Raises:
        Refused: If it has more than the options allow.
    """
    if size > config.max_megabytes * 1e6:
        raise Refused(f"The file is larger than the {config.max_megabytes:g} MB that are accepted; shrink or cut it.")


def check_photo(path: Path, config: DemoConfig) -> None:
    """Refuse a photo by what its header says; no pixel is decoded.

    Raises:
        Refused: If it has more pixels than the options allow.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            with PIL.Image.open(path) as photo:
                width, height = photo.size
    except PIL.Image.DecompressionBombError as error:
        # Pillow refuses the largest itself, before their size is known here.
        most = f"{config.max_megapixels:g} megapixels accepted"
        raise Refused(f"The photo has many more than the {most}; shrink it.") from error
    except (OSError, SyntaxError, ValueError, TypeError, IndexError, KeyError, struct.error):
        # What is wrong with it is told by who reads it.
        return
    _check_pixels("photo", width, height, config)


def check_clip(path: Path, config: DemoConfig) -> float:
    """Refuse a clip by what it says of itself; no frame is decoded.

    Args:
        path: Of the clip.
        config: Names the limits.

    Returns:
        Its frames per second.

    Raises:
        Refused: If it is longer or has larger frames than the options allow, or cannot be read.
    """
    try:
        info = ClipReader(path).info
        with av.open(str(path)) as container:
            codec = container.streams.video[0].codec_context
            _check_pixels("clip's frame", codec.width, codec.height, config)
    except UnreadableClip as error:
        raise Refused(str(error)) from error
    except (FFmpegError, OSError) as error:
        raise Refused(f"{path.name!r} is not a clip that can be read.") from error
    seconds = (info.frames or 0) / info.frame_rate
    if seconds > config.max_seconds + 0.5:
        raise Refused(f"The clip lasts {seconds:.0f} s, more than the {config.max_seconds:g} s accepted; cut it.")
    return info.frame_rate


def _check_pixels(what: str, width: int, height: int, config: DemoConfig) -> None:
    if width * height > config.max_megapixels * 1e6:
        found = f"{width * height / 1e6:.0f} megapixels ({width} x {height})"
        raise Refused(f"The {what} has {found}, more than the {config.max_megapixels:g} accepted; shrink it.")
