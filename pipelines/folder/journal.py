"""What ``run.json`` tells."""

import json
import time
from dataclasses import dataclass, field
from typing import Any

from fitloop.body.files import whole_file
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
    unread: list[str] = field(default_factory=list)
    """Pictures of kinds that are not read."""
    saved: float = 0.0

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
            **{"state": state, "photos": self.photos, "config": config_to_tree(self.config), "versions": versions()},
            **{"timings": stages, "skipped": self.skipped, "kept": self.kept, "remade": self.remade},
            **{"unread_pictures": self.unread, **(results or {})},
        }
        with whole_file(self.config.out / "run.json") as file:
            text = json.dumps(told, indent=2, ensure_ascii=False) + "\n"
            # Folders may have names that are not UTF-8; JSON has an escape for each of their bytes.
            file.write_bytes(text.encode("utf-8", "backslashreplace"))
        self.saved = time.monotonic()
