"""COCO person keypoints (Lin et al. 2014), releases 2014 and 2017."""

import json
from pathlib import Path
from typing import Any, Literal

import numpy as np

from fitloop.body.keypoints import COCO_17
from fitloop.data.converters.people import Person, crop_of_xywh, gather, need, to_spin24
from fitloop.data.spin_format import SpinDataset

LIMBS = [COCO_17.index(name) for name in COCO_17.keypoints if not name.endswith(("nose", "eye", "ear"))]
"""Shoulders to ankles: people are kept if all twelve are annotated, as in SPIN."""


def convert_coco(
    folder: Path, year: Literal["2014", "2017"] = "2014", split: Literal["train", "val"] = "train"
) -> SpinDataset:
    """Convert ``annotations/person_keypoints_<split><year>.json``.

    Args:
        folder: Holds ``annotations/`` and, for training, ``<split><year>/`` with the photos.
        year: Release.
        split: Part of it.

    Raises:
        FileNotFoundError: If the annotations are missing.
        ValueError: If they are not COCO's.
    """
    path = need(folder / "annotations" / f"person_keypoints_{split}{year}.json", "COCO's person keypoints")
    content = read_json(path)
    if not isinstance(content, dict) or "images" not in content or "annotations" not in content:
        raise ValueError(f"{path} has no images and annotations; is it COCO's person keypoints?")
    photos = {photo["id"]: str(photo["file_name"]) for photo in content["images"]}
    people = []
    for number, entry in enumerate(content["annotations"]):
        points = coco_points(path, number, entry)
        if (points[LIMBS, 2] > 0).all():
            center, scale = crop_of_xywh(np.array(entry["bbox"], np.float64))
            name = f"{split}{year}/{photos[entry['image_id']]}"
            people.append(Person(name, center, scale, to_spin24(points, COCO_17.keypoints)))
    return gather(f"coco_{year}_{split}", people)


def coco_points(path: Path, number: int, entry: dict[str, Any]) -> np.ndarray:
    """Keypoints (17, 3) of an annotation; a point is observed if it is labelled, visible or not.

    Raises:
        ValueError: If it has another number of keypoints.
    """
    points = np.array(entry.get("keypoints", ()), np.float64)
    if points.shape != (3 * len(COCO_17),):
        raise ValueError(
            f"{path}: annotation {number} has {points.size} keypoint numbers, expected {3 * len(COCO_17)}."
        )
    points = points.reshape(-1, 3)
    points[:, 2] = points[:, 2] > 0
    return points


def read_json(path: Path) -> Any:
    """Read a JSON file.

    Raises:
        ValueError: If it is truncated or no JSON.
    """
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise ValueError(f"{path} is not whole JSON: {error}.") from error
