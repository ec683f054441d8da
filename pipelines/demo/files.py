"""The files of a job that its owner can take away."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

_KINDS = {
    "meshes": ("Mesh of person {0} (GLB)", "in its place"),
    "rigged": ("Rigged body of person {0} (GLB)", "skin and skeleton"),
    "bvh": ("Skeleton of person {0} (BVH)", "for Blender, Maya, MotionBuilder"),
}
"""Folders of a run that hold one file per person of a photo: what it is called, and what it is for."""
_MOTIONS = {
    ".glb": ("Moving body of person {0} (GLB)", "skin, skeleton and keyframes"),
    ".bvh": ("Motion of person {0} (BVH)", "for Blender, Maya, MotionBuilder"),
    ".npz": ("Motion of person {0} (npz)", "arrays in AMASS's layout"),
}
_CLIPS = {"overlay.mp4": "Bodies over the clip (MP4)", "side_by_side.mp4": "Clip, bodies, view from the side (MP4)"}


@dataclass(frozen=True)
class Download:
    """A file to take away."""

    link: str
    """Below the job's own address, escaped."""
    name: str
    """What the browser calls it."""
    what: str
    use: str = ""
    """What it is for; may be empty."""


def downloads(out: Path, name: str) -> list[Download]:
    """What there is to take away of a file that was worked on.

    Args:
        out: Folder of the results.
        name: Of the photo or clip.
    """
    return [*_of_photo(out, name), *_of_clip(out, name)]


def _of_photo(out: Path, name: str) -> Iterator[Download]:
    for kind, (what, use) in _KINDS.items():
        for path in _numbered(out / kind / name):
            taken = f"{Path(name).stem}-{kind}-{path.name}"
            yield Download(_link(path, out), taken, what.format(path.stem), use)
    arrays = out / "results" / f"{name}.npz"
    if arrays.is_file():
        yield Download(_link(arrays, out), f"{Path(name).stem}.npz", "All people and stages (npz)", "arrays of NumPy")


def _of_clip(out: Path, name: str) -> Iterator[Download]:
    folder = out / "motion" / name
    for ending, (what, use) in _MOTIONS.items():
        for path in _numbered(folder):
            if path.suffix == ending:
                taken = f"{Path(name).stem}-{path.name}"
                yield Download(_link(path, out), taken, what.format(path.stem), use)
    for file, what in _CLIPS.items():
        if (folder / file).is_file():
            yield Download(_link(folder / file, out), f"{Path(name).stem}-{file}", what)


def _numbered(folder: Path) -> list[Path]:
    """Files named after people, in the order of their numbers."""
    found = [path for path in folder.iterdir() if path.stem.isdigit()] if folder.is_dir() else []
    return sorted(found, key=lambda path: int(path.stem))


def _link(path: Path, out: Path) -> str:
    return quote(path.relative_to(out).as_posix())
