"""A measured number, the committed baseline, and the comparison of the two."""

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

BASELINE = Path(__file__).parent / "baseline.json"


@dataclass(frozen=True)
class Metric:
    """One result of a workload."""

    key: str
    value: float
    unit: str
    direction: Literal["higher", "lower", "none"]
    """Which way is better; ``none`` is context."""
    tolerance: float = 0.25
    """Relative change for the worse that the gate lets pass."""


def write_metrics(metrics: list[Metric], path: Path) -> None:
    """Write a list of key, value, unit, direction, tolerance."""
    path.write_text(json.dumps([asdict(metric) for metric in metrics], indent=2) + "\n")


def regressions(metrics: list[Metric], baseline: list[dict]) -> list[str]:
    """A sentence per metric that is worse than the baseline by more than its tolerance."""
    known = {entry["key"]: entry for entry in baseline}
    worse = []
    for metric in metrics:
        if metric.key not in known or metric.direction == "none":
            continue
        before = known[metric.key]["value"]
        change = metric.value - before if metric.direction == "lower" else before - metric.value
        if change > metric.tolerance * abs(before):
            worse.append(f"{metric.key} is {metric.value:.4g} {metric.unit}, the baseline has {before:.4g}.")
    return worse
