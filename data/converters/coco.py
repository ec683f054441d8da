"""COCO person keypoints (Lin et al. 2014), releases 2014 and 2017."""

import logging
from pathlib import Path
from typing import Literal

import numpy as np

from fitloop.body.documents import find_document
from fitloop.body.keypoints import COCO_17
from fitloop.data.coco_people import CocoPerson, read_coco_people
from fitloop.data.converters.people import Person, crop_of_xyxy, gather, need, to_spin24
from fitloop.data.spin_dataset import LIMIT, SpinDataset

LIMBS = [COCO_17.index(name) for name in COCO_17.keypoints if not name.endswith(("nose", "eye", "ear"))]
"""Shoulders to ankles: people are kept if all twelve are annotated, as in SPIN."""

_logger = logging.getLogger(__name__)


def convert_coco(
    folder: Path, year: Literal["2014", "2017"] = "2014", split: Literal["train", "val"] = "train"
) -> SpinDataset:
    """Convert ``annotations/person_keypoints_<split><year>.json``, or the same with ``.gz``.

    Args:
        folder: Holds ``annotations/`` and, for training, ``<split><year>/`` with the photos.
        year: Release.
        split: Part of it.

    Raises:
        FileNotFoundError: If the annotations are missing.
        ValueError: If they are not COCO's, or nobody has all limbs.
    """
    path = find_document(folder / "annotations" / f"person_keypoints_{split}{year}.json")
    file = read_coco_people(need(path, "COCO's person keypoints"))
    for notice in file.notices:
        _logger.warning("%s: %s.", path, notice)
    whole = [(person, points) for person in file.people if (points := _labelled(person))[LIMBS, 2].all()]
    # SPIN trains on whole people only; how many that leaves is no fault of the file, but nobody should wonder.
    _logger.info("%s: %d of %d people have all twelve limb joints.", path, len(whole), len(file.people))
    people = []
    for person, points in whole:
        assert person.box is not None
        center, scale = crop_of_xyxy(person.box)
        people.append(Person(f"{split}{year}/{person.photo}", center, scale, to_spin24(points, COCO_17.keypoints)))
    return gather(f"coco_{year}_{split}", people)


def _labelled(person: CocoPerson) -> np.ndarray:
    """Keypoints (17, 3); a point is observed if it is labelled, visible or not."""
    if person.keypoints is None:
        return np.zeros((len(COCO_17), 3))
    # Off every photo is nowhere, as null is.
    near = (np.abs(np.nan_to_num(person.keypoints[:, :2], nan=np.inf)) < LIMIT).all(1)
    known = near & (np.nan_to_num(person.keypoints[:, 2]) > 0)
    return np.where(known[:, None], np.concatenate([person.keypoints[:, :2], known[:, None]], 1), 0.0)
