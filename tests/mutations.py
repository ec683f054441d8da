"""Files as people, tools and bad disks write them: a good one with a few things wrong."""

import copy
import json

import numpy as np
from hypothesis import strategies as st

DELETE, TWICE = object(), object()
NASTY_VALUES = (
    *(DELETE, TWICE, None, True, 0, 1, -1, 7.0, 1e300, float("nan"), float("inf"), 10**400, 2**70),
    *("", "x", "1", "1.0", "b'x'", "a\\b.jpg", "\ud800", "é", [], {}, [1], [[1, 2]], [None], ["a"], {"a": 1}),
    *([[1, 2, 3], [4]], [0, 0, 0, 0], [1, 2, -3, 4], {"size": [3, 3], "counts": "a"}, [1.0] * 78, [2.0] * 51),
)


def _places(tree, here=()):
    yield here
    items = tree.items() if isinstance(tree, dict) else enumerate(tree) if isinstance(tree, list) else ()
    for key, value in items:
        yield from _places(value, (*here, key))


def _changed_json(tree, changes):
    tree = copy.deepcopy(tree)
    for number, value in changes:
        # Few places are deep in lists of numbers, where one is like the other.
        places = [place for place in _places(tree) if place and (number % 3 or len(place) <= 3)]
        if not places:
            return tree
        *above, last = places[number % len(places)]
        inner = tree
        for key in above:
            inner = inner[key]
        if value is DELETE:
            del inner[last]
        elif value is TWICE:
            inner.append(inner[last]) if isinstance(inner, list) else inner.update({f"{last}2": inner[last]})
        else:
            inner[last] = copy.deepcopy(value)
    return tree


NASTY_ARRAYS = {
    "delete": None,
    "text": lambda a: a.astype(str),
    "bytes": lambda a: np.char.encode(a.astype(str), "latin-1", "replace"),
    "objects": lambda a: a.astype(object),
    "complex": lambda a: a.astype(complex) if a.dtype.kind in "iuf" else a,
    "dates": lambda a: np.full(a.shape, np.datetime64("2020-01-01")),
    "whole": lambda a: np.nan_to_num(a).astype(np.int64) if a.dtype.kind in "iuf" else a,
    "half": lambda a: a.astype(np.float16) if a.dtype.kind in "iuf" and np.abs(a).max(initial=0) < 1e4 else a,
    "fewer rows": lambda a: a[:-1] if a.ndim else a,
    "no rows": lambda a: a[:0] if a.ndim else a,
    "fewer columns": lambda a: a[..., :-1] if a.ndim else a,
    "another axis": lambda a: a[..., None],
    "flat": lambda a: a.ravel(),
    "turned": lambda a: a.T,
    "single": lambda a: np.array(3.0),
    "nothing": lambda a: np.zeros(a.shape) if a.dtype.kind in "iuf" else a,
    "not finite": lambda a: np.full(a.shape, np.nan),
    "huge": lambda a: np.full(a.shape, 1e300),
    "thousandfold": lambda a: a * 1000 if a.dtype.kind in "iuf" else a,
    "negative": lambda a: -a if a.dtype.kind in "if" else a,
}


def _changed_arrays(arrays, changes):
    arrays = dict(arrays)
    for number, name in changes:
        if not arrays:
            return arrays
        key = sorted(arrays)[number % len(arrays)]
        change = NASTY_ARRAYS[name]
        if change is None:
            del arrays[key]
        else:
            arrays[key] = change(np.asarray(arrays[key]))
    return arrays


_places_of = st.integers(0, 10**6)
json_changes = st.lists(st.tuples(_places_of, st.sampled_from(NASTY_VALUES)), min_size=1, max_size=3)
array_changes = st.lists(st.tuples(_places_of, st.sampled_from(sorted(NASTY_ARRAYS))), min_size=1, max_size=2)
damage = st.one_of(st.none(), st.none(), st.none(), st.tuples(st.sampled_from(("cut", "flip")), st.integers(0, 10**6)))
"""What a bad disk does to the bytes; mostly nothing."""


def _damaged(data, harm):
    if harm is None or not data:
        return data
    kind, number = harm
    place = number % len(data)
    return data[:place] if kind == "cut" else data[:place] + bytes([data[place] ^ 0x41]) + data[place + 1 :]


def write_mutated_json(path, tree, changes, harm):
    """A JSON file with some values changed, and maybe bytes."""
    text = json.dumps(_changed_json(tree, changes))
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(_damaged(text.encode(), harm))


def write_mutated_npz(path, arrays, changes, harm):
    """An .npz file with some arrays changed, and maybe bytes."""
    path.parent.mkdir(parents=True, exist_ok=True)
    np.savez(path, **_changed_arrays(arrays, changes))
    path.write_bytes(_damaged(path.read_bytes(), harm))
