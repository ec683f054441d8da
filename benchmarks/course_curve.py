"""The learning curve of a training as a picture: held-out errors by step, and those of the mean pose to beat."""

import json
from pathlib import Path

from benchmarks.curves import Curve, Plot, draw_plots

LABELS = {"pve": "vertices", "mpjpe": "joints (MPJPE)", "pa_mpjpe": "joints after alignment (PA-MPJPE)"}


def draw_curve(metrics: Path, mean: dict[str, float], picture: Path) -> None:
    """Draw the held-out errors of a run.

    Args:
        metrics: ``metrics.jsonl`` of `fitloop train`.
        mean: ``score`` (metres), ``mpjpe`` and ``pa_mpjpe`` (millimetres) of the mean pose on people of the same kind.
        picture: PNG to write.

    Raises:
        FileNotFoundError: If there is no such run.
        ValueError: If it was never measured after its start.
    """
    if not metrics.is_file():
        raise FileNotFoundError(f"There is no {metrics}; give the folder of a run of fitloop train.")
    lines = [json.loads(line) for line in metrics.read_text(encoding="utf-8").splitlines()]
    # A run that was stopped measures some steps again: the last word counts.
    measured = sorted({line["step"]: line for line in lines if line["step"] > 0}.items())
    if not measured:
        raise ValueError(f"{metrics} has no evaluation after the start: train for longer.")
    to_beat = {"pve": 1000.0 * mean["score"], "mpjpe": mean["mpjpe"], "pa_mpjpe": mean["pa_mpjpe"]}
    curves = []
    for name, label in LABELS.items():
        points = [(step, line[name]) for step, line in measured if line.get(name) is not None]
        if points:
            told = f"{label}: {points[-1][1]:.0f}, mean pose {to_beat[name]:.0f}"
            curves.append(Curve(told, points, level=to_beat[name]))
    draw_plots(picture, [Plot("batches", "error on held-out drawn people, mm; dashed: the mean pose", curves)])
