"""Reading .npz files of others without running anything in them."""

import io
import logging
import lzma
import math
import struct
import tokenize
import zipfile
import zlib
from collections.abc import Collection
from functools import lru_cache
from pathlib import Path

import numpy as np

_MAGIC = b"\x93NUMPY"
_BUFFER = 1 << 16
"""Bytes read at once: one photo's results as a whole."""
BROKEN_ARCHIVE = (
    *(ValueError, OSError, EOFError, KeyError, TypeError, SyntaxError, OverflowError, RuntimeError, MemoryError),
    *(NotImplementedError, struct.error, tokenize.TokenError, lzma.LZMAError, zipfile.BadZipFile, zlib.error),
)
"""What NumPy, zipfile and the decompressors raise over bytes that are no whole .npz."""

_logger = logging.getLogger(__name__)


class HoldsObjects(ValueError):
    """An array of Python objects, whose reading could run anything."""


def read_arrays(
    path: Path, unwanted: tuple[str, ...] = (), known: Collection[str] | None = None
) -> dict[str, np.ndarray]:
    """Read the arrays of an .npz file.

    Args:
        path: The file.
        unwanted: Ends of the names of arrays to leave out.
        known: Keys that the caller understands; an array of objects under another key is passed over, not refused.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If it is not an .npz of plain arrays, or is truncated.
    """
    if not path.is_file():
        raise FileNotFoundError(f"There is no file {path}.")
    try:
        with path.open("rb", buffering=_BUFFER) as stream:
            if stream.read(len(_MAGIC)) == _MAGIC:
                raise ValueError("it holds one bare array; an .npz with named arrays is needed")
            with zipfile.ZipFile(stream) as archive:
                names = [name.removesuffix(".npy") for name in archive.namelist() if name.endswith(".npy")]
                arrays = {name: _plain(archive, name, known) for name in names if not name.endswith(unwanted)}
    except BROKEN_ARCHIVE as error:
        raise ValueError(f"{path} cannot be read: {error}. Expected a whole .npz of plain arrays.") from error
    return {name: array for name, array in arrays.items() if array is not None}


def _plain(archive: zipfile.ZipFile, name: str, known: Collection[str] | None) -> np.ndarray | None:
    try:
        return _array(archive.read(f"{name}.npy"))
    except HoldsObjects as error:
        if known is not None and name not in known:
            _logger.info("%s holds Python objects and is left out; nothing here reads it.", name)
            return None
        raise ValueError(
            f"{name} holds Python objects, which could run code and are never loaded. Where the file was made, save "
            f"names as text, {name}=np.array({name}.tolist(), dtype=str), and numbers as numbers, dtype=float"
        ) from error


def _array(data: bytes) -> np.ndarray:
    """`numpy.lib.format.read_array` without pickles; a folder's files repeat the same few headers."""
    if data[:8] != _MAGIC + b"\x01\x00":
        return np.lib.format.read_array(io.BytesIO(data), allow_pickle=False)
    start = 10 + int.from_bytes(data[8:10], "little")
    shape, fortran, dtype = _header(data[:start])
    if dtype.hasobject:
        raise HoldsObjects("Python objects")
    flat = np.frombuffer(data, dtype, math.prod(shape), start)
    return flat.reshape(shape, order="F" if fortran else "C").copy()


@lru_cache(maxsize=1024)
def _header(data: bytes) -> tuple[tuple[int, ...], bool, np.dtype]:
    stream = io.BytesIO(data)
    np.lib.format.read_magic(stream)
    return np.lib.format.read_array_header_1_0(stream)


def check_rows(path: Path, arrays: dict[str, np.ndarray], keys: tuple[str, ...]) -> int:
    """Number of rows that ``keys`` share.

    Raises:
        ValueError: If one is missing, is a single value, or has another number of rows; names both.
    """
    missing = [key for key in keys if key not in arrays]
    if missing:
        raise ValueError(f"{path} lacks {', '.join(missing)}; it has {', '.join(arrays)}.")
    single = [key for key in keys if arrays[key].ndim == 0]
    if single:
        raise ValueError(f"{path}: {single[0]} is a single value, expected one row per person.")
    rows = {key: len(arrays[key]) for key in keys}
    if len(set(rows.values())) > 1:
        raise ValueError(f"{path}: the arrays differ in their number of rows: {rows}.")
    return next(iter(rows.values()))


def floats(path: Path, key: str, array: np.ndarray) -> np.ndarray:
    """An array in single precision.

    Raises:
        ValueError: If it holds words, dates or complex numbers.
    """
    if array.dtype.kind not in "biuf":
        raise ValueError(f"{path}: {key} holds {array.dtype} instead of numbers.")
    with np.errstate(over="ignore"):  # What overflows becomes infinite, and is told as not finite.
        return array.astype(np.float32)


def words(array: np.ndarray) -> tuple[str, ...]:
    """Text of each row; bytes, as Python 2 and MATLAB write them, are decoded."""
    return tuple(_text(value) for value in np.ravel(array))


def _text(value: object) -> str:
    if not isinstance(value, bytes):
        return str(value)
    try:
        return value.decode("utf-8")
    except UnicodeDecodeError:
        # Latin-1 has a letter for every byte, so that an old Windows name is read with its accents.
        return value.decode("latin-1")
