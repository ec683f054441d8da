"""The page of a run whose photos are too many, or whose results lie at an address."""

import io
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from fitloop.body import Body
from fitloop.data.places import Place
from fitloop.detection.in_order import in_order
from fitloop.evaluation.people_table import TABLE
from fitloop.pipelines.cluster.workshop import Workshop
from fitloop.pipelines.folder.page import STAGES, write_sample
from fitloop.pipelines.folder.pictures import page_picture
from fitloop.pipelines.folder.summary import Summary

_COLUMNS = ["photo", "person", "status", "verdict", "energy", "notice"]
_AT_ONCE = 8
_MESHES = 20
"""People of a photo whose meshes are linked at most."""


def summarize(out: Place) -> Summary:
    """Count what the table holds; a few parts are held at a time."""
    summary = Summary()
    parts = sorted(name for name in out.names(TABLE) if name.startswith("part-"))
    for rows in in_order(lambda name: _rows_of_part(out.read(f"{TABLE}/{name}")), parts, _AT_ONCE):
        start = 0
        for end in range(1, len(rows) + 1):
            if end == len(rows) or rows[end]["photo"] != rows[start]["photo"]:
                summary.add(rows[start]["photo"], rows[start:end])
                start = end
    return summary


def _rows_of_part(content: bytes) -> list[dict[str, Any]]:
    import pyarrow.parquet

    return pyarrow.parquet.read_table(io.BytesIO(content), columns=_COLUMNS).to_pylist()


def write_anywhere(shop: Workshop, summary: Summary, body: Body) -> None:
    """Write the page where the results are.

    Args:
        shop: Knows the places.
        summary: Of all photos; says which to show.
        body: Whose parameters the results are.

    Raises:
        OSError: If it cannot be written.
    """
    if not shop.remote:
        write_sample(shop.config, summary, body)
        return
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        list(pool.map(lambda photo: _bring(shop, photo), summary.shown()))
    write_sample(shop.config, summary, body)
    page = shop.config.out
    made = [page / "index.html", *(page / "page").rglob("*.scene.js")]
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        list(pool.map(lambda path: shop.out.put(path, path.relative_to(page).as_posix()), made))


def _bring(shop: Workshop, photo: str) -> None:
    """Copy the results of a photo here, and empty files in the place of what the page only links to."""
    out, results = shop.config.out, f"results/{photo}.npz"
    if not shop.out.exists(results):
        return
    shop.out.fetch(results, out / results)
    pictures = [page_picture(out, photo, stage) for stage in STAGES] if "page" in shop.config.outputs else []
    for path in pictures:
        _stand_in(shop, path)
    if "meshes" in shop.config.outputs:
        for number in range(_MESHES):
            if not _stand_in(shop, out / "meshes" / photo / f"{number}.glb"):
                break


def _stand_in(shop: Workshop, path: Path) -> bool:
    there = shop.out.exists(path.relative_to(shop.config.out).as_posix())
    if there:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    return there
