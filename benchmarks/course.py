"""The course report's table, trained small on drawn people and printed beside theirs.

    python -m benchmarks course --mocap cmu_poses.npz --assets ASSETS --out runs/course
    python -m benchmarks course --curve runs/resnet18 --picture curve.png [--truth open-bench/] [--real3d REAL3D]

Every row is its preset ``configs/train/course_*.yaml`` at a size that a CPU core trains in minutes. The score is the
report's: mean distance of vertices, taken to be metres; here pelvis on pelvis, on drawn people of held-out subjects,
garments and places. Rows that are there are not repeated, one that was stopped goes on. Writes course.json and
course.md.

``--curve`` draws the held-out errors of a longer run instead, and prints what its best weights are worth to users who
have people's boxes and no keypoints: on drawn people (``--truth``) and on photos with true joints (``--real3d``).
"""

import hashlib
import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import torch
import tyro

from benchmarks.course_boxes import HEAD, drawn_rows, photo_rows
from benchmarks.course_curve import draw_curve
from benchmarks.course_examination import Examination, Figures, mean_network
from benchmarks.encoders import table
from fitloop.body import load_body
from fitloop.body.files import whole_file
from fitloop.pipelines.console.options import config_to_tree, load_config
from fitloop.pipelines.train import train
from fitloop.pipelines.training.regressor_config import TrainConfig
from fitloop.regressor import load_weights
from fitloop.regressor.hmr import HMR

PRESETS = Path(__file__).parents[1] / "configs" / "train"
THEIRS = {
    "default": "0.031",
    "resnet18": "",
    "resnet50": "their best encoder",
    "iterative": "",
    "gan": "0.023, 0.020; best 0.0197",
}
"""Test scores of the report; of the rows without a number we know none."""
MEAN = "mean pose"
WARNING = (
    "The data differ: theirs are people of Human3.6M at 224 pixels and trainings of full length, ours drawn people, "
    "small networks and short trainings. The columns cannot be compared with each other, only rows with rows."
)


@dataclass(frozen=True, kw_only=True)
class CourseConfig:
    """Train the report's rows small, or draw the curve of a longer run."""

    mocap: Path | None = None
    """The file cmu_poses.npz."""
    assets: Path | None = None
    """Folder of skins, garments, backgrounds and poses (docs/synthetic.md)."""
    out: Path = Path("runs/course")
    """Folder of the runs and the tables."""
    keep: Path | None = None
    """Folder of the drawn photos; ``out/photos`` if not given."""
    photos: int = 2000
    """Different photos to learn from."""
    held_out_photos: int = 600
    """Different photos to measure on."""
    rows: tuple[str, ...] = tuple(THEIRS)
    """Which ones to train."""
    steps: int = 300
    """Batches per run."""
    batch_size: int = 32
    """People per batch."""
    image_size: int = 64
    """Of the crops, pixels."""
    width: int = 32
    """Channels of the first stage of a ResNet-18; a ResNet-50, whose blocks are four times as wide at their ends, has
    half as many. 64 as published."""
    people: int = 512
    """Held-out people that the figures are of."""
    seeds: int = 2
    """Runs per row."""
    curve: Path | None = None
    """Folder of a run of `fitloop train`: draws its held-out errors and trains nothing."""
    picture: Path = Path("course_curve.png")
    """Where the curve goes."""
    truth: Path | None = None
    """With ``--curve``: people of `fitloop synthesize` with their truth."""
    real3d: Path | None = None
    """With ``--curve``: photos with true 3D joints, as for `benchmarks real3d`."""

    def __post_init__(self) -> None:
        """Refuse what cannot be trained."""
        if self.curve is None and (self.mocap is None or self.assets is None):
            raise ValueError("Give --mocap and --assets to train the rows, or --curve to draw a run.")
        if self.curve is None and (self.truth is not None or self.real3d is not None):
            raise ValueError("--truth and --real3d are measured with the weights of a run: give its folder as --curve.")
        unknown = sorted(set(self.rows) - set(THEIRS))
        if unknown:
            raise ValueError(f"There are no rows {', '.join(unknown)}; known: {', '.join(THEIRS)}.")


def small(row: str, config: CourseConfig, seed: int = 0) -> TrainConfig:
    """The preset of a row at the size of this benchmark.

    Args:
        row: One of `THEIRS`.
        config: Sizes and folders.
        seed: Of weights and batches.
    """
    preset = load_config(PRESETS / f"course_{row}.yaml", TrainConfig)
    assert config.mocap is not None and config.assets is not None
    width = config.width if preset.model.encoder == "resnet18" else config.width // 2
    images = replace(
        preset.images,
        assets=config.assets,
        keep=config.keep or config.out / "photos",
        photos=config.photos,
        held_out_photos=config.held_out_photos,
    )
    return replace(
        preset,
        mocap=config.mocap,
        model=replace(preset.model, width=width, image_size=config.image_size),
        images=images,
        steps=config.steps,
        batch_size=config.batch_size,
        warmup=config.steps // 10,
        average=0.98,
        evaluate_every=max(1, config.steps // 2),
        evaluate_people=config.people,
        save_every=max(1, config.steps // 8),
        seed=seed,
        threads=1,
    )


def measured_rows(config: CourseConfig) -> dict[str, list[Figures]]:
    """Figures of every row, one per seed, the mean pose first; trains what is not there yet."""
    first = small(config.rows[0], config)
    examination = Examination(first)
    rows = {MEAN: [examination(mean_network(first))]}
    for row in config.rows:
        for seed in range(config.seeds):
            rows.setdefault(row, []).append(figures_of(small(row, config, seed), config, examination))
    return rows


def figures_of(training: TrainConfig, config: CourseConfig, examine: Callable[[HMR], Figures]) -> Figures:
    """Train and examine, unless the same run was made before.

    Args:
        training: The row with its seed.
        config: Where runs are kept.
        examine: Gives the figures of a network.

    Returns:
        Those figures, and what the training cost: ``wall_s`` and ``cpu_s``, seconds.
    """
    training = replace(training, out=config.out / "runs" / _key(training, config.people))
    done = training.out / "figures.json"
    if not done.is_file():
        with _cost(training.out / "cost.json"):
            train(training)
        figures = examine(load_weights(training.out / "best.safetensors").model)
        with whole_file(done) as temporary:
            temporary.write_text(json.dumps(figures | json.loads((training.out / "cost.json").read_text())))
    return json.loads(done.read_text())


def _key(training: TrainConfig, people: int) -> str:
    """A name for everything that decides the result."""
    tree = {name: value for name, value in config_to_tree(training).items() if name not in ("out", "threads", "mocap")}
    tree["images"] = {name: value for name, value in tree["images"].items() if name not in ("assets", "keep")}
    return hashlib.sha256(json.dumps([tree, people]).encode()).hexdigest()[:12]


@contextmanager
def _cost(path: Path) -> Iterator[None]:
    """Add wall time and CPU time of what is done inside to a file, also when it is stopped."""
    spent = json.loads(path.read_text()) if path.is_file() else {"wall_s": 0.0, "cpu_s": 0.0}
    wall, cpu = time.monotonic(), time.process_time()
    try:
        yield
    finally:
        spent = {
            "wall_s": spent["wall_s"] + time.monotonic() - wall,
            "cpu_s": spent["cpu_s"] + time.process_time() - cpu,
        }
        path.parent.mkdir(parents=True, exist_ok=True)
        with whole_file(path) as temporary:
            temporary.write_text(json.dumps(spent))


def to_markdown(rows: dict[str, list[Figures]], config: CourseConfig) -> str:
    """The table beside theirs: means over seeds, half their range in brackets; costs are those of one run."""
    lines = [
        WARNING,
        "",
        f"Ours: {config.steps} batches of {config.batch_size}, {config.photos} photos, {config.image_size} px, "
        f"{config.width} channels in the first stage of a ResNet-18 and {config.width // 2} of a ResNet-50, "
        f"{config.seeds} seed(s), one thread; "
        f"{config.people} held-out people.",
        "",
        "| row | score, theirs (m) | score, ours (m) | MPJPE mm | PA-MPJPE mm | wall s | CPU s |",
        "|---|---|---|---|---|---|---|",
    ]
    for row, found in rows.items():
        cells = [_spread(found, "score", 4), _spread(found, "mpjpe", 1), _spread(found, "pa_mpjpe", 1)]
        costs = [_mean(found, name) if name in found[0] else "" for name in ("wall_s", "cpu_s")]
        lines.append(" | ".join([f"| {row}", THEIRS.get(row, ""), *cells, *costs]) + " |")
    return "\n".join(lines) + "\n"


def _spread(found: list[Figures], name: str, digits: int) -> str:
    values = [figures[name] for figures in found]
    mean = f"{sum(values) / len(values):.{digits}f}"
    return mean if len(values) == 1 else f"{mean} ({(max(values) - min(values)) / 2:.{digits}f})"


def _mean(found: list[Figures], name: str) -> str:
    return f"{sum(figures[name] for figures in found) / len(found):.0f}"


def _judge(config: CourseConfig, run: Path) -> None:
    """Draw the curve of a run and print what its weights are worth, box by box."""
    training, weights = load_config(run / "config.yaml", TrainConfig), run / "best.safetensors"
    examination, body = Examination(training), load_body(training.body)
    mean = examination(mean_network(training))
    draw_curve(run / "metrics.jsonl", mean, config.picture)
    network = examination(load_weights(weights).model)
    rows = [
        ("held-out", name, f"{found['score']:.4f}", f"{found['mpjpe']:.1f}", f"{found['pa_mpjpe']:.1f}", "")
        for name, found in (("mean", mean), ("pixels", network))
    ]
    if config.truth is not None:
        rows += drawn_rows(config.truth, weights, body, config.people)
    if config.real3d is not None:
        rows += photo_rows(config.real3d, weights, body)
    print(table(HEAD, rows))


def main(arguments: list[str] | None = None) -> int:
    """Train the rows and print the table, or draw a curve; return 0."""
    config = tyro.cli(CourseConfig, args=arguments, description=__doc__)
    torch.set_num_threads(1)
    if config.curve is not None:
        _judge(config, config.curve)
        return 0
    rows = measured_rows(config)
    config.out.mkdir(parents=True, exist_ok=True)
    told = {"config": config_to_tree(config), "rows": rows}
    (config.out / "course.json").write_text(json.dumps(told, indent=2) + "\n")
    (config.out / "course.md").write_text(to_markdown(rows, config))
    print(to_markdown(rows, config))
    return 0
