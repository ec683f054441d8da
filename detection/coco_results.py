"""COCO's results, the list that evaluation servers take; AlphaPose and Detectron2 write the same."""

from pathlib import Path
from typing import Any

from fitloop.detection.categories import Categories, usual_category
from fitloop.detection.coco_people import Entry, has_keypoints, photo_of
from fitloop.detection.listed import Listing, plain_id

_NAMES = ("image_id", "file_name", "filename", "image_name")


def is_results(content: Any) -> bool:
    """Whether a JSON file's content is a list of COCO results; an empty list is one of nobody."""
    rows = _rows(content)
    if rows is None:
        return False
    named = [row for row in rows if isinstance(row, dict) and "people" not in row and _photo_of(row) is not None]
    return 2 * len(named) > len(rows) or content == []


def _rows(content: Any) -> list[Any] | None:
    """The list of results, or the annotations of a file that lists no photos."""
    rows = content.get("annotations") if isinstance(content, dict) else content
    return rows if isinstance(rows, list) else None


def _photo_of(row: dict[str, Any]) -> str | None:
    return next((name for key in _NAMES if (name := plain_id(row.get(key))) is not None), None)


def read_results(content: Any, path: Path, name: str) -> Listing:
    """Read results by the ``image_id`` they name: a file name, or COCO's number, which file names end in.

    Whoever has keypoints is a person; of things with a box only those of category 1, or 0 if there is no 1.

    Raises:
        BadKeypoints: If nothing in it can be used.
    """
    del name
    source, found = str(path), _rows(content) or []
    faults = [f"{source}: entry {n} is no result" for n, row in enumerate(found) if not isinstance(row, dict)]
    rows = [row for row in found if isinstance(row, dict)]
    category = usual_category([row for row in rows if not has_keypoints(row)])
    people = [row for row in rows if has_keypoints(row) or plain_id(row.get("category_id", 1)) == category]
    categories = Categories(content.get("categories") if isinstance(content, dict) else None, people, source)
    notices = list(categories.reader.notices)
    if len(people) < len(rows):
        notices.append(f"{source}: {len(rows) - len(people)} boxes of other categories were left out.")
    photos: dict[str, list[Entry]] = {}
    for row in people:
        photo = _photo_of(row)
        if not categories.is_of_people(plain_id(row.get("category_id"))):
            continue
        what = f"{source}: annotation {row.get('id', 'of ' + str(row.get('image_id')))}"
        if photo is None:
            faults.append(f"{what} names no photo")
        else:
            photos.setdefault(photo, []).append((row, plain_id(row.get("category_id")), what))
    reader = categories.reader
    listed = {photo: lambda found=found: photo_of(found, reader) for photo, found in photos.items()}
    return Listing(listed, reader.convention, (*faults, *categories.faults), tuple(notices))
