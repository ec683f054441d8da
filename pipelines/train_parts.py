"""Train what finds body parts in photos: ``fitloop train-parts --config configs/train/segmentation.yaml``."""

if __name__ == "__main__":
    from fitloop.pipelines.cli import run_program

    run_program("train-parts")

import logging
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import torch
from torch import Tensor

from fitloop.body import load_body
from fitloop.body.part_maps import NOBODY
from fitloop.evaluation.part_scores import part_scores
from fitloop.pipelines.console.endings import end_well
from fitloop.pipelines.console.options import parse, save_config
from fitloop.pipelines.lessons.image_batches import ImageBatches, PartBatch
from fitloop.pipelines.lessons.image_sampling import ImageSampling
from fitloop.pipelines.lessons.keypoint_batches import split_mocap
from fitloop.pipelines.training.devices import mixed_precision, training_device
from fitloop.pipelines.training.loop import LAST, Losses, Rhythm, Schedule, Training, run_training
from fitloop.pipelines.training.state import Average, TrainingState
from fitloop.regressor import HMRConfig
from fitloop.regressor.parts import PartNet, PartNetConfig, save_part_net

log = logging.getLogger("fitloop.train")
BEST = "parts.safetensors"
_LONGEST_GRADIENT = 5.0
_TESTED_AT_ONCE = 64


@dataclass(frozen=True, kw_only=True)
class PartsTrainConfig:
    """Train the network that tells which of 24 body parts each pixel shows."""

    mocap: Path
    """The poses, ``cmu_poses.npz``."""
    images: ImageSampling = field(default_factory=ImageSampling)
    """Photos to learn from."""
    out: Path = Path("runs/segmentation")
    """Checkpoints and weights; a run that was interrupted continues there."""
    network: PartNetConfig = field(default_factory=PartNetConfig)
    """Sizes of the network."""
    steps: int = 2000
    """Batches until the end."""
    batch_size: int = 32
    """People per batch."""
    learning_rate: float = 2e-3
    """Of AdamW, after the warm-up; falls to 0 along a cosine."""
    warmup: int = 50
    """Steps."""
    weight_decay: float = 0.02
    average: float = 0.99
    """Decay of the moving average of the weights, which is what is evaluated and kept."""
    evaluate_every: int = 250
    """Steps."""
    evaluate_people: int = 256
    """How many people of held-out subjects."""
    save_every: int = 100
    """Steps."""
    precision: Literal["bfloat16", "float32"] = "bfloat16"
    """Of the layers."""
    seed: int = 0
    device: str = "cpu"
    """Where to learn: `cpu`, `cuda`, `cuda:1`, ...; photos are drawn on the CPU."""
    threads: int | None = None
    """CPU threads; as many as there are cores if not given."""
    tensorboard: bool = False
    """Write curves to `out` for TensorBoard (`pip install fitloop[train]`)."""

    def __post_init__(self) -> None:
        """Refuse what cannot run."""
        if min(self.steps, self.batch_size, self.evaluate_every, self.evaluate_people, self.save_every) < 1:
            raise ValueError("Counts of steps and people must be at least 1.")
        if self.images.assets is None:
            raise ValueError("Parts are learned from drawn photos: give images.assets, their folder.")


def train(config: PartsTrainConfig) -> dict[str, float]:
    """Train until the last step.

    Args:
        config: Everything; written to ``out/config.yaml``.

    Returns:
        Overlap of the best weights on held-out people, which are in ``out/parts.safetensors``.

    Raises:
        TrainingStopped: If the loss is not finite, the held-out error stays far above the start, or a checkpoint
            cannot be written.
        ValueError: If the mocap, the device or an older checkpoint in ``out`` does not fit.
    """
    training = open_training(config, training_device(config.device, config.threads))
    rhythm = Rhythm(config.steps, config.evaluate_every, config.save_every)
    schedule = Schedule(config.learning_rate, config.steps, config.warmup)
    run_training(training, rhythm, schedule, _LONGEST_GRADIENT, config.tensorboard)
    return training.state.best_errors


def open_training(config: PartsTrainConfig, device: torch.device) -> "PartsTraining":
    """Make the network, and load the last checkpoint if there is one.

    Args:
        config: Everything.
        device: Where to learn.

    Raises:
        ValueError: If the mocap or an older checkpoint in ``out`` does not fit.
    """
    body = load_body()
    reader = HMRConfig("parts", segmenter=config.network)
    learned, held_out = split_mocap(config.mocap)
    batches = ImageBatches(body, learned, config.images, reader)
    apart, generator = ImageBatches(body, held_out, config.images, reader, "held-out"), torch.Generator().manual_seed(1)
    counts = range(0, config.evaluate_people, _TESTED_AT_ONCE)
    sizes = [min(_TESTED_AT_ONCE, config.evaluate_people - start) for start in counts]
    tests = [apart.segmentation(size, generator) for size in sizes]
    torch.manual_seed(config.seed)
    network = PartNet(config.network).to(device).to(memory_format=torch.channels_last)  # pyright: ignore[reportCallIssue]
    optimizer = torch.optim.AdamW(network.parameters(), betas=(0.9, 0.99), weight_decay=config.weight_decay)
    state = TrainingState(network, {"network": optimizer}, Average(network, config.average), {})
    config.out.mkdir(parents=True, exist_ok=True)
    if (config.out / LAST).is_file():
        state.load(config.out / LAST)
        log.info("Going on from step %d of %s.", state.step, config.out / LAST)
    save_config(config, config.out / "config.yaml")
    return PartsTraining(config, state, batches, tests)


class PartsTraining(Training):
    """The segmentation network learns from drawn people."""

    # What is chosen by must be smaller where it is better, so the part of the overlap that is missing.
    measures = watched = ("missed",)
    best = BEST

    def __init__(
        self, config: PartsTrainConfig, state: TrainingState[PartNet], batches: ImageBatches, tests: list[PartBatch]
    ) -> None:
        """Take what was opened.

        Args:
            config: Everything.
            state: Network and optimiser.
            batches: People to learn from.
            tests: People kept apart.
        """
        super().__init__(state, config.out)
        self.config, self.batches, self.tests = config, batches, tests
        self.device = next(state.model.parameters()).device

    def gradient(self, step: int) -> tuple[Tensor, Losses]:
        """See `Training`."""
        generator = torch.Generator().manual_seed(1_000_003 * self.config.seed + step)
        batch = self.batches.segmentation(self.config.batch_size, generator)
        with mixed_precision(self.device, self.config.precision == "bfloat16"):
            scores = self.state.model(batch.crops.to(self.device))
        wanted = batch.labels.to(self.device).long() - NOBODY
        loss = torch.nn.functional.cross_entropy(scores.float(), wanted)
        loss.backward()
        return loss.detach(), {"cross_entropy": loss.detach()}

    @torch.no_grad()
    def evaluate(self) -> dict[str, float]:
        """Overlap on held-out people: of 24 parts, of six, and of the silhouette."""
        found = torch.cat([self.state.model.labels(batch.crops.to(self.device)).cpu() for batch in self.tests])
        truth = torch.cat([batch.labels for batch in self.tests])
        scores = {parts: part_scores(found, truth, parts) for parts in (24, 6, 1)}
        told = {f"iou_{parts}": one["iou"] for parts, one in scores.items()}
        return {"missed": 100.0 - scores[24]["iou"], **told, "f_score_24": scores[24]["f_score"]}

    def write_best(self, path: Path) -> None:
        """See `Training`."""
        save_part_net(path, self.state.model)


def main(arguments: list[str] | None = None) -> int:
    """Train as the command line says."""
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    config = parse(PartsTrainConfig, arguments, __doc__)

    def work() -> str:
        errors = ", ".join(f"{name} {value:.1f}" for name, value in train(config).items())
        return f"Done: {errors} % on held-out people; weights in {config.out / BEST}."

    return end_well(work, config.out)
