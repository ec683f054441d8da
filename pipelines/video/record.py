"""What is known of a finished clip, and whether its file is still the one that was looked at."""

import hashlib
import json
from dataclasses import asdict, dataclass
from pathlib import Path

from fitloop.body.files import whole_file

_BLOCK = 1 << 20


@dataclass(frozen=True)
class PersonRecord:
    """One track."""

    track: int
    first: int
    """Frame."""
    last: int
    seen: int
    """Frames with evidence."""
    mended: int
    """Frames whose sides were exchanged and put right."""
    world: bool
    """Whether floor and gravity are known."""


@dataclass(frozen=True)
class ClipRecord:
    """A clip that is done."""

    clip: str
    frames: int
    frame_rate: float
    size: tuple[int, int]
    """Height and width."""
    scenes: int
    resting: bool
    """Whether the camera stood still in all of them."""
    people: tuple[PersonRecord, ...]
    notices: tuple[str, ...]


def hash_of(path: Path) -> str:
    """Hash of a file's content."""
    found = hashlib.blake2b(digest_size=16)
    with path.open("rb") as file:
        while block := file.read(_BLOCK):
            found.update(block)
    return found.hexdigest()


def save_record(path: Path, record: ClipRecord) -> None:
    """Write it as JSON."""
    with whole_file(path) as file:
        file.write_text(json.dumps(asdict(record), indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def load_record(path: Path) -> ClipRecord | None:
    """Read it back; None where there is none, or it cannot be read."""
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
        people = tuple(PersonRecord(**one) for one in found.pop("people"))
        size, notices = tuple(found.pop("size")), tuple(found.pop("notices"))
        return ClipRecord(**found, size=size, people=people, notices=notices)
    except (OSError, ValueError, KeyError, TypeError):
        return None
