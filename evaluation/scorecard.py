"""Scores as files: one JSON with everything that a reader needs to trust a number, one CSV line per person."""

import csv
import json
import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from fitloop.body.files import whole_file
from fitloop.evaluation.people import ScoredPeople
from fitloop.evaluation.protocols import METRICS, Protocol
from fitloop.evaluation.statistics import summarize_columns
from fitloop.evaluation.tables import Table

STAGE_LABELS = {
    "regressed": "regressed (HMR)",
    "tuned": "tuned to the photo (test time)",
    "fitted": "fitted (SMPLify)",
    "refined": "refined (dense)",
    "landmarks": "detector's own 3D landmarks",
    "result": "result",
}


FORMAT = 1


@dataclass(frozen=True)
class Provenance:
    """What a scorecard was made with."""

    commit: str
    versions: dict[str, str]
    hardware: str
    date: str
    """UTC, ISO 8601."""
    command: str
    weights: str
    """Which weights made the results; ``not stated`` where nobody said."""


@dataclass(frozen=True)
class Entry:
    """One system or stage in a scorecard."""

    label: str
    """What readers call it."""
    table: Table


def scorecard(
    protocol: Protocol, truth: ScoredPeople, entries: Sequence[Entry], made_with: Provenance, seed: int = 0
) -> dict[str, Any]:
    """Summarise entries as plain values for JSON.

    Args:
        protocol: Under which they were scored.
        truth: All people of it.
        entries: Shown in this order.
        made_with: Commit, versions, hardware, date.
        seed: Of the bootstrap intervals.
    """
    return {
        "format": FORMAT,
        "protocol": asdict(protocol),
        "people": len(truth),
        "notices": list(truth.notices),
        "entries": [_entry(entry, protocol, truth, seed) for entry in entries],
        "made_with": asdict(made_with),
    }


def _entry(entry: Entry, protocol: Protocol, truth: ScoredPeople, seed: int) -> dict[str, Any]:
    table = entry.table
    grades = np.array(truth.labels.get("grade", ("",) * len(truth)))
    known = [grade for grade in protocol.grades if (grades == grade).any()]
    return {
        "label": entry.label,
        "stage": table.stage,
        "body": table.body,
        "people": table.people,
        "missing": table.missing,
        "extra": table.extra,
        "notes": list(table.notes),
        "metrics": _summaries(table, np.ones(table.people, bool), seed) | _totals(table),
        "grades": {grade: _summaries(table, grades == grade, seed) for grade in known},
        "joint_errors": _joint_means(table, protocol),
    }


def _summaries(table: Table, rows: np.ndarray, seed: int) -> dict[str, Any]:
    found = {}
    chosen = {name: column[rows] for name, column in table.columns.items()}
    for name, summary in summarize_columns(chosen, seed).items():
        told = asdict(summary)
        found[name] = {"unit": METRICS[name].unit, **told.pop("percentiles"), **told}
    return found


def _totals(table: Table) -> dict[str, Any]:
    count = int(table.found.sum())
    return {name: {"unit": METRICS[name].unit, "mean": value, "count": count} for name, value in table.totals.items()}


def _joint_means(table: Table, protocol: Protocol) -> dict[str, float]:
    means = {}
    for number, name in enumerate(protocol.joints):
        errors = table.joint_errors[:, number]
        if np.isfinite(errors).any():
            means[name] = float(np.nanmean(errors))
    return means


def write_json(card: dict[str, Any], path: Path) -> None:
    """Write a scorecard whole; a number that is not finite becomes null."""
    with whole_file(path) as file:
        text = json.dumps(_plain(card), indent=1, ensure_ascii=False, allow_nan=False)
        # Half a surrogate pair, which JSON allows in a file name, is written as JSON's own escape.
        file.write_text(text + "\n", encoding="utf-8", errors="backslashreplace")


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _plain(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(inner) for inner in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value


def write_csv(truth: ScoredPeople, entries: Sequence[Entry], path: Path) -> None:
    """Write one line per person and entry: photo, person, grade, found or not, every metric; empty where unknown."""
    # Columns of any entry, so that the lines of all entries have the same head.
    metrics = [name for name in METRICS if any(name in entry.table.columns for entry in entries)]
    units = {name: f"{name} [{METRICS[name].unit}]" if METRICS[name].unit else name for name in metrics}
    with whole_file(path) as whole, whole.open("w", newline="", encoding="utf-8", errors="backslashreplace") as file:
        writer = csv.writer(file)
        writer.writerow(["entry", "photo", "person", "grade", "found", "status", *units.values()])
        for entry in entries:
            for row in range(len(truth)):
                writer.writerow(_line(truth, entry, row, metrics))


def _line(truth: ScoredPeople, entry: Entry, row: int, metrics: list[str]) -> list[str]:
    table = entry.table
    words = [entry.label, (truth.photos or ())[row], "" if truth.persons is None else truth.persons[row]]
    words.append(truth.labels["grade"][row] if "grade" in truth.labels else "")
    words += ["yes" if table.found[row] else "no", table.labels["status"][row] if "status" in table.labels else ""]
    for name in metrics:
        value = table.columns[name][row] if name in table.columns else math.nan
        words.append(f"{value:.6g}" if math.isfinite(value) else "")
    return words


def shown(name: str, value: float | None) -> str:
    """A metric's value as people read it: shares in percent, fixed decimals; ``-`` where there is none."""
    if value is None or not math.isfinite(value):
        return "-"
    metric = METRICS[name]
    scale = 100.0 if metric.unit == "share" else 1.0
    return f"{scale * value:.{metric.decimals}f}"


def column_title(name: str) -> str:
    """A metric's name with its unit, for table heads."""
    metric = METRICS[name]
    unit = "%" if metric.unit == "share" else metric.unit
    return f"{metric.label} ({unit})" if unit else metric.label


def text_table(card: dict[str, Any]) -> str:
    """A scorecard as a Markdown table: one line per entry, means with their 95 % intervals."""
    names = [name for name in METRICS if any(name in entry["metrics"] for entry in card["entries"])]
    lines = ["| | people | " + " | ".join(column_title(name) for name in names) + " |"]
    lines.append("|---|" + "---:|" * (len(names) + 1))
    for entry in card["entries"]:
        cells = [_cell(name, entry["metrics"].get(name)) for name in names]
        scored = entry["people"] - entry["missing"]
        lines.append(f"| {entry['label']} | {scored} | " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


def _cell(name: str, summary: dict[str, Any] | None) -> str:
    if summary is None:
        return "-"
    mean = shown(name, summary["mean"])
    if summary.get("low") is None:
        return mean
    return f"{mean} ({shown(name, summary['low'])} to {shown(name, summary['high'])})"


def stage_label(label: str | None, stage: str, several: bool = True) -> str:
    """What readers call a stage of some results; one of ``several`` says which it is."""
    if label is None:
        return STAGE_LABELS[stage]
    return f"{label}, {STAGE_LABELS[stage]}" if several else label
