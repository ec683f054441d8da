"""Keypoints that were made on the stored pixels of a photo that EXIF turns when it is displayed."""

from dataclasses import replace

import numpy as np
from jaxtyping import Float

from fitloop.body.keypoints import CONVENTIONS
from fitloop.body.records import Image
from fitloop.detection.listed import BadKeypoints, ListedPerson, ListedPhoto

_QUARTER_TURNS = (5, 6, 7, 8)
"""Values of EXIF's orientation that swap width and height."""
_UPRIGHT, _LYING = 0.7, 0.5
"""Share of the way from shoulders to hips that goes down the photo: of people who stand, and of those who do not."""


def as_displayed(photo: ListedPhoto, image: Image, source: str) -> tuple[tuple[ListedPerson, ...], list[str]]:
    """Bring people into the displayed photo.

    A file that gives the size of the stored photo, width and height swapped, may have its points in either: those
    that fit only one of the two are taken for it, else that in which the people stand.

    Args:
        photo: What the file says.
        image: The photo as it is displayed.
        source: Name of the file for messages.

    Returns:
        The people, and sentences about what was done.

    Raises:
        BadKeypoints: If the file was made for a photo of another size, or nothing says whether its points are turned.
    """
    height, width = image.pixels.shape[:2]
    people, turned = photo.people, image.orientation in _QUARTER_TURNS
    if photo.size in (None, (width, height)):
        return people, _doubt(people, photo.convention, image, source) if photo.size is None else []
    if photo.size != (height, width) or not turned:
        swapped = " (width and height are swapped)" if photo.size == (height, width) else ""
        raise BadKeypoints(
            f"{source} was made for a photo of {photo.size[0]} x {photo.size[1]} pixels, but {image.name!r} has "
            f"{width} x {height}{swapped}: give the photo that the file was made on, or scale the file."
        )
    begin = (
        f"EXIF turns {image.name!r}: it is stored as {height} x {width} pixels, as {source} says, and displayed as "
        f"{width} x {height}"
    )
    if not people:
        return people, []
    stored = _points_are_stored(people, photo.convention, image)
    if stored is None:
        raise BadKeypoints(
            f"{begin}. Whether its points belong to the one or the other cannot be told: give points of the displayed "
            f"photo, and {width} x {height} as its size."
        )
    if stored:
        return tuple(_turned(one, image) for one in people), [f"{begin}. The file's points were turned with the photo."]
    return people, [f"{begin}. The file's points fit the displayed photo and were taken as they are."]


def _points_are_stored(people: tuple[ListedPerson, ...], convention: str, image: Image) -> bool | None:
    height, width = image.pixels.shape[:2]
    points = np.concatenate([_extent(person) for person in people])
    points = points[np.isfinite(points).all(-1)]
    fits_displayed = bool((points <= (width, height)).all())
    fits_stored = bool((points <= (height, width)).all())
    if fits_displayed != fits_stored:
        return fits_stored
    given = _uprightness(people, convention)
    turned = _uprightness(tuple(_turned(person, image) for person in people), convention)
    if given is None or turned is None or max(given, turned) < _UPRIGHT or abs(given - turned) < 0.3:
        return None
    return turned > given


def _doubt(people: tuple[ListedPerson, ...], convention: str, image: Image, source: str) -> list[str]:
    """Tell where people lie in the displayed photo and would stand in the stored one; the file does not say which."""
    if image.orientation == 1 or not people:
        return []
    given = _uprightness(people, convention)
    turned = _uprightness(tuple(_turned(person, image) for person in people), convention)
    if given is None or turned is None or given > _LYING or turned < _UPRIGHT:
        return []
    return [
        f"EXIF turns {image.name!r}, and the people that {source} lists would stand if their points were turned too. "
        "They were taken as they are; if their bodies lie on their side, give points of the displayed photo, or the "
        "stored photo's width and height in a COCO file."
    ]


def _extent(person: ListedPerson) -> Float[np.ndarray, "points 2"]:
    if person.keypoints is not None and (person.keypoints[:, 2] > 0.0).any():
        return person.keypoints[person.keypoints[:, 2] > 0.0, :2]
    return np.zeros((0, 2)) if person.box is None else person.box.reshape(2, 2)


def _uprightness(people: tuple[ListedPerson, ...], convention: str) -> float | None:
    """How much of the way from shoulders to hips goes down the photo, the median over people; None if unknown."""
    names = CONVENTIONS[convention].keypoints
    found = []
    for person in people:
        if person.keypoints is None:
            continue
        ends = []
        for part in ("shoulder", "hip"):
            rows = person.keypoints[[index for index, name in enumerate(names) if name.endswith(f"t_{part}")]]
            rows = rows[(rows[:, 2] > 0.0) & np.isfinite(rows).all(-1)]
            ends += [rows[:, :2].mean(0)] if len(rows) else []
        if len(ends) == 2 and (length := float(np.linalg.norm(ends[1] - ends[0]))) > 0.0:
            found.append(float(ends[1][1] - ends[0][1]) / length)
    return float(np.median(found)) if found else None


def _turned(person: ListedPerson, image: Image) -> ListedPerson:
    keypoints, box = person.keypoints, person.box
    if keypoints is not None:
        keypoints = np.concatenate([_turn(keypoints[:, :2], image), keypoints[:, 2:]], -1)
    if box is not None:
        corners = _turn(box.reshape(2, 2), image)
        box = np.concatenate([corners.min(0), corners.max(0)])
    return replace(person, keypoints=keypoints, box=box)


def _turn(points: Float[np.ndarray, "points 2"], image: Image) -> Float[np.ndarray, "points 2"]:
    """From stored to displayed pixels, as EXIF's orientation says."""
    height, width = image.pixels.shape[:2]
    if image.orientation in _QUARTER_TURNS:
        points = points[:, ::-1]
    from_right = image.orientation in (2, 3, 6, 7)
    from_below = image.orientation in (3, 4, 7, 8)
    x, y = points[:, 0], points[:, 1]
    return np.stack([width - x if from_right else x, height - y if from_below else y], -1)
