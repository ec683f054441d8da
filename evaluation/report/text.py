"""The report's tables as Markdown and as plain values for JSON."""

from typing import Any

import numpy as np

from fitloop.evaluation.protocols import METRICS
from fitloop.evaluation.report.data import ReportData, describe_error, verdict
from fitloop.evaluation.scorecard import column_title, shown, text_table


def report_markdown(data: ReportData) -> str:
    """All tables of the report in Markdown."""
    made_with, protocol = data.card["made_with"], data.protocol
    parts = [
        f"# {data.title}\n",
        f"Protocol {protocol.name} ({protocol.data_set}; {protocol.split}), {data.card['people']} people. Weights: "
        f"{made_with['weights']}. Commit {made_with['commit']}, {made_with['date']}, {made_with['hardware']}.\n",
        "Means over people with 95 % bootstrap intervals.\n",
        text_table(data.card),
        _notes(data),
        _published(data),
        _grades(data),
        _worst(data),
    ]
    return "\n".join(part for part in parts if part)


def _notes(data: ReportData) -> str:
    lines = []
    for entry in data.card["entries"]:
        words = list(entry["notes"])
        if entry["missing"]:
            words.insert(0, f"{entry['missing']} of {entry['people']} people have no result and are not in the means")
        lines += [f"* {entry['label']}: {word}." for word in words]
    return "\n".join(lines) + "\n" if lines else ""


def _published(data: ReportData) -> str:
    if not data.published:
        return ""
    names = [name for name in METRICS if any(name in row.metrics for row in data.published)]
    lines = ["## Stated by others under this protocol\n", _row(["", *(column_title(name) for name in names), "source"])]
    lines.append("|---|" + "---:|" * len(names) + "---|")
    lines += [
        _row([row.method, *(shown(name, row.metrics.get(name)) for name in names), row.source])
        for row in data.published
    ]
    return "\n".join(lines) + "\n"


def _grades(data: ReportData) -> str:
    name = data.metric
    lines = []
    for grade in data.protocol.grades:
        cells = [entry["grades"].get(grade, {}).get(name) for entry in data.card["entries"]]
        if any(cells):
            lines.append(_row([grade, *(shown(name, cell["mean"]) if cell else "-" for cell in cells)]))
    if not lines:
        return ""
    head = _row([column_title(name), *(item.label for item in data.shown)])
    return "\n".join(["## By difficulty\n", head, "|---|" + "---:|" * len(data.shown), *lines]) + "\n"


def _worst(data: ReportData) -> str:
    rows = [row for row in data.worst_first() if np.isfinite(data.errors[row])][:10]
    lines = [f"## The ten worst, by {describe_error(data)} of {data.main.label}\n"]
    lines.append(_row(["photo", *(item.label for item in data.shown), "result"]))
    lines.append("|---|" + "---:|" * len(data.shown) + "---|")
    for row in rows:
        values = [item.table.columns.get(data.metric) for item in data.shown]
        accepted, reason = verdict(data.main, row)
        told = ("accepted" if accepted else "rejected") + (f": {reason}" if reason else "")
        cells = [shown(data.metric, None if column is None else float(column[row])) for column in values]
        lines.append(_row([(data.truth.photos or ("",))[row], *cells, told]))
    return "\n".join(lines) + "\n"


def _row(cells: list[str]) -> str:
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def report_json(data: ReportData) -> dict[str, Any]:
    """The scorecard, with published rows, timings and a line per person."""
    people = []
    for row in range(len(data.truth)):
        stages = {}
        for item in data.shown:
            accepted, reason = verdict(item, row)
            metrics = {name: float(column[row]) for name, column in item.table.columns.items()}
            stages[item.label] = {"accepted": accepted, "reason": reason, "metrics": metrics}
        person = data.truth.persons[row] if data.truth.persons else ""
        people.append({"photo": (data.truth.photos or ("",))[row], "person": person, "stages": stages})
    published = [{"method": r.method, "metrics": r.metrics, "source": r.source} for r in data.published]
    return {**data.card, "published": published, "timings": data.timings, "by_person": people}
