"""The report as one HTML file that needs no network."""

import json
from importlib.resources import files
from typing import Any

from fitloop.evaluation.report.data import ReportData, describe_error
from fitloop.evaluation.report.people import cards_section, people_data, pictures_and_scenes
from fitloop.evaluation.report.sections import (
    energy_section,
    grades_section,
    joints_section,
    made_with_section,
    plots_section,
    summary_section,
    text,
    time_section,
)
from fitloop.rendering.viewer import viewer_body, viewer_head

_LINKS = {
    **{"summary": "All people", "worst": "Ten worst", "samples": "Samples", "people": "Every person"},
    **{"grades": "Difficulty", "plots": "Distributions", "joints": "Joints", "energy": "Energy", "time": "Time"},
    "made-with": "How measured",
}


def report_page(data: ReportData) -> str:
    """Write the page.

    Args:
        data: Everything it shows.

    Returns:
        HTML with style, script, pictures and bodies inside.
    """
    pictures, scenes = pictures_and_scenes(data)
    sections = [
        summary_section(data),
        cards_section(data, pictures),
        _people_section(data),
        grades_section(data),
        plots_section(data),
        joints_section(data),
        energy_section(data),
        time_section(data),
        made_with_section(data),
    ]
    main = "".join(sections)
    links = "".join(f'<a href="#{key}">{name}</a>' for key, name in _LINKS.items() if f'id="{key}"' in main)
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1"><link rel="icon" href="data:,">'
        f"<title>{text(data.title)}</title><style>{_asset('report.css')}</style>\n{viewer_head()}</head>\n<body>"
        f"{_header(data, links)}<main>{main}</main>{_dialog()}\n"
        f"{_bodies(data, scenes)}{_json('data', people_data(data))}{_json('pictures', pictures)}"
        f"{_json('scenes', scenes)}<script>{_asset('report.js')}</script></body></html>\n"
    )


def _header(data: ReportData, links: str) -> str:
    protocol, made_with = data.protocol, data.card["made_with"]
    told = f"{protocol.name}: {protocol.data_set}, {data.card['people']} people; weights: {made_with['weights']}; "
    told += f"commit {made_with['commit']}, {made_with['date']}"
    return (
        f'<header><h1>{text(data.title)}</h1><p>{text(told)}</p><nav aria-label="Sections">{links}</nav>'
        '<button type="button" id="theme">Light or dark</button></header>'
    )


def _people_section(data: ReportData) -> str:
    grades = sorted({grade for grade in data.truth.labels.get("grade", ()) if grade})
    choices = "".join(f"<option>{text(grade)}</option>" for grade in grades)
    grade = f'<label>Grade <select id="grade"><option value="">all</option>{choices}</select></label>' if grades else ""
    verdicts = ("all", "accepted", "rejected", "better than before", "worse than before")
    options = "".join(f"<option>{word}</option>" for word in verdicts)
    return (
        f'<section id="people"><h2>Every person</h2><p>Worst first, by {text(describe_error(data))} of '
        f"{text(data.main.label)}. Click a column to sort, a person for numbers and the 3D view.</p>"
        '<div class="filters"><label>Filter <input type="search" id="filter" placeholder="photo, reason"></label>'
        f'{grade}<label>Result <select id="verdict">{options}</select></label><output id="count"></output></div>'
        '<div class="table"><table id="persons"><thead></thead><tbody></tbody></table></div>'
        '<button type="button" id="more">Show more</button></section>'
    )


def _dialog() -> str:
    return (
        '<dialog id="person" aria-labelledby="person-name"><div class="bar"><h2 id="person-name"></h2>'
        '<button type="button" id="previous" title="Key p">Previous</button>'
        '<button type="button" id="next" title="Key n">Next</button>'
        '<button type="button" id="close" title="Escape">Close</button></div><div id="person-inside"></div></dialog>'
        '<figure class="fitloop-viewer" id="viewer-pattern" hidden><script type="application/json">{}</script></figure>'
    )


def _bodies(data: ReportData, scenes: dict[str, str]) -> str:
    if not scenes:
        return ""
    names = {item.table.body for item in data.shown} | {data.truth.body}
    return "".join(viewer_body(body) for name, body in data.bodies.by_name.items() if name in names)


def _json(name: str, tree: Any) -> str:
    inside = json.dumps(tree, separators=(",", ":"), allow_nan=False).replace("<", "\\u003c")
    return f'<script type="application/json" id="{name}">{inside}</script>\n'


def _asset(name: str) -> str:
    return files("fitloop.evaluation").joinpath(f"assets/{name}").read_text(encoding="utf-8")
