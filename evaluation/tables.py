"""What was measured of one stage: a column per metric, a row per person of the truth."""

from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor

from fitloop.evaluation.checks import Suspicion
from fitloop.evaluation.motion import acceleration_column
from fitloop.evaluation.people import ScoredPeople
from fitloop.evaluation.placing import Placed
from fitloop.evaluation.protocols import Protocol
from fitloop.evaluation.silhouettes import MaskTotals


@dataclass(frozen=True)
class Table:
    """Everything measured of one stage, rows in the order of the truth."""

    stage: str
    extra: int
    """Results that belong to nobody."""
    found: np.ndarray
    """Whether each person has a usable result."""
    columns: dict[str, np.ndarray]
    """By metric: one number per person, NaN where there is none."""
    joint_errors: np.ndarray
    """(people, joints), millimetres about the root or pixels."""
    totals: dict[str, float]
    """Metrics of the set as a whole, such as the accuracy over all pixels."""
    labels: dict[str, tuple[str, ...]]
    """Words of each person's result: ``status`` and ``row`` (its name in the results); empty where it has none."""
    values: dict[str, np.ndarray]
    """Numbers of each person's result, such as ``energy``; NaN where it has none."""
    body: str | None
    notes: tuple[str, ...]

    @property
    def people(self) -> int:
        """People of the truth."""
        return len(self.found)

    @property
    def missing(self) -> int:
        """People without a usable result."""
        return int((~self.found).sum())


@dataclass
class Gathered:
    """One stage while its blocks are scored."""

    people: int
    num_joints: int
    columns: dict[str, np.ndarray] = field(default_factory=dict)
    labels: dict[str, list[str]] = field(default_factory=dict)
    values: dict[str, np.ndarray] = field(default_factory=dict)
    motion: list[tuple[np.ndarray, Tensor, Tensor, Tensor]] = field(default_factory=list)
    masks: MaskTotals = MaskTotals()
    extra: int = 0
    not_finite: int = 0
    body: str | None = None
    suspicions: list[Suspicion] | None = None

    def __post_init__(self) -> None:
        self.found = np.zeros(self.people, bool)
        self.joint_errors = np.full((self.people, self.num_joints), np.nan, np.float32)

    def put(self, name: str, rows: np.ndarray, values: np.ndarray) -> None:
        """Write some rows of a metric; NaN elsewhere."""
        self.columns.setdefault(name, np.full(self.people, np.nan))[rows] = values

    def put_words(self, rows: np.ndarray, estimate: ScoredPeople) -> None:
        """Keep what the results say of each person beside the scores."""
        self.body = estimate.body or self.body
        words = dict(estimate.labels)
        if estimate.persons is not None:
            words["row"] = estimate.persons
        for name, values in words.items():
            column = self.labels.setdefault(name, [""] * self.people)
            for row, value in zip(rows, values, strict=True):
                column[row] = value
        for name, values in estimate.values.items():
            # Only numbers per person: a photo's size is two, and no score.
            if values.ndim == 1 and np.issubdtype(values.dtype, np.number):
                self.values.setdefault(name, np.full(self.people, np.nan))[rows] = values

    def put_motion(self, rows: np.ndarray, placed: Placed, goal: Placed) -> None:
        """Keep joints about the root for metrics over time."""
        self.motion.append((rows, placed.joints, goal.joints, placed.weights * goal.weights))

    def finish(self, stage: str, truth: ScoredPeople, protocol: Protocol) -> Table:
        """Add what needs the whole set, and freeze."""
        if self.motion:
            self.columns["acceleration"] = self._acceleration(truth).numpy()
        known = np.asarray(np.isfinite(self.joint_errors).any(0))
        notes = [suspicion.sentence for suspicion in self.suspicions or []]
        if known.any() and not known.all():
            absent = ", ".join(name for name, is_known in zip(protocol.joints, known, strict=True) if not is_known)
            notes.append(f"scored on {known.sum()} of {len(known)} joints, without {absent}")
        if self.not_finite:
            notes.append(f"{self.not_finite} results hold values that are not finite")
        if int(self.found.sum()) == 1:
            notes.append("one person only: the confidence interval has no width")
        return Table(
            stage,
            self.extra,
            self.found,
            {name: self.columns[name] for name in protocol.metrics if name in self.columns},
            self.joint_errors,
            {name: value for name, value in self.masks.metrics().items() if name in protocol.metrics},
            {name: tuple(column) for name, column in self.labels.items()},
            self.values,
            self.body,
            tuple(notes),
        )

    def _acceleration(self, truth: ScoredPeople) -> Tensor:
        shape = self.motion[0][1].shape[1:]
        points, target = torch.zeros(self.people, *shape), torch.zeros(self.people, *shape)
        weights = torch.zeros(self.people, shape[0])
        # Blocks cut tracks apart, so that motion is measured when all rows are back in the truth's order.
        for rows, ours, theirs, known in self.motion:
            points[rows], target[rows], weights[rows] = ours, theirs, known
        return acceleration_column(truth, points, target, weights)
