"""EFT's released fits (Joo et al. 2021): SMPL parameters of people in COCO, MPII, LSP-extended and others, as JSON."""

import logging
from pathlib import Path
from typing import Any

import numpy as np
import torch

from fitloop.body.keypoints import BODY_25, SPIN_49
from fitloop.data.converters.coco import read_json
from fitloop.data.converters.people import Person, gather, need
from fitloop.data.spin_format import SHAPE_SIZE, SpinDataset
from fitloop.geometry import rotmat_to_rotvec

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
    content = read_json(need(path, "EFT's fits"))
    if not isinstance(content, dict) or not isinstance(content.get("data"), list):
        raise ValueError(f"{path} has no list 'data'; is it a file of EFT's fits?")
    entries = [entry for entry in content["data"] if entry.get("smpltype", "smpl") == "smpl"]
    if len(entries) < len(content["data"]):
        _logger.warning("%s: %d fits of other bodies left out.", path, len(content["data"]) - len(entries))
    return gather(path.stem, (_person(path, number, entry, prefix) for number, entry in enumerate(entries)))


def _person(path: Path, number: int, entry: dict[str, Any], prefix: str) -> Person:
    missing = [key for key in NEEDED if key not in entry]
    if missing:
        raise ValueError(f"{path}: fit {number} has no {', '.join(missing)}; it has {', '.join(sorted(entry))}.")
    rotations = np.array(entry["parm_pose"], np.float64)
    betas = np.array(entry["parm_shape"], np.float64)
    points = np.array(entry.get("gt_keypoint_2d", np.zeros((len(SPIN_49), 3))), np.float64)
    shapes = (rotations.shape, betas.shape, points.shape)
    expected = ((24, 3, 3), (SHAPE_SIZE,), (len(SPIN_49), 3))
    if shapes != expected:
        raise ValueError(f"{path}: fit {number} has pose, shape and keypoints of {shapes}, expected {expected}.")
    pose = rotmat_to_rotvec(torch.from_numpy(rotations)).numpy().ravel()
    return Person(
        prefix + str(entry["imageName"]),
        np.array(entry["bbox_center"], np.float64),
        float(entry["bbox_scale"]),
        points[len(BODY_25) :],
        openpose=points[: len(BODY_25)],
        pose=pose,
        betas=betas,
    )
