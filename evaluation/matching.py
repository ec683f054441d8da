"""Which row of the results belongs to which person of the truth."""

import unicodedata
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from urllib.parse import unquote

import numpy as np
from jaxtyping import Float, Int
from scipy.optimize import linear_sum_assignment

from fitloop.evaluation.people import ScoredPeople
from fitloop.evaluation.truth import boxes_of

MIN_OVERLAP = 0.2
"""Intersection over union of boxes below which a result belongs to somebody else."""


def resolve_photos(wanted: tuple[str, ...], offered: tuple[str, ...]) -> dict[str, str]:
    """Name of each photo of the truth in the results, from the exact path to the more lenient.

    The same path; the same but for slashes, Unicode form, URL quotes and case; the same file name; the same without
    its ending. Two that fit equally well are none.

    Args:
        wanted: Photos of the truth.
        offered: Photos of the results.

    Returns:
        By photo of the truth; photos that the results lack are absent.
    """
    # A later, more lenient step never takes back what an earlier one has found.
    exact = set(offered)
    found = {photo: photo for photo in wanted if photo in exact}
    for shorten in _SHORTENED:
        theirs = Counter(shorten(photo) for photo in wanted)
        ours: dict[str, list[str]] = {}
        for photo in offered:
            ours.setdefault(shorten(photo), []).append(photo)
        for photo in wanted:
            candidates = ours.get(shorten(photo), [])
            if photo not in found and len(candidates) == 1 and theirs[shorten(photo)] == 1:
                found[photo] = candidates[0]
    return found


def _spelled(path: str) -> str:
    """A path as the systems it may come from would all write it."""
    return unicodedata.normalize("NFC", unquote(path)).replace("\\", "/").removeprefix("./")


def _file(path: str) -> str:
    return path.rsplit("/", 1)[-1]


def _stem(path: str) -> str:
    return _file(path).rsplit(".", 1)[0]


_SHORTENED: tuple[Callable[[str], str], ...] = (
    _spelled,
    lambda path: _spelled(path).casefold(),
    _file,
    _stem,
    lambda path: _file(_spelled(path)).casefold(),
    lambda path: _stem(_spelled(path)).casefold(),
)
"""What may differ, a little more with each step."""


def told_of_spelling(found: Mapping[str, str]) -> tuple[str, ...]:
    """A sentence on photos that were found by another spelling, not by path or file name; none if there are none."""
    other = [(photo, ours) for photo, ours in found.items() if _stem(photo) != _stem(ours)]
    if not other:
        return ()
    photo, ours = other[0]
    return (f"{len(other)} photos were found by another spelling of their names, first {photo!r} as {ours!r}",)


@dataclass(frozen=True)
class Match:
    """A row of the results for each row of the truth."""

    rows: Int[np.ndarray, "people"]
    """-1 where nobody was found."""
    extra: int
    """Rows of the results that belong to nobody."""


def match_people(truth: ScoredPeople, estimate: ScoredPeople) -> Match:
    """Find each person of the truth in the results.

    Rows without photo names must follow the truth's order. Where both sides name their persons and the results have no
    boxes, photo and person decide; else, within each photo, boxes do: largest total overlap, one result per person, at
    least `MIN_OVERLAP`. In a photo with one person and one result that has no box at all, they belong together.

    Args:
        truth: One photo or many.
        estimate: The results of those photos.

    Raises:
        ValueError: If rows without photo names differ in number, or a named person occurs twice.
    """
    if estimate.photos is None:
        if len(estimate) != len(truth):
            raise ValueError(
                f"The results name no photos and have {len(estimate)} rows, the truth has {len(truth)}: "
                "give one row per person in the order of the truth, or name photos (array photo)."
            )
        return Match(np.arange(len(truth)), 0)
    if truth.photos is None:
        raise ValueError("The truth names no photos; only results in its own order can be scored.")
    if truth.persons and estimate.persons and set(truth.persons) & set(estimate.persons) and estimate.boxes is None:
        return _match_names(truth, estimate)
    return _match_boxes(truth, estimate)


def _match_names(truth: ScoredPeople, estimate: ScoredPeople) -> Match:
    # Names decide alone: boxes of a file that names its persons may be of another kind, such as crops.
    keys = list(zip(estimate.photos or (), estimate.persons or (), strict=True))
    twice = [key for key, count in Counter(keys).items() if count > 1]
    if twice:
        told = ", ".join(f"{person!r} in {photo!r}" for photo, person in twice[:5])
        raise ValueError(f"{len(twice)} people occur more than once in the results, first {told}; give one row each.")
    place = {key: row for row, key in enumerate(keys)}
    wanted = zip(truth.photos or (), truth.persons or (), strict=True)
    rows = np.array([place.get(key, -1) for key in wanted], np.int64)
    return Match(rows, len(keys) - int((rows >= 0).sum()))


def _match_boxes(truth: ScoredPeople, estimate: ScoredPeople) -> Match:
    rows = np.full(len(truth), -1, np.int64)
    theirs, ours = _by_photo(truth), _by_photo(estimate)
    first, second = _boxes(truth), _boxes(estimate)
    for photo, people in theirs.items():
        found = ours.get(photo, [])
        # Without boxes only a photo of one person leaves no choice.
        if second is None or first is None:
            if len(found) > len(people) or len(found) > 1:
                raise ValueError(
                    f"{photo!r} has {len(found)} results without boxes for {len(people)} people; add boxes or "
                    "keypoints, or name the persons as the truth does (array person)."
                )
            rows[people[: len(found)]] = found if len(people) == 1 else -1
        elif found:
            _assign(rows, people, found, box_overlaps(first[people], second[found]))
    return Match(rows, len(estimate) - int((rows >= 0).sum()))


def _assign(rows: np.ndarray, people: list[int], found: list[int], overlaps: np.ndarray) -> None:
    # The largest total, not greedily the best: two people who overlap would else swap with the first one's noise.
    for person, result in zip(*linear_sum_assignment(-overlaps), strict=True):
        if overlaps[person, result] >= MIN_OVERLAP:
            rows[people[person]] = found[result]


def _by_photo(people: ScoredPeople) -> dict[str, list[int]]:
    groups: dict[str, list[int]] = {}
    for row, photo in enumerate(people.photos or ()):
        groups.setdefault(photo, []).append(row)
    return groups


def _boxes(people: ScoredPeople) -> np.ndarray | None:
    if people.boxes is not None:
        return people.boxes.numpy()
    return None if people.keypoints is None else boxes_of(people.keypoints).numpy()


def box_overlaps(
    first: Float[np.ndarray, "many 4"], second: Float[np.ndarray, "others 4"]
) -> Float[np.ndarray, "many others"]:
    """Intersection over union of every pair of x y x y boxes; 0 where a box is not finite or empty."""
    low = np.maximum(first[:, None, :2], second[None, :, :2])
    high = np.minimum(first[:, None, 2:], second[None, :, 2:])
    both = np.clip(high - low, 0.0, None).prod(-1)
    areas = [np.clip(boxes[:, 2:] - boxes[:, :2], 0.0, None).prod(-1) for boxes in (first, second)]
    union = areas[0][:, None] + areas[1][None] - both
    with np.errstate(invalid="ignore", divide="ignore"):
        overlaps = both / union
    return np.where(np.isfinite(overlaps), overlaps, 0.0)
