"""Score a whole set, block by block, so that memory does not grow with the number of people."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
import torch

from fitloop.evaluation.checks import suspect, suspect_bodies
from fitloop.evaluation.matching import match_people, resolve_photos, told_of_spelling
from fitloop.evaluation.people import ScoredPeople, usable
from fitloop.evaluation.placing import Bodies
from fitloop.evaluation.protocols import Protocol
from fitloop.evaluation.results import Results, convert_unit
from fitloop.evaluation.scoring import Goal, goal_of, score_people
from fitloop.evaluation.silhouettes import MaskSource, score_masks
from fitloop.evaluation.tables import Gathered, Table

BLOCK = 256
"""People scored at once."""


@dataclass(frozen=True)
class ScoreOptions:
    """What to do with results that are not as they should be."""

    missing: Literal["error", "skip"] = "error"
    """People without a result, or with values that are not finite: stop, or score the rest and say how many."""
    unit: Literal["metres", "millimetres", "centimetres"] = "metres"
    """Of joints in a results file that does not say."""
    trust: bool = False
    """Score results that look like another unit or joint order anyway."""


def score(
    protocol: Protocol,
    truth: ScoredPeople,
    results: Results,
    bodies: Bodies,
    options: ScoreOptions = ScoreOptions(),
    masks: MaskSource | None = None,
) -> list[Table]:
    """Score every stage of some results under a protocol.

    Args:
        protocol: What to compute.
        truth: All people of the protocol.
        results: All people found.
        bodies: Pose the parameters of both.
        options: What to do with bad input.
        masks: Where the truth's masks are; without it mask metrics are left out.

    Returns:
        One table per stage.

    Raises:
        ValueError: If people are missing (unless they may be skipped), rows are doubled, or the joints look like
            another unit or order.
    """
    gathered = {stage: Gathered(len(truth), len(protocol.joints)) for stage in results.stages}
    aliases, told = None, results.notices
    if results.photos is not None:
        aliases = resolve_photos(tuple(dict.fromkeys(truth.photos or ())), results.photos)
        told = (*told, *told_of_spelling(aliases))
    judge = _Judge(protocol, bodies, options, masks)
    # Block by block: ten thousand meshes at once would not fit into any memory.
    with torch.inference_mode():
        for rows in blocks(truth):
            part = truth.take(rows)
            goal = goal_of(part, protocol, bodies)
            for stage, people in _read(results, part, rows, len(truth), aliases).items():
                judge.score_block(gathered[stage], rows, goal, people)
    tables = [found.finish(stage, truth, protocol) for stage, found in gathered.items()]
    for table in tables:
        _check_missing(table, truth, options)
    return [replace(table, notes=(*table.notes, *told)) for table in tables]


def blocks(truth: ScoredPeople) -> Iterator[np.ndarray]:
    """Rows of the truth in blocks of about `BLOCK`, all people of one photo in the same block."""
    groups: dict[str, list[int]] = {}
    for row, photo in enumerate(truth.photos or map(str, range(len(truth)))):
        groups.setdefault(photo, []).append(row)
    waiting: list[int] = []
    for rows in groups.values():
        waiting += rows
        # Whole photos only, or people of one photo would be matched in two halves.
        if len(waiting) >= BLOCK:
            yield np.array(waiting)
            waiting = []
    if waiting:
        yield np.array(waiting)


def _read(
    results: Results, part: ScoredPeople, rows: np.ndarray, total: int, aliases: dict[str, str] | None
) -> dict[str, ScoredPeople]:
    if aliases is None:
        found = results.read(None)
        for people in found.values():
            if len(people) != total:
                raise ValueError(
                    f"The results name no photos and have {len(people)} rows, the truth has {total}: give one row per "
                    "person in the order of the truth, or name the photos (array photo)."
                )
        return {stage: people.take(rows) for stage, people in found.items()}
    wanted = {aliases[photo]: photo for photo in dict.fromkeys(part.photos or ()) if photo in aliases}
    return {
        stage: replace(people, photos=tuple(wanted[photo] for photo in people.photos or ()))
        for stage, people in results.read(list(wanted)).items()
    }


@dataclass(frozen=True)
class _Judge:
    protocol: Protocol
    bodies: Bodies
    options: ScoreOptions
    masks: MaskSource | None

    def score_block(self, gathered: Gathered, rows: np.ndarray, goal: Goal, people: ScoredPeople) -> None:
        if people.joints is not None:
            people = replace(people, joints=convert_unit(people.joints, self.options.unit))
        match = match_people(goal.people, people)
        inside = np.flatnonzero(match.rows >= 0)
        # What is not finite counts as missing: a mean without it would look better than it is.
        finite = usable(people)[match.rows[inside]] if len(inside) else np.zeros(0, bool)
        gathered.extra += match.extra
        gathered.not_finite += int((~finite).sum())
        inside = inside[finite]
        if len(inside) == 0:
            return
        gathered.found[rows[inside]] = True
        self._score(gathered, rows[inside], goal.take(inside), people.take(match.rows[inside]))

    def _score(self, gathered: Gathered, rows: np.ndarray, goal: Goal, estimate: ScoredPeople) -> None:
        scores, placed = score_people(goal, estimate, self.protocol, self.bodies)
        if gathered.suspicions is None:
            # The first block decides: what is in another unit or order is so throughout, and stops before long scoring.
            gathered.suspicions = suspect(placed, goal.placed, self.protocol.joints) + suspect_bodies(estimate)
            grave = [s.sentence for s in gathered.suspicions if s.kind in ("unit", "order")]
            if grave and not self.options.trust:
                raise ValueError(
                    f"These results cannot be scored: {grave[0]}. Convert them, name them (--unit, --convention), or "
                    "score them as they are with --trust."
                )
        for name, values in scores.columns.items():
            gathered.put(name, rows, values.numpy())
        gathered.joint_errors[rows] = scores.joint_errors.numpy()
        gathered.put_words(rows, estimate)
        if "acceleration" in self.protocol.metrics:
            gathered.put_motion(rows, placed, goal.placed)
        if self.masks is not None and "mask_iou" in self.protocol.metrics:
            column, totals = score_masks(goal.people, estimate, self.bodies, self.masks)
            gathered.put("mask_iou", rows, column.numpy())
            gathered.masks += totals


def _check_missing(table: Table, truth: ScoredPeople, options: ScoreOptions) -> None:
    if table.missing == table.people:
        raise ValueError(
            f"Not one of the {table.people} people has a usable result ({table.stage}): do the photo names agree? The "
            f"truth's first is {(truth.photos or ('',))[0]!r}."
        )
    if table.missing and options.missing == "error":
        lacking = [photo for photo, found in zip(truth.photos or (), table.found, strict=False) if not found]
        raise ValueError(
            f"{table.missing} of {table.people} people have no usable result ({table.stage}), first in {lacking[:3]}; "
            "--missing skip scores the rest and says how many."
        )
