"""People as COCO writes them, in annotations and in results: keypoints, flags or scores, a box."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from fitloop.body.keypoint_names import known_name
from fitloop.body.keypoints import CONVENTIONS
from fitloop.detection.columns import Columns, columns_by_count, columns_by_name, usual_count
from fitloop.detection.listed import BOXES_ONLY, BadKeypoints, ListedPerson, ListedPhoto, corner_box, triplets

PERSON_NAMES = frozenset(
    (
        *(
            "person",
            "persons",
            "people",
            "human",
            "humans",
            "humanbody",
            "personkeypoints",
            "body",
            "man",
            "woman",
            "child",
        ),
    )
    + ("player", "players", "pedestrian", "pedestrians", "athlete", "dancer", "worker", "rider", "cyclist", "skier")
)
"""Categories of people, in lower case and without spaces or numbers."""
Entry = tuple[dict[str, Any], str | None, str]
"""An annotation or result, its category, and what messages call it."""
_WHOLE_BODY = {"foot_kpts": 6, "face_kpts": 68, "lefthand_kpts": 21, "righthand_kpts": 21}
"""What COCO-WholeBody lists beside the 17 keypoints, and how many points each has."""
_BODY = 17


def is_person_name(name: Any) -> bool:
    """Whether a category of this name is of people; one without a name may be."""
    return not isinstance(name, str) or "".join(filter(str.isalpha, name.casefold())) in {"", *PERSON_NAMES}


def has_keypoints(row: dict[str, Any]) -> bool:
    """Whether an entry lists keypoints at all."""
    return isinstance(row.get("keypoints"), list) and bool(row["keypoints"])


def count_of(row: dict[str, Any]) -> int:
    """Number of keypoints of an entry, without looking at each of them."""
    values = row["keypoints"]
    while isinstance(values[0], list) and len(values) == 1 and values[0]:
        values = values[0]
    scores = row.get("keypoint_scores")
    count = len(values) if isinstance(values[0], list) or isinstance(scores, list) else len(values) // 3
    if isinstance(scores, list) and not isinstance(values[0], list):
        count = len(scores)
    return _BODY + sum(_WHOLE_BODY.values()) if count == _BODY and _has_feet(row) else count


def _has_feet(row: dict[str, Any]) -> bool:
    feet = row.get("foot_kpts")
    return isinstance(feet, list) and len(feet) == 3 * _WHOLE_BODY["foot_kpts"]


@dataclass(frozen=True)
class Reader:
    """Reads the people of a file, whose keypoints all become those of one convention."""

    convention: str
    columns: dict[str | None, Columns] = field(default_factory=dict)
    """By category."""
    notices: tuple[str, ...] = ()

    def person(self, row: dict[str, Any], category: str | None, what: str) -> tuple[ListedPerson, str | None]:
        """Read one entry.

        Returns:
            The person, and a sentence where the box could not be used but the keypoints can.

        Raises:
            BadKeypoints: If neither can be used.
        """
        box, fault = None, None
        if row.get("bbox") is not None:
            try:
                box = corner_box(row["bbox"], f"{what}: bbox")
            except BadKeypoints as error:
                fault = error
        columns = self.columns.get(category)
        if columns is None or not has_keypoints(row):
            return _boxed(box, fault, what), None
        keypoints = columns.arranged(_rows(row, f"{what}: keypoints"), what)
        person = _labelled(keypoints, box)
        if person.keypoints is None and box is None:
            return (_boxed(box, fault, what) if fault else person), None
        return person, f"{fault}; the box was left out." if fault else None


def photo_of(entries: Iterable[Entry], reader: Reader, size: tuple[int, int] | None = None) -> ListedPhoto:
    """Read all entries of a photo; what cannot be used is kept as a fault."""
    people, faults, notices = [], [], []
    for row, category, what in entries:
        try:
            person, notice = reader.person(row, category, what)
        except BadKeypoints as fault:
            faults.append(str(fault))
            continue
        people.append(person)
        notices += [notice] if notice else []
    return ListedPhoto(tuple(people), reader.convention, size, tuple(faults), tuple(notices))


def _boxed(box: Any, fault: BadKeypoints | None, what: str) -> ListedPerson:
    if box is None:
        raise fault or BadKeypoints(f"{what} has neither keypoints nor bbox")
    return ListedPerson(None, box)


def _labelled(keypoints: np.ndarray, box: Any) -> ListedPerson:
    flags = np.isin(keypoints[:, 2], (0.0, 1.0, 2.0)).all()
    confidence = np.where(keypoints[:, 2] > 0.0, 1.0, 0.0) if flags else keypoints[:, 2]
    labelled = ListedPerson(np.concatenate([keypoints[:, :2], confidence[:, None]], -1), box)
    return labelled if (confidence > 0.0).any() or box is None else ListedPerson(None, box)


def _rows(row: dict[str, Any], what: str) -> np.ndarray:
    found = triplets(row["keypoints"], what, row.get("keypoint_scores"))
    if len(found) != _BODY or not _has_feet(row):
        return found
    parts = [found]
    for name, count in _WHOLE_BODY.items():
        values = row.get(name)
        there = isinstance(values, list) and len(values) == 3 * count
        parts.append(triplets(values, f"{what}, {name}") if there else np.zeros((count, 3)))
    return np.concatenate(parts)


def columns_of_rows(rows: Iterable[dict[str, Any]], names: list[str] | None, source: str) -> Columns:
    """Say what the keypoints of entries are: by their names where there are as many, else by their number.

    Raises:
        BadKeypoints: If neither says it.
    """
    counts = [count_of(row) for row in rows]
    count = usual_count(counts) or max(counts)
    if names is None:
        return columns_by_count(count, source)
    if len(names) == count:
        return columns_by_name(names, source)
    notice = f"{source} names {len(names)} keypoints in its category, but its people have {count}"
    try:
        found = columns_by_count(count, source)
    except BadKeypoints as error:
        raise BadKeypoints(f"{notice}: name them all") from error
    pairs = zip(names, CONVENTIONS[found.convention].keypoints, strict=False)
    if any(known_name(name) not in (None, known_name(keypoint)) for name, keypoint in pairs):
        raise BadKeypoints(f"{notice}, in another order than {found.convention}: name them all")
    return Columns(found.convention, count, found.columns, (f"{notice}: read as {found.convention}.",))


def columns_into(columns: Columns, convention: str, source: str) -> Columns:
    """Bring keypoints of one convention into another one, by name."""
    if columns.convention == convention:
        return columns
    steps = columns_by_name(CONVENTIONS[columns.convention].keypoints, source, convention).columns
    joined = tuple(None if step is None else columns.columns[step] for step in steps)
    return Columns(convention, columns.count, joined)


NO_KEYPOINTS = Reader(BOXES_ONLY)
"""Reads files of boxes."""
