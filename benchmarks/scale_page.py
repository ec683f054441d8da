"""The page and the table of ten thousand photos.

A few photos are run; the others are links to them and to their results, so that the page is what is measured.
"""

import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.scale_readers import read_table
from benchmarks.scale_stages import StandingStages, make_photos
from fitloop.body import load_body
from fitloop.data.places import Folder
from fitloop.evaluation.people_table import part_of, rows_of
from fitloop.pipelines.folder.config import RunConfig
from fitloop.pipelines.folder.page import write_sample
from fitloop.pipelines.folder.pictures import page_picture
from fitloop.pipelines.folder.run import run_folder
from fitloop.pipelines.folder.summary import Summary
from fitloop.pipelines.regress_then_fit import Stages

_REAL = 32
"""Photos that are run."""


def page_of_many(base: Path, count: int, source: Path | None) -> dict[str, Any]:
    """Write page and table of many photos, and read the table.

    Args:
        base: Where to.
        count: Photos.
        source: Folder of photos; grey pictures if not given.
    """
    folder, out = base / "photos", base / "out"
    if not folder.exists():
        make_photos(folder, _REAL, source)
    run = RunConfig(images=folder, out=out, outputs=("page",), threads=1)
    run_folder(run, StandingStages if source is None else Stages)
    start = time.monotonic()
    many, summary = base / "many", Summary()
    rows = {name: _rows_of_file(out, name) for name in sorted(path.name for path in folder.iterdir())}
    names = [f"{number:05d}.jpg" for number in range(count)]
    for first in range(0, count, 1000):
        part = [row | {"photo": name} for name in names[first : first + 1000] for row in rows[_known(name)]]
        Folder(many).write(f"people.parquet/part-{first}.parquet", part_of(part))
    for name in names:
        summary.add(name, rows[_known(name)])
    for name in summary.shown():
        _link(out, many, _known(name), name)
    write_sample(replace(run, out=many), summary, load_body())
    figures = {"photos": count, "seconds": round(time.monotonic() - start, 1)}
    figures["page_megabytes"] = round((many / "index.html").stat().st_size / 1e6, 2)
    return figures | read_table(many / "people.parquet")


def _known(name: str) -> str:
    return f"{int(name.removesuffix('.jpg')) % _REAL:05d}.jpg"


def _rows_of_file(out: Path, name: str) -> list[dict[str, Any]]:
    with np.load(out / "results" / f"{name}.npz") as found:
        return rows_of(name, found)


def _link(out: Path, many: Path, known: str, name: str) -> None:
    """Link the results and pictures of a photo that was run as those of another."""
    pairs = [(out / "results" / f"{known}.npz", many / "results" / f"{name}.npz")]
    stages = ("photo", "regressed", "fitted")
    pairs += [(page_picture(out, known, stage), page_picture(many, name, stage)) for stage in stages]
    for old, new in pairs:
        new.parent.mkdir(parents=True, exist_ok=True)
        if old.is_file():
            new.symlink_to(old.resolve())
