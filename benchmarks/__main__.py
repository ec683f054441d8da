"""Run benchmarks: ``python -m benchmarks fitting --mocap FILE --json OUT``; ``--help`` lists everything."""

import json
import logging
import platform
import sys
import time
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Literal

import torch
import tyro

from benchmarks import ablation, fitting, lspet, robustness
from benchmarks.metrics import BASELINE, Metric, regressions, write_metrics
from benchmarks.people import make_people
from fitloop.body import load_body

NUM_PEOPLE = 1024


@dataclass(frozen=True)
class BenchmarkConfig:
    """Measure speed and accuracy of the stages."""

    workload: tyro.conf.Positional[Literal["fitting", "ablation", "robustness", "lspet"]]
    """What to measure."""
    mocap: Path | None = None
    """Motion capture (cmu_poses.npz); needed by all but ``robustness``."""
    data: Path | None = None
    """Folder with the joints of LSP Extended, for ``lspet``."""
    json: Path | None = None
    """Write the metrics here: a list of key, value, unit, direction."""
    quick: bool = False
    """A smaller trial, within 50 seconds on 2 cores."""
    gate: bool = False
    """Exit with 1 if a metric is worse than the committed baseline by more than its tolerance."""
    update_baseline: bool = False
    """Write the committed baseline; refused for quick runs."""


def main(config: BenchmarkConfig) -> int:
    """Run a workload; returns the exit code."""
    if config.update_baseline and config.quick:
        print("A quick run measures too little for a baseline: leave out --quick.")
        return 2
    begin = time.perf_counter()
    metrics = _measure(config)
    for metric in metrics:
        print(f"{metric.key:42s} {metric.value:12.4g} {metric.unit}")
    print(f"Took {time.perf_counter() - begin:.0f} s on {platform.machine()}, torch {torch.__version__}.")
    if config.json is not None:
        write_metrics(metrics, config.json)
    if config.update_baseline:
        kept = [e for e in _baseline() if not e["key"].startswith(f"{config.workload}.")]
        BASELINE.write_text(json.dumps(kept, indent=2))
        write_metrics([Metric(**entry) for entry in kept] + metrics, BASELINE)
    worse = regressions(metrics, _baseline()) if config.gate else []
    for sentence in worse:
        print(sentence)
    return 1 if worse else 0


def _baseline() -> list[dict]:
    return json.loads(BASELINE.read_text()) if BASELINE.is_file() else []


def _measure(config: BenchmarkConfig) -> list[Metric]:
    body = load_body()
    if config.workload == "robustness":
        return robustness.run(body, 2_000 if config.quick else 100_000)
    if config.mocap is None:
        raise SystemExit(f"{config.workload} needs --mocap, the path of cmu_poses.npz.")
    if config.workload == "lspet":
        if config.data is None:
            raise SystemExit("lspet needs --data, the folder that holds joints.npz.")
        return lspet.run(body, config.data, config.mocap, quick=config.quick)
    people = make_people(body, config.mocap, 256 if config.quick else NUM_PEOPLE)
    if config.workload == "ablation":
        return ablation.run(body, people)
    return fitting.run(body, people, fitting.QUICK if config.quick else fitting.Plan())


if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    apart = (
        "claims",
        "encoders",
        "regressor",
        "evaluation",
        "refinement",
        "offsets",
        "texture",
        "real3d",
        "detection",
        "video",
        "video_real",
        "video_speed",
        "scale",
        "priors",
        "parts",
        "parts_photos",
        "silhouettes",
        "uncertainty",
        "tuning",
        "course",
    )
    if len(sys.argv) > 1 and sys.argv[1] in apart:
        # These train, weigh or see through networks and have options of their own.
        sys.exit(import_module(f"benchmarks.{sys.argv[1]}").main(sys.argv[2:]))
    sys.exit(main(tyro.cli(BenchmarkConfig)))
