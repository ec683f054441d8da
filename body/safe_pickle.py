"""Read arrays out of pickles from others without running anything in them.

SMPL files and SMPLify's pose prior are Python 2 pickles of dictionaries of arrays, some wrapped in ``chumpy`` objects
or ``scipy.sparse`` matrices. A pickle is a program, so no class of any library is ever called here: the few known names
stand for inert recorders, everything else is refused, and the arrays are decoded from what was recorded.
"""

import pickle
import re
import struct
from math import prod
from pathlib import Path
from typing import Any

import numpy as np

_BROKEN = (
    *(pickle.UnpicklingError, EOFError, ValueError, TypeError, KeyError, IndexError, AttributeError),
    *(struct.error, OverflowError, MemoryError, ImportError, RecursionError),
)
_PLAIN_DTYPE = re.compile(r"[<>=|]?[biufc?]\d{0,2}")


class _Recorder:
    """Stands for an object of the file: keeps how it was called and its state."""

    def __init__(self, *args: Any) -> None:
        self.args = args
        self.state: Any = None

    def __setstate__(self, state: Any) -> None:
        self.state = state


class _Array(_Recorder): ...


class _Dtype(_Recorder): ...


class _Wrapped(_Recorder): ...


class _Sparse(_Recorder): ...


class _Estimator(_Recorder): ...


def _encode(text: str, encoding: str = "latin1") -> bytes:
    if encoding not in ("latin1", "latin-1"):
        raise ValueError(f"encoding {encoding!r}")
    return text.encode("latin1")


def _scalar(dtype: Any, raw: Any) -> Any:
    return _decode_buffer(dtype, (), raw, False)


def _reconstructor(kind: Any, base: Any, state: Any) -> _Recorder:
    """Stand in for ``copyreg._reconstructor``, with which Python 2 makes plain objects."""
    if not (isinstance(kind, type) and issubclass(kind, _Recorder)):
        raise ValueError(f"{kind!r} is not a known class")
    return kind()


def _array(*args: Any) -> _Array:
    return _Array(*args)


def _names(modules: tuple[str, ...], name: str, stand_in: Any) -> dict[tuple[str, str], Any]:
    return {(module, name): stand_in for module in modules}


_KNOWN: dict[tuple[str, str], Any] = {
    **_names(("numpy.core.multiarray", "numpy._core.multiarray"), "_reconstruct", _array),
    **_names(("numpy.core.multiarray", "numpy._core.multiarray"), "scalar", _scalar),
    **_names(("numpy",), "ndarray", _Array),
    **_names(("numpy",), "dtype", _Dtype),
    **_names(("_codecs",), "encode", _encode),
    **_names(("copy_reg", "copyreg"), "_reconstructor", _reconstructor),
    **_names(("__builtin__", "builtins"), "object", object),
    **_names(("__builtin__", "builtins"), "set", set),
    **_names(("chumpy.ch", "chumpy"), "Ch", _Wrapped),
    **_names(("chumpy.reordering",), "Select", _Wrapped),
    **_names(("scipy.sparse.csc", "scipy.sparse._csc", "scipy.sparse"), "csc_matrix", _Sparse),
    **_names(("sklearn.mixture.gmm",), "GMM", _Estimator),
    **_names(("sklearn.mixture.gaussian_mixture", "sklearn.mixture._gaussian_mixture"), "GaussianMixture", _Estimator),
}


class _Unpickler(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        if (module, name) not in _KNOWN:
            raise ValueError(f"it asks for {module}.{name}, which no file of arrays needs")
        return _KNOWN[module, name]


def load_arrays(path: str | Path) -> dict[str, np.ndarray]:
    """Read a pickled dictionary of arrays (SMPL with or without ``chumpy``, SMPLify's pose prior).

    Nothing in the file is executed: no class but inert recorders is ever made.

    Args:
        path: A .pkl file of Python 2 or 3.

    Returns:
        Every array, number and text by its key; ``chumpy`` objects by their values, sparse matrices dense.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If the file is truncated, no pickle, or holds anything but arrays, numbers and texts.
    """
    path = Path(path)
    try:
        return {str(key): _decode(value) for key, value in _read_entries(path).items() if _is_data(value)}
    except _BROKEN as error:
        raise ValueError(f"{path} is no usable file of arrays: {error}. Get the file again from its owner.") from error


def load_array_lists(path: str | Path, keys: tuple[str, ...]) -> dict[str, list[np.ndarray]]:
    """Read some entries of a pickled dictionary, each an array or a list of arrays of any lengths (3DPW's sequences).

    Args:
        path: A .pkl file of Python 2 or 3; nothing in it is executed, as in `load_arrays`.
        keys: What to read; a single array or text becomes a list of one.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If the file is truncated, no pickle, lacks a key, or holds objects.
    """
    path = Path(path)
    try:
        entries = {str(key): value for key, value in _read_entries(path).items()}
        missing = [key for key in keys if key not in entries]
        if missing:
            raise ValueError(f"it has no {', '.join(missing)}, it has {', '.join(sorted(entries))}")
        lists = {key: entries[key] if isinstance(entries[key], list | tuple) else [entries[key]] for key in keys}
        return {key: [_decode(value) for value in values] for key, values in lists.items()}
    except _BROKEN as error:
        raise ValueError(f"{path} is no usable file of arrays: {error}. Get the file again from its owner.") from error


def _read_entries(path: Path) -> dict[Any, Any]:
    if not path.is_file():
        raise FileNotFoundError(f"{path} does not exist; give the path of a .pkl file with arrays.")
    with path.open("rb") as file:
        content = _Unpickler(file, encoding="latin1").load()  # noqa: S301
    entries = content.state if isinstance(content, _Estimator) else content
    if not isinstance(entries, dict):
        raise ValueError(f"it holds a {type(entries).__name__} instead of a dictionary of arrays")
    return entries


def _is_data(value: Any) -> bool:
    """Settings such as None or nested dictionaries are skipped; arrays, numbers and texts are kept."""
    return isinstance(value, _Recorder | np.ndarray | np.generic | int | float | str | bytes | list | tuple)


def _decode(value: Any) -> np.ndarray:
    if isinstance(value, _Array):
        return _decode_array(value)
    if isinstance(value, _Wrapped):
        return _decode_wrapped(value)
    if isinstance(value, _Sparse):
        return _decode_sparse(value)
    if isinstance(value, _Recorder):
        raise ValueError(f"it holds a {type(value).__name__.strip('_').lower()} in the place of an array")
    array = np.asarray(value)
    if array.dtype.kind not in "biufcSU":
        raise ValueError("it holds a list of something else than numbers or texts")
    return array


def _decode_array(value: _Array) -> np.ndarray:
    _, shape, dtype, fortran, raw = value.state
    return _decode_buffer(dtype, shape, raw, bool(fortran))


def _decode_buffer(dtype: Any, shape: Any, raw: Any, fortran: bool) -> np.ndarray:
    code = dtype.args[0] if isinstance(dtype, _Dtype) else None
    if not isinstance(code, str) or not _PLAIN_DTYPE.fullmatch(code):
        raise ValueError(f"it holds an array of kind {code!r} instead of numbers")
    order = dtype.state[1] if dtype.state else "="
    plain = np.dtype(code).newbyteorder(order if order in ("<", ">") else "=")
    data = raw.encode("latin1") if isinstance(raw, str) else bytes(raw)
    shape = tuple(int(size) for size in shape)
    if min(shape, default=0) < 0 or prod(shape) * plain.itemsize != len(data):
        raise ValueError(f"an array of shape {shape} does not match its {len(data)} bytes")
    array = np.frombuffer(data, plain).reshape(shape, order="F" if fortran else "C")
    return array.astype(plain.newbyteorder("="))


def _decode_wrapped(value: _Wrapped) -> np.ndarray:
    """Values of a ``chumpy`` object: a leaf keeps them in ``x``, a selection picks from ``a`` by flat index."""
    state = value.state
    if not isinstance(state, dict):
        raise ValueError("it holds a chumpy object without state")
    if "x" in state:
        return _decode(state["x"])
    if "a" in state and "idxs" in state:
        picked = _decode(state["a"]).ravel()[_decode(state["idxs"]).astype(np.int64)]
        shape = state.get("preferred_shape")
        return picked if shape is None else picked.reshape(tuple(int(size) for size in shape))
    raise ValueError(f"it holds a chumpy expression of {sorted(map(str, state))} instead of values")


def _decode_sparse(value: _Sparse) -> np.ndarray:
    state = value.state
    if not isinstance(state, dict):
        raise ValueError("it holds a sparse matrix without state")
    rows, columns = (int(size) for size in state["_shape" if "_shape" in state else "shape"])
    entries, indices, starts = (_decode(state[key]) for key in ("data", "indices", "indptr"))
    if rows * columns > 1 << 28 or starts.shape != (columns + 1,) or indices.shape != entries.shape:
        raise ValueError(f"a sparse matrix of {rows} x {columns} does not match its entries")
    dense = np.zeros((rows, columns), entries.dtype)
    np.add.at(dense, (indices.astype(np.int64), np.repeat(np.arange(columns), np.diff(starts))), entries)
    return dense
