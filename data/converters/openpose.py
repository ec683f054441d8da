"""OpenPose's detections matched to annotated people."""

import logging
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
from jaxtyping import Float

from fitloop.body.documents import find_document, read_document
from fitloop.body.keypoints import BODY_25, SPIN_24
from fitloop.data.converters.people import need
from fitloop.data.spin_dataset import LIMIT, SpinDataset

_LIMBS = [
    f"{side}_{part}" for part in ("ankle", "knee", "hip", "wrist", "elbow", "shoulder") for side in ("right", "left")
]
_DETECTED = [BODY_25.index(name) for name in _LIMBS]
_ANNOTATED = [SPIN_24.index(name) for name in _LIMBS]
Matching = Literal["share", "spin_mpii", "spin_coco", "spin_other"]
MAX_SHARE = 0.1
"""Largest mean distance of the limbs' joints, as a share of the person's size."""
SPIN_PIXELS = {"mpii": 30.0, "coco": 10.0}

_logger = logging.getLogger(__name__)


def add_openpose(dataset: SpinDataset, folder: Path, matching: Matching = "share") -> SpinDataset:
    """Give each person the detection whose twelve limb joints lie nearest to the annotated ones.

    Args:
        dataset: Annotated people.
        folder: ``<photo's name without ending>_keypoints.json`` for every photo, or the same with ``.gz``.
        matching: ``share`` refuses detections further away than a tenth of the person's size. The others repeat SPIN's
            test, which refuses only if they are besides nearer than 30 (MPII), 10 (COCO) or 0 pixels, so hardly ever.

    Raises:
        FileNotFoundError: If the files of most photos are missing.
        ValueError: If most files are not OpenPose's BODY_25 output.
    """
    crowds: dict[str, np.ndarray] = {}
    bad: list[ValueError | FileNotFoundError] = []
    stems = [Path(name).stem for name in dataset.image_names]
    for stem in dict.fromkeys(stems):
        try:
            crowds[stem] = read_openpose(find_document(folder / f"{stem}_keypoints.json"))
        except (ValueError, FileNotFoundError) as error:
            bad.append(error)
    # A few lost files are the wear of large folders; where most are, it is another folder.
    if len(bad) > len(crowds):
        raise bad[0]
    if bad:
        _logger.warning("%d photos go without OpenPose's keypoints, first: %s", len(bad), bad[0])
    found = np.zeros((len(dataset), len(BODY_25), 3), np.float32)
    for row, stem in enumerate(stems):
        if len(crowds.get(stem, ())):
            found[row] = _match(crowds[stem], dataset.keypoints[row], matching)
    return replace(dataset, openpose=found)


def read_openpose(path: Path) -> Float[np.ndarray, "people 25 3"]:
    """Read the people of one photo; people without a body, such as lone hands, are left out.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If it is not OpenPose's BODY_25 output.
    """
    content = read_document(need(path, "OpenPose's keypoints of one photo"))
    if not isinstance(content, dict) or not isinstance(content.get("people"), list):
        raise ValueError(f"{path} has no list 'people'; is it OpenPose's output?")
    rows = [_numbers(person) for person in content["people"]]
    people = [row for row in rows if row.size == 3 * len(BODY_25)]
    others = sorted({row.size for row in rows if row.size} - {3 * len(BODY_25)})
    if others and not people:
        raise ValueError(
            f"{path} has {', '.join(f'{size / 3:g}' for size in others)} keypoints per person, expected {len(BODY_25)} "
            "(BODY_25); run OpenPose with --model_pose BODY_25."
        )
    if len(people) < len(rows):
        _logger.warning("%s: %d of %d people have no body of 25 keypoints.", path, len(rows) - len(people), len(rows))
    if not people:
        return np.zeros((0, len(BODY_25), 3), np.float32)
    crowd = np.stack(people).reshape(-1, len(BODY_25), 3)
    known = np.isfinite(crowd).all(-1) & (crowd[..., 2] > 0) & (np.abs(np.nan_to_num(crowd)).max(-1) < LIMIT)
    return np.where(known[..., None], crowd, 0.0).astype(np.float32)


def _numbers(person: Any) -> np.ndarray:
    """Body keypoints of one person; empty where there are none, or no numbers."""
    listed = person.get("pose_keypoints_2d") if isinstance(person, dict) else None
    try:
        return np.zeros(0) if listed is None else np.array(listed, np.float64).ravel()
    except (TypeError, ValueError, OverflowError):
        return np.zeros(0)


def _match(crowd: np.ndarray, annotated: np.ndarray, matching: Matching) -> np.ndarray:
    truth = annotated[_ANNOTATED]
    limbs = crowd[:, _DETECTED]
    distance = np.linalg.norm(limbs[..., :2] - truth[:, :2], axis=-1)
    known = (limbs[..., 2] > 0) & (truth[:, 2] > 0)
    if matching == "share":
        # Fewer than three joints in common could be anybody's.
        mean = np.where(known.sum(1) >= 3, (distance * known).sum(1) / known.sum(1).clip(1), np.inf)
    else:
        mean = np.where((limbs[..., 2] > 0).all(1), distance.mean(1), np.inf)
    best = int(mean.argmin())
    size = max(np.ptp(annotated[annotated[:, 2] > 0, :2], axis=0).max(initial=0.0), 1.0)
    refused = mean[best] > MAX_SHARE * size
    if matching != "share":
        refused &= mean[best] < SPIN_PIXELS.get(matching.removeprefix("spin_"), 0.0)
    return np.zeros_like(crowd[0]) if refused else crowd[best]
