"""What a run of training with fitting in the loop consists of, and its checkpoints."""

import json
import logging
from dataclasses import dataclass, field, replace
from pathlib import Path

import torch
from jaxtyping import Int
from torch import Tensor

from fitloop.body import Body, load_body
from fitloop.body.files import whole_file
from fitloop.data.spin_format import read_spin
from fitloop.pipelines.console.options import save_config
from fitloop.pipelines.spin.compat import OriginalLoop, as_original
from fitloop.pipelines.spin.config import (
    SILHOUETTE,
    DataConfig,
    FitsConfig,
    FitterConfig,
    NetworkConfig,
    ScheduleConfig,
    SpinConfig,
    TeachingConfig,
)
from fitloop.pipelines.spin.loop import LoopConfig, SpinLoop, Tally
from fitloop.pipelines.spin.quirks import Quirks
from fitloop.pipelines.spin.report import Epoch
from fitloop.pipelines.spin.samples import Crowd, Deal, make_crowd, split
from fitloop.pipelines.spin.store import FitsStore
from fitloop.pipelines.training.loop import LAST
from fitloop.pipelines.training.processes import Processes
from fitloop.pipelines.training.state import Average, TrainingState
from fitloop.regressor import Weights, load_weights
from fitloop.regressor.regressor import weights_path

FITS, PROGRESS = "fits", "progress.json"

_logger = logging.getLogger(__name__)


@dataclass
class Run:
    """A training run between two steps."""

    out: Path
    schedule: ScheduleConfig
    weights: Weights
    """What the network belongs to: body and size."""
    crowd: Crowd
    apart: Crowd
    """To measure on."""
    deal: Deal
    """Which rows are visited when."""
    loop: SpinLoop
    state: TrainingState
    processes: Processes
    epochs: list[Epoch]
    """What was measured so far."""
    measured_fits: int
    """Stored fits that are measured after each epoch, at most."""
    frozen_statistics: bool = True
    """Of batch normalisation."""
    dealt: dict[tuple[int, int], Tensor] = field(default_factory=dict)
    """Rows of this epoch by epoch and shard, drawn when first needed."""

    def rows(self, epoch: int, shard: int, place: int) -> Int[Tensor, "people"]:
        """Rows of a shard for one step of an epoch."""
        if (epoch, shard) not in self.dealt:
            self.dealt = {key: rows for key, rows in self.dealt.items() if key[0] == epoch}
            self.dealt[epoch, shard] = self.deal.rows(epoch, shard)
        return self.dealt[epoch, shard][place]


def open_run(config: SpinConfig, processes: Processes = Processes()) -> Run:
    """Load everything, and the last checkpoint if there is one."""
    body = load_body(config.body)
    crowd, apart = _people(config.part(DataConfig), body, config.mode == "keypoints+silhouettes")
    return open_run_of(config, body, crowd, apart, processes)


def open_run_of(config: SpinConfig, body: Body, crowd: Crowd, apart: Crowd, processes: Processes = Processes()) -> Run:
    """`open_run` for people that are at hand.

    Args:
        config: Of the run; its data sets are not read. From here on every module gets only its part.
        body: The body to learn.
        crowd: To learn from.
        apart: To measure on.
        processes: This one among all.
    """
    if config.mode == "keypoints+silhouettes":
        _check_masks(crowd)
    torch.manual_seed(config.seed)
    device = processes.device(config.device)
    weights, body = load_start(config.regressor, body), body.to(device)
    weights.model.to(device)
    if processes.first:
        config.out.mkdir(parents=True, exist_ok=True)
        save_config(config, config.out / "config.yaml")
        FitsStore(config.out / FITS, crowd.key(body), config.shards)
    processes.wait()
    convention = crowd.samples.evidence.convention
    config = as_original(config, convention) if config.spin_compat else config
    store = FitsStore(config.out / FITS, crowd.key(body), config.shards, processes.owned_shards(config.shards))
    parts = LoopConfig(config.part(FitterConfig), config.part(FitsConfig), _teaching(config))
    place = (weights.config, body, convention, store)
    loop = SpinLoop(parts, *place) if config.quirks == Quirks() else OriginalLoop(parts, *place, config.quirks)
    optimizer = torch.optim.Adam(weights.model.parameters(), lr=config.learning_rate)
    state = TrainingState(weights.model, {"model": optimizer}, Average(weights.model, config.average), {})
    epochs = _resume(config.out, state, loop, processes)
    schedule, shares = config.part(ScheduleConfig), crowd.shares(config.part(DataConfig))
    deal = Deal(crowd.sizes, shares, schedule.shards, schedule.batch_size, schedule.seed)
    frozen = config.part(NetworkConfig).frozen_statistics
    people = config.held_out_people
    people_and_deal = (crowd, apart.first(people), deal)
    return Run(config.out, schedule, weights, *people_and_deal, loop, state, processes, epochs, people, frozen)


def _teaching(config: SpinConfig) -> TeachingConfig:
    """How the network learns, with outlines where the mode asks for them and the losses do not say how much."""
    teaching = config.part(TeachingConfig)
    if config.mode != "keypoints+silhouettes" or teaching.loss.silhouette:
        return teaching
    return replace(teaching, loss=replace(teaching.loss, silhouette=SILHOUETTE * teaching.loss.keypoints_2d))


def _check_masks(crowd: Crowd) -> None:
    grids = crowd.samples.evidence.silhouettes
    if grids is None or not bool((grids > 0.5).any()):
        raise ValueError(
            "--mode keypoints+silhouettes needs masks, and nobody has one. fitloop train-spin reads those that a data "
            "set names (maskname) below its folder of --images; fitloop adapt takes the detector's."
        )


def _resume(out: Path, state: TrainingState, loop: SpinLoop, processes: Processes) -> list[Epoch]:
    """Bring network and store to the last checkpoint, if there is one; return what was measured until then."""
    epochs: list[Epoch] = []
    if (out / LAST).is_file():
        state.load(out / LAST)
        epochs, tally = _read_progress(out / PROGRESS, state.step)
        loop.tally = tally if processes.first else Tally()
        if epochs and not state.start_errors:
            state.start_errors = dict(epochs[0].network)
        _logger.info("Going on from step %d of %s.", state.step, out / LAST)
    processes.wait()
    loop.store.recover(state.step)
    return epochs


def load_start(source: str, body: Body) -> Weights:
    """Weights to start from: the shipped ones by name, or a file.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If it is damaged, belongs to another body, or is fed in a way that training does not know.
    """
    weights = load_weights(weights_path(source))
    weights.check_body(body)
    return weights.to_train()


def _people(config: DataConfig, body: Body, masks: bool) -> tuple[Crowd, Crowd]:
    datasets = [read_spin(path) for path in config.data]
    images: list[Path | None] = list(config.images) or [None] * len(datasets)
    if config.held_out:
        apart = make_crowd([read_spin(path) for path in config.held_out], _folders(config), body)
        return make_crowd(datasets, images, body, masks), apart
    kept = [split(dataset) for dataset in datasets]
    training = make_crowd([part for part, _ in kept], images, body, masks)
    return training, make_crowd([part for _, part in kept], images, body)


def _folders(config: DataConfig) -> list[Path | None]:
    folders: list[Path | None] = list(config.images)
    known = len(folders) == len(config.held_out)
    return folders if known else [folders[0] if folders else None] * len(config.held_out)


def checkpoint(run: Run) -> None:
    """Write store and network so that a kill at any moment leaves a pair that belongs together."""
    step, out = run.state.step, run.out
    run.loop.store.prepare_checkpoint(step)
    tally = run.processes.add(run.loop.tally.counts)
    run.processes.wait()
    if run.processes.first:
        _write_progress(out / PROGRESS, run, tally)
        run.state.save(out / LAST)
    run.processes.wait()
    run.loop.store.finish_checkpoint(step)


def _write_progress(path: Path, run: Run, tally: dict[str, float]) -> None:
    earlier = [] if not path.is_file() else json.loads(path.read_text(encoding="utf-8"))["checkpoints"]
    mine = {"step": run.state.step, "tally": tally, "epochs": [epoch.tree() for epoch in run.epochs]}
    # Two are kept: which of them counts is decided by the network's checkpoint, written next.
    tree = {"checkpoints": [one for one in earlier if one["step"] < run.state.step][-1:] + [mine]}
    with whole_file(path) as temporary:
        temporary.write_text(json.dumps(tree), encoding="utf-8")


def _read_progress(path: Path, step: int) -> tuple[list[Epoch], Tally]:
    try:
        tree = json.loads(path.read_text(encoding="utf-8"))
        found = next(one for one in tree["checkpoints"] if one["step"] == step)
    except (OSError, json.JSONDecodeError, KeyError, StopIteration) as error:
        raise ValueError(
            f"{path} does not belong to the checkpoint of step {step}; remove the folder to start over."
        ) from error
    return [Epoch(**epoch) for epoch in found["epochs"]], Tally(dict(found["tally"]))
