"""Train the displacement network: ``fitloop train-refinement --config configs/refinement/default.yaml``."""

if __name__ == "__main__":
    from fitloop.pipelines.cli import run_program

    run_program("train-refinement")

import logging
import math
from dataclasses import dataclass, field, fields, replace
from pathlib import Path

import torch
from torch import Tensor

from fitloop.body import Body, load_body
from fitloop.pipelines.console.endings import end_well
from fitloop.pipelines.console.options import parse, save_config
from fitloop.pipelines.console.progress import Progress
from fitloop.pipelines.lessons.displacement_batches import BatchConfig, RefinementBatches
from fitloop.pipelines.lessons.erring_bodies import CHUNK, SampleConfig, SampleMaker, has_chunk
from fitloop.pipelines.training.devices import mixed_precision, training_device
from fitloop.pipelines.training.loop import LAST, Losses, Rhythm, Schedule, Training, mean_of, run_training
from fitloop.pipelines.training.state import Average, TrainingState
from fitloop.refinement.augmentation import Batch
from fitloop.refinement.losses import endpoint_error, laplace_loss, surface_loss
from fitloop.refinement.network import DisplacementNet, NetworkConfig, SurfaceHead, grow
from fitloop.refinement.weights import load_network, save_network
from fitloop.regressor import load_regressor

log = logging.getLogger("fitloop.train")
BEST = "displacement.safetensors"
_LONGEST_GRADIENT = 5.0


@dataclass(frozen=True, kw_only=True)
class RefinementTrainConfig:
    """Train the network that tells how far the rendered body lies from the photo's."""

    samples: SampleConfig
    """What the photos are like."""
    out: Path = Path("runs/refinement")
    """Photos, checkpoints and weights; a run that was interrupted continues there."""
    photos: int = 12800
    """To draw and keep before training starts, about 0.4 MB each."""
    held_out_photos: int = 256
    """Of held-out subjects, garments and places."""
    network: NetworkConfig = field(default_factory=NetworkConfig)
    start: Path | None = None
    """Weights to start from; blocks that they lack change nothing at first."""
    surface: float = 0.5
    """Weight of the second task, telling which point of the body each pixel shows; 0 leaves it out."""
    balance: float = 0.5
    """How far what the network is unsure of teaches as much as the rest (`laplace_loss`)."""
    batches: BatchConfig = field(default_factory=BatchConfig)
    """How photos and estimates are varied."""
    steps: int = 4000
    batch_size: int = 32
    reuse: int = 3
    """How often each drawn view is learned from, each time in other company."""
    pool: int = 1536
    """Views kept for that."""
    learning_rate: float = 2e-3
    """Of AdamW, after the warm-up; falls to 0 along a cosine."""
    warmup: int = 100
    """Steps."""
    weight_decay: float = 0.02
    average: float = 0.995
    """Decay of the moving average of the weights, which is what is evaluated and kept."""
    evaluate_every: int = 250
    """Steps."""
    save_every: int = 100
    """Steps."""
    seed: int = 0
    device: str = "cpu"
    """Where to learn: `cpu`, `cuda`, `cuda:1`, ...; photos are drawn on the CPU."""
    threads: int | None = None
    """CPU threads; as many as there are cores if not given."""
    tensorboard: bool = False
    """Write curves to `out` for TensorBoard (`pip install fitloop[train]`)."""

    def __post_init__(self) -> None:
        """Refuse what cannot run."""
        counts = (self.steps, self.batch_size, self.reuse, self.evaluate_every, self.save_every, self.photos)
        if min(counts) < 1 or self.pool < self.batch_size:
            raise ValueError("Counts must be at least 1, and the pool as large as a batch.")


@dataclass
class Pool:
    """Views that wait to be learned from; old ones make room for new ones."""

    batches: RefinementBatches
    config: RefinementTrainConfig
    views: list[Batch] = field(default_factory=list)

    def draw(self, generator: torch.Generator) -> Batch:
        """A batch of views from anywhere in the pool, after some have been replaced by new ones."""
        size, reuse = self.config.batch_size, self.config.reuse
        # A pool that starts with few views would teach these over and over.
        fresh = max(1, round(size / reuse)) if self.views else min(8 * size, self.config.pool)
        new = self.batches(fresh, generator)
        slots = torch.randperm(max(len(self.views), 1), generator=generator).tolist()
        for row in range(fresh):
            # Half precision halves the memory; a view's numbers are small.
            view = new[row].to(torch.float16)
            if len(self.views) < self.config.pool:
                self.views.append(view)
            else:
                self.views[slots[row]] = view
        picks = torch.randperm(len(self.views), generator=generator)[:size].tolist()
        chosen = [self.views[pick] for pick in picks]
        return Batch(*(torch.stack([getattr(v, part.name) for v in chosen]).float() for part in fields(Batch)))


def train(config: RefinementTrainConfig) -> dict[str, float]:
    """Draw what photos are missing, then learn from them until the last step.

    Args:
        config: Everything; written to ``out/config.yaml``.

    Returns:
        Errors of the best weights on held-out people, which are in ``out/displacement.safetensors``.

    Raises:
        TrainingStopped: If the loss is not finite, the held-out error stays far above the start, or a checkpoint
            cannot be written.
        ValueError: If there is no such device, or an older checkpoint in ``out`` does not fit.
    """
    device, body = training_device(config.device, config.threads), load_body()
    config.out.mkdir(parents=True, exist_ok=True)
    save_config(config, config.out / "config.yaml")
    _draw_missing(config, body)
    training = open_training(config, body.to(device))
    rhythm = Rhythm(config.steps, config.evaluate_every, config.save_every)
    schedule = Schedule(config.learning_rate, config.steps, config.warmup)
    run_training(training, rhythm, schedule, _LONGEST_GRADIENT, config.tensorboard)
    return training.state.best_errors


def open_training(config: RefinementTrainConfig, body: Body) -> "RefinementTraining":
    """Make the network, and load the last checkpoint if there is one.

    Args:
        config: Everything; the photos are drawn.
        body: Where to learn.

    Raises:
        ValueError: If there are no photos, or an older checkpoint in ``out`` does not fit.
    """
    pool = Pool(RefinementBatches(config.out / "training", body, config.batches), config)
    tests = _test_batches(config, body)
    device = body.template.device
    torch.manual_seed(config.seed)
    network = DisplacementNet(config.network)
    if config.start is not None:
        network = grow(load_network(config.start), config.network).train()
    network = network.to(device).to(memory_format=torch.channels_last)  # pyright: ignore[reportCallIssue]
    surface = SurfaceHead(config.network).to(device)
    learned = [*network.parameters(), *surface.parameters()]
    optimizer = torch.optim.AdamW(learned, betas=(0.9, 0.99), weight_decay=config.weight_decay)
    state = TrainingState(network, {"network": optimizer}, Average(network, config.average), {"surface": surface})
    if (config.out / LAST).is_file():
        state.load(config.out / LAST)
        log.info("Going on from step %d.", state.step)
    return RefinementTraining(config, state, pool, tests)


class RefinementTraining(Training):
    """The displacement network learns from views of drawn photos."""

    # The loss says how sure the network may be, and may be negative; distances tell whether it goes astray.
    measures, watched = ("held_out_loss",), ("held_out_pixels",)
    best = BEST

    def __init__(
        self, config: RefinementTrainConfig, state: TrainingState[DisplacementNet], pool: Pool, tests: list[Batch]
    ) -> None:
        """Take what was opened.

        Args:
            config: Everything.
            state: Network, head of the second task, optimiser.
            pool: Views to learn from.
            tests: Views of held-out people, on the same device.
        """
        super().__init__(state, config.out)
        self.config, self.pool, self.tests = config, pool, tests
        self.device = pool.batches.device

    def gradient(self, step: int) -> tuple[Tensor, Losses]:
        """See `Training`."""
        config, state = self.config, self.state
        batch = self.pool.draw(torch.Generator().manual_seed(1_000_003 * config.seed + step))
        with mixed_precision(self.device):
            features = state.model.features(batch.inputs)
            predicted, shown = state.model.read(features), state.others["surface"](features)
        losses = {"flow": laplace_loss(predicted, batch.truth, batch.weight, config.balance)}
        losses["surface"] = config.surface * surface_loss(shown, batch.surface)
        loss = losses["flow"] + losses["surface"]
        loss.backward()
        with torch.no_grad():
            losses["pixels"] = endpoint_error(predicted, batch.truth, batch.weight)
        return loss.detach(), {name: value.detach() for name, value in losses.items()}

    @torch.no_grad()
    def evaluate(self) -> dict[str, float]:
        """Loss and distance on held-out people, and the distance if nothing were displaced."""
        self.pool.batches.refresh()
        found = []
        for batch in self.tests:
            with mixed_precision(self.device):
                predicted = self.state.model(batch.inputs)
            still = predicted.map(torch.zeros_like)
            found.append(
                {
                    "held_out_loss": laplace_loss(predicted, batch.truth, batch.weight),
                    "held_out_pixels": endpoint_error(predicted, batch.truth, batch.weight),
                    "unrefined_pixels": endpoint_error(still, batch.truth, batch.weight),
                }
            )
        return mean_of(found)

    def write_best(self, path: Path) -> None:
        """See `Training`."""
        save_network(path, self.state.model)


def _test_batches(config: RefinementTrainConfig, body: Body) -> list[Batch]:
    held_out = RefinementBatches(config.out / "held-out", body, config.batches, varied=False)
    generator = torch.Generator().manual_seed(1)
    return [held_out(32, generator) for _ in range(max(1, config.held_out_photos // 32))]


def _draw_missing(config: RefinementTrainConfig, body: Body) -> None:
    for folder, split, photos, seed in (
        ("held-out", "held-out", config.held_out_photos, config.samples.seed + 900),
        ("training", "training", config.photos, config.samples.seed),
    ):
        chunks = range(math.ceil(photos / CHUNK))
        waiting = [number for number in chunks if not has_chunk(config.out / folder, number)]
        if not waiting:
            continue
        settings = replace(config.samples, split=split, seed=seed)
        maker = SampleMaker(settings, body, load_regressor("keypoints", body))
        with Progress(CHUNK * len(chunks), "photo", 30.0, CHUNK * (len(chunks) - len(waiting))) as progress:
            for number in waiting:
                maker(number).save(config.out / folder, number)
                progress.advance(CHUNK)


def main(arguments: list[str] | None = None) -> int:
    """Train as the command line says."""
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    config = parse(RefinementTrainConfig, arguments, __doc__)

    def work() -> str:
        errors = ", ".join(f"{name} {value:.2f}" for name, value in train(config).items())
        return f"Done: {errors}; weights in {config.out / BEST}."

    return end_well(work, config.out)
