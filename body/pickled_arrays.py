"""What pickles of arrays say, without the classes that wrote them: inert recorders, and arrays decoded from these."""

import io
import re
import warnings
from math import prod
from typing import Any

import numpy as np
import torch

_PLAIN_DTYPE = re.compile(r"[<>=|]?[biufc?]\d{0,2}")
_MOST_ENTRIES = 1 << 28
"""Of a sparse matrix made dense or a tensor that repeats itself: far beyond any body, short of filling the memory."""


class Refused(ValueError):
    """The file is whole, but holds something that cannot be read without its libraries."""


class Recorder:
    """Stands for an object of the file: keeps how it was called and its state."""

    def __init__(self, *args: Any) -> None:
        self.args = args
        self.state: Any = None

    def __setstate__(self, state: Any) -> None:
        self.state = state


class Array(Recorder): ...


class Buffer(Recorder):
    """An array as pickle's protocol 5 has it: its bytes, kind, shape and order."""


class Dtype(Recorder): ...


class Wrapped(Recorder):
    """A ``chumpy`` object."""


class Columns(Recorder):
    """A sparse matrix compressed by columns."""


class Rows(Recorder):
    """A sparse matrix compressed by rows."""


class Coordinates(Recorder):
    """A sparse matrix that lists the place of every entry."""


class StoredBytes(Recorder):
    """The numbers of a tensor, as a small PyTorch file of their own."""


class TensorView(Recorder):
    """A tensor: storage, first element, shape, strides."""


class Parameter(Recorder):
    """A tensor that was to be learnt."""


class Estimator(Recorder): ...


def decode_scalar(dtype: Any, raw: Any) -> Any:
    """A NumPy number from its kind and bytes."""
    return _decode_buffer(dtype, (), raw, False)


def decode(value: Any) -> np.ndarray:
    """The array that an entry of the file means.

    Raises:
        Refused: If it means no array of numbers or texts.
        ValueError: If it contradicts itself, as damaged files do.
    """
    if isinstance(value, Recorder):
        return _decode_recorded(value)
    array = value.detach().numpy() if isinstance(value, torch.Tensor) else np.asarray(value)
    if array.dtype.kind not in "biufcSU":
        raise Refused("it holds a list of something else than numbers or texts")
    return array


def _decode_recorded(value: Recorder) -> np.ndarray:
    match value:
        case Array():
            return _decode_array(value)
        case Buffer():
            return _decode_view(*value.args)
        case Wrapped():
            return _decode_wrapped(value)
        case Columns() | Rows() | Coordinates():
            return _decode_sparse(value)
        case TensorView():
            return _decode_tensor(*value.args[:4])
        case Parameter():
            return decode(value.args[0])
    raise Refused(f"it holds a {type(value).__name__.lower()} in the place of an array")


def _decode_array(value: Array) -> np.ndarray:
    _, shape, dtype, fortran, raw = value.state
    if isinstance(raw, list):
        return _decode_objects(raw, tuple(shape))
    return _decode_buffer(dtype, shape, raw, bool(fortran))


def _decode_objects(objects: list[Any], shape: tuple[int, ...]) -> np.ndarray:
    """An array of Python objects: one sparse matrix that NumPy wrapped, or plain numbers."""
    if shape == () and len(objects) == 1:
        return decode(objects[0])
    array = np.asarray(objects) if all(isinstance(one, int | float) for one in objects) else np.zeros(())
    if array.shape != (prod(shape),):
        raise Refused("it holds an array of objects instead of numbers")
    return array.reshape(shape)


def _decode_view(raw: Any, dtype: Any, shape: Any, order: str, axes: Any = None) -> np.ndarray:
    array = _decode_buffer(dtype, shape, raw, order == "F")
    return array if axes is None else array.transpose(tuple(int(axis) for axis in axes))


def _decode_buffer(dtype: Any, shape: Any, raw: Any, fortran: bool) -> np.ndarray:
    code = dtype.args[0] if isinstance(dtype, Dtype) else None
    if not isinstance(code, str) or not _PLAIN_DTYPE.fullmatch(code):
        raise Refused(f"it holds an array of kind {code!r} instead of numbers")
    order = dtype.state[1] if dtype.state else "="
    plain = np.dtype(code).newbyteorder(order if order in ("<", ">") else "=")
    data = raw.encode("latin1") if isinstance(raw, str) else bytes(raw)
    shape = tuple(int(size) for size in (shape if isinstance(shape, tuple | list) else (shape,)))
    if min(shape, default=0) < 0 or prod(shape) * plain.itemsize != len(data):
        raise ValueError(f"an array of shape {shape} does not match its {len(data)} bytes")
    array = np.frombuffer(data, plain).reshape(shape, order="F" if fortran else "C")
    return array.astype(plain.newbyteorder("="))


def _decode_wrapped(value: Wrapped) -> np.ndarray:
    """Values of a ``chumpy`` object: a leaf keeps them in ``x``, a selection picks from ``a`` by flat index."""
    state = value.state
    if not isinstance(state, dict):
        raise ValueError("it holds a chumpy object without state")
    if "x" in state:
        return decode(state["x"])
    if "a" in state and "idxs" in state:
        picked = decode(state["a"]).ravel()[decode(state["idxs"]).astype(np.int64)]
        shape = state.get("preferred_shape")
        return picked if shape is None else picked.reshape(tuple(int(size) for size in shape))
    raise Refused(f"it holds a chumpy expression of {sorted(map(str, state))} instead of values")


def _decode_sparse(value: Recorder) -> np.ndarray:
    state = value.state
    if not isinstance(state, dict):
        raise ValueError("it holds a sparse matrix without state")
    shape = tuple(int(size) for size in state["_shape" if "_shape" in state else "shape"])
    entries = decode(state["data"])
    if isinstance(value, Coordinates):
        places = state["coords"] if "coords" in state else (state["row"], state["col"])
        index = tuple(decode(one).astype(np.int64) for one in places)
    else:
        inner, starts = decode(state["indices"]).astype(np.int64), decode(state["indptr"])
        outer = np.repeat(np.arange(len(starts) - 1), np.diff(starts))
        index = (inner, outer) if isinstance(value, Columns) else (outer, inner)
    if len(shape) != 2 or prod(shape) > _MOST_ENTRIES or any(one.shape != entries.shape for one in index):
        raise ValueError(f"a sparse matrix of {' x '.join(map(str, shape))} does not match its entries")
    if any(len(one) and (one.min() < 0 or one.max() >= size) for one, size in zip(index, shape, strict=True)):
        raise ValueError("a sparse matrix has entries outside of it")
    dense = np.zeros(shape, entries.dtype)
    # Entries that are listed twice add up, as scipy says.
    np.add.at(dense, index, entries)
    return dense


def _decode_tensor(storage: Any, first: int, shape: Any, strides: Any) -> np.ndarray:
    if not isinstance(storage, StoredBytes) or prod(shape) > _MOST_ENTRIES:
        raise ValueError(f"a tensor of shape {tuple(shape)} does not match its numbers")
    with warnings.catch_warnings():
        # PyTorch calls the storages of its own format deprecated.
        warnings.simplefilter("ignore", UserWarning)
        stored = torch.load(io.BytesIO(storage.args[0]), map_location="cpu", weights_only=True)
        numbers = torch.tensor([], dtype=stored.dtype).set_(stored)
    # A view past the end of the storage is PyTorch's to refuse.
    return numbers.as_strided(tuple(shape), tuple(strides), first).numpy().copy()
