"""Predictions that mmpose 1.x writes: one file per photo, or the frames of a video in one file."""

from pathlib import Path
from typing import Any

import numpy as np

from fitloop.detection.columns import Columns, columns_by_count, columns_by_name, length_of, names_in, usual_count
from fitloop.detection.listed import (
    BOXES_ONLY,
    BadKeypoints,
    ListedPerson,
    ListedPhoto,
    Listing,
    corner_box,
    plain_id,
    triplets,
)

BEGINNING = "results_"
"""What mmpose's demos put before the photo's name."""
_DATASETS = {
    **{"coco": "coco17", "coco_wholebody": "wholebody133", "halpe26": "halpe26", "halpe": "halpe136"},
    **{"mpii": "mpii16", "h36m": "h36m17", "body8": "coco17"},
}
"""Conventions of mmpose's data sets, for files that do not name their keypoints."""


def is_predictions(content: Any) -> bool:
    """Whether a JSON file's content is a prediction of mmpose, with or without its heading."""
    if isinstance(content, dict):
        return bool({"instance_info", "predictions"} & set(content)) or {"instances", "frame_id"} <= set(content)
    rows = [row for row in content if isinstance(row, dict)] if isinstance(content, list) else []
    found = [row for row in rows if "instances" in row or ("keypoint_scores" in row and "image_id" not in row)]
    return bool(found) and 2 * len(found) > len(content)


def read_predictions(content: Any, path: Path, name: str) -> Listing:
    """Read one photo, or frames by their number.

    Keypoints are known by the names in ``meta_info``, else by its data set, else by their number.

    Raises:
        BadKeypoints: If nobody in it can be used.
    """
    source = str(path)
    name = name.rpartition(BEGINNING)[2] or name
    meta = content.get("meta_info") if isinstance(content, dict) else None
    rows = content.get("instance_info", content.get("predictions", [content])) if isinstance(content, dict) else content
    while isinstance(rows, list) and len(rows) == 1 and isinstance(rows[0], list):
        rows = rows[0]
    if not isinstance(rows, list):
        raise BadKeypoints(f"{source}: 'instance_info' must be a list, got {type(rows).__name__}.")
    frames, faults = _frames(rows, name, source)
    counts = [count for instances in frames.values() for row in instances if (count := _count(row))]
    notices: tuple[str, ...] = ()
    columns = None
    if counts:
        columns = _columns(meta if isinstance(meta, dict) else {}, usual_count(counts) or max(counts), source)
        notices = columns.notices
    photos = {key: _photo(instances, columns, f"{source}: {key!r}") for key, instances in frames.items()}
    convention = columns.convention if columns else BOXES_ONLY
    return Listing({key: lambda photo=photo: photo for key, photo in photos.items()}, convention, faults, notices)


def _frames(rows: list[Any], name: str, source: str) -> tuple[dict[str, list[Any]], tuple[str, ...]]:
    """People of each frame; a single frame is the photo the file is named after."""
    if not any(isinstance(row, dict) and "instances" in row for row in rows):
        return {name: rows}, ()
    frames: dict[str, list[Any]] = {}
    faults = []
    for number, row in enumerate(rows):
        instances = row.get("instances") if isinstance(row, dict) else None
        key = plain_id(row.get("frame_id")) if isinstance(row, dict) else None
        if not isinstance(instances, list) or (key is None and len(rows) > 1):
            faults.append(f"{source}: record {number} has no frame_id or no list of instances")
            continue
        frames.setdefault(name if len(rows) == 1 else str(key), []).extend(instances)
    return frames, tuple(faults)


def _count(row: Any) -> int:
    scores = row.get("keypoint_scores") if isinstance(row, dict) else None
    values = row.get("keypoints") if isinstance(row, dict) else None
    found = scores if isinstance(scores, list) else values if isinstance(values, list) else []
    while len(found) == 1 and isinstance(found[0], list):
        found = found[0]
    return len(found)


def _columns(meta: dict[str, Any], count: int, source: str) -> Columns:
    names = names_in(meta.get("keypoint_id2name")) or names_in(meta.get("keypoint_names"))
    dataset = meta.get("dataset_name")
    known = _DATASETS.get(str(dataset).casefold()) if dataset is not None else None
    if known is not None:
        return columns_by_count(count, source, {length_of(known): known})
    if names is not None and len(names) == count:
        return columns_by_name(names, source)
    if dataset is not None:
        raise BadKeypoints(
            f"{source} has keypoints of the data set {str(dataset)!r}, which is not known; known are "
            f"{', '.join(_DATASETS)}: keep mmpose's 'keypoint_id2name' in the file's 'meta_info', or convert "
            "the file to COCO's."
        )
    return columns_by_count(count, source)


def _photo(rows: list[Any], columns: Columns | None, source: str) -> ListedPhoto:
    people, faults = [], []
    for number, row in enumerate(rows):
        try:
            people.append(_person(row, columns, f"{source}: person {number}"))
        except BadKeypoints as fault:
            faults.append(str(fault))
    return ListedPhoto(tuple(people), columns.convention if columns else BOXES_ONLY, None, tuple(faults))


def _person(row: Any, columns: Columns | None, what: str) -> ListedPerson:
    if not isinstance(row, dict) or (not row.get("keypoints") and row.get("bbox") is None):
        raise BadKeypoints(f"{what} has neither keypoints nor bbox")
    box = None
    try:
        box = None if row.get("bbox") is None else corner_box(row["bbox"], f"{what}: bbox", corners=True)
    except BadKeypoints:
        if not row.get("keypoints"):
            raise
    if columns is None or not row.get("keypoints"):
        return ListedPerson(None, box)
    if row.get("keypoint_scores") is None:
        raise BadKeypoints(f"{what} has keypoints but no keypoint_scores")
    keypoints = columns.arranged(triplets(row["keypoints"], what, row["keypoint_scores"]), what)
    return ListedPerson(np.asarray(keypoints), box)
