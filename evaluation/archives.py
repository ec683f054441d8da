"""Reading .npz files of others without running anything in them."""

import io
import math
import zipfile
import zlib
from functools import lru_cache
from pathlib import Path

import numpy as np

from fitloop.body import BodyParams
from fitloop.geometry import rotvec_to_rotmat

_MAGIC = b"\x93NUMPY"
_BUFFER = 1 << 16
"""Bytes read at once: one photo's results as a whole."""


def read_arrays(path: Path, unwanted: tuple[str, ...] = ()) -> dict[str, np.ndarray]:
    """Read the arrays of an .npz file.

    Args:
        path: The file.
        unwanted: Ends of the names of arrays to leave out.

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
                members = [name for name in archive.namelist() if name.endswith(".npy")]
                wanted = [name for name in members if not name.removesuffix(".npy").endswith(unwanted)]
                return {name.removesuffix(".npy"): _array(archive.read(name)) for name in wanted}
    except (ValueError, OSError, EOFError, KeyError, zipfile.BadZipFile, zlib.error) as error:
        raise ValueError(f"{path} cannot be read: {error}. Expected a whole .npz of plain arrays.") from error


def _array(data: bytes) -> np.ndarray:
    """`numpy.lib.format.read_array` without pickles; a folder's files repeat the same few headers."""
    if data[:8] != _MAGIC + b"\x01\x00":
        return np.lib.format.read_array(io.BytesIO(data), allow_pickle=False)
    start = 10 + int.from_bytes(data[8:10], "little")
    shape, fortran, dtype = _header(data[:start])
    if dtype.hasobject:
        raise ValueError("it holds Python objects, which would run code")
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
        ValueError: If one is missing or has another number of rows; names both.
    """
    missing = [key for key in keys if key not in arrays]
    if missing:
        raise ValueError(f"{path} lacks {', '.join(missing)}; it has {', '.join(arrays)}.")
    rows = {key: len(arrays[key]) for key in keys}
    if len(set(rows.values())) > 1:
        raise ValueError(f"{path}: the arrays differ in their number of rows: {rows}.")
    return next(iter(rows.values()))


def params_from_rotvecs(pose: np.ndarray, betas: np.ndarray) -> BodyParams:
    """SMPL parameters of SPIN's files: pose (rows, 72) axis-angle in radians, betas (rows, 10); no translation."""
    import torch

    rotations = rotvec_to_rotmat(torch.from_numpy(np.asarray(pose, np.float32).reshape(len(pose), -1, 3)))
    shape = torch.from_numpy(np.asarray(betas, np.float32)[:, :10])
    return BodyParams(rotations[:, 0], rotations[:, 1:], shape, torch.zeros(len(pose), 3))


def words(array: np.ndarray) -> tuple[str, ...]:
    """Text of each row; bytes are decoded."""
    return tuple(value.decode() if isinstance(value, bytes) else str(value) for value in array)
