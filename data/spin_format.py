"""SPIN's dataset files: one .npz per data set, one row per person (Kolotouros et al. 2019; keys in docs/spin.md).

A key that a file may lack is None here, never filled with zeros that look like data; confidence 0 is "not observed".
"""

import logging
import zipfile
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Bool, Float

from fitloop.body import Detections
from fitloop.body.files import whole_file
from fitloop.body.keypoints import BODY_25, SPIN_24, SPIN_49

BOX_MARGIN = 1.2
"""A crop is this much larger than the person's box (SPIN's scale factor)."""
SCALE_UNIT = 200.0
"""``scale`` is the side of the crop over this many pixels."""
POSE_SIZE, SHAPE_SIZE = 72, 10
LIMIT = 1e6
"""Pixels: a coordinate beyond it is no pixel of any photo."""

_logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class SpinDataset:
    """People of one data set."""

    name: str
    image_names: tuple[str, ...]
    """Path of each person's photo below the data set's folder, with forward slashes."""
    centers: Float[np.ndarray, "people 2"]
    """Middle of the crop, full-image pixels."""
    scales: Float[np.ndarray, "people"]
    """Side of the crop over 200 pixels; the crop is 1.2 times the person's box."""
    keypoints: Float[np.ndarray, "people 24 3"]
    """x, y, confidence of `SPIN_24` in full-image pixels."""
    openpose: Float[np.ndarray, "people 25 3"] | None = None
    """x, y, confidence of OpenPose's BODY_25."""
    joints_3d: Float[np.ndarray, "people 24 4"] | None = None
    """x, y, z in metres, camera axes, relative to the pelvis, and confidence."""
    pose: Float[np.ndarray, "people 72"] | None = None
    """SMPL's axis-angle, radians, camera frame."""
    betas: Float[np.ndarray, "people 10"] | None = None
    """SMPL's shape coefficients."""
    has_params: Bool[np.ndarray, "people"] | None = None
    """Where pose and betas are the truth; None if there are none."""
    genders: tuple[str, ...] | None = None
    """``m`` or ``f``."""
    mask_names: tuple[str, ...] | None = None
    part_names: tuple[str, ...] | None = None
    photo_sizes: Float[np.ndarray, "people 2"] | None = None
    """Width and height of each person's photo, pixels. Ours: SPIN's readers pass over it."""
    body: str = "smpl"
    """Name, or family, of the body that pose and betas belong to. Ours; SPIN's files are of SMPL."""

    def __post_init__(self) -> None:
        """Refuse shapes that disagree and numbers that cannot be."""
        known = {field: getattr(self, field) for field in _KEYS}
        _check_shapes(self.name, {field: value for field, value in known.items() if value is not None})
        if (self.pose is None) != (self.betas is None) or (self.pose is None) != (self.has_params is None):
            raise ValueError(f"{self.name}: pose, shape and has_smpl must be given together or not at all.")
        _check_values(self)

    def __len__(self) -> int:
        return len(self.image_names)

    def take(self, rows: np.ndarray) -> "SpinDataset":
        """Keep only some people.

        Args:
            rows: Boolean mask or indices.
        """
        index = np.arange(len(self))[rows]
        changed = {}
        for field in fields(self):
            value = getattr(self, field.name)
            if isinstance(value, np.ndarray):
                changed[field.name] = value[index]
            elif isinstance(value, tuple):
                changed[field.name] = tuple(value[i] for i in index)
        return replace(self, **changed)

    @property
    def boxes(self) -> Float[np.ndarray, "people 4"]:
        """X y x y around each person, without the crop's margin."""
        half = self.scales[:, None] * SCALE_UNIT / BOX_MARGIN / 2.0
        return np.concatenate([self.centers - half, self.centers + half], 1).astype(np.float32)

    def detections(self, with_openpose: bool = True) -> Detections:
        """Keypoints of everybody as `SPIN_49`: OpenPose's 25 (confidence 0 where there are none), then the 24.

        Args:
            with_openpose: Off, the annotated `SPIN_24` alone.
        """
        found = np.zeros((len(self), len(BODY_25), 3), np.float32) if self.openpose is None else self.openpose
        points = torch.from_numpy(np.concatenate([found, self.keypoints], 1) if with_openpose else self.keypoints)
        name = SPIN_49.name if with_openpose else SPIN_24.name
        return Detections(points[..., :2], points[..., 2], torch.from_numpy(self.boxes), name)


_KEYS = {
    **{"image_names": "imgname", "centers": "center", "scales": "scale", "keypoints": "part", "openpose": "openpose"},
    **{"joints_3d": "S", "pose": "pose", "betas": "shape", "has_params": "has_smpl", "genders": "gender"},
    **{"mask_names": "maskname", "part_names": "partname", "photo_sizes": "imgsize"},
}
_WIDTHS = {
    **{"centers": (2,), "scales": (), "keypoints": (len(SPIN_24), 3), "openpose": (len(BODY_25), 3)},
    **{
        "joints_3d": (len(SPIN_24), 4),
        "pose": (POSE_SIZE,),
        "betas": (SHAPE_SIZE,),
        "has_params": (),
        "photo_sizes": (2,),
    },
}
_BODY = "body"


def _check_shapes(name: str, values: dict[str, Any]) -> None:
    people = len(values["image_names"])
    if people == 0:
        raise ValueError(f"The data set {name!r} is empty; it needs at least one person.")
    for field, value in values.items():
        expected = (people, *_WIDTHS.get(field, ()))
        found = value.shape if isinstance(value, np.ndarray) else (len(value),)
        if found != expected:
            raise ValueError(
                f"{name}: {_KEYS[field]} has shape {found}, expected {expected}: there are {people} image names."
            )


def _check_values(dataset: SpinDataset) -> None:
    for field in _WIDTHS:
        value = getattr(dataset, field)
        if value is not None and not np.isfinite(value).all():
            row = int(np.flatnonzero(~np.isfinite(value).reshape(len(value), -1).all(1))[0])
            raise ValueError(f"{dataset.name}: {_KEYS[field]} of row {row} holds numbers that are not finite.")
    if dataset.scales.min() <= 0:
        row = int(dataset.scales.argmin())
        raise ValueError(f"{dataset.name}: scale of row {row} is {dataset.scales[row]}; it must be positive.")
    _check_points(dataset, "keypoints", dataset.keypoints)
    if dataset.openpose is not None:
        _check_points(dataset, "openpose", dataset.openpose)
    unknown = sorted(set(dataset.genders or ()) - {"m", "f"})
    if unknown:
        raise ValueError(f"{dataset.name}: gender must be 'm' or 'f', got {unknown}.")


def _check_points(dataset: SpinDataset, field: str, points: np.ndarray) -> None:
    if points[..., 2].min() < 0:
        raise ValueError(f"{dataset.name}: a confidence of {_KEYS[field]} is negative; 0 is 'not observed'.")
    wild = ((np.abs(points[..., :2]).max(-1) > LIMIT) & (points[..., 2] > 0)).any(1)
    if wild.any():
        row = int(np.flatnonzero(wild)[0])
        raise ValueError(f"{dataset.name}: {_KEYS[field]} of row {row} lies {LIMIT:.0f} pixels off the photo.")


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
    unused = sorted(set(arrays) - {*_KEYS.values(), _BODY})
    if unused:
        _logger.info("%s: keys that SPIN's format does not have are left out: %s.", path, ", ".join(unused))
    names = tuple(str(name).replace("\\", "/") for name in arrays["imgname"].ravel())
    values: dict[str, Any] = {"image_names": names}
    for field, key in _KEYS.items():
        if key in arrays and field != "image_names":
            value = arrays[key]
            values[field] = (
                _floats(path, key, value) if field in _WIDTHS else tuple(str(entry) for entry in value.ravel())
            )
    values.setdefault("keypoints", np.zeros((len(names), len(SPIN_24), 3), np.float32))
    if "pose" in values and "betas" in values:
        # SPIN takes a file without has_smpl to know everybody's parameters.
        known = values.pop("has_params", np.ones(len(names), np.float32))
        values["has_params"] = known.astype(bool)
    else:
        for field in ("pose", "betas", "has_params"):
            values.pop(field, None)
    _check_shapes(path.stem, values)
    dataset = SpinDataset(path.stem, **values, body=str(arrays.get(_BODY, "smpl")))
    _check_duplicates(dataset, allow_duplicates)
    return dataset


def _read_arrays(path: Path) -> dict[str, np.ndarray]:
    if not path.is_file():
        raise FileNotFoundError(f"There is no data set {path}; make it with fitloop prepare.")
    try:
        with path.open("rb") as raw, np.load(raw, allow_pickle=False) as file:
            if isinstance(file, np.ndarray):
                raise ValueError("it holds one array, not an archive of named ones")
            return {key: file[key] for key in file.files}
    except (ValueError, OSError, EOFError, KeyError, zipfile.BadZipFile, zipfile.zlib.error) as error:  # pyright: ignore[reportAttributeAccessIssue]
        raise ValueError(
            f"{path} cannot be read as SPIN's format: {error}. Expected an .npz of plain arrays; is the file whole?"
        ) from error


def _floats(path: Path, key: str, value: np.ndarray) -> np.ndarray:
    if value.dtype.kind not in "biuf":
        raise ValueError(f"{path}: {key} holds {value.dtype} instead of numbers.")
    value = value.astype(np.float32)
    return value.reshape(-1) if key in ("scale", "has_smpl") and value.ndim == 2 and value.shape[1] == 1 else value


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
    for field, key in _KEYS.items():
        value = getattr(dataset, field)
        if value is not None:
            arrays[key] = np.array(value) if isinstance(value, tuple) else value
    if "has_smpl" in arrays:
        arrays["has_smpl"] = arrays["has_smpl"].astype(np.float32)
    if dataset.body != "smpl":
        arrays[_BODY] = np.array(dataset.body)
    with whole_file(Path(path)) as temporary, temporary.open("wb") as file:
        np.savez(file, **arrays)  # pyright: ignore[reportArgumentType]
