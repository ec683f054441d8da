"""OpenPose's detections matched to annotated people."""

from dataclasses import replace
from pathlib import Path
from typing import Literal

import numpy as np
from jaxtyping import Float

from fitloop.body.keypoints import BODY_25, SPIN_24
from fitloop.data.converters.coco import read_json
from fitloop.data.converters.people import need
from fitloop.data.spin_format import SpinDataset

_LIMBS = [
    f"{side}_{part}" for part in ("ankle", "knee", "hip", "wrist", "elbow", "shoulder") for side in ("right", "left")
]
_DETECTED = [BODY_25.index(name) for name in _LIMBS]
_ANNOTATED = [SPIN_24.index(name) for name in _LIMBS]
Matching = Literal["share", "spin_mpii", "spin_coco", "spin_other"]
MAX_SHARE = 0.1
"""Largest mean distance of the limbs' joints, as a share of the person's size."""
SPIN_PIXELS = {"mpii": 30.0, "coco": 10.0}


def add_openpose(dataset: SpinDataset, folder: Path, matching: Matching = "share") -> SpinDataset:
    """Give each person the detection whose twelve limb joints lie nearest to the annotated ones.

    Args:
        dataset: Annotated people.
        folder: ``<photo's name without ending>_keypoints.json`` for every photo.
        matching: ``share`` refuses detections further away than a tenth of the person's size. The others repeat SPIN's
            test, which refuses only if they are besides nearer than 30 (MPII), 10 (COCO) or 0 pixels, so hardly ever.

    Raises:
        FileNotFoundError: If a file is missing.
        ValueError: If a file is not OpenPose's BODY_25 output.
    """
    found = np.zeros((len(dataset), len(BODY_25), 3), np.float32)
    for row, name in enumerate(dataset.image_names):
        crowd = read_openpose(folder / f"{Path(name).stem}_keypoints.json")
        if len(crowd):
            found[row] = _match(crowd, dataset.keypoints[row], matching)
    return replace(dataset, openpose=found)


def read_openpose(path: Path) -> Float[np.ndarray, "people 25 3"]:
    """Read the people of one photo.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If it is not OpenPose's BODY_25 output.
    """
    content = read_json(need(path, "OpenPose's keypoints of one photo"))
    if not isinstance(content, dict) or not isinstance(content.get("people"), list):
        raise ValueError(f"{path} has no list 'people'; is it OpenPose's output?")
    rows = [np.array(person.get("pose_keypoints_2d", ()), np.float32) for person in content["people"]]
    if any(row.size != 3 * len(BODY_25) for row in rows):
        raise ValueError(f"{path} has {rows[0].size // 3} keypoints per person, expected {len(BODY_25)} (BODY_25).")
    return np.stack(rows).reshape(-1, len(BODY_25), 3) if rows else np.zeros((0, len(BODY_25), 3), np.float32)


def _match(crowd: np.ndarray, annotated: np.ndarray, matching: Matching) -> np.ndarray:
    truth = annotated[_ANNOTATED]
    limbs = crowd[:, _DETECTED]
    distance = np.linalg.norm(limbs[..., :2] - truth[:, :2], axis=-1)
    known = (limbs[..., 2] > 0) & (truth[:, 2] > 0)
    if matching == "share":
        mean = np.where(known.sum(1) >= 3, (distance * known).sum(1) / known.sum(1).clip(1), np.inf)
    else:
        mean = np.where((limbs[..., 2] > 0).all(1), distance.mean(1), np.inf)
    best = int(mean.argmin())
    size = max(np.ptp(annotated[annotated[:, 2] > 0, :2], axis=0).max(initial=0.0), 1.0)
    refused = mean[best] > MAX_SHARE * size
    if matching != "share":
        refused &= mean[best] < SPIN_PIXELS.get(matching.removeprefix("spin_"), 0.0)
    return np.zeros_like(crowd[0]) if refused else crowd[best]
