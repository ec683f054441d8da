"""Regression against refinement over the epochs: a table, a plot, and the numbers behind them."""

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from fitloop.body.files import whole_file

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
        """Percent of the steps' time that fitting took."""
        return 100.0 * self.tally.get("seconds_fitting", 0.0) / max(self.tally.get("seconds_step", 0.0), 1e-9)

    def tree(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return asdict(self)

    def line(self) -> str:
        """One line for a terminal."""
        told = ", ".join(f"{name} {value:.1f}" for name, value in self.network.items())
        kept = ", ".join(
            f"{name} {value:.1f}" for name, value in self.store.items() if name in ("error_2d", "pa_mpjpe")
        )
        shares = f"updated {self.share('updated'):.0f} %, rejected {self.share('rejected'):.0f} %"
        return f"epoch {self.number}: network: {told}; store: {kept or 'empty'}; {shares}"


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


def write_report(out: Path, epochs: list[Epoch], mode: str, plot: bool = True) -> None:
    """Write ``report.md``, ``report.json`` and ``report.png``.

    Args:
        out: Folder of the run.
        epochs: In order.
        mode: Of the run, for the title.
        plot: Draw the picture too, which takes a second.
    """
    text = f"# Regression against refinement: {mode}\n\n{table(epochs)}\n\n"
    text += (
        "The network is measured on people kept apart, the store on people trained on. Percentages are of an epoch's "
    )
    text += "people; a fit may be rejected for several reasons.\n\n![report](report.png)\n"
    with whole_file(out / "report.md") as path:
        path.write_text(text, encoding="utf-8")
    with whole_file(out / "report.json") as path:
        path.write_text(json.dumps([epoch.tree() for epoch in epochs], indent=1), encoding="utf-8")
    if plot:
        with whole_file(out / "report.png") as path:
            _plot(path, epochs)


def _plot(path: Path, epochs: list[Epoch]) -> None:
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    names = ["error_2d", "pose_prior"] + ["pa_mpjpe"] * any("pa_mpjpe" in epoch.network for epoch in epochs)
    figure = Figure(figsize=(4.2 * (len(names) + 1), 3.4))
    FigureCanvasAgg(figure)
    axes = figure.subplots(1, len(names) + 1)
    numbers = [epoch.number for epoch in epochs]
    for axis, name in zip(axes, names, strict=False):
        for part, style in (("network", "-o"), ("store", "--s")):
            axis.plot(numbers, [getattr(epoch, part).get(name, float("nan")) for epoch in epochs], style, label=part)
        axis.set_title(_COLUMNS[name])
        axis.set_xlabel("epoch")
        axis.legend()
    later = [epoch for epoch in epochs if epoch.tally.get("people")]
    for name, label in (("updated", "updated"), ("rejected", "rejected"), ("valid", "taught by a fit")):
        axes[-1].plot([epoch.number for epoch in later], [epoch.share(name) for epoch in later], "-o", label=label)
    axes[-1].set_title("share of people (%)")
    axes[-1].set_xlabel("epoch")
    axes[-1].legend()
    figure.subplots_adjust(left=0.05, right=0.98, bottom=0.15, wspace=0.25)
    figure.savefig(path, dpi=100)
