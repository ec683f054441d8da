"""Rows of people, as a truth file or a results file holds them: whatever is known of each, and nothing made up."""

from dataclasses import dataclass, field, replace

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from fitloop.body import BodyParams
from fitloop.geometry import Camera


@dataclass(frozen=True)
class Joints3D:
    """Named 3D points of each person, in metres and camera axes; only differences count."""

    points: Float[Tensor, "people joints 3"]
    confidence: Float[Tensor, "people joints"]
    """0 where there is none; the coordinates are then 0."""
    convention: str
    """Name in `fitloop.body.keypoints.CONVENTIONS`, or of a protocol's own list."""
    centred: bool = False
    """The points are relative to the protocol's root already."""


@dataclass(frozen=True)
class Keypoints2D:
    """Named 2D points of each person in full-image pixels."""

    points: Float[Tensor, "people keypoints 2"]
    confidence: Float[Tensor, "people keypoints"]
    """0 where a keypoint is not observed or annotated."""
    convention: str


@dataclass(frozen=True)
class ScoredPeople:
    """People of one or more photos, one row each; None where a file does not say."""

    photos: tuple[str, ...] | None
    """Photo of each row, a path with forward slashes; None where rows follow the order of the truth."""
    persons: tuple[str, ...] | None = None
    """Name of each person within its photo."""
    count: int = 0
    body: str | None = None
    """Name of the body of `params`."""
    params: BodyParams | None = None
    camera: Camera | None = None
    joints: Joints3D | None = None
    keypoints: Keypoints2D | None = None
    boxes: Float[Tensor, "people 4"] | None = None
    """x y x y in full-image pixels."""
    labels: dict[str, tuple[str, ...]] = field(default_factory=dict)
    """Words per row, such as ``grade``, ``gender``, ``status``, ``mask``."""
    values: dict[str, np.ndarray] = field(default_factory=dict)
    """Numbers per row, such as ``energy``, ``image_size`` (height, width; 0 where unknown), ``frame``."""
    outlines: tuple[tuple[tuple[float, ...], ...], ...] | None = None
    """Polygons of each person's mask, x y x y ... in full-image pixels; empty where there is no mask."""
    notices: tuple[str, ...] = ()
    """What the reader left out of the file, or took for something else."""

    def __len__(self) -> int:
        return self.count

    def take(self, rows: np.ndarray) -> "ScoredPeople":
        """Choose rows, in the order given."""
        index = torch.from_numpy(np.asarray(rows, np.int64))
        words = {key: tuple(value[row] for row in rows) for key, value in self.labels.items()}
        return replace(
            self,
            count=len(index),
            photos=None if self.photos is None else tuple(self.photos[row] for row in rows),
            persons=None if self.persons is None else tuple(self.persons[row] for row in rows),
            params=None if self.params is None else self.params[index],
            camera=None if self.camera is None else self.camera[index],
            joints=None if self.joints is None else _take_joints(self.joints, index),
            keypoints=None if self.keypoints is None else _take_keypoints(self.keypoints, index),
            boxes=None if self.boxes is None else self.boxes[index],
            labels=words,
            values={key: value[index.numpy()] for key, value in self.values.items()},
            outlines=None if self.outlines is None else tuple(self.outlines[row] for row in rows),
        )


def _take_joints(joints: Joints3D, index: Tensor) -> Joints3D:
    return replace(joints, points=joints.points[index], confidence=joints.confidence[index])


def _take_keypoints(keypoints: Keypoints2D, index: Tensor) -> Keypoints2D:
    return replace(keypoints, points=keypoints.points[index], confidence=keypoints.confidence[index])


def clean_points(array: np.ndarray, dimensions: int) -> tuple[Tensor, Tensor]:
    """Split points from their confidence; what is not finite gets confidence 0 and coordinates 0.

    Args:
        array: (..., dimensions) or, with a confidence behind the coordinates, (..., dimensions + 1).
        dimensions: 2 or 3.

    Raises:
        ValueError: If the last axis is neither.
    """
    if array.ndim < 2 or array.shape[-1] not in (dimensions, dimensions + 1):
        raise ValueError(
            f"Points of shape {array.shape} are not {dimensions}D: the last axis must be {dimensions}, "
            f"or {dimensions + 1} with a confidence."
        )
    if array.dtype.kind not in "biuf":
        raise ValueError(f"Points must be numbers, got {array.dtype}.")
    with np.errstate(over="ignore", invalid="ignore"):  # What overflows is infinite, and so not observed.
        array = array.astype(np.float32)
    points = array[..., :dimensions]
    confidence = np.ones(points.shape[:-1], np.float32)
    if array.shape[-1] == dimensions + 1:
        confidence = array[..., dimensions]
    known = np.isfinite(points).all(-1) & np.isfinite(confidence) & (confidence > 0)
    return (
        torch.from_numpy(np.where(known[..., None], points, 0.0).astype(np.float32)),
        torch.from_numpy(np.where(known, confidence, 0.0).astype(np.float32)),
    )


def usable(people: ScoredPeople) -> np.ndarray:
    """Whether each row holds finite numbers and something to score."""
    # Parameters decide where there are any: joints and keypoints beside them are evidence, not the result.
    if people.params is not None:
        params = people.params
        parts = (params.global_orient, params.body_pose, params.betas, params.transl)
        finite = torch.stack([torch.isfinite(part).flatten(1).all(-1) for part in parts]).all(0)
        return finite.numpy()
    known = torch.zeros(len(people), dtype=torch.bool)
    for points in (people.joints, people.keypoints):
        if points is not None:
            known |= (points.confidence > 0).any(-1)
    return known.numpy()
