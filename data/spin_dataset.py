"""People of a data set with what SPIN knows of each, checked.

A key that a file may lack is None here, never filled with zeros that look like data; confidence 0 is "not observed".
"""

from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np
import torch
from jaxtyping import Bool, Float

from fitloop.body import Detections
from fitloop.body.keypoints import BODY_25, SPIN_24, SPIN_49
from fitloop.data.spin_fields import POSE_SIZE, SHAPE_SIZE

BOX_MARGIN = 1.2
"""A crop is this much larger than the person's box (SPIN's scale factor)."""
SCALE_UNIT = 200.0
"""``scale`` is the side of the crop over this many pixels."""
LIMIT = 1e6
"""Pixels: a coordinate beyond it is no pixel of any photo."""


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
    """``m``, ``f``, or ``n`` where a person's is not known; None where nobody's is."""
    mask_names: tuple[str, ...] | None = None
    part_names: tuple[str, ...] | None = None
    photo_sizes: Float[np.ndarray, "people 2"] | None = None
    """Width and height of each person's photo, pixels. Ours: SPIN's readers pass over it."""
    body: str = "smpl"
    """Name, or family, of the body that pose and betas belong to. Ours; SPIN's files are of SMPL."""

    def __post_init__(self) -> None:
        """Refuse shapes that disagree and numbers that cannot be."""
        known = {field: getattr(self, field) for field in KEYS}
        check_shapes(self.name, {field: value for field, value in known.items() if value is not None})
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


KEYS = {
    **{"image_names": "imgname", "centers": "center", "scales": "scale", "keypoints": "part", "openpose": "openpose"},
    **{"joints_3d": "S", "pose": "pose", "betas": "shape", "has_params": "has_smpl", "genders": "gender"},
    **{"mask_names": "maskname", "part_names": "partname", "photo_sizes": "imgsize"},
}
WIDTHS = {
    **{"centers": (2,), "scales": (), "keypoints": (len(SPIN_24), 3), "openpose": (len(BODY_25), 3)},
    **{
        "joints_3d": (len(SPIN_24), 4),
        "pose": (POSE_SIZE,),
        "betas": (SHAPE_SIZE,),
        "has_params": (),
        "photo_sizes": (2,),
    },
}


def check_shapes(name: str, values: dict[str, Any]) -> None:
    people = len(values["image_names"])
    if people == 0:
        raise ValueError(f"The data set {name!r} is empty; it needs at least one person.")
    for field, value in values.items():
        expected = (people, *WIDTHS.get(field, ()))
        found = value.shape if isinstance(value, np.ndarray) else (len(value),)
        if found != expected:
            raise ValueError(
                f"{name}: {KEYS[field]} has shape {found}, expected {expected}: there are {people} image names."
            )


def _check_values(dataset: SpinDataset) -> None:
    for field in WIDTHS:
        value = getattr(dataset, field)
        if value is not None and not np.isfinite(value).all():
            row = int(np.flatnonzero(~np.isfinite(value).reshape(len(value), -1).all(1))[0])
            raise ValueError(f"{dataset.name}: {KEYS[field]} of row {row} holds numbers that are not finite.")
    if dataset.scales.min() <= 0:
        row = int(dataset.scales.argmin())
        raise ValueError(f"{dataset.name}: scale of row {row} is {dataset.scales[row]}; it must be positive.")
    _check_points(dataset, "keypoints", dataset.keypoints)
    if dataset.openpose is not None:
        _check_points(dataset, "openpose", dataset.openpose)
    unknown = sorted(set(dataset.genders or ()) - {"m", "f", "n"})
    if unknown:
        raise ValueError(f"{dataset.name}: gender must be 'm' or 'f' (or 'n'), got {unknown}.")


def _check_points(dataset: SpinDataset, field: str, points: np.ndarray) -> None:
    if points[..., 2].min() < 0:
        raise ValueError(f"{dataset.name}: a confidence of {KEYS[field]} is negative; 0 is 'not observed'.")
    # Unobserved points may hold anything; some files have -1 or 1e10 there.
    wild = ((np.abs(points[..., :2]).max(-1) > LIMIT) & (points[..., 2] > 0)).any(1)
    if wild.any():
        row = int(np.flatnonzero(wild)[0])
        raise ValueError(f"{dataset.name}: {KEYS[field]} of row {row} lies {LIMIT:.0f} pixels off the photo.")
