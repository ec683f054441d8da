"""Sections of the report page that are the same with and without a script: tables, plots, the body picture."""

import html
from typing import Any

import numpy as np

from fitloop.evaluation.protocols import METRICS
from fitloop.evaluation.report.data import ReportData, Shown, describe_error
from fitloop.evaluation.report.pictures import body_figure
from fitloop.evaluation.report.plots import Series, bars, before_after, cumulative
from fitloop.evaluation.scorecard import column_title, shown

_CURVES = ("mpjpe", "pa_mpjpe", "pve", "pixels_box")


def text(value: object) -> str:
    """Escape for HTML."""
    return html.escape(str(value))


def head_row(titles: list[str]) -> str:
    """A table head whose columns sort when clicked."""
    cells = "".join(f'<th scope="col"><button type="button">{text(title)}</button></th>' for title in titles)
    return f"<thead><tr>{cells}</tr></thead>"


def number_cell(name: str, summary: dict[str, Any] | None) -> str:
    """One mean with its interval; the plain value stays beside it for sorting."""
    if summary is None:
        return '<td class="number" data-value="">-</td>'
    mean = shown(name, summary["mean"])
    small = ""
    if summary.get("low") is not None:
        small = f' <small title="95 % interval">{shown(name, summary["low"])} to {shown(name, summary["high"])}</small>'
    return f'<td class="number" data-value="{summary["mean"]:.6g}">{mean}{small}</td>'


def swatch(color: int | None) -> str:
    """The colour of an entry, before its name."""
    return "" if color is None else f'<span class="swatch stage-{color}"></span>'


def summary_section(data: ReportData) -> str:
    """Every entry with every metric, then what others published under the same protocol."""
    names = [name for name in METRICS if any(name in entry["metrics"] for entry in data.card["entries"])]
    rows = []
    for entry, item in zip(data.card["entries"], data.shown, strict=True):
        cells = "".join(number_cell(name, entry["metrics"].get(name)) for name in names)
        scored = entry["people"] - entry["missing"]
        count = f'<td class="number" data-value="{scored}">{scored}</td>'
        told = f'<th scope="row">{swatch(item.color)}{text(entry["label"])}</th>'
        rows.append(f"<tr>{told}{count}{cells}<td>measured here</td></tr>")
    for row in data.published:
        cells = "".join(number_cell(name, _stated(row.metrics, name)) for name in names)
        told = f'<th scope="row">{text(row.method)}</th><td class="number" data-value="">-</td>'
        rows.append(f'<tr class="published">{told}{cells}<td>stated by: {text(row.source)}</td></tr>')
    head = head_row(["", "people", *(column_title(name) for name in names), "where from"])
    notes = _notes(data)
    return (
        f'<section id="summary"><h2>All people</h2><div class="table"><table class="sortable">{head}'
        f"<tbody>{''.join(rows)}</tbody></table></div>{notes}</section>"
    )


def _stated(metrics: dict[str, float], name: str) -> dict[str, Any] | None:
    return {"mean": metrics[name]} if name in metrics else None


def _notes(data: ReportData) -> str:
    told = []
    for entry in data.card["entries"]:
        words = list(entry["notes"])
        if entry["missing"]:
            words.insert(0, f"{entry['missing']} of {entry['people']} people have no result and are not in the means")
        if entry["extra"]:
            words.append(f"{entry['extra']} results belong to nobody in the truth")
        told += [f"<li>{text(entry['label'])}: {text(word)}.</li>" for word in words]
    small = "<p>Means over people; small: 95 % bootstrap interval.</p>"
    return small + (f'<ul class="notes">{"".join(told)}</ul>' if told else "")


def grades_section(data: ReportData) -> str:
    """The main error by difficulty grade; nothing where the protocol has no grades."""
    names = [name for name in _CURVES if any(name in entry["metrics"] for entry in data.card["entries"])]
    rows = []
    for grade in data.protocol.grades:
        for entry, item in zip(data.card["entries"], data.shown, strict=True):
            metrics = entry["grades"].get(grade)
            if metrics:
                cells = "".join(number_cell(name, metrics.get(name)) for name in names)
                count = max(summary["count"] for summary in metrics.values())
                label = f"<td>{swatch(item.color)}{text(item.label)}</td>"
                people = f'<td class="number" data-value="{count}">{count}</td>'
                rows.append(f'<tr><th scope="row">{text(grade)}</th>{label}{people}{cells}</tr>')
    if not rows:
        return ""
    head = head_row(["grade", "", "people", *(column_title(name) for name in names)])
    return (
        f'<section id="grades"><h2>By difficulty</h2><div class="table"><table class="sortable">{head}'
        f"<tbody>{''.join(rows)}</tbody></table></div></section>"
    )


def plots_section(data: ReportData) -> str:
    """Distributions of the errors, and each person before and after."""
    figures = []
    for name in _CURVES:
        series = [_series(item, name) for item in data.shown if name in item.table.columns]
        if series:
            plot = cumulative(series, METRICS[name].label, _unit(name), _scale(name))
            figures.append(f"<figure>{plot}<figcaption>Share of people at or below each error</figcaption></figure>")
    if data.first is not None and data.metric in data.first.table.columns:
        first, last = _series(data.first, data.metric), _series(data.main, data.metric)
        plot = before_after(first, last, METRICS[data.metric].label, _unit(data.metric), _scale(data.metric))
        better = _improved(first.values, last.values)
        figures.append(
            f"<figure>{plot}<figcaption>One dot per person; below the line is better. {better}</figcaption></figure>"
        )
    keys = "".join(f"<li>{swatch(item.color)}{text(item.label)}</li>" for item in data.shown)
    return (
        f'<section id="plots"><h2>Distributions</h2><ul class="legend">{keys}</ul>'
        f'<div class="plots">{"".join(figures)}</div></section>'
    )


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


def joints_section(data: ReportData) -> str:
    """Mean error of each joint, written on a body, and as bars."""
    drawn = [item for item in data.shown if np.isfinite(item.table.joint_errors).any()]
    name = next((item.table.body for item in data.shown if item.table.body in data.bodies.by_name), None)
    if not drawn or not data.protocol.joints:
        return ""
    unit = "mm" if METRICS[data.metric].unit == "mm" else "px"
    means = {item.label: _means(item.table.joint_errors) for item in drawn}
    largest = max(float(np.nanmax(values)) for values in means.values())
    figures = []
    if name is not None:
        picture, size, places = body_figure(data.protocol, data.bodies, name)
        for item in drawn:
            dots = _dots(places, means[item.label], largest, data.protocol.joints, unit)
            told = f"Mean error of each joint, {item.label}"
            figures.append(
                f'<figure><svg class="joints" viewBox="0 0 {size[0]} {size[1]}" role="img" aria-label="{text(told)}">'
                f'<image href="{picture}" width="{size[0]}" height="{size[1]}"/>{dots}</svg>'
                f"<figcaption>{swatch(item.color)}{text(item.label)}, {unit}</figcaption></figure>"
            )
    rows = [(joint.replace("_", " "), _joint_bars(drawn, means, n)) for n, joint in enumerate(data.protocol.joints)]
    chart = bars(rows, f"Mean error of each joint in {unit}")
    return (
        f'<section id="joints"><h2>By joint</h2><div class="plots">{"".join(figures)}'
        f"<figure>{chart}<figcaption>Mean error of each joint, {unit}</figcaption></figure></div></section>"
    )


def _joint_bars(drawn: list[Shown], means: dict[str, np.ndarray], number: int) -> list[tuple[int, float, str]]:
    values = [(item.color, float(means[item.label][number])) for item in drawn]
    return [(color, value, f"{value:.0f}") for color, value in values if np.isfinite(value)]


def _means(errors: np.ndarray) -> np.ndarray:
    known = np.isfinite(errors)
    total = np.where(known, errors, 0.0).sum(0)
    return np.where(known.any(0), total / np.maximum(known.sum(0), 1), np.nan)


def _dots(places: np.ndarray, means: np.ndarray, largest: float, joints: tuple[str, ...], unit: str) -> str:
    parts = []
    for (x, y), error, joint in zip(places, means, joints, strict=True):
        if np.isfinite(x) and np.isfinite(error):
            share = float(error) / max(largest, 1e-9)
            color = f"hsl({120.0 * (1.0 - share):.0f} 75% 42%)"
            parts.append(
                f'<circle cx="{x:.0f}" cy="{y:.0f}" r="{7 + 12 * share:.1f}" fill="{color}">'
                f"<title>{text(joint.replace('_', ' '))}: {error:.1f} {unit}</title></circle>"
                f'<text class="on" x="{x:.0f}" y="{y + 4:.0f}" text-anchor="middle">{error:.0f}</text>'
            )
    return "".join(parts)


def energy_section(data: ReportData) -> str:
    """Mean energy and its terms per stage, where the results hold them."""
    names = sorted({name for item in data.shown for name in item.table.values if name.startswith("energy")})
    rows = []
    for item in data.shown:
        values = [item.table.values.get(name) for name in names]
        if any(value is not None and np.isfinite(value).any() for value in values):
            cells = "".join(_energy_cell(value) for value in values)
            rows.append(f'<tr><th scope="row">{swatch(item.color)}{text(item.label)}</th>{cells}</tr>')
    if not rows:
        return ""
    head = head_row(["mean over people", *(name.removeprefix("energy_").replace("_", " ") for name in names)])
    table = f'<div class="table"><table class="sortable">{head}<tbody>{"".join(rows)}</tbody></table></div>'
    return f'<section id="energy"><h2>Energy</h2>{table}</section>'


def _energy_cell(values: np.ndarray | None) -> str:
    if values is None or not np.isfinite(values).any():
        return '<td class="number" data-value="">-</td>'
    mean = float(np.nanmean(values))
    return f'<td class="number" data-value="{mean:.6g}">{mean:.4g}</td>'


def time_section(data: ReportData) -> str:
    """Seconds per photo of each stage, where the run tells them."""
    rows = []
    for stage, told in data.timings.items():
        photos, seconds = int(told.get("photos", 0)), float(told.get("seconds", 0.0))
        each = 1000.0 * seconds / photos if photos else float("nan")
        cells = "".join(
            f'<td class="number" data-value="{value:.6g}">{value:.{decimals}f}</td>'
            for value, decimals in ((photos, 0), (seconds, 1), (each, 1))
        )
        rows.append(f'<tr><th scope="row">{text(stage)}</th>{cells}</tr>')
    if not rows:
        return ""
    head = head_row(["stage", "photos", "seconds", "ms per photo"])
    hardware = text(data.card["made_with"]["hardware"])
    return (
        f'<section id="time"><h2>Time per stage</h2><div class="table"><table class="sortable">{head}'
        f"<tbody>{''.join(rows)}</tbody></table></div>"
        f"<p>As the run measured it; this page was made on {hardware}.</p></section>"
    )


def made_with_section(data: ReportData) -> str:
    """Protocol and provenance in full."""
    protocol, made_with = data.card["protocol"], data.card["made_with"]
    versions = ", ".join(f"{name} {version}" for name, version in made_with["versions"].items())
    bodies = sorted({str(entry["body"]) for entry in data.card["entries"] if entry["body"]})
    told = {
        **{"Protocol": protocol["name"], "Data": f"{protocol['data_set']}; {protocol['split']}"},
        **{"People": data.card["people"], "Joints": ", ".join(protocol["joints"])},
        **{"Joints of a mesh": protocol["regressor"], "Root": ", ".join(protocol["root"])},
        **{"Alignment": protocol["alignment"], "Gender": protocol["gender_rule"], "Boxes": protocol["box_rule"]},
        **{"Defined by": protocol["source"], "Body": ", ".join(bodies) or "none", "Weights": made_with["weights"]},
        **{"Sorted by": f"{describe_error(data)}, {data.main.label}", "Commit": made_with["commit"]},
        **{"Versions": versions, "Hardware": made_with["hardware"], "Date": made_with["date"]},
        "Command": made_with["command"],
    }
    rows = "".join(f"<dt>{text(key)}</dt><dd>{text(value)}</dd>" for key, value in told.items())
    return f'<section id="made-with"><h2>How this was measured</h2><dl>{rows}</dl></section>'
