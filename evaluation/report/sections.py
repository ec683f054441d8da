"""What the sections of the report say: tables, plots, the body picture; evaluation/assets/report.html lays them out."""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from markupsafe import Markup

from fitloop.evaluation.protocols import METRICS
from fitloop.evaluation.report.data import ReportData, Shown, describe_error
from fitloop.evaluation.report.pictures import body_figure
from fitloop.evaluation.report.plots import Series, bars, before_after, cumulative
from fitloop.evaluation.scorecard import column_title, shown

_CURVES = ("mpjpe", "pa_mpjpe", "pve", "pixels_box")


@dataclass(frozen=True)
class Cell:
    """A cell of a table: words, or a number that the table can be sorted by."""

    text: str
    number: bool = True
    value: str = ""
    """The plain number; empty where there is none."""
    interval: str = ""
    color: int | None = None
    """Of the entry whose name the cell holds."""


@dataclass(frozen=True)
class Row:
    """A row of a table."""

    name: str
    cells: tuple[Cell, ...]
    color: int | None = None
    """Of the entry that the row is about."""
    stated: bool = False
    """Stated by others, not measured here."""


@dataclass(frozen=True)
class SortableTable:
    """A table whose columns sort when clicked."""

    head: tuple[str, ...]
    rows: tuple[Row, ...]


def _number(value: float, text: str, interval: str = "") -> Cell:
    return Cell(text, value=f"{value:.6g}", interval=interval)


def _count(number: int) -> Cell:
    return Cell(str(number), value=str(number))


def _metric(name: str, summary: dict[str, Any] | None) -> Cell:
    """One mean with its interval."""
    if summary is None:
        return Cell("-")
    interval = ""
    if summary.get("low") is not None:
        interval = f"{shown(name, summary['low'])} to {shown(name, summary['high'])}"
    return _number(summary["mean"], shown(name, summary["mean"]), interval)


def summary_table(data: ReportData) -> SortableTable:
    """Every entry with every metric, then what others published under the same protocol."""
    names = [name for name in METRICS if any(name in entry["metrics"] for entry in data.card["entries"])]
    rows = []
    for entry, item in zip(data.card["entries"], data.shown, strict=True):
        scored = entry["people"] - entry["missing"]
        cells = [_metric(name, entry["metrics"].get(name)) for name in names]
        here = Cell("measured here", number=False)
        rows.append(Row(entry["label"], (_count(scored), *cells, here), item.color))
    for row in data.published:
        cells = [_metric(name, {"mean": row.metrics[name]} if name in row.metrics else None) for name in names]
        source = Cell(f"stated by: {row.source}", number=False)
        rows.append(Row(row.method, (Cell("-"), *cells, source), stated=True))
    return SortableTable(("", "people", *(column_title(name) for name in names), "where from"), tuple(rows))


def notes(data: ReportData) -> list[str]:
    """What to mind about each entry: people without a result, results of nobody, the scorer's own notes."""
    told = []
    for entry in data.card["entries"]:
        words = list(entry["notes"])
        if entry["missing"]:
            words.insert(0, f"{entry['missing']} of {entry['people']} people have no result and are not in the means")
        if entry["extra"]:
            words.append(f"{entry['extra']} results belong to nobody in the truth")
        told += [f"{entry['label']}: {word}" for word in words]
    return told


def grades_table(data: ReportData) -> SortableTable | None:
    """The main errors by difficulty grade; None where the protocol has no grades."""
    names = [name for name in _CURVES if any(name in entry["metrics"] for entry in data.card["entries"])]
    rows = []
    for grade in data.protocol.grades:
        for entry, item in zip(data.card["entries"], data.shown, strict=True):
            metrics = entry["grades"].get(grade)
            if metrics:
                count = max(summary["count"] for summary in metrics.values())
                label = Cell(item.label, number=False, color=item.color)
                cells = [_metric(name, metrics.get(name)) for name in names]
                rows.append(Row(grade, (label, _count(count), *cells)))
    if not rows:
        return None
    return SortableTable(("grade", "", "people", *(column_title(name) for name in names)), tuple(rows))


def plots(data: ReportData) -> list[tuple[Markup, str]]:
    """Distributions of the errors, and each person before and after: plots with their captions."""
    figures = []
    for name in _CURVES:
        series = [_series(item, name) for item in data.shown if name in item.table.columns]
        if series:
            plot = cumulative(series, METRICS[name].label, _unit(name), _scale(name))
            figures.append((plot, "Share of people at or below each error"))
    if data.first is not None and data.metric in data.first.table.columns:
        first, last = _series(data.first, data.metric), _series(data.main, data.metric)
        plot = before_after(first, last, METRICS[data.metric].label, _unit(data.metric), _scale(data.metric))
        better = _improved(first.values, last.values)
        figures.append((plot, f"One dot per person; below the line is better. {better}"))
    return figures


def _series(item: Shown, name: str) -> Series:
    return Series(item.label, item.color, item.table.columns[name])


def _unit(name: str) -> str:
    return "%" if METRICS[name].unit == "share" else METRICS[name].unit


def _scale(name: str) -> float:
    return 100.0 if METRICS[name].unit == "share" else 1.0


def _improved(before: np.ndarray, after: np.ndarray) -> str:
    both = np.isfinite(before) & np.isfinite(after)
    better = int((after[both] < before[both]).sum())
    return f"Better for {better} of {int(both.sum())} people."


def joint_errors(data: ReportData) -> dict[str, Any] | None:
    """Mean error of each joint, written on a body and as bars; None where no joint has an error."""
    drawn = [item for item in data.shown if np.isfinite(item.table.joint_errors).any()]
    if not drawn or not data.protocol.joints:
        return None
    unit = "mm" if METRICS[data.metric].unit == "mm" else "px"
    means = {item.label: _means(item.table.joint_errors) for item in drawn}
    rows = [(joint.replace("_", " "), _joint_bars(drawn, means, n)) for n, joint in enumerate(data.protocol.joints)]
    found: dict[str, Any] = {"unit": unit, "chart": bars(rows, f"Mean error of each joint in {unit}"), "entries": []}
    name = next((item.table.body for item in data.shown if item.table.body in data.bodies.by_name), None)
    if name is not None:
        # All entries share one scale of colours, so that their bodies can be compared.
        largest = max(float(np.nanmax(values)) for values in means.values())
        picture, (width, height), places = body_figure(data.protocol, data.bodies, name)
        found["body"] = {"picture": picture, "width": width, "height": height}
        for item in drawn:
            dots = list(_dots(places, means[item.label], largest, data.protocol.joints, unit))
            found["entries"].append({"label": item.label, "color": item.color, "dots": dots})
    return found


def _joint_bars(drawn: list[Shown], means: dict[str, np.ndarray], number: int) -> list[tuple[int, float, str]]:
    values = [(item.color, float(means[item.label][number])) for item in drawn]
    return [(color, value, f"{value:.0f}") for color, value in values if np.isfinite(value)]


def _means(errors: np.ndarray) -> np.ndarray:
    # Not nanmean, which warns of joints that nobody has.
    known = np.isfinite(errors)
    total = np.where(known, errors, 0.0).sum(0)
    return np.where(known.any(0), total / np.maximum(known.sum(0), 1), np.nan)


def _dots(
    places: np.ndarray, means: np.ndarray, largest: float, joints: tuple[str, ...], unit: str
) -> Iterator[dict[str, Any]]:
    for (x, y), error, joint in zip(places, means, joints, strict=True):
        if np.isfinite(x) and np.isfinite(error):
            numbers = {"x": float(x), "y": float(y), "error": float(error), "share": float(error) / max(largest, 1e-9)}
            yield {**numbers, "joint": joint.replace("_", " "), "unit": unit}


def energy_table(data: ReportData) -> SortableTable | None:
    """Mean energy and its terms per stage; None where the results hold none."""
    names = sorted({name for item in data.shown for name in item.table.values if name.startswith("energy")})
    rows = []
    for item in data.shown:
        values = [item.table.values.get(name) for name in names]
        means = [_mean(value) for value in values]
        if any(math.isfinite(mean) for mean in means):
            cells = [_number(mean, f"{mean:.4g}") if math.isfinite(mean) else Cell("-") for mean in means]
            rows.append(Row(item.label, tuple(cells), item.color))
    if not rows:
        return None
    titles = (name.removeprefix("energy_").replace("_", " ") for name in names)
    return SortableTable(("mean over people", *titles), tuple(rows))


def _mean(values: np.ndarray | None) -> float:
    if values is None or not np.isfinite(values).any():
        return math.nan
    return float(np.nanmean(values))


def time_table(data: ReportData) -> SortableTable | None:
    """Seconds per photo of each stage; None where the run tells none."""
    rows = []
    for stage, told in data.timings.items():
        photos, seconds = int(told.get("photos", 0)), float(told.get("seconds", 0.0))
        each = 1000.0 * seconds / photos if photos else math.nan
        cells = (_count(photos), _number(seconds, f"{seconds:.1f}"), _number(each, f"{each:.1f}"))
        rows.append(Row(stage, cells))
    return SortableTable(("stage", "photos", "seconds", "ms per photo"), tuple(rows)) if rows else None


def made_with(data: ReportData) -> dict[str, Any]:
    """Protocol and provenance in full."""
    protocol, made = data.card["protocol"], data.card["made_with"]
    versions = ", ".join(f"{name} {version}" for name, version in made["versions"].items())
    bodies = sorted({str(entry["body"]) for entry in data.card["entries"] if entry["body"]})
    return {
        **{"Protocol": protocol["name"], "Data": f"{protocol['data_set']}; {protocol['split']}"},
        **{"People": data.card["people"], "Joints": ", ".join(protocol["joints"])},
        **{"Joints of a mesh": protocol["regressor"], "Root": ", ".join(protocol["root"])},
        **{"Alignment": protocol["alignment"], "Gender": protocol["gender_rule"], "Boxes": protocol["box_rule"]},
        **{"Defined by": protocol["source"], "Body": ", ".join(bodies) or "none", "Weights": made["weights"]},
        **{"Sorted by": f"{describe_error(data)}, {data.main.label}", "Commit": made["commit"]},
        **{"Versions": versions, "Hardware": made["hardware"], "Date": made["date"]},
        "Command": made["command"],
    }
