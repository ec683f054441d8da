"""What a report is made of, and which people it shows."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch

from fitloop.body import BodyEstimate
from fitloop.evaluation.people import ScoredPeople
from fitloop.evaluation.placing import Bodies
from fitloop.evaluation.protocols import METRICS, Protocol
from fitloop.evaluation.published import PublishedRow
from fitloop.evaluation.scorecard import Entry
from fitloop.evaluation.statistics import at_percentiles
from fitloop.evaluation.tables import Table
from fitloop.geometry import camera_of

PERCENTILES = (15, 30, 60, 90, 95)
"""Of the error of the people shown as samples (Kanazawa et al. 2018, Figure 3)."""
WORST = 10
ACCEPTED = ("", "converged", "stalled", "max_steps", "accepted", "not_fitted")
"""Statuses of results that a program may use; every other one is a reason for rejection."""


@dataclass(frozen=True)
class Shown:
    """One entry of the report: its scores and, where it has any, its bodies."""

    entry: Entry
    color: int
    """Number of its colour in the page."""
    bodies: Callable[[Sequence[int]], ScoredPeople] | None = None
    """Results of some rows of the truth, in their order; None where there is nothing to draw."""
    other: bool = False
    """Results of another system or run, shown beside those that the report is about."""

    @property
    def label(self) -> str:
        """What readers call it."""
        return self.entry.label

    @property
    def table(self) -> Table:
        """Its scores."""
        return self.entry.table


@dataclass(frozen=True)
class ReportData:
    """Everything a report shows."""

    title: str
    protocol: Protocol
    truth: ScoredPeople
    card: dict[str, Any]
    """From `fitloop.evaluation.scorecard.scorecard`."""
    shown: tuple[Shown, ...]
    bodies: Bodies
    photo: Callable[[str], np.ndarray | None]
    """Pixels of a photo, RGB; None where there is no such file."""
    published: tuple[PublishedRow, ...] = ()
    timings: dict[str, dict[str, float]] = field(default_factory=dict)
    """Seconds and photos by stage, as the run tells."""
    pictures: int = 500
    """People with pictures and 3D view at most, the worst first."""

    @property
    def main(self) -> Shown:
        """The entry that people are sorted by: the last own stage with bodies, else the first entry."""
        drawn = self._drawn
        return drawn[-1] if drawn else self.shown[0]

    @property
    def first(self) -> Shown | None:
        """The own stage before the main one; None if there is only one."""
        drawn = self._drawn
        return drawn[0] if len(drawn) > 1 else None

    @property
    def _drawn(self) -> list[Shown]:
        return [item for item in self.shown if item.bodies is not None and not item.other]

    @property
    def metric(self) -> str:
        """The error that people are sorted by."""
        for name in ("mpjpe", "pixels_box", "pixels", "pve"):
            if name in self.main.table.columns:
                return name
        raise ValueError(f"{self.main.label} has no error to sort people by: a report needs joints or keypoints.")

    @property
    def errors(self) -> np.ndarray:
        """`metric` of the main entry, one per person."""
        return self.main.table.columns[self.metric]

    def worst_first(self) -> list[int]:
        """Rows with an error, largest first, then those without a result."""
        # Stable, so that people with equal errors keep the order of the truth and pages can be compared.
        order = np.argsort(-np.nan_to_num(self.errors, nan=-np.inf), kind="stable")
        return [int(row) for row in order]

    def samples(self) -> list[tuple[int, int]]:
        """Percentile and row of each sample."""
        return list(zip(PERCENTILES, at_percentiles(self.errors, PERCENTILES), strict=False))


def describe_error(data: ReportData) -> str:
    """Name of the error that people are sorted by, with its unit."""
    metric = METRICS[data.metric]
    return f"{metric.label} in {'%' if metric.unit == 'share' else metric.unit}"


def verdict(item: Shown, row: int) -> tuple[bool, str]:
    """Whether a person's result was accepted, and why not.

    Args:
        item: A stage.
        row: Of the truth.
    """
    table = item.table
    if not table.found[row]:
        return False, "no result"
    status = table.labels["status"][row] if "status" in table.labels else ""
    return status in ACCEPTED, status.replace("_", " ")


def stage_estimates(data: ReportData, rows: Sequence[int]) -> list[dict[str, BodyEstimate]]:
    """Bodies of some people by stage, the truth first where it is known; people without a result lack the stage.

    Args:
        data: The report.
        rows: Of the truth; all must have a result in the main entry.
    """
    found: list[dict[str, BodyEstimate]] = [{} for _ in rows]
    # A truth with genders was made by other body files than the one that is drawn here.
    if data.truth.params is not None and "gender" not in data.truth.labels:
        _add(found, rows, "truth", data.truth.take(np.array(rows, np.int64)), np.ones(len(rows), bool))
    for item in data.shown:
        if item.bodies is None:
            continue
        known = [row for row in rows if item.table.found[row]]
        _add(found, rows, item.label, item.bodies(known), item.table.found[list(rows)])
    return found


def _add(
    found: list[dict[str, BodyEstimate]], rows: Sequence[int], name: str, people: ScoredPeople, known: np.ndarray
) -> None:
    if people.params is None:
        return
    place = 0
    for number in range(len(rows)):
        if known[number]:
            camera = camera_of(640, 640) if people.camera is None else people.camera[place]
            estimate = BodyEstimate(people.params[place], camera, people.body or "")
            found[number][name] = estimate.map(lambda tensor: tensor[None])
            place += 1


def photo_size(data: ReportData, row: int) -> tuple[int, int]:
    """Height and width of a person's photo; from the camera where nobody says."""
    if "image_size" in data.truth.values:
        height, width = (int(side) for side in data.truth.values["image_size"][row])
        if height > 0 and width > 0:
            return height, width
    if data.truth.camera is not None:
        x, y = (float(value) for value in data.truth.camera.principal_point[row])
        return max(int(2 * y), 1), max(int(2 * x), 1)
    return 640, 640


def view_box(data: ReportData, row: int, margin: float = 1.3) -> tuple[float, float, float, float]:
    """A person's box with some room around it, x y x y in pixels; the whole photo where there is no box."""
    height, width = photo_size(data, row)
    if data.truth.boxes is None or not torch.isfinite(data.truth.boxes[row]).all():
        return 0.0, 0.0, float(width), float(height)
    left, top, right, bottom = (float(edge) for edge in data.truth.boxes[row])
    # Square, since a crop is; at least 8 pixels, since a box may be a single point.
    half = margin * max(right - left, bottom - top, 8.0) / 2.0
    x, y = (left + right) / 2.0, (top + bottom) / 2.0
    return x - half, y - half, x + half, y + half
