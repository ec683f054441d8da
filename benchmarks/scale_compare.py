"""Whether two runs of `benchmarks.scale` came to the same."""

import json
from typing import Any

import numpy as np

from fitloop.data.places import open_place


def told_of(out: Any) -> dict[str, Any]:
    """What ``run.json`` says."""
    return json.loads(open_place(out).read("run.json"))


def compare(calm: Any, other: Any) -> dict[str, Any]:
    """Results of two runs, array by array, and the rows of the second's table."""
    one, two = open_place(calm), open_place(other)
    names = sorted(path.split("/results/")[1] for path in one.fs.find(one / "results"))
    different = 0
    for name in names:
        first, second = _arrays(one, f"results/{name}"), _arrays(two, f"results/{name}")
        different += sum(not _same(first[key], second.get(key)) for key in first)
    rows = _rows(two)
    return {
        **{"photos_compared": len(names), "different_arrays": different},
        "photos_lost": len({name.removesuffix(".npz") for name in names} - {photo for photo, _ in rows}),
        "photos_twice": len(rows) - len(set(rows)),
        "skipped": told_of(other)["skipped"],
    }


def _same(one: np.ndarray, other: np.ndarray | None) -> bool:
    return other is not None and np.array_equal(one, other, equal_nan=one.dtype.kind == "f")


def _arrays(place: Any, name: str) -> dict[str, np.ndarray]:
    if not place.exists(name):
        return {}
    with place.fs.open(place / name) as file, np.load(file, allow_pickle=False) as found:
        return {key: found[key] for key in found if key != "made_from"}


def _rows(place: Any) -> list[tuple[str, int | None]]:
    from fitloop.evaluation.people_table import TABLE, open_table

    found = open_table(place / TABLE, place.fs).to_table(columns=["photo", "person"]).to_pylist()
    return [(row["photo"], row["person"]) for row in found]
