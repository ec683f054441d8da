"""A data set held against what people can be."""

import logging
from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from fitloop.body.keypoints import SPIN_24
from fitloop.data.human_ranges import Doubt, doubt_betas, doubt_centre, doubt_crops, doubt_joints, doubt_pose
from fitloop.data.spin_dataset import SCALE_UNIT, SpinDataset

_logger = logging.getLogger(__name__)


def sane(dataset: SpinDataset) -> SpinDataset:
    """Hold a data set against what people can be; what a few people cannot be counts as not known, with a warning.

    Raises:
        ValueError: If most people cannot be so: another unit or layout; says which.
    """
    for field, key, doubt in _doubts(dataset):
        if doubt.grave:
            raise ValueError(f"{dataset.name}: {key} is not what it should be: {doubt.sentence}.")
        rows = np.flatnonzero(doubt.rows)
        told = "they count as not known" if field else "please look at them"
        _logger.warning(
            "%s: %d people have in %s %s; %s. The first is row %d.",
            *(dataset.name, len(rows), key, doubt.sentence, told, rows[0]),
        )
        if field == "joints_3d" and dataset.joints_3d is not None:
            dataset = replace(dataset, joints_3d=np.where(doubt.rows[:, None, None], 0.0, dataset.joints_3d))
        elif field == "has_params" and dataset.has_params is not None:
            dataset = replace(dataset, has_params=dataset.has_params & ~doubt.rows)
    return dataset


def _doubts(dataset: SpinDataset) -> Iterator[tuple[str | None, str, Doubt]]:
    """What to take back, key of the file, and why, of everything that people cannot be."""
    found: list[tuple[str | None, str, Doubt | None]] = []
    if dataset.joints_3d is not None:
        points, known = dataset.joints_3d[..., :3], dataset.joints_3d[..., 3] > 0
        found.append(("joints_3d", "S", doubt_joints(points, known, SPIN_24.keypoints)))
        found.append(("joints_3d", "S", doubt_centre(points, known, SPIN_24.keypoints)))
    if dataset.pose is not None and dataset.betas is not None and dataset.has_params is not None:
        rows = np.flatnonzero(dataset.has_params)
        for key, judge, values in (("pose", doubt_pose, dataset.pose), ("shape", doubt_betas, dataset.betas)):
            doubt = judge(values[rows])
            found.append(("has_params", key, None if doubt is None else _of_all(doubt, rows, len(dataset))))
    points, seen = dataset.keypoints[..., :2], dataset.keypoints[..., 2] > 0
    found.append((None, "scale", doubt_crops(dataset.scales * SCALE_UNIT, points, seen)))
    yield from ((field, key, doubt) for field, key, doubt in found if doubt is not None)


def _of_all(doubt: Doubt, rows: np.ndarray, people: int) -> Doubt:
    everybody = np.zeros(people, bool)
    everybody[rows] = doubt.rows
    return replace(doubt, rows=everybody)
