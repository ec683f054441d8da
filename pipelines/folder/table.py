"""``people.parquet`` of a run of one process: written from the results files when all are there."""

from itertools import islice

import numpy as np

from fitloop.data.places import Folder, Listed
from fitloop.evaluation.people_table import TABLE, have_pyarrow, part_of, rows_of, skipped_row
from fitloop.pipelines.folder.config import RunConfig
from fitloop.pipelines.folder.journal import Journal
from fitloop.pipelines.folder.ledger import part_name
from fitloop.pipelines.folder.names import printable, shortened

_PHOTOS = 1024
"""Of a part."""


def make_ready() -> None:
    """Load what writes the table: its memory is there from the start of a run, and a broken installation fails then.

    The first table that pyarrow makes takes 85 MB, most of it for pandas, which pyarrow loads if it is there.
    """
    if have_pyarrow():
        part_of([])


def write_table(config: RunConfig, photos: list[str], journal: Journal, stamp: str) -> None:
    """Write the parts that are missing or hold photos of this run, then remove those that are out of date.

    Args:
        config: Names the folders.
        photos: All photos of the run, in order.
        journal: Tells what was done in this run, and what was skipped.
        stamp: Of options, weights and keypoints.
    """
    if not have_pyarrow():
        # Nothing is amiss: who wants the table reads in docs/scale.md how to get it.
        return
    out, source = Folder(config.out), iter(photos)
    there, current = set(out.names(TABLE)), set()
    while names := list(islice(source, _PHOTOS)):
        part = part_name(stamp, [Listed(name, _stamp(config, name)) for name in names])
        current.add(part)
        changed = any(name in journal.made or shortened(name) in journal.skipped for name in names)
        if part not in there or changed:
            rows = [row for name in names for row in _rows(config, name, journal)]
            out.write(f"{TABLE}/{part}", part_of(rows))
    for part in there - current:
        out.remove(f"{TABLE}/{part}")


def _rows(config: RunConfig, photo: str, journal: Journal) -> list[dict]:
    reason = journal.skipped.get(photo, journal.skipped.get(shortened(photo)))
    results = config.out / "results" / f"{photo}.npz"
    if reason is not None or not results.is_file():
        return [skipped_row(printable(photo), reason or "Not read.")]
    with np.load(results, allow_pickle=False) as found:
        return rows_of(printable(photo), found)


def _stamp(config: RunConfig, photo: str) -> str:
    """As the listing of a folder has it."""
    try:
        status = (config.images / photo).stat()
    except OSError:
        return "unreadable"
    return f"{status.st_size} {status.st_mtime_ns}"
