"""OpenPose's JSON: one file per photo, any number of people; and AlphaPose's, which puts many photos in one file."""

from collections import Counter
from pathlib import Path
from typing import Any

from fitloop.detection.columns import BY_COUNT, Columns, columns_by_count, usual_count
from fitloop.detection.listed import BadKeypoints, ListedPerson, ListedPhoto, Listing, plain_id, triplets

_BY_COUNT = {25: "body25", 18: "coco18", **BY_COUNT}
"""Models that are written in OpenPose's layout, by their number of keypoints."""
_PEOPLE = ("people", "bodies")
_VALUES = ("pose_keypoints_2d", "pose_keypoints", "joints")
_PARTS = ("hand_left_keypoints_2d", "hand_right_keypoints_2d", "face_keypoints_2d")
_NAMES = ("image_id", "file_name", "filename", "image", "name", "frame_id", "frame")


def is_photo(content: Any) -> bool:
    """Whether a JSON file's content is one photo of OpenPose."""
    return isinstance(content, dict) and "people" in content


def is_photos(content: Any) -> bool:
    """Whether it is many of them, by the photos' names or each with its own."""
    rows = content.values() if isinstance(content, dict) else content if isinstance(content, list) else ()
    found = [row for row in rows if isinstance(row, dict) and any(isinstance(row.get(key), list) for key in _PEOPLE)]
    return bool(found) and 2 * len(found) > len(rows)


def read_photo(content: dict[str, Any], path: Path, name: str) -> Listing:
    """Read one photo; the number of keypoints says which model it was, 25 (BODY_25), 18 or 17 (COCO), 26 (Halpe), ...

    Hands and faces are left aside. ``people: []`` is a photo without people.

    Raises:
        BadKeypoints: If nobody in it can be used.
    """
    photo = _photo(content, str(path))
    return Listing({name: lambda: photo}, photo.convention)


def read_photos(content: dict[str, Any] | list[Any], path: Path, name: str) -> Listing:
    """Read many photos.

    Raises:
        BadKeypoints: If nobody in it can be used.
    """
    del name
    rows = list(content.items()) if isinstance(content, dict) else [(_name_of(row), row) for row in content]
    faults: list[str] = []
    photos: dict[str, ListedPhoto] = {}
    for number, (key, row) in enumerate(rows):
        if key is None or key in photos:
            faults.append(f"{path}: record {number} names " + ("no photo" if key is None else f"{key!r} once more"))
            continue
        photos[key] = _photo_or_fault(row, f"{path}: {key!r}")
    conventions = [photo.convention for photo in photos.values() if photo.people]
    return Listing(
        {key: lambda photo=photo: photo for key, photo in photos.items()}, _first(conventions), tuple(faults)
    )


def _photo_or_fault(content: Any, source: str) -> ListedPhoto:
    try:
        return _photo(content, source)
    except BadKeypoints as fault:
        return ListedPhoto((), "body25", None, (str(fault),))


def _first(conventions: list[str]) -> str:
    return conventions[0] if conventions else "body25"


def _name_of(row: Any) -> str | None:
    if not isinstance(row, dict):
        return None
    return next((name for key in _NAMES if (name := plain_id(row.get(key))) is not None), None)


def _photo(content: Any, source: str) -> ListedPhoto:
    entries = next((content[key] for key in _PEOPLE if key in content), None) if isinstance(content, dict) else None
    if not isinstance(entries, list):
        raise BadKeypoints(f"{source}: 'people' must be a list, got {type(entries).__name__}.")
    faults, notices, found = [], [], []
    for index, person in enumerate(entries):
        what = f"{source}: pose_keypoints_2d of person {index}"
        try:
            found.append((what, _rows(person, what)))
        except BadKeypoints as fault:
            faults.append(str(fault))
        except _NoBody:
            notices.append(f"{source}: person {index} has no body keypoints (a hand or face alone) and was left out.")
    columns = _columns([len(rows) for _, rows in found], source)
    people = []
    for what, rows in found:
        try:
            people.append(ListedPerson(columns.arranged(rows, what)))
        except BadKeypoints as fault:
            faults.append(str(fault))
    return ListedPhoto(tuple(people), columns.convention, None, tuple(faults), tuple(notices))


class _NoBody(ValueError):
    """A person of whom the file has a hand or the face only."""


def _rows(person: Any, what: str) -> Any:
    values = next((person[key] for key in _VALUES if key in person), None) if isinstance(person, dict) else None
    if values is None or values == []:
        if isinstance(person, dict) and (values == [] or any(person.get(part) for part in _PARTS)):
            raise _NoBody
        raise BadKeypoints(f"{what} is missing; is this a file that OpenPose wrote?")
    return triplets(values, what)


def _columns(counts: list[int], source: str) -> Columns:
    if not counts:
        return columns_by_count(25, source, _BY_COUNT)
    usual = usual_count(counts)
    if usual is None:
        found = " and ".join(str(count) for count in sorted(Counter(counts)))
        raise BadKeypoints(f"{source} has {found} keypoints per person; write one file with one kind of keypoints.")
    return columns_by_count(usual, source, _BY_COUNT)
