"""What the run's page says of clips."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from fitloop.pipelines.video.outputs import motion_folder
from fitloop.pipelines.video.record import ClipRecord, load_record


@dataclass(frozen=True)
class ClipFile:
    """A link."""

    name: str
    link: str


@dataclass(frozen=True)
class ClipEntry:
    """One clip on the page."""

    record: ClipRecord
    overlay: str
    """Link; empty where nothing was drawn."""
    files: tuple[ClipFile, ...]


def clip_entries(out: Path) -> Iterator[ClipEntry]:
    """Every clip of a run that is done, by name."""
    folder = out / "motion"
    for path in sorted(folder.rglob("clip.json")):
        record = load_record(path)
        if record is None:
            continue
        there = motion_folder(out, record.clip)
        files = [ClipFile(file.name, _link(file, out)) for file in sorted(there.iterdir()) if file.is_file()]
        overlay = there / "overlay.mp4"
        yield ClipEntry(
            record,
            _link(overlay, out) if overlay.is_file() else "",
            tuple(file for file in files if file.name not in ("overlay.mp4", "clip.json")),
        )


def _link(path: Path, out: Path) -> str:
    return quote(path.relative_to(out).as_posix())
