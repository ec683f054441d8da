"""Train a regressor: ``fitloop train --config configs/train/keypoints.yaml``."""

import json
import logging
import math
import sys
import time
from dataclasses import dataclass
from typing import Any

import torch
from safetensors import SafetensorError
from torch import Tensor

from fitloop.body import Body, load_body
from fitloop.data.mocap import Mocap
from fitloop.geometry.rotations import rotmat_to_rot6d
from fitloop.pipelines.console.endings import TrainingStopped, end_well
from fitloop.pipelines.console.options import parse, save_config
from fitloop.pipelines.console.progress import Progress
from fitloop.pipelines.lessons.image_batches import ImageBatches
from fitloop.pipelines.lessons.keypoint_batches import (
    Batch,
    KeypointBatches,
    SeenShare,
    joint_errors,
    mean_pose,
    split_mocap,
)
from fitloop.pipelines.lessons.seen_people import SeenPeople
from fitloop.pipelines.training.regressor_config import TrainConfig, learning_rate
from fitloop.pipelines.training.state import Average, TrainingState, mean_of
from fitloop.regressor import HMR, HMROutput, Weights, build_hmr, load_weights, save_weights
from fitloop.regressor.checkpoints import load_backbone, start_from_keypoints
from fitloop.regressor.discriminator import Discriminator, discrimination_loss, realism_loss
from fitloop.regressor.keypoint_encoder import KEYPOINT_NAMES
from fitloop.regressor.losses import Criterion
from fitloop.regressor.regressor import weights_path

log = logging.getLogger("fitloop.train")
LAST, BEST = "last.pt", "best.safetensors"
Batches = KeypointBatches | ImageBatches


@dataclass
class _Run:
    """What a training run works with."""

    config: TrainConfig
    body: str
    batches: Batches
    tests: list[Batch]
    criterion: Criterion
    discriminator: Discriminator
    state: TrainingState
    device: torch.device


def train(config: TrainConfig) -> dict[str, float]:
    """Train until the last step or until held-out people stop getting better.

    Args:
        config: Everything; written to ``out/config.yaml``.

    Returns:
        Joint errors of the best weights on held-out subjects, which are in ``out/best.safetensors``.

    Raises:
        TrainingStopped: If the loss is not finite or a checkpoint cannot be written; says what is kept.
        ValueError: If the mocap, the body or an older checkpoint in ``out`` does not fit.
    """
    run = _prepare(config)
    state, best_errors = run.state, run.state.best_errors
    curves = _writer(config)
    recent: list[dict[str, Tensor]] = []
    started = time.monotonic()
    with Progress(config.steps, "step", 30.0, state.step) as progress:
        while state.step < config.steps and state.stale < config.patience:
            recent.append(_step(run))
            progress.advance(1)
            last = state.step == config.steps
            if last or state.step % config.evaluate_every == 0:
                errors = _look_at_held_out(run)
                best_errors = state.best_errors
                _report(run, {**mean_of(recent), **errors}, time.monotonic() - started, curves)
                recent = []
            if last or state.step % config.save_every == 0:
                state.save(config.out / LAST)
    return best_errors


def _prepare(config: TrainConfig) -> _Run:
    if config.threads:
        torch.set_num_threads(config.threads)
    device = torch.device(config.device)
    body = load_body(config.body)
    training, held_out = split_mocap(config.mocap)
    batches, tests = _sources(config, body, training, held_out)
    generator = torch.Generator().manual_seed(1)
    sizes = [1024] * (config.evaluate_people // 1024) + [config.evaluate_people % 1024]
    test_batches = [tests(size, generator).to(device) for size in sizes if size]

    torch.manual_seed(config.seed)
    model = build_hmr(config.model).to(device)
    mean = rotmat_to_rot6d(mean_pose(training), config.model.head.layout)
    model.head.init_pose.copy_(mean.flatten()[None])
    if config.backbone is not None:
        load_backbone(model, config.backbone)
    discriminator = Discriminator(num_betas=body.num_betas).to(device)
    optimizers: dict[str, torch.optim.Optimizer] = {
        # Fused, a step takes a quarter of the time on a CPU.
        "model": torch.optim.AdamW(
            _groups(model, config, body), betas=(0.9, 0.99), weight_decay=config.weight_decay, fused=True
        ),
        "discriminator": torch.optim.AdamW(discriminator.parameters(), config.discriminator_rate, fused=True),
    }
    state = TrainingState(model, optimizers, Average(model, config.average), {"discriminator": discriminator})
    config.out.mkdir(parents=True, exist_ok=True)
    if (config.out / LAST).is_file():
        state.load(config.out / LAST)
        log.info("Going on from step %d of %s.", state.step, config.out / LAST)
    save_config(config, config.out / "config.yaml")
    criterion = Criterion(body.to(device), KEYPOINT_NAMES, config.loss)
    return _Run(config, body.name, batches, test_batches, criterion, discriminator, state, device)


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
    photos = ImageBatches(body, training, config.images, config.model)
    return photos, ImageBatches(body, held_out, config.images, config.model, "held-out")


def _seen(config: TrainConfig, body: Body, name: str) -> SeenShare | None:
    if config.detected is None:
        return None
    varied = {} if name == "training" else {"turned": 0.0, "jitter": 0.0}
    return SeenShare(SeenPeople(config.detected / name, body, **varied), config.detected_share)


def _step(run: _Run) -> dict[str, Tensor]:
    """Learn from one batch."""
    config, state = run.config, run.state
    # Batch and dropout depend on the step alone, so a run that was interrupted sees what it would have seen.
    generator = torch.Generator().manual_seed(_seed_of(config, state.step))
    torch.manual_seed(_seed_of(config, state.step) + 1)
    batch = run.batches(config.batch_size, generator).to(run.device)
    with torch.autocast(run.device.type, torch.bfloat16, enabled=config.precision == "bfloat16"):
        output = state.model(batch.inputs)
    output = output.to(torch.float32)

    losses = run.criterion(output, batch.view, batch.truth)
    if config.loss.adversarial:
        opinions = run.discriminator(output.rotations[:, 1:], output.betas)
        losses["adversarial"] = config.loss.total * config.loss.adversarial * realism_loss(opinions)
    loss = torch.stack(list(losses.values())).sum()

    optimizer = state.optimizers["model"]
    for group in optimizer.param_groups:
        group["lr"] = group.get("share", 1.0) * learning_rate(config, state.step)
    optimizer.zero_grad(set_to_none=True)
    loss.backward()
    length = torch.nn.utils.clip_grad_norm_(state.model.parameters(), config.clip)
    # Looked at before the weights move, so weights that were good stay good.
    if not bool(torch.isfinite(loss) & torch.isfinite(length)):
        raise TrainingStopped(_diverged(run, losses))
    optimizer.step()
    if config.loss.adversarial:
        _teach_discriminator(run, output.detach(), generator)
    state.average.update(state.model)
    state.step += 1
    return {name: value.detach() for name, value in losses.items()}


def _teach_discriminator(run: _Run, output: HMROutput, generator: torch.Generator) -> None:
    """One step on the regressor's people and as many real poses that have nothing to do with the batch."""
    real = run.batches.draw_poses(len(output.betas), generator)[:, 1:].to(run.device)
    betas = run.config.sampling.betas_spread * torch.randn(output.betas.shape, generator=generator).to(run.device)
    judge = run.state.optimizers["discriminator"]
    judge.zero_grad(set_to_none=True)
    made = run.discriminator(output.rotations[:, 1:], output.betas)
    discrimination_loss(run.discriminator(real, betas), made).backward()
    judge.step()


def _look_at_held_out(run: _Run) -> dict[str, float]:
    """Measure the averaged weights, and keep them if they are the best so far."""
    state, path = run.state, run.config.out / BEST
    with state.average.applied_to(state.model):
        errors = joint_errors(state.model, run.tests, run.criterion)
        if not errors["mpjpe"] < state.best_errors.get("mpjpe", math.inf):
            state.stale += 1
            return errors
        try:
            save_weights(path, Weights(state.model, run.config.model, run.body))
        except (OSError, SafetensorError) as error:
            kept = "The older file is kept. " if path.is_file() else ""
            raise TrainingStopped(
                f"The weights of step {state.step} could not be written to {path} ({error}). {kept}"
                "Make room and start again with the same options."
            ) from error
    state.best_errors, state.stale = errors, 0
    return errors


def _seed_of(config: TrainConfig, step: int) -> int:
    return (config.seed * 1_000_003 + step) * 2


def _diverged(run: _Run, losses: dict[str, Tensor]) -> str:
    values = ", ".join(f"{name} {float(value.detach()):.4g}" for name, value in losses.items())
    kept = [name for name in (LAST, BEST) if (run.config.out / name).is_file()]
    return (
        f"Loss or gradient is not finite in the batch of step {run.state.step} "
        f"(seed {_seed_of(run.config, run.state.step)}; {values}). "
        f"Kept in {run.config.out}: {' and '.join(kept) or 'nothing yet'}. "
        "Lower learning_rate, or use precision float32, and start again."
    )


def _report(run: _Run, values: dict[str, float], seconds: float, curves: Any) -> None:
    step = run.state.step
    line = {"step": step, "seconds": round(seconds, 1), "learning_rate": learning_rate(run.config, step - 1)}
    line |= {name: round(value, 5) for name, value in values.items()}
    with (run.config.out / "metrics.jsonl").open("a", encoding="utf-8") as file:
        file.write(json.dumps(line) + "\n")
    told = ", ".join(f"{name} {value:.4g}" for name, value in values.items())
    sys.stderr.write(f"step {step}: {told}; best mpjpe {run.state.best_errors['mpjpe']:.1f}\n")
    if curves is not None:
        for name, value in values.items():
            curves.add_scalar(name, value, step)
        curves.flush()


def _writer(config: TrainConfig) -> Any:
    if not config.tensorboard:
        return None
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError as error:
        raise ValueError(
            "tensorboard is not installed: pip install 'fitloop[train]', or leave the option out."
        ) from error
    return SummaryWriter(str(config.out))


def main(arguments: list[str] | None = None) -> int:
    """Train as the command line says."""
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    config = parse(TrainConfig, arguments, __doc__)

    def work() -> str:
        told = ", ".join(f"{name} {value:.1f}" for name, value in train(config).items())
        return f"Done: {told} on held-out subjects; weights in {config.out / BEST}."

    return end_well(work, config.out)


if __name__ == "__main__":
    sys.exit(main())
