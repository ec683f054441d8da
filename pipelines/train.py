"""Train a regressor: ``fitloop train --config configs/train/keypoints.yaml``."""

if __name__ == "__main__":
    from fitloop.pipelines.cli import run_program

    run_program("train")

import logging
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from torch import Tensor

from fitloop.body import Body, load_body
from fitloop.data.mocap import Mocap
from fitloop.geometry.rotations import rotmat_to_rot6d
from fitloop.pipelines.console.endings import end_well
from fitloop.pipelines.console.options import parse, save_config
from fitloop.pipelines.lessons.image_batches import ImageBatches
from fitloop.pipelines.lessons.keypoint_batches import (
    KeypointBatches,
    RegressorBatch,
    SeenShare,
    calibrate,
    joint_errors,
    mean_pose,
    split_mocap,
    surprise,
    vertex_errors,
)
from fitloop.pipelines.lessons.seen_people import SeenPeople
from fitloop.pipelines.training.devices import mixed_precision, training_device
from fitloop.pipelines.training.loop import BEST, LAST, Losses, Rhythm, Schedule, Training, run_training
from fitloop.pipelines.training.regressor_config import TrainConfig
from fitloop.pipelines.training.state import Average, TrainingState
from fitloop.regressor import HMR, HMROutput, Weights, build_hmr, load_weights, save_weights
from fitloop.regressor.discriminator import Discriminator, discrimination_loss, realism_loss
from fitloop.regressor.keypoint_encoder import KEYPOINT_NAMES
from fitloop.regressor.losses import Criterion, Supervision
from fitloop.regressor.parts import PartNet, load_part_net
from fitloop.regressor.regressor import weights_path
from fitloop.regressor.silhouettes import SIZE
from fitloop.regressor.starts import load_backbone, start_from_keypoints

log = logging.getLogger("fitloop.train")
Batches = KeypointBatches | ImageBatches


@dataclass(frozen=True)
class _People:
    """Who is learned from and who is measured on."""

    batches: Batches
    tests: list[RegressorBatch]


def train(config: TrainConfig) -> dict[str, float]:
    """Train until the last step or until held-out people stop getting better.

    Args:
        config: Everything; written to ``out/config.yaml``.

    Returns:
        Joint errors of the best weights on held-out subjects, which are in ``out/best.safetensors``.

    Raises:
        TrainingStopped: If the loss is not finite, the held-out error stays far above the start, or a checkpoint
            cannot be written; says what is kept.
        ValueError: If the mocap, the body, the device or an older checkpoint in ``out`` does not fit.
    """
    training = open_training(config, training_device(config.device, config.threads))
    rhythm = Rhythm(config.steps, config.evaluate_every, config.save_every, config.patience, config.stop_at)
    schedule = Schedule(config.learning_rate, config.steps, config.warmup, config.flat)
    run_training(training, rhythm, schedule, config.clip, config.tensorboard)
    return training.state.best_errors


def open_training(config: TrainConfig, device: torch.device) -> "RegressorTraining":
    """Load everything, and the last checkpoint if there is one.

    Args:
        config: Everything.
        device: Where network, body and batches go.

    Raises:
        ValueError: If the mocap, the body or an older checkpoint in ``out`` does not fit.
    """
    config, part_net = _with_segmenter(config)
    body = load_body(config.body)
    mocap, held_out = split_mocap(config.mocap)
    batches, tests = _sources(config, body, mocap, held_out)
    generator = torch.Generator().manual_seed(1)
    sizes = [1024] * (config.evaluate_people // 1024) + [config.evaluate_people % 1024]
    people = _People(batches, [tests(size, generator).to(device) for size in sizes if size])

    torch.manual_seed(config.seed)
    model = build_hmr(config.model).to(device)
    mean = rotmat_to_rot6d(mean_pose(mocap), config.model.head.layout)
    model.head.init_pose.copy_(mean.flatten()[None])
    if part_net is not None:
        model.get_submodule("encoder.segmenter").load_state_dict(part_net.state_dict())
    if config.backbone is not None:
        load_backbone(model, config.backbone)
    discriminator = Discriminator(num_betas=body.num_betas).to(device)
    optimizers: dict[str, torch.optim.Optimizer] = {
        "model": _optimizer(_groups(model, config, body), config),
        "discriminator": torch.optim.AdamW(discriminator.parameters(), config.discriminator_rate, fused=True),
    }
    state = TrainingState(model, optimizers, Average(model, config.average), {"discriminator": discriminator})
    config.out.mkdir(parents=True, exist_ok=True)
    if (config.out / LAST).is_file():
        state.load(config.out / LAST)
        log.info("Going on from step %d of %s.", state.step, config.out / LAST)
    save_config(config, config.out / "config.yaml")
    return RegressorTraining(config, body.to(device), people, state)


def _with_segmenter(config: TrainConfig) -> tuple[TrainConfig, PartNet | None]:
    """The options with the sizes of the network that finds parts, and that network, if one is given."""
    if config.segmenter is None:
        return config, None
    part_net = load_part_net(config.segmenter)
    return replace(config, model=replace(config.model, segmenter=part_net.config)), part_net


def _optimizer(groups: list[dict], config: TrainConfig) -> torch.optim.Optimizer:
    # Fused, a step takes a quarter of the time on a CPU.
    decay, rate = config.weight_decay, config.learning_rate
    if config.optimizer == "sgd":
        return torch.optim.SGD(groups, rate, config.momentum, weight_decay=decay, fused=True)
    return torch.optim.AdamW(groups, betas=(0.9, 0.99), weight_decay=decay, fused=True)


def _groups(model: HMR, config: TrainConfig, body: Body) -> list[dict]:
    """Parameters by the share of the learning rate that they get; those of an older network learn slower."""
    if config.start is None:
        return [{"params": list(model.parameters()), "share": 1.0}]
    older_weights = load_weights(weights_path(config.start))
    older_weights.check_body(body)
    started = start_from_keypoints(model, older_weights)
    older = {id(parameter) for parameter in started}
    fresh = [parameter for parameter in model.parameters() if id(parameter) not in older]
    return [{"params": fresh, "share": 1.0}, {"params": started, "share": config.start_rate}]


def _sources(config: TrainConfig, body: Body, training: Mocap, held_out: Mocap) -> tuple[Batches, Batches]:
    """Batches to learn from, and of people, things and places kept for testing."""
    if config.model.encoder == "keypoints":
        seen, seen_apart = (_seen(config, body, name) for name in ("training", "held-out"))
        batches = KeypointBatches(body, training, config.sampling, config.supervised, config.balanced, seen)
        return batches, KeypointBatches(body, held_out, config.sampling, seen=seen_apart)
    photos = ImageBatches(body, training, config.images, config.model, supervised=config.supervised)
    return photos, ImageBatches(body, held_out, config.images, config.model, "held-out")


def _seen(config: TrainConfig, body: Body, name: str) -> SeenShare | None:
    if config.detected is None:
        return None
    # As many of those that a detector saw come without 3D landmarks as of the others.
    flat = 1.0 - config.sampling.noise.landmarks
    varied = {"flat": flat} if name == "training" else {"turned": 0.0, "jitter": 0.0, "flat": 1.0}
    return SeenShare(SeenPeople(config.detected / name, body, **varied), config.detected_share)


class RegressorTraining(Training):
    """A regressor learns from drawn people, and beside it a discriminator, if the losses ask for one."""

    watched = ("mpjpe",)

    def __init__(self, config: TrainConfig, body: Body, people: _People, state: TrainingState[HMR]) -> None:
        """Prepare the losses.

        Args:
            config: Everything.
            body: Where the network is.
            people: Batches, and those kept apart, on the same device.
            state: Network, discriminator, optimisers.
        """
        super().__init__(state, config.out)
        self.config, self.people, self.body = config, people, body.name
        self.discriminator: Discriminator = state.others["discriminator"]
        self.criterion = Criterion(body, KEYPOINT_NAMES, config.loss)
        self.measures = (config.score,)
        if config.start is not None and config.start_rate == 0:
            # The answers stay as they are; only how sure the network is of them can get better.
            self.measures = ("surprise",)
        self.device = body.template.device

    def gradient(self, step: int) -> tuple[Tensor, Losses]:
        """See `Training`; the discriminator takes its own step, too."""
        config = self.config
        # Batch and dropout depend on the step alone, so a run that was interrupted sees what it would have seen.
        seed = (config.seed * 1_000_003 + step) * 2
        generator = torch.Generator().manual_seed(seed)
        torch.manual_seed(seed + 1)
        batch = self.people.batches(config.batch_size, generator).to(self.device)
        with mixed_precision(self.device, config.precision == "bfloat16"):
            output = self.state.model(batch.inputs)
        output = output.to(torch.float32)
        losses = self.criterion(output, batch.view, self._masked(batch))
        if config.loss.adversarial:
            opinions = self.discriminator(output.rotations[:, 1:], output.betas)
            losses["adversarial"] = config.loss.total * config.loss.adversarial * realism_loss(opinions)
        loss = torch.stack(list(losses.values())).sum()
        loss.backward()
        if config.loss.adversarial:
            self._teach_discriminator(output.detach(), generator)
        return loss.detach(), {name: value.detach() for name, value in losses.items()}

    def _masked(self, batch: RegressorBatch) -> Supervision:
        """The supervision, with the people's masks where a loss compares outlines."""
        truth, silhouettes = batch.truth, self.criterion.silhouettes
        if silhouettes is None:
            return truth
        # The people of a batch are in no order, so the first stand for all.
        some = slice(0, self.config.silhouette_people)
        pelvis = truth.points_3d[some, KEYPOINT_NAMES.index("pelvis")]
        drawn = silhouettes.masks(truth.rotations[some], truth.betas[some], pelvis, batch.view[some])
        return replace(truth, masks=torch.cat([drawn, drawn.new_zeros(len(truth.betas) - len(drawn), SIZE, SIZE)]))

    def _teach_discriminator(self, output: HMROutput, generator: torch.Generator) -> None:
        """One step on the regressor's people and as many real poses that have nothing to do with the batch."""
        real = self.people.batches.draw_poses(len(output.betas), generator)[:, 1:].to(self.device)
        betas = self.config.sampling.betas_spread * torch.randn(output.betas.shape, generator=generator)
        judge = self.state.optimizers["discriminator"]
        judge.zero_grad(set_to_none=True)
        made = self.discriminator(output.rotations[:, 1:], output.betas)
        discrimination_loss(self.discriminator(real, betas.to(self.device)), made).backward()
        judge.step()

    def evaluate(self) -> dict[str, float]:
        """Joint errors on people, things and places kept for testing."""
        errors = joint_errors(self.state.model, self.people.tests, self.criterion)
        if self.config.score == "pve":
            errors |= vertex_errors(self.state.model, self.people.tests, self.criterion.body)
        return errors | surprise(self.state.model, self.people.tests)

    def write_best(self, path: Path) -> None:
        """See `Training`; how sure the network is of its answers is set right on the people kept for testing."""
        if self.state.model.head.spread is not None:
            calibrate(self.state.model, self.people.tests)
        save_weights(path, Weights(self.state.model, self.config.model, self.body))


def main(arguments: list[str] | None = None) -> int:
    """Train as the command line says."""
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    config = parse(TrainConfig, arguments, __doc__)

    def work() -> str:
        errors = ", ".join(f"{name} {value:.1f}" for name, value in train(config).items())
        return f"Done: {errors} on held-out subjects; weights in {config.out / BEST}."

    return end_well(work, config.out)
