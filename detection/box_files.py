"""Boxes of people: by photo in one file, or one box in a file of its own."""

from pathlib import Path
from typing import Any

from fitloop.detection.listed import BOXES_ONLY, BadKeypoints, ListedPerson, ListedPhoto, Listing, corner_box


def is_box(content: Any) -> bool:
    """Whether a JSON file's content is one box, as SPIN's demo has it."""
    return isinstance(content, dict) and "bbox" in content


def read_box(content: dict[str, Any], path: Path, name: str) -> Listing:
    """Read the box of the one person of a photo.

    Raises:
        BadKeypoints: If it is no box.
    """
    photo = ListedPhoto((ListedPerson(None, corner_box(content["bbox"], f"{path}: bbox")),), BOXES_ONLY)
    return Listing({name: lambda: photo}, BOXES_ONLY)


def is_boxes(content: Any) -> bool:
    """Whether it is boxes by photo."""
    return isinstance(content, dict) and bool(content) and all(isinstance(boxes, list) for boxes in content.values())


def read_boxes(content: dict[str, list[Any]], path: Path, name: str) -> Listing:
    """Read boxes ``{"photo.jpg": [[x, y, width, height], ...]}``; what is no box is left out and told.

    Raises:
        BadKeypoints: If none of them is a box.
    """
    del name
    photos = {photo: _photo(boxes, f"{path}: {photo!r}") for photo, boxes in content.items()}
    return Listing({photo: lambda found=found: found for photo, found in photos.items()}, BOXES_ONLY)


def _photo(boxes: list[Any], what: str) -> ListedPhoto:
    people, faults = [], []
    for number, box in enumerate(boxes):
        try:
            people.append(ListedPerson(None, corner_box(box, f"{what}, box {number}")))
        except BadKeypoints as fault:
            faults.append(str(fault))
    return ListedPhoto(tuple(people), BOXES_ONLY, None, tuple(faults))
