"""Reading .npz files of others without running anything in them."""

import zipfile
from pathlib import Path

import numpy as np

from body import BodyParams
from geometry import rotvec_to_rotmat


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
        with path.open("rb") as stream, np.load(stream, allow_pickle=False) as file:
            return {key: file[key] for key in file.files if not key.endswith(unwanted)}
    except (AttributeError, TypeError) as error:
        raise ValueError(f"{path} holds one bare array; an .npz with named arrays is needed.") from error
    except (ValueError, OSError, EOFError, KeyError, zipfile.BadZipFile) as error:
        raise ValueError(f"{path} cannot be read: {error}. Expected a whole .npz of plain arrays.") from error


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
