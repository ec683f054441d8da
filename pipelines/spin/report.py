"""Regression against refinement over the epochs: a table, a page of plots, and the numbers behind them."""

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from jinja2 import Environment
from markupsafe import Markup

from fitloop.body.files import whole_file
from fitloop.evaluation.report.plots import Series, lines

REASONS = ("pose_prior", "interpenetration", "landmarks", "silhouette", "evidence")


@dataclass(frozen=True)
class Epoch:
    """What was measured after an epoch; 0 is before training."""

    number: int
    network: dict[str, float]
    """Of the network on people kept apart."""
    store: dict[str, float]
    """Of the stored fits on people trained on; hidden truth is used here and nowhere else."""
    fits: dict[str, float]
    """Known fits, updates, mean energy, people."""
    tally: dict[str, float]
    """Sums over the epoch's people: updated, rejected, why."""

    def share(self, name: str) -> float:
        """Percent of the epoch's people."""
        return 100.0 * self.tally.get(name, 0.0) / max(self.tally.get("people", 0.0), 1e-9)

    @property
    def fitting_share(self) -> float:
        """Percent of the time that fitting took, out of all that the gradients took."""
        return 100.0 * self.tally.get("seconds_fitting", 0.0) / max(self.tally.get("seconds_step", 0.0), 1e-9)

    def tree(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return asdict(self)

    def line(self) -> str:
        """One line for a terminal."""
        network = ", ".join(f"{name} {value:.1f}" for name, value in self.network.items())
        kept = ", ".join(
            f"{name} {value:.1f}" for name, value in self.store.items() if name in ("error_2d", "pa_mpjpe")
        )
        shares = f"updated {self.share('updated'):.0f} %, rejected {self.share('rejected'):.0f} %"
        return f"epoch {self.number}: network: {network}; store: {kept or 'empty'}; {shares}"


_COLUMNS = {
    "error_2d": "2D error (px of 224)",
    "pck": "PCK@0.1 (%)",
    "pose_prior": "pose prior (median)",
    "monsters": "monsters (%)",
    "mpjpe": "MPJPE (mm)",
    "pa_mpjpe": "PA-MPJPE (mm)",
}


def table(epochs: list[Epoch]) -> str:
    """A Markdown table: network on people kept apart, store on people trained on, and what became of the fits."""
    network = [name for name in _COLUMNS if any(name in epoch.network for epoch in epochs)]
    store = [name for name in _COLUMNS if any(name in epoch.store for epoch in epochs)]
    reasons = [name for name in REASONS if any(epoch.tally.get(f"rejected_{name}") for epoch in epochs)]
    head = ["epoch", *(f"network {_COLUMNS[name]}" for name in network), *(f"store {_COLUMNS[name]}" for name in store)]
    head += ["fits known (%)", "updated (%)", "not better (%)", "rejected (%)", *(f"by {name} (%)" for name in reasons)]
    moved = any("refined" in epoch.tally for epoch in epochs)
    head += ["taught by a fit (%)", *(["refined (%)"] if moved else [])]
    rows = []
    for epoch in epochs:
        cells = [str(epoch.number), *(_cell(epoch.network.get(name)) for name in network)]
        cells += [_cell(epoch.store.get(name)) for name in store]
        cells += [_cell(100.0 * epoch.fits["known"] / max(epoch.fits["people"], 1.0))]
        shares = ("updated", "not_better", "rejected", *(f"rejected_{name}" for name in reasons), "valid")
        shares += ("refined",) if moved else ()
        cells += [_cell(epoch.share(name) if epoch.tally.get("people") else None) for name in shares]
        rows.append(cells)
    lines = [head, ["---:"] * len(head), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def _cell(value: float | None) -> str:
    return "-" if value is None or value != value else f"{value:.1f}"


def write_report(out: Path, epochs: list[Epoch], mode: str) -> None:
    """Write ``report.md``, ``report.json`` and ``report.html``.

    Args:
        out: Folder of the run.
        epochs: In order.
        mode: Of the run, for the title.
    """
    title = f"Regression against refinement: {mode}"
    text = f"# {title}\n\n{table(epochs)}\n\n{_ABOUT}\n\nPlots are in [report.html](report.html).\n"
    plots = [{"title": name, "labels": labels, "svg": Markup(svg)} for name, labels, svg in _plots(epochs)]
    page = Environment(autoescape=True).from_string(_PAGE).render(title=title, about=_ABOUT, plots=plots)
    contents = {
        "report.md": text,
        "report.json": json.dumps([epoch.tree() for epoch in epochs], indent=1),
        "report.html": page,
    }
    for name, content in contents.items():
        with whole_file(out / name) as path:
            path.write_text(content, encoding="utf-8")


_ABOUT = (
    "The network is measured on people kept apart, the store on people trained on. Percentages are of an epoch's "
    "people; a fit may be rejected for several reasons."
)
_PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>{{ title }}</title><style>
:root { color-scheme: light dark; --ink: light-dark(#1d1d1f, #ececee); --grid: light-dark(#d5d5d8, #45454a) }
:root { --s0: light-dark(#2a78d6, #3987e5); --s1: light-dark(#eb6834, #d95926); --s2: light-dark(#1a8f6a, #27a57d) }
body { font: 15px/1.5 system-ui, sans-serif; max-width: 1040px; margin: 2em auto; padding: 0 1em }
body { color: var(--ink); background: light-dark(#fff, #19191b) }
main { display: flex; flex-wrap: wrap; gap: 24px }
figure { margin: 0; flex: 1 1 440px; max-width: 500px }
.line { fill: none; stroke-width: 2 } .axis, .grid { stroke: var(--grid) } text { fill: var(--ink); font-size: 12px }
.stage-0 { stroke: var(--s0) } .stage-1 { stroke: var(--s1) } .stage-2 { stroke: var(--s2) }
.key-0 { color: var(--s0) } .key-1 { color: var(--s1) } .key-2 { color: var(--s2) }
</style></head><body><h1>{{ title }}</h1><p>{{ about }}</p><main>
{% for plot in plots %}<figure><figcaption><b>{{ plot.title }}</b>
{% for label in plot.labels %}<span class="key-{{ loop.index0 }}">&#9644;</span> {{ label }} {% endfor %}
</figcaption>{{ plot.svg }}</figure>
{% endfor %}</main></body></html>
"""


def _plots(epochs: list[Epoch]) -> list[tuple[str, list[str], str]]:
    """Title, labels and drawing of each plot that has something to show."""
    measured: list[tuple[str, list[Epoch], dict[str, list[float]]]] = []
    for name in ("error_2d", "pose_prior", "mpjpe", "pa_mpjpe"):
        parts = {part: [getattr(epoch, part).get(name, np.nan) for epoch in epochs] for part in ("network", "store")}
        measured.append((_COLUMNS[name], epochs, parts))
    later = [epoch for epoch in epochs if epoch.tally.get("people")]
    labels = {"updated": "updated", "rejected": "rejected", "valid": "taught by a fit"}
    shares = {label: [epoch.share(name) for epoch in later] for name, label in labels.items()}
    measured.append(("share of people (%)", later, shares))
    drawn = []
    for title, some, parts in measured:
        numbers = np.array([float(epoch.number) for epoch in some])
        series = [(Series(label, n, np.array(values)), numbers) for n, (label, values) in enumerate(parts.items())]
        svg = lines(series, title, "epoch")
        if svg:
            drawn.append((title, list(parts), svg))
    return drawn
