"""The people of a report: cards of samples and worst cases, and the data behind the table."""

import math
from typing import Any

import numpy as np

from fitloop.body import BodyEstimate
from fitloop.evaluation.protocols import METRICS
from fitloop.evaluation.report.data import WORST, ReportData, photo_size, stage_estimates, verdict, view_box
from fitloop.evaluation.report.pictures import crop, data_address, overlay, small_photo
from fitloop.evaluation.scorecard import column_title, shown
from fitloop.rendering.viewer import viewer_scene

_TABLE_METRICS = ("mpjpe", "pa_mpjpe", "pve", "pixels_box", "pck_02", "mask_iou")
_CHUNK = 64
"""People whose results are read together: one photo's file holds many, and all of them at once are too many."""


def people_data(data: ReportData) -> dict[str, Any]:
    """Numbers of every person, by column: small enough for thousands of people."""
    names = [name for name in _TABLE_METRICS if any(name in item.table.columns for item in data.shown)]
    truth = data.truth
    stages = []
    for item in data.shown:
        verdicts = [verdict(item, row) for row in range(len(truth))]
        stages.append(
            {
                "label": item.label,
                "color": item.color,
                "accepted": [accepted for accepted, _ in verdicts],
                "reason": [reason for _, reason in verdicts],
                "metrics": {name: _rounded(item.table.columns.get(name), name) for name in names},
                "joints": [_rounded_row(row) for row in item.table.joint_errors],
            }
        )
    return {
        "photos": list(truth.photos or [""] * len(truth)),
        "persons": list(truth.persons or [""] * len(truth)),
        "grades": list(truth.labels.get("grade", ("",) * len(truth))),
        "joints": [name.replace("_", " ") for name in data.protocol.joints],
        "unit": "mm" if METRICS[data.metric].unit == "mm" else "px",
        "metrics": [{"name": name, "title": column_title(name), "decimals": METRICS[name].decimals} for name in names],
        "order": data.worst_first(),
        "main": data.shown.index(data.main),
        "first": None if data.first is None else data.shown.index(data.first),
        "metric": data.metric,
        "stages": stages,
    }


def _rounded(values: np.ndarray | None, name: str) -> list[float | None] | None:
    if values is None:
        return None
    # Rounded, and null for what is unknown: the numbers of thousands of people are most of the page.
    scale = 100.0 if METRICS[name].unit == "share" else 1.0
    return [round(scale * float(value), 2) if math.isfinite(value) else None for value in values]


def _rounded_row(values: np.ndarray) -> list[float | None]:
    return [round(float(value), 1) if math.isfinite(value) else None for value in values]


def pictures_and_scenes(data: ReportData) -> tuple[dict[str, dict[str, str]], dict[str, dict[str, Any]]]:
    """Crops and 3D scenes of the worst people, at most `ReportData.pictures` of them, by row.

    Returns:
        Per row: ``photo`` (the whole, small), ``crop``, and one overlay per stage; and what the 3D view shows.
    """
    wanted = [row for row in data.worst_first() if data.main.table.found[row]]
    chosen = wanted[: data.pictures] + [row for _, row in data.samples() if row not in wanted[: data.pictures]]
    pictures: dict[str, dict[str, str]] = {}
    scenes: dict[str, dict[str, Any]] = {}
    for start in range(0, len(chosen), _CHUNK):
        rows = chosen[start : start + _CHUNK]
        for row, stages in zip(rows, stage_estimates(data, rows), strict=True):
            pictures[str(row)] = _pictures(data, row, stages)
            scene = _scene(data, row, stages)
            if scene is not None:
                scenes[str(row)] = scene
    return pictures, scenes


def _pictures(data: ReportData, row: int, stages: dict[str, BodyEstimate]) -> dict[str, str]:
    pixels = data.photo((data.truth.photos or ("",))[row])
    box = view_box(data, row)
    found = {}
    if pixels is None:
        background = np.full((256, 256, 3), 128, np.uint8)
    else:
        background = crop(pixels, box)
        found = {"photo": small_photo(pixels), "crop": data_address(background)}
    drawn = {name: estimate for name, estimate in stages.items() if estimate.body in data.bodies.by_name}
    overlays = {name: data_address(overlay(background, box, estimate, data.bodies)) for name, estimate in drawn.items()}
    return found | overlays


def _scene(data: ReportData, row: int, stages: dict[str, BodyEstimate]) -> dict[str, Any] | None:
    names = {estimate.body for estimate in stages.values()}
    if len(names) != 1 or not names <= set(data.bodies.by_name):
        return None
    # The viewer begins with the last stage: the one that people are sorted by.
    order = sorted(stages, key=lambda name: name == data.main.label)
    return viewer_scene({name: stages[name] for name in order}, photo_size(data, row), None, view_box(data, row))


def cards(data: ReportData, pictures: dict[str, dict[str, str]]) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """The ten worst people, and the samples at percentiles of the error."""
    worst = [row for row in data.worst_first() if np.isfinite(data.errors[row])][:WORST]
    return (
        [_card(data, row, pictures, f"worst {place}") for place, row in enumerate(worst, 1)],
        [_card(data, row, pictures, f"{percent}th percentile") for percent, row in data.samples()],
    )


def _card(data: ReportData, row: int, pictures: dict[str, dict[str, str]], place: str) -> dict[str, Any]:
    unit = METRICS[data.metric].unit.replace("share", "%")
    words = []
    for item in data.shown:
        if data.metric in item.table.columns:
            accepted, reason = verdict(item, row)
            value = f"{shown(data.metric, float(item.table.columns[data.metric][row]))} {unit}"
            words.append(f"{item.label} {value}{'' if accepted else f', rejected: {reason}'}")
    return {
        **{"row": row, "place": place, "photo": (data.truth.photos or ("",))[row], "told": "; ".join(words)},
        "grade": data.truth.labels["grade"][row] if "grade" in data.truth.labels else "",
        "pictures": [
            ("photo" if name == "crop" else name, address)
            for name, address in pictures.get(str(row), {}).items()
            # The whole photo stands behind the 3D view only.
            if name != "photo"
        ],
    }
