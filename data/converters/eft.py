"""EFT's released fits (Joo et al. 2021): SMPL parameters of people in COCO, MPII, LSP-extended and others, as JSON."""

import logging
from pathlib import Path
from typing import Any

import numpy as np

from fitloop.body.documents import read_document
from fitloop.body.keypoints import BODY_25, SPIN_49
from fitloop.data.converters.people import Person, gather, need
from fitloop.data.spin_dataset import SpinDataset
from fitloop.data.spin_fields import SHAPE_SIZE, pose_of

NEEDED = ("parm_pose", "parm_shape", "bbox_scale", "bbox_center", "imageName")

_logger = logging.getLogger(__name__)


def convert_eft(path: Path, prefix: str = "") -> SpinDataset:
    """Convert a file of fits: ``{"ver": ..., "data": [...]}``.

    The fits are taken as the truth of pose and shape. Keypoints are read where the file has them (``gt_keypoint_2d``,
    49 in full-image pixels); early releases have none.

    Args:
        path: The JSON file.
        prefix: Folder to put before each photo's name, for example ``train2014/``: the file has bare names.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If it is truncated or not EFT's.
    """
    content = read_document(need(path, "EFT's fits"))
    if not isinstance(content, dict) or not isinstance(content.get("data"), list):
        raise ValueError(f"{path} has no list 'data'; is it a file of EFT's fits?")
    entries = [entry for entry in content["data"] if isinstance(entry, dict)]
    ours = [entry for entry in entries if entry.get("smpltype", "smpl") == "smpl"]
    if len(ours) < len(content["data"]):
        _logger.warning("%s: %d fits of other bodies left out.", path, len(content["data"]) - len(ours))
    people, broken = [], []
    for number, entry in enumerate(ours):
        try:
            people.append(_person(path, number, entry, prefix))
        except ValueError as error:
            broken.append(error)
    if broken and not people:
        raise broken[0]
    if broken:
        _logger.warning("%d fits cannot be used and are left out, first: %s", len(broken), broken[0])
    return gather(path.stem, people)


def _person(path: Path, number: int, entry: dict[str, Any], prefix: str) -> Person:
    missing = [key for key in NEEDED if key not in entry]
    if missing:
        raise ValueError(f"{path}: fit {number} has no {', '.join(missing)}; it has {', '.join(sorted(entry))}.")
    points = entry.get("gt_keypoint_2d")
    found = {
        "pose": _numbers(entry["parm_pose"]),
        "shape": _numbers(entry["parm_shape"]),
        "keypoints": np.zeros((len(SPIN_49), 3)) if points is None else _numbers(points),
        "center": _numbers(entry["bbox_center"]),
        "scale": _numbers(entry["bbox_scale"]),
    }
    shapes = tuple(values.shape for values in found.values())
    expected = ((24, 3, 3), (SHAPE_SIZE,), (len(SPIN_49), 3), (2,), ())
    if shapes != expected:
        raise ValueError(
            f"{path}: fit {number} has pose, shape and keypoints of {shapes[:3]}, center and scale of {shapes[3:]}; "
            f"expected {expected}."
        )
    return Person(
        prefix + str(entry["imageName"]).replace("\\", "/"),
        found["center"],
        float(found["scale"]),
        found["keypoints"][len(BODY_25) :],
        openpose=found["keypoints"][: len(BODY_25)],
        pose=pose_of(path, found["pose"][None])[0],
        betas=found["shape"],
    )


def _numbers(value: Any) -> np.ndarray:
    """Numbers of a JSON value; an empty array, which fits no shape, for anything else."""
    try:
        numbers = np.array(value, np.float64)
    except (TypeError, ValueError, OverflowError):
        return np.zeros(0)
    return numbers if np.isfinite(numbers).all() else np.zeros(0)
