"""Synthetic people per second, and what each step of drawing one costs.

python -m benchmarks.synthetic --assets assets/ [--people 40]

Processor time of one thread, so that a busy machine does not count. The first photos, which compile loops and read
backgrounds, are left out.
"""

import sys
import time
from dataclasses import dataclass, replace
from pathlib import Path

import torch

from benchmarks.metrics import Metric
from fitloop.data.synthetic import SceneConfig, load_assets, render_person_scene
from fitloop.data.synthetic.dataset import CROPS
from fitloop.pipelines.console.options import parse


@dataclass(frozen=True, kw_only=True)
class SyntheticConfig:
    """Options."""

    assets: Path
    """Folder of skins, garments, backgrounds and poses."""
    people: int = 40
    """Photos per case."""


CASES = {
    "training crop, 256 x 256": (CROPS, 256),
    "one person, 256 x 256": (replace(CROPS, people=(1, 1), occluded=0.0), 256),
    "scene with maps, 640 x 480": (SceneConfig(), 512),
}
"""What is drawn, and the side of its textures."""


def run(config: SyntheticConfig) -> list[Metric]:
    """Time every case."""
    torch.set_num_threads(1)
    found = []
    for name, (scene, side) in CASES.items():
        assets = load_assets(config.assets, side)
        for number in range(config.people):
            render_person_scene(assets, (1, number), scene)
        start = time.process_time()
        for number in range(config.people):
            render_person_scene(assets, (1, number), scene)
        rate = config.people / (time.process_time() - start)
        found.append(Metric(f"synthetic/{name}", rate, "photos/s per core", "higher"))
    return found


def main(arguments: list[str] | None = None) -> int:
    """Print the rates; return 0."""
    for metric in run(parse(SyntheticConfig, arguments)):
        print(f"{metric.key:<40} {metric.value:6.1f} {metric.unit}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
