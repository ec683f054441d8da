"""Fields of SPIN's files in the forms that people write them, brought to the one that SPIN reads."""

import re
from pathlib import Path

import numpy as np
import torch

from fitloop.data.archives import floats, words
from fitloop.geometry import rotmat_to_rotvec

POSE_SIZE, SHAPE_SIZE = 72, 10
ROTATION_SLACK = 1e-2
"""How far R R^T may be from the identity; a matrix that is further off is no rotation."""
_GENDERS = {
    **dict.fromkeys(("m", "male", "man", "0", "0.0"), "m"),
    **dict.fromkeys(("f", "female", "woman", "1", "1.0"), "f"),
    **dict.fromkeys(("n", "neutral", "none", "unknown", "", "2", "2.0", "-1", "-1.0"), "n"),
}
"""SPIN's own reader numbers men 0, women 1, and -1 where a file does not say; 2 is neutral to those who followed it."""
_OTHER_POSES = {
    69: "SMPL's joints without the root: put the root's three numbers in front",
    63: "the body joints of SMPL-X without root and hands: put the root in front and six zeros behind",
    144: "6D rotations, whose two layouts cannot be told apart: convert them to axis-angle",
    156: "SMPL-H: keep the first 66 numbers and put six zeros behind",
    165: "SMPL-X: keep the first 66 numbers and put six zeros behind",
}


def text_rows(array: np.ndarray) -> tuple[str, ...]:
    """Text of each row; ``b'...'`` around it, which ``str`` leaves of bytes, is taken off."""
    return tuple(re.sub(r"^b(['\"])(.*)\1$", r"\2", word) for word in words(array))


def photo_names(array: np.ndarray) -> tuple[str, ...]:
    """Paths of photos with forward slashes."""
    return tuple(name.replace("\\", "/") for name in text_rows(array))


def genders_of(name: str, array: np.ndarray) -> tuple[str, ...]:
    """``m``, ``f`` or ``n`` (neutral, or not known) of letters, words or numbers.

    Raises:
        ValueError: If one is none of them; names it.
    """
    found = [_GENDERS.get(word.strip().lower()) for word in text_rows(array)]
    unknown = sorted({word for word, gender in zip(text_rows(array), found, strict=True) if gender is None})
    if unknown:
        raise ValueError(
            f"{name}: gender must be 'm' or 'f', got {unknown[:5]}. Known: {', '.join(key for key in _GENDERS if key)}."
        )
    return tuple(gender for gender in found if gender is not None)


def pose_of(path: Path, array: np.ndarray) -> np.ndarray:
    """Axis-angle vectors (rows, 72) of the same, or of rotation matrices (rows, 24, 3, 3) or (rows, 216).

    Raises:
        ValueError: If it is of another kind; says which and what to do.
    """
    pose = floats(path, "pose", array)
    rows = len(pose) if pose.ndim else 0
    if not rows or pose.ndim < 2:
        return pose
    flat = pose.reshape(rows, -1)
    # Nine numbers a joint can be nothing but a matrix, which says how it turns without a doubt.
    if flat.shape[1] == 3 * POSE_SIZE:
        return _of_matrices(path, flat.reshape(rows, -1, 3, 3))
    if flat.shape[1] in _OTHER_POSES:
        hint = _OTHER_POSES[flat.shape[1]]
        raise ValueError(
            f"{path}: pose has shape {pose.shape}, expected ({rows}, {POSE_SIZE}) or ({rows}, 24, 3, 3); "
            f"{flat.shape[1]} numbers may be {hint}."
        )
    return flat if flat.shape[1] == POSE_SIZE else pose


def _of_matrices(path: Path, matrices: np.ndarray) -> np.ndarray:
    rotations = torch.from_numpy(matrices).to(torch.float64)
    off = (rotations @ rotations.mT - torch.eye(3, dtype=torch.float64)).abs().amax((1, 2, 3))
    # A reflection is orthogonal too; only its determinant gives it away.
    wrong = ~(off <= ROTATION_SLACK) | ~(torch.linalg.det(rotations) > 0).all(1)
    if wrong.any():
        row = int(wrong.nonzero()[0, 0])
        raise ValueError(
            f"{path}: pose of row {row} is {matrices.shape[1:]} numbers, but no rotation matrices. Give axis-angle "
            f"(rows, {POSE_SIZE}) in radians, or proper rotations."
        )
    return rotmat_to_rotvec(rotations).reshape(len(matrices), POSE_SIZE).numpy().astype(np.float32)


def betas_of(path: Path, array: np.ndarray) -> tuple[np.ndarray, str | None]:
    """The first ten shape coefficients, and what was left out of longer ones.

    SMPL orders its coefficients by weight, so that ten of three hundred are the same ten; an eleventh alone is another
    thing, such as the share of a child's body in AGORA's files.
    """
    betas = floats(path, "shape", array)
    if betas.ndim != 2 or betas.shape[1] <= SHAPE_SIZE:
        return betas, None
    rest = betas[:, SHAPE_SIZE:]
    told = f"shape has {betas.shape[1]} coefficients, of which the first {SHAPE_SIZE} are read"
    lost = int(np.count_nonzero(np.abs(np.nan_to_num(rest)).max(1)))
    return betas[:, :SHAPE_SIZE], f"{told}; the others are not 0 for {lost} people" if lost else told


def joints_of(path: Path, array: np.ndarray) -> np.ndarray:
    """3D joints with a confidence behind x, y, z: 1 where the file has none, 0 where a joint is not finite."""
    joints = floats(path, "S", array)
    if joints.ndim != 3 or joints.shape[-1] not in (3, 4):
        return joints
    known = np.asarray(np.isfinite(joints).all(-1))
    sure = joints[..., 3] if joints.shape[-1] == 4 else np.ones(joints.shape[:-1], np.float32)
    points = np.where(known[..., None], joints[..., :3], 0.0)
    return np.concatenate([points, np.where(known, sure, 0.0)[..., None]], -1).astype(np.float32)
