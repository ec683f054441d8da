"""Bodies as the plain arrays of files: names of the keys, and the way back to records."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import torch

from fitloop.body import JOINT_NAMES, BodyParams
from fitloop.data.human_ranges import doubt_betas, doubt_pose
from fitloop.data.spin_fields import POSE_SIZE, SHAPE_SIZE, betas_of, pose_of
from fitloop.geometry import Camera, rotvec_to_rotmat

PARAM_KEYS = ("global_orient", "body_pose", "betas", "transl")
CAMERA_KEYS = ("focal", "principal_point")
STAGE_PREFIXES = {"regressed": "regressed_", "tuned": "tuned_", "fitted": "", "refined": "refined_"}
"""How the arrays of each stage begin in a results file."""
NOT_FITTED = "not_fitted"
"""``status`` of everybody where fitting was switched off; arrays without a prefix then repeat the regressed ones."""
ROTATION_SLACK = 0.05
"""How far R R^T of a stored rotation may be from the identity: half precision stays a hundred times below."""
_SHAPES = {
    "global_orient": (3, 3),
    "body_pose": (len(JOINT_NAMES) - 1, 3, 3),
    "betas": (None,),
    "transl": (3,),
    "focal": (),
    "principal_point": (2,),
}


def bodies_of(arrays: Mapping[str, np.ndarray], prefix: str = "") -> tuple[BodyParams, Camera]:
    """Read parameters and cameras of one stage: camera frame, metres, pixels; docs/results_file.md lists the keys.

    Args:
        arrays: One row per person.
        prefix: How the stage's keys begin.
    """
    tensors = [torch.from_numpy(np.asarray(arrays[prefix + key])) for key in (*PARAM_KEYS, *CAMERA_KEYS)]
    return BodyParams(*tensors[: len(PARAM_KEYS)]), Camera(*tensors[len(PARAM_KEYS) :])


def check_bodies(source: str | Path, arrays: Mapping[str, np.ndarray], prefix: str = "") -> None:
    """Refuse arrays that are no bodies: other shapes, words, or matrices that do not rotate.

    Args:
        source: Named in the message.
        arrays: One row per person; keys that are missing are for others to miss.
        prefix: How the stage's keys begin.

    Raises:
        ValueError: Names the key, what it holds and what it should hold.
    """
    for key, shape in _SHAPES.items():
        value = arrays.get(prefix + key)
        if value is None:
            continue
        found = value.shape[1:]
        fits = len(found) == len(shape) and all(want in (None, got) for want, got in zip(shape, found, strict=True))
        if value.dtype.kind not in "iuf" or not value.ndim or not fits:
            expected = ", ".join("any" if side is None else str(side) for side in ("people", *shape))
            hint = _axis_angle_hint(key, found)
            raise ValueError(
                f"{source}: {prefix}{key} is {value.dtype} of shape {value.shape}, expected numbers of "
                f"({expected}){hint}."
            )
        if key in ("global_orient", "body_pose"):
            _check_rotations(source, prefix + key, value)


def _axis_angle_hint(key: str, found: tuple[int, ...]) -> str:
    rotations = key in ("global_orient", "body_pose")
    return ": rotation matrices, not axis-angle" if rotations and found[-1:] != (3,) or found == (3,) else ""


def _check_rotations(source: str | Path, key: str, value: np.ndarray) -> None:
    rest = tuple(range(1, value.ndim))
    finite = value[np.isfinite(value).all(rest)].astype(np.float64)
    with np.errstate(over="ignore", invalid="ignore"):  # What overflows is infinitely far off, and says so.
        product = finite @ np.swapaxes(finite, -1, -2)
    off = np.abs(np.nan_to_num(product, nan=np.inf) - np.eye(3)).max(rest, initial=0.0)
    # One person's broken matrices are a fault of that person alone, and are scored as they are.
    if len(off) and float(np.median(off)) > ROTATION_SLACK:
        raise ValueError(
            f"{source}: {key} holds matrices that are no rotations (R times its transpose is up to {off.max():.2g} off "
            "the identity). Store rotation matrices; from axis-angle make them with scipy's Rotation.from_rotvec."
        )


def params_of_smpl(path: Path, pose: np.ndarray, shape: np.ndarray) -> tuple[BodyParams, tuple[str, ...]]:
    """SMPL parameters of SPIN's files, without a place, and what was found strange about them.

    Args:
        path: Named in messages.
        pose: (rows, 72) axis-angle in radians, or rotation matrices.
        shape: (rows, 10) coefficients, or more of which the first ten are read.

    Raises:
        ValueError: If they have other shapes, or are no radians or coefficients of people.
    """
    vectors, (betas, told) = pose_of(path, pose), betas_of(path, shape)
    if vectors.shape[1:] != (POSE_SIZE,) or betas.shape[1:] != (SHAPE_SIZE,) or len(vectors) != len(betas):
        raise ValueError(
            f"{path}: pose and shape have shapes {pose.shape} and {shape.shape}, expected (rows, {POSE_SIZE}) and "
            f"(rows, {SHAPE_SIZE})."
        )
    finite = np.isfinite(vectors).all(1) & np.isfinite(betas).all(1)
    notices = [told] if told else []
    for doubt in (doubt_pose(vectors[finite]), doubt_betas(betas[finite])):
        if doubt is not None and doubt.grave:
            raise ValueError(f"{path}: {doubt.sentence}.")
        if doubt is not None:
            notices.append(f"of {int(doubt.rows.sum())} people {doubt.sentence}")
    rotations = rotvec_to_rotmat(torch.from_numpy(vectors.reshape(len(vectors), -1, 3)))
    params = BodyParams(rotations[:, 0], rotations[:, 1:], torch.from_numpy(betas), torch.zeros(len(betas), 3))
    return params, tuple(notices)
