"""What ``run.json`` tells."""

import json
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from fitloop.data.addresses import shown
from fitloop.data.places import open_place
from fitloop.pipelines.console.options import config_to_tree
from fitloop.pipelines.console.provenance import versions
from fitloop.pipelines.folder.config import RunConfig

SAVE_INTERVAL = 10.0
"""Seconds between states of ``run.json`` while the run goes on."""


@dataclass
class Journal:
    """What ``run.json`` tells, gathered while the run goes on."""

    config: RunConfig
    photos: int
    seconds: dict[str, float] = field(default_factory=dict)
    timed: dict[str, int] = field(default_factory=dict)
    skipped: dict[str, str] = field(default_factory=dict)
    kept: int = 0
    """Photos whose results of an earlier run stayed."""
    unknown: int = 0
    """Those among them that do not say what they were made from."""
    remade: dict[str, list[str]] = field(default_factory=dict)
    """Photos that were made anew, and what had changed."""
    made: set[str] = field(default_factory=set)
    """Photos that were done in this run."""
    unread: list[str] = field(default_factory=list)
    """Pictures of kinds that are not read."""
    saved: float = 0.0
    watch: Callable[[Sequence[str]], None] | None = None
    """Told which photos are worked on before each step; photos are then worked on one after the other."""

    def at(self, *photos: str) -> None:
        """Tell whoever watches which photos are worked on next."""
        if self.watch is not None:
            self.watch(photos)

    def clock(self, stage: str, start: float, photos: int = 1) -> None:
        """Add the time since ``start`` to a stage."""
        self.seconds[stage] = self.seconds.get(stage, 0.0) + time.perf_counter() - start
        self.timed[stage] = self.timed.get(stage, 0) + photos

    def save(self, state: str, results: dict[str, Any] | None = None) -> None:
        """Write ``run.json`` whole."""
        stages = {
            stage: {"seconds": round(total, 4), "photos": self.timed[stage]} for stage, total in self.seconds.items()
        }
        told = {
            **{"state": state, "photos": self.photos, "config": told_config(self.config), "versions": versions()},
            **{"timings": stages, "skipped": self.skipped, "kept": self.kept, "remade": self.remade},
            **{"unread_pictures": self.unread, **(results or {})},
        }
        text = json.dumps(told, indent=2, ensure_ascii=False) + "\n"
        # Folders may have names that are not UTF-8; JSON has an escape for each of their bytes.
        open_place(self.config.out).write("run.json", text.encode("utf-8", "backslashreplace"))
        self.saved = time.monotonic()


def told_config(config: RunConfig) -> dict[str, Any]:
    """Options as plain values; of addresses without user, password and values of a query."""
    tree = config_to_tree(config)
    return tree | {name: shown(getattr(config, name)) for name in ("images", "out")}
