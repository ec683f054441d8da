"""The report as one HTML file that needs no network."""

from fitloop.evaluation.protocols import METRICS
from fitloop.evaluation.report.data import ReportData, describe_error
from fitloop.evaluation.report.people import cards, people_data, pictures_and_scenes
from fitloop.evaluation.report.sections import (
    energy_table,
    grades_table,
    joint_errors,
    made_with,
    notes,
    plots,
    summary_table,
    time_table,
)
from fitloop.rendering.pages import environment
from fitloop.rendering.viewer import viewer_body

_LINKS = {
    **{"summary": "All people", "worst": "Ten worst", "samples": "Samples", "people": "Every person"},
    **{"grades": "Difficulty", "plots": "Distributions", "joints": "Joints", "energy": "Energy", "time": "Time"},
    "made-with": "How measured",
}
_OPTIONAL = {"grades": "grades", "joints": "by_joint", "energy": "energy", "time": "time"}
"""Sections that a report may lack, and the value that they show."""


def report_page(data: ReportData) -> str:
    """Make the page.

    Args:
        data: Everything it shows.

    Returns:
        HTML with style, script, pictures and bodies inside.
    """
    pictures, scenes = pictures_and_scenes(data)
    worst, samples = cards(data, pictures)
    values = {
        **{"title": data.title, "about": _about(data), "metric": METRICS[data.metric].label},
        **{"error": describe_error(data), "main": data.main.label, "hardware": data.card["made_with"]["hardware"]},
        **{"summary": {"table": summary_table(data), "notes": notes(data)}, "worst": worst, "samples": samples},
        **{"grade_names": sorted({grade for grade in data.truth.labels.get("grade", ()) if grade})},
        **{"grades": grades_table(data), "legend": [(item.label, item.color) for item in data.shown]},
        **{"plots": plots(data), "by_joint": joint_errors(data), "energy": energy_table(data)},
        **{"time": time_table(data), "made_with": made_with(data), "bodies": _bodies(data) if scenes else []},
        **{"people": people_data(data), "pictures": pictures, "scenes": scenes},
    }
    lacking = {section for section, name in _OPTIONAL.items() if values[name] is None}
    links = {section: name for section, name in _LINKS.items() if section not in lacking}
    return environment("fitloop.evaluation").get_template("report.html").render(values, links=links)


def _about(data: ReportData) -> str:
    protocol, made = data.protocol, data.card["made_with"]
    told = f"{protocol.name}: {protocol.data_set}, {data.card['people']} people; weights: {made['weights']}; "
    return f"{told}commit {made['commit']}, {made['date']}"


def _bodies(data: ReportData) -> list[str]:
    names = {item.table.body for item in data.shown} | {data.truth.body}
    return [viewer_body(body) for name, body in data.bodies.by_name.items() if name in names]
