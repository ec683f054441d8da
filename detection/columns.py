"""Which column of a file is which keypoint: by the names the file gives, else by how many there are."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float

from fitloop.body.keypoint_names import columns_of, convention_of, say_nothing
from fitloop.body.keypoints import CONVENTIONS
from fitloop.detection.listed import BadKeypoints

BY_COUNT = {17: "coco17", 26: "halpe26", 133: "wholebody133", 136: "halpe136"}
"""What keypoints without names are, by their number; these numbers have one meaning in files of the field."""


@dataclass(frozen=True)
class Columns:
    """How the keypoints of a file become those of a convention."""

    convention: str
    count: int
    """Keypoints per person in the file."""
    columns: tuple[int | None, ...]
    """For each keypoint of the convention the file's column; None where the file has no such point."""
    notices: tuple[str, ...] = ()

    def arranged(self, rows: Float[np.ndarray, "found 3"], what: str) -> Float[np.ndarray, "keypoints 3"]:
        """Bring the keypoints of a person into the convention's order; what the file lacks is not observed.

        Raises:
            BadKeypoints: If the person has another number of keypoints.
        """
        if len(rows) != self.count:
            raise BadKeypoints(f"{what} has {len(rows)} keypoints where {self.count} ({self.convention}) were expected")
        source = np.array([0 if column is None else column for column in self.columns], int)
        missing = np.array([column is None for column in self.columns])
        return np.where(missing[:, None], 0.0, rows[source])


def columns_by_count(count: int, source: str, known: Mapping[int, str] = BY_COUNT) -> Columns:
    """Take keypoints without names for what their number says.

    Raises:
        BadKeypoints: If the number is none of the known ones; names them.
    """
    if count not in known:
        layouts = ", ".join(f"{number} ({name})" for number, name in sorted(known.items()))
        raise BadKeypoints(
            f"{source} has {count} keypoints per person and does not say which they are; known are {layouts}: "
            "convert them, or name them in a COCO file's category, as "
            '"keypoints": ["nose", "left_eye", ...]'
        )
    return Columns(known[count], count, tuple(range(count)))


def columns_by_name(names: Sequence[str], source: str, convention: str | None = None) -> Columns:
    """Find keypoints by what they are called.

    Args:
        names: Of the file's columns, in order.
        source: Name of the file for messages.
        convention: The convention to bring them into; the one that fits best if not given.

    Raises:
        BadKeypoints: If too few names are known; says what came and what is known.
    """
    try:
        found = convention_of(names)
    except ValueError as error:
        raise BadKeypoints(f"{source}: {str(error).removesuffix('.')}") from error
    chosen = convention or found.convention.name
    columns = tuple(found.columns) if chosen == found.convention.name else tuple(columns_of(names, chosen))
    used = {column for column in columns if column is not None}
    unknown = [str(name) for index, name in enumerate(names) if index not in used]
    notices = []
    if any(column not in (None, index) for index, column in enumerate(columns)):
        notices.append(f"{source} has its keypoints in an order of its own; they were brought into {chosen} by name.")
    if unknown:
        told = ", ".join(unknown[:6]) + (", ..." if len(unknown) > 6 else "")
        notices.append(f"{source}: keypoints called {told} have no place in {chosen} and were left out.")
    return Columns(chosen, len(names), columns, tuple(notices))


def names_in(value: Any) -> list[str] | None:
    """Read keypoint names as files write them: a list, a list of records with names, or names by number.

    Returns:
        The names; None where there are none, or they are mere numbers.
    """
    if isinstance(value, str):
        value = [part.strip() for part in value.split(",")]
    if isinstance(value, dict):
        keys = sorted(value, key=lambda key: (0, int(key)) if str(key).isdecimal() else (1, 0))
        value = [value[key] for key in keys]
    if not isinstance(value, list) or not value:
        return None
    found = [row.get("name") if isinstance(row, dict) else row for row in value]
    names = [str(name) if isinstance(name, (str, int)) else "" for name in found]
    return None if say_nothing(names) else names


def usual_count(counts: Iterable[int]) -> int | None:
    """The number of keypoints that most people have; None if there is nobody, or two numbers are as frequent."""
    found = Counter(counts).most_common(2)
    if not found or (len(found) == 2 and found[0][1] == found[1][1]):
        return None
    return found[0][0]


def length_of(convention: str) -> int:
    """Number of keypoints of a convention."""
    return len(CONVENTIONS[convention])
