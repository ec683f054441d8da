"""Which rows of a set are consecutive frames of one person, and how smoothly the estimate moves along them."""

import re
from collections.abc import Iterator, Sequence

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from scipy.optimize import linear_sum_assignment
from torch import Tensor

from fitloop.evaluation.joints import MILLIMETRES, acceleration_error, mean_over_points
from fitloop.evaluation.people import ScoredPeople

REST_SPEED = 0.15
"""Metres per second below which a foot of the truth rests."""


def tracks(truth: ScoredPeople) -> Iterator[np.ndarray]:
    """Rows of each run of consecutive frames of one person.

    Where the truth has ``sequence`` and ``frame``, they say it. Else neighbouring rows belong together while their
    photos lie in the same folder and their numbers count up by one, as in SPIN's 3DPW file.
    """
    places = [_place(truth, row) for row in range(len(truth))]
    run: list[int] = []
    # SPIN's files have no tracks: a number that does not count up by one starts another person or sequence.
    for row, (sequence, frame) in enumerate(places):
        if run and frame is not None and (sequence, frame - 1) == places[run[-1]]:
            run.append(row)
            continue
        if run:
            yield np.array(run)
        run = [row]
    if run:
        yield np.array(run)


def _place(truth: ScoredPeople, row: int) -> tuple[str, int | None]:
    if "sequence" in truth.values and "frame" in truth.values:
        return str(truth.values["sequence"][row]), int(truth.values["frame"][row])
    photo = truth.photos[row] if truth.photos is not None else ""
    folder, _, name = photo.rpartition("/")
    number = re.search(r"(\d+)\.\w+$", name)
    return folder, int(number.group(1)) if number else None


def acceleration_column(truth: ScoredPeople, points: Tensor, target: Tensor, weights: Tensor) -> Tensor:
    """Acceleration error of each row, millimetres per frame squared; NaN at the ends of a track and in short ones.

    Args:
        truth: Says which rows are consecutive.
        points: (people, joints, 3) about the root, metres.
        target: Likewise.
        weights: (people, joints), 0 where a joint or a person is missing.
    """
    column = torch.full((len(truth),), torch.nan)
    for rows in tracks(truth):
        # A second difference needs both neighbours; the ends of a track stay without one.
        if len(rows) >= 3:
            index = torch.from_numpy(rows)
            column[index[1:-1]] = acceleration_error(points[index], target[index], weights[index])
    return column


def resting(
    feet: Float[Tensor, "frames feet 3"], frame_rate: float, speed: float = REST_SPEED
) -> Bool[Tensor, "steps feet"]:
    """Which feet rest between each frame and the next.

    Args:
        feet: Places of the truth in a world that stands still, metres.
        frame_rate: Frames per second.
        speed: Metres per second.
    """
    return (feet[1:] - feet[:-1]).norm(dim=-1) * frame_rate < speed


def foot_sliding(feet: Float[Tensor, "frames feet 3"], rests: Bool[Tensor, "steps feet"]) -> Float[Tensor, "frames"]:
    """How far feet that rest in truth move from a frame to the next, millimetres, mean over those feet.

    NaN where none rests, and in the last frame.

    Args:
        feet: Places of the estimate in a world that stands still, metres.
        rests: From `resting`.
    """
    moved = MILLIMETRES * (feet[1:] - feet[:-1]).norm(dim=-1)
    slid = mean_over_points(torch.where(rests, moved, 0.0), rests.to(moved.dtype))
    return torch.cat([slid, slid.new_full((1,), torch.nan)])


def identity_switches(tracks: Sequence[int | None]) -> int:
    """How often somebody is found under another number than before (CLEAR MOT, Bernardin and Stiefelhagen 2008).

    Args:
        tracks: Number of the track that was matched to one person of the truth in each frame; None where none was.
    """
    found = [track for track in tracks if track is not None]
    return sum(before != after for before, after in zip(found, found[1:], strict=False))


def follow(
    truth: Sequence[Float[np.ndarray, "_ 4"]],
    found: Sequence[Float[np.ndarray, "_ 4"]],
    tracks: Sequence[Int[np.ndarray, "_"]],
    least: float = 0.2,
) -> list[Int[np.ndarray, "people"]]:
    """Who of the results is who of the truth in each frame, one to one, as CLEAR MOT matches them.

    Who was matched to a track in the last frame stays with it while their boxes overlap enough; the others are assigned
    so that the sum of overlaps is greatest.

    Args:
        truth: Boxes (x y x y) of each frame; always the same people in the same order.
        found: Boxes of the results of each frame.
        tracks: Number of the track of each box of ``found``.
        least: Intersection over union from which on boxes may belong together.

    Returns:
        For each frame the row of ``found`` of each person; -1 where there is none.
    """
    matches, before = [], {}
    for own, others, numbers in zip(truth, found, tracks, strict=True):
        overlap = _overlaps(own, others)
        # Staying together counts more than any overlap.
        stays = np.zeros_like(overlap)
        for person, track in before.items():
            stays[person] = numbers == track
        possible = overlap >= least
        rows, columns = linear_sum_assignment(np.where(possible, overlap + len(own) * stays, 0.0), maximize=True)
        match = np.full(len(own), -1)
        kept = possible[rows, columns]
        match[rows[kept]] = columns[kept]
        before |= {person: numbers[row] for person, row in enumerate(match) if row >= 0}
        matches.append(match)
    return matches


def _overlaps(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Intersection over union of every box with every other."""
    low = np.maximum(first[:, None, :2], second[None, :, :2])
    high = np.minimum(first[:, None, 2:], second[None, :, 2:])
    shared = (high - low).clip(0.0).prod(-1)
    areas = [(boxes[:, 2:] - boxes[:, :2]).prod(-1) for boxes in (first, second)]
    return shared / np.maximum(areas[0][:, None] + areas[1][None] - shared, 1e-9)
