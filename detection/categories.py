"""Which categories of a COCO file are people, and what their keypoints are."""

from collections import Counter
from typing import Any

from fitloop.detection.coco_people import (
    NO_KEYPOINTS,
    Reader,
    columns_into,
    columns_of_rows,
    has_keypoints,
    is_person_name,
)
from fitloop.detection.columns import Columns, names_in
from fitloop.detection.listed import BadKeypoints, plain_id


class Categories:
    """The categories of a file, and the entries that belong to them."""

    def __init__(self, categories: Any, rows: list[dict[str, Any]], source: str) -> None:
        """Look at the categories and at which entries have keypoints.

        Args:
            categories: As the file has them; may be missing.
            rows: The file's entries.
            source: Name of the file for messages.
        """
        listed = categories if isinstance(categories, list) else []
        found = [(plain_id(row.get("id")), row) for row in listed if isinstance(row, dict)]
        self._known = {key: row for key, row in found if key is not None}
        self._seen: dict[str | None, list[dict[str, Any]]] = {}
        for row in rows:
            if has_keypoints(row):
                self._seen.setdefault(plain_id(row.get("category_id")), []).append(row)
        self.faults: list[str] = []
        columns: dict[str | None, Columns] = {}
        for key in sorted(self._seen, key=lambda key: -len(self._seen[key])):
            names = names_in(self._known[key].get("keypoints")) if key in self._known else None
            try:
                columns[key] = columns_of_rows(self._seen[key], names, source)
            except BadKeypoints as fault:
                self.faults.append(str(fault))
        self._refused = set(self._seen) - set(columns)
        self.reader = self._reader(columns, source)

    def _reader(self, columns: dict[str | None, Columns], source: str) -> Reader:
        if not columns:
            return NO_KEYPOINTS
        usual = next(iter(columns.values())).convention
        notices = [notice for one in columns.values() for notice in one.notices]
        notices += [f"{fault}. The entries of this category were left out." for fault in self.faults]
        for key in columns:
            names = self._known.get(key or "", {}).get("keypoints")
            if names and names_in(names) is None and not columns[key].notices:
                notices.append(f"{source} numbers its keypoints instead of naming them: read in the order of {usual}.")
        brought = {key: columns_into(one, usual, source) for key, one in columns.items()}
        return Reader(usual, brought, tuple(dict.fromkeys(notices)))

    def name_of(self, category: str | None) -> str:
        """What a category is called."""
        name = self._known.get(category or "", {}).get("name")
        return name if isinstance(name, str) else str(category)

    def is_of_people(self, category: str | None) -> bool:
        """Whether entries of a category are people: some have keypoints of a person, or it is called so or nothing."""
        if category in self._refused:
            return False
        if category in self._seen or category not in self._known:
            return True
        return is_person_name(self._known[category].get("name"))


def usual_category(rows: list[dict[str, Any]]) -> str | None:
    """The category of people in boxes of results, which list no categories: 1, as in COCO, else 0 if it is there."""
    found = Counter(plain_id(row.get("category_id", 1)) for row in rows)
    return next((key for key in ("1", "person", "0") if key in found), None)
