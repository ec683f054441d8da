"""Which files of a folder are photos, and which only look like pictures."""

import logging
import os
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path, PurePosixPath

import PIL.features

SUFFIXES = (
    *(".jpg", ".jpeg", ".jpe", ".jfif", ".pjpeg", ".pjp", ".png", ".bmp", ".webp", ".tif", ".tiff", ".gif"),
    *(".ppm", ".pgm", ".pnm"),
    *((".jp2",) if PIL.features.check("jpg_2000") else ()),
    *((".avif",) if PIL.features.check("avif") else ()),
)
"""Files with these endings, in either case, are photos; JPEG 2000 and AVIF where Pillow was built with them."""

_OTHER_PICTURES = (
    *(".heic", ".heif", ".hif", ".jp2", ".j2k", ".jxl", ".avif", ".exr", ".hdr", ".psd", ".tga", ".ico"),
    *(".dng", ".cr2", ".cr3", ".nef", ".nrw", ".arw", ".raf", ".orf", ".rw2", ".pef", ".srw", ".raw"),
)
"""Pictures of cameras and programs that are not read."""
_BEGINNINGS = (
    *(b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n", b"GIF87a", b"GIF89a", b"II*\x00", b"MM\x00*"),
    *(b"\x00\x00\x00\x0cjP  \r\n", b"\xff\x4f\xff\x51", b"\x00\x00\x00\x0cJXL ", b"\xff\x0a"),
)
_BRANDS = (b"avif", b"avis", b"heic", b"heix", b"hevc", b"mif1", b"msf1", b"heim", b"crx ")

RUN_RECORD = "run.json"
"""What a run of the main job writes beside its results, last of all."""
_PICTURES_OF_RUNS = {"overlays", "page", "motion"}
"""Folders of a run that hold pictures and clips of its own."""

_logger = logging.getLogger(__name__)


def _log_unreadable(message: str) -> None:
    _logger.warning(message)


def find_images(folder: str | Path, on_unreadable: Callable[[str], None] = _log_unreadable) -> list[str]:
    """List the photos in a folder and below it.

    Links are followed, each folder is visited once. Hidden files and folders (".name") are left out, and so are the
    pictures that finished runs wrote here.

    Args:
        folder: Where to look.
        on_unreadable: Told one sentence for each folder below ``folder`` that cannot be read; logs it by default.

    Returns:
        Paths below ``folder`` with forward slashes, sorted; empty if there is no photo.

    Raises:
        ValueError: If ``folder`` is missing, is not a folder, or may not be read.
    """
    root = Path(folder)
    ours = written_by_runs(None, lambda below: (root / below / RUN_RECORD).is_file())
    return sorted(
        name for name in files_below(root, on_unreadable) if name.lower().endswith(SUFFIXES) and not ours(name)
    )


def find_unread_pictures(folder: str | Path) -> list[str]:
    """List the files in a folder and below it that look like pictures but are none that `find_images` lists.

    They are known by the ending that a camera gave them (.heic, .dng, ...), else by how their content begins.

    Args:
        folder: Where to look; hidden files and folders are left out.

    Returns:
        Paths below ``folder`` with forward slashes, sorted.

    Raises:
        ValueError: As for `find_images`.
    """
    root = Path(folder)
    others = [name for name in files_below(root, lambda _: None) if not name.lower().endswith(SUFFIXES)]
    return sorted(name for name in others if name.lower().endswith(_OTHER_PICTURES) or _begins_as_picture(root / name))


def written_by_runs(inside: str | None, holds_run: Callable[[str], bool]) -> Callable[[str], bool]:
    """Tell what runs wrote from photos: pictures in ``overlays``, ``page`` and ``motion`` beside a ``run.json``.

    Args:
        inside: Where the run that asks writes, a path below the listed place, "" for the place itself; all that lies
            in a folder of its own is its own. None if it writes elsewhere.
        holds_run: Whether a run wrote into a folder, a path as ``inside``. Only folders that hold one of the three are
            asked about, each once.

    Returns:
        Whether a name of the listing is no photo.
    """
    asked = cache(lambda folder: folder == inside or holds_run(folder))

    def ours(name: str) -> bool:
        pictures = (folder for folder in PurePosixPath(name).parents if folder.name in _PICTURES_OF_RUNS)
        return bool(inside and name.startswith(f"{inside}/")) or any(asked(_path(one.parent)) for one in pictures)

    return ours


def _path(folder: PurePosixPath) -> str:
    return "/".join(folder.parts)


def _begins_as_picture(path: Path) -> bool:
    try:
        if not path.is_file():
            return False
        with path.open("rb") as opened:
            begin = opened.read(16)
    except OSError:
        return False
    if begin[4:8] == b"ftyp":
        return begin[8:12] in _BRANDS
    return begin.startswith(_BEGINNINGS) or (begin[:4] == b"RIFF" and begin[8:12] == b"WEBP")


def files_below(root: Path, on_unreadable: Callable[[str], None]) -> Iterator[str]:
    """Every file that is not hidden, as a path below ``root``; each folder is visited once."""
    if not root.exists():
        raise ValueError(f"There is no folder {str(root)!r}; give the folder that holds the photos.")
    if not root.is_dir():
        raise ValueError(f"{str(root)!r} is a file; give the folder that holds the photos.")

    def unreadable(error: OSError) -> None:
        if error.filename == str(root):
            raise ValueError(f"The folder {str(root)!r} cannot be read: {error.strerror}.") from error
        on_unreadable(f"The folder {error.filename!r} cannot be read and was left out: {error.strerror}.")

    visited: set[tuple[int, int]] = set()
    for place, folders, files in os.walk(root, onerror=unreadable, followlinks=True):
        status = Path(place).stat()
        if (status.st_dev, status.st_ino) in visited:
            folders.clear()
            continue
        visited.add((status.st_dev, status.st_ino))
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        yield from ((Path(place) / name).relative_to(root).as_posix() for name in files if not name.startswith("."))
