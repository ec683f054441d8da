"""Neural Body Fitting's questions (Omran et al. 2018), asked of small networks on drawn people.

    fitloop train-parts --config configs/train/segmentation.yaml ...
    python -m benchmarks parts --mocap cmu_poses.npz --assets ASSETS --keep PHOTOS --segmenter parts.safetensors

Which representation to regress from, how good its segmentation must be, how much 3D supervision, and which losses.
Every row is a training of the same length from scratch: the mean over seeds with half the range in brackets. A claim
holds, or does not, if every choice of one seed per row says so; else it is not told apart from noise. Runs that are
there already are not repeated. Writes nbf.json, nbf.md and curves.png to ``out``.
"""

import hashlib
import json
import time
from dataclasses import replace
from functools import cached_property
from statistics import mean

import torch
import tyro
from torch import Tensor

from benchmarks.claims import Claim, Figures, verdict
from benchmarks.curves import Curve, Plot, draw_plots
from benchmarks.parts_rows import (
    LEVELS,
    OWN,
    SHARES,
    TAUGHT,
    TRUE,
    PartsConfig,
    Question,
    Row,
    answers,
    questions,
)
from fitloop.body import load_body
from fitloop.body.files import whole_file
from fitloop.data.mocap import Mocap
from fitloop.evaluation.part_scores import part_scores
from fitloop.geometry.rotations import geodesic_angle
from fitloop.pipelines.console.options import config_to_tree
from fitloop.pipelines.lessons.image_batches import ImageBatches
from fitloop.pipelines.lessons.keypoint_batches import RegressorBatch, joint_errors, split_mocap
from fitloop.pipelines.train import train
from fitloop.pipelines.training.regressor_config import TrainConfig
from fitloop.regressor import HMR, HMRConfig, LossConfig, build_hmr, load_weights
from fitloop.regressor.keypoint_encoder import KEYPOINT_NAMES
from fitloop.regressor.losses import Criterion
from fitloop.regressor.parts import PartInputs, PartNet, load_part_net

COLUMNS = {
    "mpjpe": "MPJPE mm",
    "pa_mpjpe": "PA-MPJPE mm",
    "error_2d": "2D error %",
    "turned": "rotations °",
    "iou": "IoU %",
    "f_score": "F-score %",
}
"""Figures of each row: 24 joints in 3D and 2D, mean angle of rotations, overlap of part maps with true ones."""
_AT_ONCE = 64
_ELSEWHERE = ("out", "threads", "mocap", "segmenter")
"""Settings that do not change what is learned."""


class Examination:
    """Held-out people, seen as each row sees them."""

    def __init__(self, config: PartsConfig) -> None:
        """Read what all rows share."""
        self.config, self.body = config, load_body()
        self.held_out: Mocap = split_mocap(config.mocap)[1]
        self.criterion = Criterion(self.body, KEYPOINT_NAMES, LossConfig())

    @cached_property
    def part_net(self) -> PartNet:
        """The network that finds parts."""
        return load_part_net(self.config.segmenter)

    @torch.no_grad()
    def __call__(self, row: Row, model: HMR) -> Figures:
        """Figures of a trained network, as `COLUMNS` names them."""
        network = row.training.model
        if row.finds:
            network = replace(network, segmenter=self.part_net.config)
            model = self._finding(model, network)
        batches = self._people(row, network)
        errors = joint_errors(model, batches, self.criterion)
        angles = [geodesic_angle(model(batch.inputs).rotations, batch.truth.rotations).mean() for batch in batches]
        found: Figures = {**errors, "turned": float(torch.rad2deg(torch.stack(angles).mean()))}
        if network.encoder == "parts" and network.parts:
            found |= self._overlap(row, batches)
        return found

    def _finding(self, model: HMR, network: HMRConfig) -> HMR:
        """The same network with the segmentation network in front."""
        finding = build_hmr(network)
        known = {**finding.state_dict(), **model.state_dict()}
        known |= {f"encoder.segmenter.{name}": tensor for name, tensor in self.part_net.state_dict().items()}
        finding.load_state_dict(known)
        return finding.eval()

    def _people(self, row: Row, network: HMRConfig) -> list[RegressorBatch]:
        images = replace(row.training.images, parts=row.noise)
        batches = ImageBatches(self.body, self.held_out, images, network, "held-out")
        # A seed for each batch: noise takes random numbers, too, and must not change who comes next.
        counts = range(self.config.people // _AT_ONCE)
        return [batches(_AT_ONCE, torch.Generator().manual_seed(11 + number)) for number in counts]

    def _overlap(self, row: Row, batches: list[RegressorBatch]) -> Figures:
        """How good the part maps are that the network sees; photos are drawn first, so the people are the same."""
        parts = row.training.model.parts
        network = replace(row.training.model, encoder="parts", parts=24, part_joints=False, segmenter=None)
        true = self._people(Row(row.training), network)
        found = torch.cat([self._labels(batch.inputs) for batch in batches])
        return part_scores(found, torch.cat([self._labels(batch.inputs) for batch in true]), parts)

    def _labels(self, inputs: PartInputs) -> Tensor:
        if inputs.labels is not None:
            return inputs.labels
        assert inputs.crops is not None
        labels, size = self.part_net.labels(inputs.crops), (self.config.size, self.config.size)
        return torch.nn.functional.interpolate(labels[:, None].float(), size)[:, 0].to(torch.int8)


def run_row(row: Row, seed: int, config: PartsConfig, examination: Examination) -> Figures | None:
    """Train and examine, unless the same was done before; None where it was not and shall not be."""
    training = replace(row.training, seed=seed)
    # By what is in the file of the segmentation network, not by its name.
    found_by = hashlib.sha256(config.segmenter.read_bytes()).hexdigest() if row.finds else ""
    taught_by = found_by if training.segmenter else ""
    training = replace(training, out=config.out / "runs" / _key([_settings(training), taught_by]))
    tested = [found_by, vars(row.noise), config.people, config.held_out]
    done = training.out / f"figures-{_key(tested)}.json"
    if not done.is_file():
        weights, seconds = training.out / "best.safetensors", training.out / "seconds.json"
        if not seconds.is_file():
            if config.trained:
                return None
            start = time.process_time()
            train(training)
            seconds.write_text(json.dumps(time.process_time() - start))
        figures = examination(row, load_weights(weights).model)
        with whole_file(done) as temporary:
            temporary.write_text(json.dumps({**figures, "cpu_seconds": json.loads(seconds.read_text())}))
    return json.loads(done.read_text())


def _settings(training: TrainConfig) -> dict:
    return {name: value for name, value in config_to_tree(training).items() if name not in _ELSEWHERE}


def _key(tree: object) -> str:
    return hashlib.sha256(json.dumps(tree, default=str).encode()).hexdigest()[:12]


def run_all(config: PartsConfig) -> dict[str, list[Figures]]:
    """Figures of every row, one per seed; all rows with the first seed come first."""
    examination, found = Examination(config), dict[str, list[Figures]]()
    rows = {name: row for question in questions(config) for name, row in question.rows.items()}
    for seed in range(config.seeds):
        for name, row in rows.items():
            figures = run_row(row, seed, config, examination)
            if figures is None:
                continue
            found.setdefault(name, []).append(figures)
            print(f"seed {seed}  {name:48s} {figures['mpjpe']:7.1f} mm  {figures['cpu_seconds']:5.0f} s", flush=True)
    return found


def verdicts(found: dict[str, list[Figures]]) -> dict[str, str]:
    """Verdict by sentence, of those whose rows were run."""
    told = {}
    for answer in answers():
        runs = {name: found[name] for name in answer.rows if name in found}
        if len(runs) < len(answer.rows):
            continue
        told[answer.sentence] = verdict(Claim(answer.sentence, {}, answer.came_out), runs)
        if min(map(len, runs.values())) == 1:
            told[answer.sentence] += ", by a row of one seed"
    return told


def to_markdown(found: dict[str, list[Figures]], asked: list[Question], told: dict[str, str]) -> str:
    """A table per question, and one of verdicts."""
    lines = []
    for question in asked:
        lines += [f"**{question.title}**", "", "| row | " + " | ".join(COLUMNS.values()) + " |"]
        lines.append("|---" * (len(COLUMNS) + 1) + "|")
        for name in question.rows:
            cells = [_cell([figures.get(column) for figures in found.get(name, [])]) for column in COLUMNS]
            lines.append(f"| {name} | " + " | ".join(cells) + " |")
        lines.append("")
    lines += ["| claim | verdict |", "|---|---|"] + [f"| {sentence} | {word} |" for sentence, word in told.items()]
    return "\n".join(lines)


def _cell(values: list[float | None]) -> str:
    known = [value for value in values if value is not None]
    return f"{sum(known) / len(known):.1f} ({(max(known) - min(known)) / 2:.1f})" if known else ""


def plots(found: dict[str, list[Figures]]) -> list[Plot]:
    """Error over the quality of the segmentation, and over the share of 3D; what was not run is left out."""

    def curve(label: str, names: list[str], across: list[float] | None = None) -> Curve:
        across = None if across is None else [x for x, name in zip(across, names, strict=True) if name in found]
        names = [name for name in names if name in found]
        spread = [[one["mpjpe"] for one in found[name]] for name in names]
        places = [mean([one["iou"] for one in found[name]]) for name in names] if across is None else across
        return Curve(label, list(zip(places, map(mean, spread), strict=True)), spread)

    tested = [TRUE, *(f"true maps, tested at {level:g}" for level in LEVELS)]
    taught = [TRUE, *(f"degraded by {level:g}" for level in TAUGHT)]
    quality = [
        curve("trained on true maps", tested),
        curve("trained on maps as bad", taught),
        curve("the network's own maps, trained on true ones", [f"true maps, tested on those {OWN}"]),
        curve("the network's own maps, trained on them", [OWN]),
    ]
    share = [curve("24 true parts", [f"3D for {share:.0%}" for share in SHARES], [100 * s for s in SHARES])]
    return [Plot("IoU of the part maps, %", "MPJPE, mm", quality), Plot("people with 3D, %", "MPJPE, mm", share)]


def main(arguments: list[str]) -> int:
    """Train what is missing, write tables and curves; return the exit code."""
    config = tyro.cli(PartsConfig, args=arguments)
    torch.set_num_threads(1)
    config.out.mkdir(parents=True, exist_ok=True)
    found = run_all(config)
    told = verdicts(found)
    (config.out / "nbf.json").write_text(json.dumps({"rows": found, "verdicts": told}, indent=2) + "\n")
    text = to_markdown(found, questions(config), told)
    (config.out / "nbf.md").write_text(text + "\n")
    draw_plots(config.out / "curves.png", plots(found))
    print(text)
    return 0
