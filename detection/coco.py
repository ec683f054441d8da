"""COCO's JSON: annotations with their photos, or the list of results that evaluation servers take."""

from typing import Any

import numpy as np

from fitloop.body.keypoints import COCO_17, CONVENTIONS
from fitloop.detection.listed import BadKeypoints, ListedPerson, ListedPhoto, corner_box, triplets


def is_annotations(content: Any) -> bool:
    """Whether a JSON file's content is a COCO annotation file."""
    return isinstance(content, dict) and all(isinstance(content.get(k), list) for k in ("images", "annotations"))


def is_results(content: Any) -> bool:
    """Whether a JSON file's content is a list of COCO results."""
    return isinstance(content, list) and all(isinstance(row, dict) and "image_id" in row for row in content)


def read_annotations(content: dict[str, Any], source: str) -> dict[str, ListedPhoto]:
    """Read every photo by its file name; groups (``iscrowd``) are left out, and so are things that are no people.

    A person without labelled keypoints keeps the box. A keypoint's flag 0 (not labelled) becomes confidence 0, flags
    1 (hidden) and 2 (visible) become 1; detectors' scores, which are no whole numbers, are kept.

    Raises:
        BadKeypoints: If the file is not what COCO describes.
    """
    photos = {}
    for row in content["images"]:
        if not isinstance(row, dict) or not isinstance(row.get("file_name"), str) or "id" not in row:
            raise BadKeypoints(f"{source}: every entry of 'images' needs an id and a file_name.")
        photos[row["id"]] = row
    categories = [row for row in content.get("categories", []) if isinstance(row, dict)]
    others = {row.get("id") for row in categories if row.get("name") != "person"}
    rows = [row for row in content["annotations"] if isinstance(row, dict)]
    rows = [row for row in rows if row.get("category_id") not in others and not row.get("iscrowd")]
    convention = _convention(rows, categories, source)
    people: dict[Any, list[ListedPerson]] = {key: [] for key in photos}
    for row in rows:
        if row.get("image_id") not in photos:
            raise BadKeypoints(f"{source}: annotation {row.get('id')} is of photo {row.get('image_id')}, not listed.")
        people[row["image_id"]].append(_person(row, convention, source))
    return {
        row["file_name"]: ListedPhoto(tuple(people[key]), convention or "mediapipe33", _size(row))
        for key, row in photos.items()
    }


def read_results(content: list[dict[str, Any]], source: str) -> dict[str, ListedPhoto]:
    """Read results by the ``image_id`` they name: a file name, or COCO's number, which file names end in.

    Raises:
        BadKeypoints: If a row has neither keypoints nor a box.
    """
    rows = [row for row in content if row.get("category_id", 1) == 1]
    convention = _convention(rows, [], source)
    people: dict[str, list[ListedPerson]] = {}
    for row in rows:
        people.setdefault(str(row["image_id"]), []).append(_person(row, convention, source))
    return {name: ListedPhoto(tuple(found), convention or "mediapipe33") for name, found in people.items()}


def _size(row: dict[str, Any]) -> tuple[int, int] | None:
    width, height = row.get("width"), row.get("height")
    return (int(width), int(height)) if isinstance(width, (int, float)) and isinstance(height, (int, float)) else None


def _convention(rows: list[dict[str, Any]], categories: list[dict[str, Any]], source: str) -> str | None:
    """Name the convention by the category's keypoint names, else by their number; None where there are only boxes."""
    rows = [row for row in rows if row.get("keypoints")]
    if not rows:
        return None
    for category in categories:
        names = tuple(category.get("keypoints", ()))
        for convention in CONVENTIONS.values():
            if names and names == convention.keypoints:
                return convention.name
    count = len(triplets(rows[0]["keypoints"], f"{source}: keypoints"))
    if count in (len(COCO_17), 133):
        return COCO_17.name
    raise BadKeypoints(
        f"{source} has {count} keypoints per person whose category names no known convention: use COCO's 17, or name "
        f"the keypoints in the category as one of {', '.join(CONVENTIONS)} does."
    )


def _person(row: dict[str, Any], convention: str | None, source: str) -> ListedPerson:
    what = f"{source}: annotation {row.get('id', 'of ' + str(row.get('image_id')))}"
    box = corner_box(row["bbox"], f"{what}: bbox") if row.get("bbox") is not None else None
    if convention is None or not row.get("keypoints"):
        if box is None:
            raise BadKeypoints(f"{what} has neither keypoints nor bbox.")
        return ListedPerson(None, box)
    keypoints = triplets(row["keypoints"], f"{what}: keypoints")
    count = len(CONVENTIONS[convention])
    if len(keypoints) == 133 and convention == COCO_17.name:
        keypoints = keypoints[:count]
    if len(keypoints) != count:
        raise BadKeypoints(f"{what} has {len(keypoints)} keypoints; {convention} has {count}.")
    flags = np.isin(keypoints[:, 2], (0.0, 1.0, 2.0)).all()
    confidence = np.where(keypoints[:, 2] > 0.0, 1.0, 0.0) if flags else keypoints[:, 2]
    labelled = ListedPerson(np.concatenate([keypoints[:, :2], confidence[:, None]], -1), box)
    return labelled if (confidence > 0.0).any() or box is None else ListedPerson(None, box)
