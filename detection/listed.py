"""What files say about people in photos: the records every reader gives, and the numbers in them."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from jaxtyping import Float

from fitloop.body.keypoints import convention_named
from fitloop.body.records import Detections

BOXES_ONLY = "mediapipe33"
"""Convention of people with a box only: the landmark network's."""
HUGE = 1e9
"""No pixel is further away than this, and no NaN or infinity is nearer."""
_TOLD = 3
"""So many faults of one kind are told in full, the others are counted."""


class BadKeypoints(ValueError):
    """A keypoint or box file that cannot be used; the message is a sentence for the user."""


@dataclass(frozen=True)
class ListedPerson:
    """One person as the file has it; at least one of the fields is given."""

    keypoints: Float[np.ndarray, "keypoints 3"] | None = None
    """x, y in full-image pixels and confidence."""
    box: Float[np.ndarray, "4"] | None = None
    """x y x y in full-image pixels."""


@dataclass(frozen=True)
class ListedPhoto:
    """All that a file says of one photo."""

    people: tuple[ListedPerson, ...]
    convention: str
    """Of the keypoints; `BOXES_ONLY` where the file has boxes only."""
    size: tuple[int, int] | None = None
    """Width and height the file was made for, if it says so."""
    faults: tuple[str, ...] = ()
    """Entries that could not be used, one sentence each."""
    notices: tuple[str, ...] = ()
    """What else the user should know, in sentences."""


@dataclass(frozen=True)
class Listing:
    """All that a file says, photo by photo; a photo's entries are read when they are asked for."""

    photos: Mapping[str, Callable[[], ListedPhoto]]
    """By name, path or number of the photo."""
    convention: str
    faults: tuple[str, ...] = ()
    """Entries that belong to no photo and could not be used."""
    notices: tuple[str, ...] = ()
    """What the user should know of the file as a whole."""

    def checked(self) -> "Listing":
        """Give the listing back if somebody in it can be used, or nobody is listed at all.

        Raises:
            BadKeypoints: If every entry is at fault; tells the first ones.
        """
        faults = list(self.faults)
        for read in self.photos.values():
            try:
                photo = read()
            except BadKeypoints as error:
                faults.append(str(error))
                continue
            if photo.people:
                return self
            faults += photo.faults
        if faults:
            raise BadKeypoints(told(faults))
        return self


def nobody(convention: str) -> Detections:
    """Detections of no one."""
    count = len(convention_named(convention))
    return Detections(torch.zeros(0, count, 2), torch.zeros(0, count), torch.zeros(0, 4), convention)


def told(faults: list[str] | tuple[str, ...], ending: str = "") -> str:
    """Tell the first faults in full and count the others."""
    more = len(faults) - _TOLD
    first = [fault.removesuffix(".") for fault in faults[:_TOLD]]
    return "; ".join(first) + (f"; and {more} more like these" if more > 0 else "") + f"{ending}."


def numbers(values: Any, what: str) -> Float[np.ndarray, "..."]:
    """Turn a list of numbers from a file into an array.

    Raises:
        BadKeypoints: If it is anything else; ``what`` says in the message where it was found.
    """
    try:
        return np.asarray(values, dtype=float)
    except (TypeError, ValueError, OverflowError, RecursionError) as error:
        raise BadKeypoints(f"{what} must be a list of numbers: {error}") from error


def triplets(values: Any, what: str, scores: Any = None) -> Float[np.ndarray, "keypoints 3"]:
    """Turn x, y, confidence of keypoints into rows; from a flat list, or from one list per keypoint.

    Args:
        values: x, y and confidence, or x and y where ``scores`` has the confidences.
        what: Says in messages where this was found.
        scores: Confidences, one per keypoint.

    Raises:
        BadKeypoints: If it is not such a list.
    """
    found = numbers(values, what)
    while found.ndim > 2 and len(found) == 1:
        found = found[0]
    if scores is None:
        if found.ndim == 2 and found.shape[1] == 3:
            return found
        if found.ndim != 1 or found.size % 3:
            raise BadKeypoints(f"{what} must be a flat list of x, y, confidence per keypoint; got {_layout(found)}")
        return found.reshape(-1, 3)
    sure = numbers(scores, f"{what}, scores").reshape(-1)
    if found.size != 2 * sure.size and found.size != 3 * sure.size:
        raise BadKeypoints(f"{what} has {_layout(found)} for {sure.size} scores; give x and y for each score")
    return np.concatenate([found.reshape(sure.size, -1)[:, :2], sure[:, None]], -1)


def _layout(found: np.ndarray) -> str:
    return f"{found.size} numbers" if found.ndim < 2 else " x ".join(map(str, found.shape)) + " numbers"


def corner_box(values: Any, what: str, corners: bool = False) -> Float[np.ndarray, "4"]:
    """Turn x, y, width, height into x y x y.

    Args:
        values: Four numbers.
        what: Says in messages where this was found.
        corners: Whether they are x y x y already.

    Raises:
        BadKeypoints: If it is not a box of finite numbers with a positive size.
    """
    box = numbers(values, what)
    box = box.reshape(4) if corners and box.size == 4 else box
    if box.shape == (4,) and not (np.abs(box) <= HUGE).all():
        raise BadKeypoints(f"{what} must be a box of pixels; got {_short(values)}")
    sized = np.concatenate([box[:2], box[2:] - box[:2]]) if corners and box.shape == (4,) else box
    if sized.shape != (4,) or (sized[2:] <= 0.0).any():
        expected = "x, y, x, y of two corners" if corners else "x, y, width, height"
        raise BadKeypoints(f"{what} must be {expected} with a positive size; got {_short(values)}")
    return np.concatenate([sized[:2], sized[:2] + sized[2:]])


def _short(values: Any) -> str:
    text = str(values)
    return text if len(text) <= 80 else f"{text[:77]}..."


def plain_id(value: Any) -> str | None:
    """Write an id in one way: 2, 2.0, "2" and "2.0" are "2"; None for what is no id."""
    if isinstance(value, str):
        digits = value.strip().removesuffix(".0")
        return str(int(digits)) if digits.isascii() and digits.isdigit() and len(digits) < 19 else value.strip()
    if isinstance(value, (int, float)) and not isinstance(value, bool) and abs(value) < 1e18:
        return str(int(value)) if value == int(value) else str(value)
    return None
