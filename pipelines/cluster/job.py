"""What travels between the client and its workers: all small, whatever the number of photos."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from fitloop.data.places import Listed
from fitloop.pipelines.folder.config import RunConfig

Watch = Callable[[Sequence[str]], None]


@dataclass(frozen=True)
class Chunk:
    """Neighbours of the listing that one worker does at one go: whole batches, so that results do not depend on it."""

    key: str
    """Name of its part of the table."""
    photos: tuple[Listed, ...]
    watched: bool = False
    """Whether the worker writes down which photo it is at, after a process died over the chunk."""
    apart: tuple[str, ...] = ()
    """Photos that are tried alone first, because a process died while they were fitted together."""
    left_out: tuple[tuple[str, str], ...] = ()
    """Photos in quarantine, and why."""
    attempt: int = 0


@dataclass(frozen=True)
class Done:
    """What became of the photos of a chunk."""

    rows: list[dict[str, Any]]
    """Of the table."""
    timings: dict[str, tuple[float, int]] = field(default_factory=dict)
    """Seconds of each stage, and photos."""
    remade: int = 0


@dataclass(frozen=True)
class Record:
    """What a worker tells of a chunk."""

    photos: int
    people: int = 0
    seconds: float = 0.0
    """Without loading the stages."""
    timings: dict[str, tuple[float, int]] = field(default_factory=dict)
    skipped: int = 0
    remade: int = 0
    trouble: str = ""
    """Why nothing was written: the disk or the store refused."""
    worker: str = ""


@dataclass(frozen=True, repr=False)
class Job:
    """What every chunk of a run has in common; without a representation, for addresses may hold passwords."""

    config: RunConfig
    make_stages: Callable[[RunConfig], Any]
    """Builds the stages of a config, once in each worker."""
    stamp: str
    """Of options, weights and keypoints: results of other ones are made anew."""
    work: "Callable[[Job, Chunk, Watch | None], Done]"
    """What is done with the photos of a chunk."""
