"""Rows of a data set while it is being converted."""

import zipfile
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float

from fitloop.body.keypoints import SPIN_24
from fitloop.data.spin_dataset import BOX_MARGIN, SCALE_UNIT, SpinDataset


@dataclass(frozen=True)
class Person:
    """One row to be; what the source does not say is None."""

    image_name: str
    center: Float[np.ndarray, "2"]
    scale: float
    keypoints: Float[np.ndarray, "24 3"]
    openpose: Float[np.ndarray, "25 3"] | None = None
    joints_3d: Float[np.ndarray, "24 4"] | None = None
    pose: Float[np.ndarray, "72"] | None = None
    betas: Float[np.ndarray, "10"] | None = None
    gender: str | None = None


def gather(name: str, people: Iterable[Person]) -> SpinDataset:
    """Make a data set of people who all know the same kinds of things.

    Raises:
        ValueError: If there is nobody.
    """
    rows = list(people)
    if not rows:
        raise ValueError(f"No person of {name} could be used; is it the right folder and split?")

    def stack(field: str) -> np.ndarray | None:
        values = [getattr(row, field) for row in rows]
        return None if values[0] is None else np.stack(values).astype(np.float32)

    pose = stack("pose")
    return SpinDataset(
        name,
        tuple(row.image_name for row in rows),
        np.stack([row.center for row in rows]).astype(np.float32),
        np.array([row.scale for row in rows], np.float32),
        np.stack([row.keypoints for row in rows]).astype(np.float32),
        openpose=stack("openpose"),
        joints_3d=stack("joints_3d"),
        pose=pose,
        betas=stack("betas"),
        has_params=None if pose is None else np.ones(len(rows), bool),
        genders=None if rows[0].gender is None else tuple(str(row.gender) for row in rows),
    )


def to_spin24(points: Float[np.ndarray, "*batch points numbers"], names: tuple[str | None, ...]) -> np.ndarray:
    """Put named points into the order of `SPIN_24`; what it has no name for is dropped, the rest is 0.

    Args:
        points: In the order of ``names``; the last number is a confidence.
        names: What `SPIN_24` calls each point, or None.
    """
    table = np.zeros((*points.shape[:-2], len(SPIN_24), points.shape[-1]), np.float32)
    for column, name in enumerate(names):
        if name is not None:
            table[..., SPIN_24.index(name), :] = points[..., column, :]
    return table


def crop_of_points(points: Float[np.ndarray, "points 2"]) -> tuple[np.ndarray, float]:
    """Center and scale of SPIN's crop around points: 1.2 times the longer side of their box."""
    low, high = points.min(0), points.max(0)
    return (low + high) / 2.0, float(max(BOX_MARGIN * (high - low).max(), 1.0) / SCALE_UNIT)


def crop_of_xyxy(box: Float[np.ndarray, "4"]) -> tuple[np.ndarray, float]:
    """Center and scale of SPIN's crop around a box, x y x y."""
    size = float((box[2:] - box[:2]).max())
    return (box[:2] + box[2:]) / 2.0, max(BOX_MARGIN * size, 1.0) / SCALE_UNIT


def need(path: Path, what: str) -> Path:
    """Return a path that exists.

    Raises:
        FileNotFoundError: If it does not; says what was looked for.
    """
    if not path.exists():
        raise FileNotFoundError(f"{path} is missing: {what}. Give the folder as its authors distribute it.")
    return path


def read_mat(path: Path, key: str, what: str) -> Any:
    """Read one variable of a MATLAB file (before version 7.3).

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If it is damaged or has no such variable.
    """
    from scipy.io import loadmat
    from scipy.io.matlab import MatReadError

    need(path, what)
    try:
        content = loadmat(str(path), squeeze_me=True, struct_as_record=False)
    except (MatReadError, ValueError, TypeError, OSError, EOFError, NotImplementedError, zipfile.zlib.error) as error:  # pyright: ignore[reportAttributeAccessIssue]
        raise ValueError(f"{path} cannot be read as a MATLAB file ({error}); is the download whole?") from error
    if key not in content:
        raise ValueError(f"{path} has no variable {key!r}; it has {sorted(k for k in content if k[:2] != '__')}.")
    return content[key]


def read_hdf5(path: Path, keys: tuple[str, ...], what: str) -> dict[str, np.ndarray]:
    """Read variables of an HDF5 file, or of a MATLAB file of version 7.3, with axes in C order.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If it is damaged, lacks a variable, or ``h5py`` is not installed.
    """
    need(path, what)
    try:
        import h5py
    except ImportError as error:
        raise ValueError(f"Reading {path} needs the package h5py: pip install h5py.") from error
    try:
        with h5py.File(path, "r") as file:
            missing = [key for key in keys if key not in file]
            if missing:
                raise ValueError(f"{path} has no {', '.join(missing)}; it has {', '.join(file)}.")
            return {key: np.asarray(file[key]) for key in keys}
    except OSError as error:
        raise ValueError(f"{path} cannot be read as HDF5 ({error}); is the download whole?") from error
