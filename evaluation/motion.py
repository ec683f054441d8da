"""Which rows of a set are consecutive frames of one person, and how smoothly the estimate moves along them."""

import re
from collections.abc import Iterator, Sequence

import numpy as np
import torch
from jaxtyping import Bool, Float
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
