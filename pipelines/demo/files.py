"""What there is to see and to take away of a file that was worked on."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from fitloop.pipelines.demo.uploads import is_clip
from fitloop.pipelines.video.outputs import motion_folder
from fitloop.pipelines.video.record import load_record

_PHOTO = {"meshes": "mesh in its place (GLB)", "rigged": "rigged body (GLB)", "bvh": "skeleton (BVH)"}
"""Folders of a run that hold one file per person of a photo, and what the files are."""
_MOTION = {".glb": "moving rigged body (GLB)", ".bvh": "motion (BVH)", ".npz": "motion in AMASS's layout (npz)"}
_DRAWN = {"overlay.mp4": "bodies over the clip (MP4)", "side_by_side.mp4": "beside a view from the side (MP4)"}


@dataclass(frozen=True)
class Download:
    """A file to take away."""

    whose: str
    """Of which person, or of all."""
    what: str
    name: str
    """What the browser shall call it."""
    link: str
    """Below the folder of the results, escaped."""


@dataclass(frozen=True)
class Shown:
    """What the page shows of a file that was worked on."""

    page: str
    """Address of the page with its bodies, below the folder of the results, escaped."""
    notices: tuple[str, ...]
    """What that page does not say itself."""
    downloads: tuple[Download, ...]


def shown(out: Path, name: str) -> Shown:
    """What the page shows of the photo or clip ``name``, whose results lie in ``out``."""
    if not is_clip(name):
        return Shown("index.html", (), tuple(_of_photo(out, name)))
    folder = motion_folder(out, name)
    page = folder / "clip.html"
    if not page.is_file():
        # Nobody was found, and the page of the run says so.
        return Shown("index.html", (), ())
    record = load_record(folder / "clip.json")
    return Shown(_link(page, out), () if record is None else record.notices, tuple(_of_clip(out, name)))


def _of_photo(out: Path, name: str) -> Iterator[Download]:
    stem = Path(name).stem
    for person in _people(out / "rigged" / name):
        for kind, what in _PHOTO.items():
            for path in (out / kind / name).glob(f"{person}.*"):
                yield Download(f"Person {person}", what, f"{stem}-{kind}-{path.name}", _link(path, out))
    arrays = out / "results" / f"{name}.npz"
    if arrays.is_file():
        yield Download("All", "people and stages as arrays (npz)", f"{stem}.npz", _link(arrays, out))


def _of_clip(out: Path, name: str) -> Iterator[Download]:
    stem, folder = Path(name).stem, motion_folder(out, name)
    for person in _people(folder):
        for ending, what in _MOTION.items():
            path = folder / f"{person}{ending}"
            if path.is_file():
                yield Download(f"Person {person}", what, f"{stem}-{path.name}", _link(path, out))
    for file, what in _DRAWN.items():
        if (folder / file).is_file():
            yield Download("All", what, f"{stem}-{file}", _link(folder / file, out))


def _people(folder: Path) -> list[int]:
    """Numbers that files of a folder are named after."""
    found = folder.iterdir() if folder.is_dir() else ()
    return sorted({int(path.stem) for path in found if path.stem.isdecimal()})


def _link(path: Path, out: Path) -> str:
    return quote(path.relative_to(out).as_posix())
