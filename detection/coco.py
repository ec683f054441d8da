"""COCO's annotation files: photos, annotations, categories."""

from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fitloop.detection.categories import Categories
from fitloop.detection.coco_people import Entry, Reader, photo_of
from fitloop.detection.listed import BadKeypoints, ListedPhoto, Listing, plain_id, told

_FILE_NAMES = ("file_name", "filename", "name", "path")


def is_annotations(content: Any) -> bool:
    """Whether a JSON file's content is a COCO annotation file."""
    return isinstance(content, dict) and all(isinstance(content.get(k), list) for k in ("images", "annotations"))


def read_annotations(content: dict[str, Any], path: Path, name: str) -> Listing:
    """Read every photo by its file name; groups (``iscrowd``) are left out, and so are things that are no people.

    Whoever has keypoints is a person, whatever the category is called; of things with a box only those whose category
    is called person, human, player, ... A person without labelled keypoints keeps the box. A keypoint's flag 0 (not
    labelled) becomes confidence 0, flags 1 (hidden) and 2 (visible) become 1; detectors' scores, which are no whole
    numbers, are kept. Keypoints are known by the names in their category, else by their number.

    Raises:
        BadKeypoints: If nothing in the file can be used.
    """
    del name
    source = str(path)
    album = _album(content["images"], source)
    people, faults, notices = _people(content, source)
    grouped, orphans = _by_photo(people.entries, album, source)
    if orphans and grouped:
        notices.append(told(orphans, "; left out"))
        orphans = []
    listed = {photo: lambda ids=ids: _photo(ids, album, grouped, people.reader) for photo, ids in album.ids_of.items()}
    notices += people.reader.notices
    return Listing(listed, people.reader.convention, (*album.faults, *faults, *orphans), tuple(notices))


@dataclass(frozen=True)
class _Album:
    """Photos that a file lists."""

    source: str
    names_of: dict[str, list[str]]
    """Photos of each id: one, in a sound file."""
    ids_of: dict[str, list[str]]
    """Ids of each photo: one, in a sound file."""
    sizes: dict[str, tuple[int, int] | None]
    """By id."""
    faults: tuple[str, ...]


def _album(rows: list[Any], source: str) -> _Album:
    names_of: dict[str, list[str]] = {}
    ids_of: dict[str, list[str]] = {}
    sizes: dict[str, tuple[int, int] | None] = {}
    faults = []
    for number, row in enumerate(rows):
        key = plain_id(row.get("id")) if isinstance(row, dict) else None
        name = next((row[k] for k in _FILE_NAMES if isinstance(row.get(k), str) and row[k]), None) if key else None
        if key is None or name is None:
            faults.append(f"{source}: entry {number} of 'images' needs an id and a file_name")
            continue
        if name not in names_of.setdefault(key, []):
            names_of[key].append(name)
        if key not in ids_of.setdefault(name, []):
            ids_of[name].append(key)
        sizes[key] = _size(row)
    return _Album(source, names_of, ids_of, sizes, tuple(faults))


def _size(row: dict[str, Any]) -> tuple[int, int] | None:
    """Width and height, where both are positive numbers, or text that is one."""
    found = []
    for key in ("width", "height"):
        try:
            value = float(row.get(key) or 0)
        except (TypeError, ValueError, OverflowError):
            return None
        found.append(int(value) if 0.0 < value < 1e9 else 0)
    return (found[0], found[1]) if all(found) else None


@dataclass(frozen=True)
class _People:
    entries: list[Entry]
    reader: Reader


def _people(content: dict[str, Any], source: str) -> tuple[_People, list[str], list[str]]:
    """Choose the annotations that are people, and say what was left out."""
    faults: list[str] = []
    rows: list[dict[str, Any]] = []
    crowds = 0
    for number, row in enumerate(content["annotations"]):
        if not isinstance(row, dict):
            faults.append(f"{source}: annotation {number} is no record but {type(row).__name__}")
        elif row.get("iscrowd") in (1, "1"):
            crowds += 1
        else:
            rows.append(row)
    categories = Categories(content.get("categories"), rows, source)
    entries, others = [], Counter()
    for row in rows:
        category = plain_id(row.get("category_id"))
        if categories.is_of_people(category):
            entries.append((row, category, f"{source}: annotation {row.get('id', 'of ' + str(row.get('image_id')))}"))
        else:
            others[categories.name_of(category)] += 1
    notices = [f"{source}: {crowds} groups of people (iscrowd) were left out."] if crowds else []
    if others:
        names = ", ".join(repr(name) for name, _ in others.most_common(3)) + (", ..." if len(others) > 3 else "")
        sentence = f"{source}: {others.total()} annotations of other categories ({names}) were left out"
        notices.append(f"{sentence}.")
        if not entries and not categories.faults:
            faults.append(f"{sentence}, and none is of a person: call the category 'person'")
    return _People(entries, categories.reader), faults + list(categories.faults), notices


def _by_photo(entries: list[Entry], album: _Album, source: str) -> tuple[dict[str, list[Entry]], list[str]]:
    """Sort annotations by photo, and tell those of photos that the file does not list."""
    grouped: dict[str, list[Entry]] = {}
    orphans: Counter[str] = Counter()
    first: dict[str, str] = {}
    for entry in entries:
        value = entry[0].get("image_id")
        key = plain_id(value)
        if key not in album.names_of and isinstance(value, str) and len(album.ids_of.get(value, ())) == 1:
            key = album.ids_of[value][0]
        if key is not None and key in album.names_of:
            grouped.setdefault(key, []).append(entry)
        else:
            orphans[str(value)] += 1
            first.setdefault(str(value), entry[2])
    more = {key: f" ({count} of them)" if count > 1 else "" for key, count in orphans.items()}
    return grouped, [f"{first[key]} is of photo {key}, not listed{more[key]}" for key in orphans]


def _photo(ids: list[str], album: _Album, grouped: dict[str, list[Entry]], reader: Reader) -> ListedPhoto:
    used = [key for key in ids if key in grouped] or ids[:1]
    for key in used:
        if len(album.names_of[key]) > 1 and key in grouped:
            names = " and ".join(map(repr, album.names_of[key][:3]))
            raise BadKeypoints(f"{album.source} gives the id {key} to {names}. Give every photo an id of its own.")
    if len(used) > 1:
        name = album.names_of[used[0]][0]
        raise BadKeypoints(f"{album.source} lists {name!r} several times, as {', '.join(used)}. List it once.")
    return photo_of(grouped.get(used[0], ()), reader, album.sizes[used[0]])
