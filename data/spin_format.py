"""SPIN's dataset files: one .npz per data set, one row per person (Kolotouros et al. 2019; keys in docs/spin.md)."""

import logging
from pathlib import Path
from typing import Any

import numpy as np

from fitloop.body.files import whole_file
from fitloop.body.keypoints import SPIN_24
from fitloop.data.archives import floats, read_arrays
from fitloop.data.spin_dataset import KEYS, check_shapes
from fitloop.data.spin_dataset import SpinDataset as SpinDataset
from fitloop.data.spin_fields import POSE_SIZE as POSE_SIZE
from fitloop.data.spin_fields import SHAPE_SIZE as SHAPE_SIZE
from fitloop.data.spin_fields import betas_of, genders_of, joints_of, photo_names, pose_of, text_rows
from fitloop.data.spin_sanity import sane

_BODY = "body"

_logger = logging.getLogger(__name__)


def read_spin(path: str | Path, allow_duplicates: bool = False) -> SpinDataset:
    """Read a data set in SPIN's format.

    Args:
        path: The .npz file; its name without the ending names the data set.
        allow_duplicates: Accept people that are in the file twice, with a warning.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If the file is truncated, lacks a key, holds objects, wrong shapes or impossible numbers, or
            a person twice.
    """
    path = Path(path)
    arrays = _read_arrays(path)
    missing = [key for key in ("imgname", "center", "scale") if key not in arrays]
    if missing:
        raise ValueError(
            f"{path} has no {', '.join(missing)}; it has {', '.join(sorted(arrays))}. Is it SPIN's format?"
        )
    unused = sorted(set(arrays) - {*KEYS.values(), _BODY})
    if unused:
        _logger.info("%s: keys that SPIN's format does not have are left out: %s.", path, ", ".join(unused))
    values = {field: _field(path, key, arrays[key]) for field, key in KEYS.items() if key in arrays}
    names = values["image_names"]
    values.setdefault("keypoints", np.zeros((len(names), len(SPIN_24), 3), np.float32))
    if set(values.get("genders", ())) == {"n"}:
        del values["genders"]
    if "pose" in values and "betas" in values:
        # SPIN takes a file without has_smpl to know everybody's parameters.
        known = values.pop("has_params", np.ones(len(names), np.float32))
        values["has_params"] = known.astype(bool)
    else:
        for field in ("pose", "betas", "has_params"):
            values.pop(field, None)
    check_shapes(path.stem, values)
    dataset = sane(SpinDataset(path.stem, **values, body=str(arrays.get(_BODY, "smpl"))))
    _check_duplicates(dataset, allow_duplicates)
    return dataset


def _read_arrays(path: Path) -> dict[str, np.ndarray]:
    if not path.is_file():
        raise FileNotFoundError(f"There is no data set {path}; make it with fitloop prepare.")
    try:
        return read_arrays(path, known={*KEYS.values(), _BODY})
    except ValueError as error:
        told = str(error).removeprefix(f"{path} cannot be read: ")
        raise ValueError(f"{path} cannot be read as SPIN's format: {told}") from error


def _field(path: Path, key: str, value: np.ndarray) -> Any:
    match key:
        case "imgname":
            return photo_names(value)
        case "maskname" | "partname":
            return text_rows(value)
        case "gender":
            return genders_of(path.stem, value)
        case "pose":
            return pose_of(path, value)
        case "shape":
            betas, told = betas_of(path, value)
            if told:
                _logger.warning("%s: %s.", path, told)
            return betas
        case "S":
            return joints_of(path, value)
    numbers = floats(path, key, value)
    column = key in ("scale", "has_smpl") and numbers.ndim == 2 and numbers.shape[1] == 1
    return numbers.reshape(-1) if column else numbers


def _check_duplicates(dataset: SpinDataset, allowed: bool) -> None:
    places = np.concatenate([dataset.centers, dataset.scales[:, None], dataset.keypoints.reshape(len(dataset), -1)], 1)
    seen: dict[tuple[str, bytes], int] = {}
    for row, name in enumerate(dataset.image_names):
        first = seen.setdefault((name, places[row].tobytes()), row)
        if first == row:
            continue
        told = f"{dataset.name}: rows {first} and {row} are the same person of {name!r}"
        if not allowed:
            raise ValueError(f"{told}; remove one, or allow duplicates if the file must stay as it is.")
        _logger.warning("%s; duplicates were allowed.", told)
        return


def write_spin(dataset: SpinDataset, path: str | Path) -> None:
    """Write a data set in SPIN's format, whole or not at all.

    Args:
        dataset: What to write; keys that it lacks are left out.
        path: The .npz file.
    """
    arrays: dict[str, np.ndarray] = {}
    for field, key in KEYS.items():
        value = getattr(dataset, field)
        if value is not None:
            arrays[key] = np.array(value) if isinstance(value, tuple) else value
    if "has_smpl" in arrays:
        arrays["has_smpl"] = arrays["has_smpl"].astype(np.float32)
    if dataset.body != "smpl":
        arrays[_BODY] = np.array(dataset.body)
    with whole_file(Path(path)) as temporary, temporary.open("wb") as file:
        np.savez(file, **arrays)  # pyright: ignore[reportArgumentType]
