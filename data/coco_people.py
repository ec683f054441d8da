"""People of a COCO annotation file as people write them, not only as COCO does."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float

from fitloop.body.documents import read_document
from fitloop.body.keypoint_names import columns_of, convention_of, say_nothing
from fitloop.body.keypoints import COCO_17

PEOPLE = {"person", "people", "human", "humans", "pedestrian", "player", "man", "woman", "child", "athlete", "body"}
"""Categories whose masks are of people, in small letters; whoever has keypoints is a person whatever the category."""
COCO_FIRST = (17, 26, 133, 136)
"""Numbers of keypoints whose first 17 are COCO's: COCO itself, Halpe-26, COCO-WholeBody, Halpe-136."""
MIN_CORNERS = 3
LONGEST_SIDE = 100_000
"""Pixels; what claims more is no size of a photo."""
Outlines = tuple[tuple[float, ...], ...]


@dataclass
class LeftOut:
    """Counts what a file holds and a reader cannot use, by reason."""

    reasons: dict[str, list[str]] = field(default_factory=dict)

    def add(self, reason: str, which: str) -> None:
        """Leave one thing out."""
        self.reasons.setdefault(reason, []).append(which)

    def sentences(self) -> tuple[str, ...]:
        """One sentence per reason: how many, and the first."""
        return tuple(f"{len(which)} {reason} (first: {which[0]})" for reason, which in self.reasons.items())


@dataclass(frozen=True)
class CocoPerson:
    """One annotated person; None where the file does not say."""

    photo: str
    """The photo's file name, with forward slashes."""
    image_id: str
    name: str
    """The annotation's id."""
    keypoints: Float[np.ndarray, "17 3"] | None
    """x, y in full-image pixels, and 0 where a keypoint is not labelled; NaN where the file has null."""
    box: Float[np.ndarray, "4"] | None
    """x y x y, full-image pixels; of positive size."""
    size: tuple[int, int] | None
    """Height and width of the photo."""
    outlines: Outlines = ()
    """Polygons of the mask, x y x y ... in full-image pixels."""


@dataclass(frozen=True)
class CocoFile:
    """People of one file, and what was left out of it."""

    people: tuple[CocoPerson, ...]
    notices: tuple[str, ...]


def read_coco_people(path: Path) -> CocoFile:
    """Read the people of an annotation file: whoever has labelled keypoints, and masks of persons.

    Keypoints are put into COCO's order by the names in their category. Crowds, other things than people, and entries
    that cannot be used are left out and counted.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If it is no COCO annotation file, an id stands for two photos, or no keypoints are a person's.
    """
    tree = read_document(path)
    if not isinstance(tree, dict) or not all(isinstance(tree.get(key), list) for key in ("images", "annotations")):
        raise ValueError(f"{path} is not a COCO annotation file: it needs the lists images and annotations.")
    left = LeftOut()
    photos = _photos(path, tree["images"], left)
    rows = [row for row in tree["annotations"] if isinstance(row, dict)]
    for number, row in enumerate(tree["annotations"]):
        if not isinstance(row, dict):
            left.add("annotations are no records", f"number {number}")
    # Categories are read with the annotations in view: whose keypoints are labelled is a person's.
    categories = _Categories.of(tree.get("categories"), rows)
    reader = _Reader(photos, categories, left)
    people = [person for number, row in enumerate(rows) if (person := reader.person(number, row)) is not None]
    if reader.strange and not any(person.keypoints is not None for person in people):
        raise ValueError(f"{path}: no keypoints can be used: {reader.strange[0]}.")
    return CocoFile(tuple(people), left.sentences())


def id_of(value: Any) -> str:
    """An id as text; 1, 1.0 and "1" are the same."""
    # Spreadsheets and pandas turn ids into 1.0 on their way.
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    text = str(value).strip()
    return text.removesuffix(".0") if text.removesuffix(".0").isdecimal() else text


def numbers_of(value: Any) -> np.ndarray | None:
    """Numbers of a JSON list, null as NaN; None for anything else."""
    if not isinstance(value, list):
        return None
    try:
        return np.asarray(value, np.float64)
    except (TypeError, ValueError, OverflowError):
        return None


def box_of(value: Any) -> Float[np.ndarray, "4"] | None:
    """X y x y of COCO's x, y, width, height; None if it is none, or has no size."""
    box = numbers_of(value)
    if box is None or box.shape != (4,) or not np.isfinite(box).all() or (box[2:] <= 0).any():
        return None
    return np.concatenate([box[:2], box[:2] + box[2:]])


@dataclass(frozen=True)
class _Photo:
    name: str
    size: tuple[int, int] | None


def _photos(path: Path, images: list[Any], left: LeftOut) -> dict[str, _Photo]:
    photos: dict[str, _Photo] = {}
    for number, image in enumerate(images):
        if not isinstance(image, dict) or image.get("id") is None or not isinstance(image.get("file_name"), str):
            left.add("images have no id and file_name", f"image {number}")
            continue
        key, name = id_of(image["id"]), image["file_name"].replace("\\", "/")
        known = photos.setdefault(key, _Photo(name, _size_of(image)))
        if known.name != name:
            raise ValueError(
                f"{path}: image id {key} stands for two photos, {known.name!r} and {name!r}: whose people are whose "
                "cannot be told. Give each photo an id of its own."
            )
    return photos


def _size_of(image: Mapping[str, Any]) -> tuple[int, int] | None:
    sides = numbers_of([image.get("height"), image.get("width")])
    if sides is None or sides.shape != (2,) or not np.isfinite(sides).all() or not (sides >= 1).all():
        return None
    if (sides > LONGEST_SIDE).any():
        return None
    return int(sides[0]), int(sides[1])


@dataclass(frozen=True)
class _Categories:
    names: dict[str, str]
    keypoints: dict[str, tuple[str, ...]]
    """Names of each category's keypoints; categories without any, or with mere numbers, are absent."""
    people: set[str]
    """Categories with a person's name, or with somebody's labelled keypoints."""

    @classmethod
    def of(cls, listed: Any, rows: list[dict[str, Any]]) -> "_Categories":
        known = [c for c in listed if isinstance(c, dict)] if isinstance(listed, list) else []
        names = {id_of(c.get("id")): str(c.get("name", "")) for c in known}
        keypoints: dict[str, tuple[str, ...]] = {}
        for category in known:
            words = tuple(map(str, category["keypoints"])) if isinstance(category.get("keypoints"), list) else ()
            if words and not say_nothing(words):
                keypoints[id_of(category.get("id"))] = words
        people = {key for key, name in names.items() if name.strip().lower() in PEOPLE} | set(keypoints)
        people |= {id_of(row.get("category_id")) for row in rows if _labelled(row)}
        return cls(names, keypoints, people)

    def of_person(self, key: str) -> bool:
        """Whether things of a category without keypoints are people; a file that lists no categories is of people."""
        return key in self.people or key not in self.names

    def names_of(self, key: str) -> tuple[str, ...] | None:
        """Names of an annotation's keypoints: of its category, or of the only one that has names."""
        if key in self.keypoints:
            return self.keypoints[key]
        return next(iter(self.keypoints.values())) if len(self.keypoints) == 1 and key not in self.names else None


def _labelled(row: Mapping[str, Any]) -> bool:
    points = numbers_of(row.get("keypoints"))
    return points is not None and bool((np.nan_to_num(points.ravel()[2::3]) != 0).any())


@dataclass
class _Reader:
    photos: dict[str, _Photo]
    categories: _Categories
    left: LeftOut
    strange: list[str] = field(default_factory=list)
    """Why keypoints of some annotations mean nothing here."""

    def person(self, number: int, row: dict[str, Any]) -> CocoPerson | None:
        """One person; None, and counted, if the row is of nobody or cannot be used."""
        name = id_of(row["id"]) if row.get("id") is not None else f"#{number}"
        key, which = id_of(row.get("category_id")), f"annotation {name}"
        if id_of(row.get("iscrowd", 0)).lower() not in ("0", "false", "none", ""):
            self.left.add("annotations are crowds", which)
            return None
        # Crowds have no single outline or keypoints; their masks cover many people.
        outlines = self._outlines(row.get("segmentation"), which)
        keypoints = self._keypoints(row, key, which)
        if keypoints is None and not self.categories.of_person(key):
            self.left.add("annotations are of other things than people", f"{which}, {self.categories.names[key]}")
            return None
        if keypoints is None and not outlines:
            self.left.add("annotations have no labelled keypoint and no mask of polygons", which)
            return None
        photo = self.photos.get(id_of(row.get("image_id")))
        if photo is None:
            self.left.add("annotations are of a photo that is not listed", f"{which}, photo {row.get('image_id')}")
            return None
        box = self._box(row.get("bbox"), keypoints, outlines, which)
        if box is None:
            self.left.add("annotations have neither a box nor a place", which)
            return None
        return CocoPerson(photo.name, id_of(row.get("image_id")), name, keypoints, box, photo.size, outlines)

    def _keypoints(self, row: dict[str, Any], key: str, which: str) -> np.ndarray | None:
        if not _labelled(row):
            return None
        points = numbers_of(row["keypoints"])
        assert points is not None
        names = self.categories.names_of(key)
        columns = _columns(points.size, names)
        if isinstance(columns, str):
            self.strange.append(f"{which} {columns}")
            self.left.add("people have keypoints that cannot be named", self.strange[-1])
            return None
        if list(columns) != list(range(len(COCO_17))):
            self.left.add("people have keypoints in another order than COCO's, which are read by their names", which)
        found = np.zeros((len(COCO_17), 3))
        for row_number, column in enumerate(columns):
            if column is not None:
                found[row_number] = points.reshape(-1, 3)[column]
        return found if (np.nan_to_num(found[:, 2]) != 0).any() else None

    def _box(
        self, value: Any, keypoints: np.ndarray | None, outlines: Outlines, which: str
    ) -> Float[np.ndarray, "4"] | None:
        box = box_of(value)
        if box is not None:
            return box
        self.left.add("people have no box of their own; one around their keypoints or mask serves", which)
        points = [np.reshape(outline, (-1, 2)) for outline in outlines]
        if keypoints is not None:
            points.append(keypoints[np.nan_to_num(keypoints[:, 2]) != 0, :2])
        places = np.concatenate(points)
        places = places[np.isfinite(places).all(1)]
        if not len(places) or (np.ptp(places, axis=0) <= 0).any():
            return None
        return np.concatenate([places.min(0), places.max(0)])

    def _outlines(self, value: Any, which: str) -> Outlines:
        if isinstance(value, dict):
            self.left.add("masks are run-length encoded and not read; only polygons are", which)
            return ()
        outlines = []
        for shape in value if isinstance(value, list) else ():
            corners = numbers_of(shape)
            if corners is None or corners.ndim != 1 or corners.size < 2 * MIN_CORNERS or corners.size % 2:
                self.left.add("outlines are no polygons of three corners", which)
            elif not np.isfinite(corners).all():
                self.left.add("outlines hold values that are not finite", which)
            else:
                outlines.append(tuple(corners.tolist()))
        return tuple(outlines)


@lru_cache(maxsize=256)
def _columns(size: int, names: tuple[str, ...] | None) -> list[int | None] | str:
    """Column of each of COCO's keypoints among an annotation's, or what is wrong with them."""
    count = size // 3
    if size % 3:
        return f"has {size} keypoint numbers, which is no multiple of 3"
    if names is None and count in COCO_FIRST:
        return list(range(len(COCO_17)))
    if names is None:
        known = ", ".join(map(str, COCO_FIRST))
        return f"has {count} keypoints that its category does not name; without names {known} are understood"
    if len(names) != count:
        return f"has {count} keypoints, its category names {len(names)}"
    try:
        convention_of(names)
    except ValueError as error:
        return f"has {count} keypoints, but {str(error).rstrip('.')}"
    return columns_of(names, COCO_17)
