"""Reader of keypoint results as COCO's evaluation server and the tools around it write them."""

from pathlib import Path
from typing import Any

import numpy as np
import torch

from fitloop.body.documents import read_document
from fitloop.body.keypoints import COCO_17, convention_named
from fitloop.data.coco_people import COCO_FIRST, LeftOut, box_of, id_of, numbers_of
from fitloop.evaluation.matching import resolve_photos
from fitloop.evaluation.people import Keypoints2D, ScoredPeople, clean_points

_WRAPPERS = ("annotations", "results", "predictions")
"""Where tools put the list that COCO has bare."""


def read_coco_results(path: Path, truth: ScoredPeople, convention: str | None = None) -> ScoredPeople:
    """A COCO keypoint results file: a list of image_id, keypoints (17 times x, y, score), score, maybe bbox.

    The list may lie in a record under ``annotations``, ``results`` or ``predictions``, and have one row a line
    (``.ndjson``). Rows that cannot be used are left out and counted.

    Args:
        path: The file.
        truth: Names the photos of COCO's image ids.
        convention: What the keypoints are; COCO's 17, or a layout that begins with them, if not given.

    Raises:
        ValueError: If it is another layout, or an image id belongs to no photo of the truth.
    """
    left = LeftOut()
    rows = _rows(path, left)
    points, kind = _keypoints(path, rows, left, convention)
    known = dict(zip(truth.labels.get("image_id", ()), truth.photos or (), strict=False))
    kept = list(points)
    photos = {number: known.get(key, key) for number, key in ((number, _photo_of(rows[number])) for number in kept)}
    found = resolve_photos(tuple(dict.fromkeys(truth.photos or ())), tuple(dict.fromkeys(photos.values())))
    matched = set(found.values())
    strange = [number for number in kept if photos[number] not in matched]
    if len(strange) == len(kept):
        raise ValueError(f"{path}: no image_id belongs to a photo of the truth; the first is {photos[kept[0]]!r}.")
    for number in strange:
        left.add("results are of photos that the truth does not have", f"result {number}, photo {photos[number]!r}")
    boxes = [box_of(rows[number].get("bbox")) for number in kept]
    return ScoredPeople(
        tuple(photos[number] for number in kept),
        count=len(kept),
        keypoints=Keypoints2D(*clean_points(np.array([points[number] for number in kept]), 2), kind),
        boxes=_boxes(boxes, left),
        notices=left.sentences(),
    )


def _rows(path: Path, left: LeftOut) -> dict[int, dict[str, Any]]:
    """Usable rows by their place in the file."""
    content = read_document(path)
    if isinstance(content, dict) and "image_id" in content:
        # A file with one record a line holds a single one.
        content = [content]
    elif isinstance(content, dict):
        content = next((content[key] for key in _WRAPPERS if isinstance(content.get(key), list)), content)
    if not isinstance(content, list) or (
        content and not any(isinstance(r, dict) and "keypoints" in r for r in content)
    ):
        raise ValueError(f"{path} is not a COCO keypoint results file: expected a list with image_id and keypoints.")
    rows: dict[int, dict[str, Any]] = {}
    for number, row in enumerate(content):
        if not isinstance(row, dict) or row.get("image_id") is None:
            left.add("results name no photo (image_id)", f"result {number}")
        elif numbers_of(row.get("keypoints")) is None or not row["keypoints"]:
            left.add("results have no keypoints", f"result {number}")
        else:
            rows[number] = row
    if not rows:
        raise ValueError(f"{path} holds nobody; there is nothing to score. {'; '.join(left.sentences())}".strip())
    return rows


def _photo_of(row: dict[str, Any]) -> str:
    """AlphaPose and others put a file name where COCO has a number."""
    return id_of(row["image_id"]).replace("\\", "/")


def _keypoints(
    path: Path, rows: dict[int, dict[str, Any]], left: LeftOut, convention: str | None
) -> tuple[dict[int, np.ndarray], str]:
    """Keypoints (keypoints, 3) of each row that has as many as it should, and their convention."""
    flat = {number: np.ravel(numbers_of(row["keypoints"])) for number, row in rows.items()}  # pyright: ignore[reportArgumentType,reportCallIssue]
    kind = convention or COCO_17.name
    count = len(convention_named(kind))
    usable = {3 * count} if convention else {3 * first for first in COCO_FIRST}
    sizes = {points.size for points in flat.values()}
    if not usable & sizes:
        others = "" if convention else " (26, 133 and 136 keypoints that begin with COCO's are read too)"
        raise ValueError(
            f"{path}: expected {3 * count} numbers per person ({count} keypoints){others}, found {sorted(sizes)}; "
            "--convention names other keypoints."
        )
    for number, points in flat.items():
        if points.size not in usable:
            left.add(f"results have another number of keypoints than {kind}", f"result {number}, {points.size} numbers")
    return {n: points.reshape(-1, 3)[:count] for n, points in flat.items() if points.size in usable}, kind


def _boxes(boxes: list[np.ndarray | None], left: LeftOut) -> torch.Tensor | None:
    """All boxes, or none: people are found by one kind of box, and boxes around keypoints are smaller."""
    if all(box is None for box in boxes):
        return None
    missing = [number for number, box in enumerate(boxes) if box is None]
    for number in missing:
        left.add("results have no box, so that all people are found by the box of their keypoints", f"person {number}")
    return None if missing else torch.from_numpy(np.array(boxes, np.float32))
