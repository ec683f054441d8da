"""The training loop of every program: one step of the optimiser, one learning rate, one rhythm, one file of metrics."""

import json
import math
import sys
import time
from abc import ABC, abstractmethod
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any

import torch
from safetensors import SafetensorError
from torch import Tensor

from fitloop.pipelines.console.endings import TrainingStopped
from fitloop.pipelines.console.progress import Progress
from fitloop.pipelines.training.state import TrainingState

LAST, BEST = "last.pt", "best.safetensors"
FAR, SEVERAL = 2.0, 3
"""Training has diverged when the watched error is so many times that of the start, at so many evaluations in a row."""
Losses = dict[str, Tensor]


@dataclass(frozen=True)
class Schedule:
    """Learning rate by step: it rises linearly over the warm-up, stays, and follows a cosine to 0."""

    rate: float
    """The full one."""
    steps: int
    """Of the whole training."""
    warmup: float | int = 0
    """Steps over which the rate rises from 0."""
    flat: float = 0.0
    """Share of the steps after which it begins to fall; 1 keeps it constant."""

    def __call__(self, step: int) -> float:
        """Rate of a step, counted from 0."""
        start = self.flat * self.steps
        angle = min(math.pi, math.pi * max(0.0, step - start) / max(1.0, self.steps - start))
        return self.rate * min(1.0, (step + 1) / max(1.0, self.warmup)) * (0.5 * (1.0 + math.cos(angle)))


@dataclass(frozen=True)
class Rhythm:
    """When a training measures, saves and ends; all in steps but for the patience."""

    steps: int
    evaluate_every: int
    save_every: int
    patience: int | None = None
    """Evaluations without a better result until training ends early; None never does."""
    bound: float | None = None
    """Training ends early when the error that chooses the best weights is no larger; None never does."""


class Training(ABC):
    """What one program trains. The loop asks it for gradients, for errors on held-out people and for files."""

    measures: tuple[str, ...]
    """The error by which the best weights are chosen: the first of these that can be measured."""
    watched: tuple[str, ...]
    """The positive error that tells whether training diverges, chosen alike."""
    best = BEST
    """Name of the file of the best weights."""
    speaks = True
    """Whether this process reports; of several only the first does."""

    def __init__(self, state: TrainingState, out: Path) -> None:
        """Take what moves and the folder that everything is written to."""
        self.state, self.out = state, out

    @abstractmethod
    def gradient(self, step: int) -> tuple[Tensor, Losses]:
        """Look at the batch of a step and leave its gradient in the network's parameters.

        Returns:
            What was minimised and what to report, without gradient.
        """

    @abstractmethod
    def evaluate(self) -> dict[str, float]:
        """Measure the averaged weights, which are in the network, on held-out people."""

    @abstractmethod
    def write_best(self, path: Path) -> None:
        """Write the averaged weights, which are in the network."""

    def begin(self) -> None:  # noqa: B027 - most have nothing to do
        """Do what must be done once, before the start is measured."""

    def save(self) -> None:
        """Write all that is needed to go on."""
        self.state.save(self.out / LAST)

    def finish(self) -> None:  # noqa: B027 - most have nothing to do
        """Do what is done once, after the last step."""


class Metrics:
    """Writes what was measured: ``metrics.jsonl``, curves for TensorBoard, a line on stderr."""

    def __init__(self, out: Path, tensorboard: bool) -> None:
        """Open a folder.

        Args:
            out: Gets the files.
            tensorboard: Whether to write curves, too.

        Raises:
            ValueError: If TensorBoard is asked for and not installed.
        """
        self.out = out
        self.curves: Any = _curves(out) if tensorboard else None

    def __enter__(self) -> "Metrics":
        return self

    def __exit__(self, kind: type[BaseException] | None, value: object, trace: TracebackType | None) -> None:
        if self.curves is not None:
            self.curves.close()

    def write(self, step: int, values: dict[str, float]) -> None:
        """Add what was measured after a step."""
        # JSON knows no NaN.
        known = {name: round(value, 5) if math.isfinite(value) else None for name, value in values.items()}
        with (self.out / "metrics.jsonl").open("a", encoding="utf-8") as file:
            file.write(json.dumps({"step": step} | known) + "\n")
        sys.stderr.write(f"step {step}: " + ", ".join(f"{name} {value:.4g}" for name, value in values.items()) + "\n")
        if self.curves is not None:
            for name, value in values.items():
                self.curves.add_scalar(name, value, step)
            self.curves.flush()


def _curves(out: Path) -> Any:
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError as error:
        raise ValueError(
            "tensorboard is not installed: pip install 'fitloop[train]', or leave the option out."
        ) from error
    return SummaryWriter(str(out))


def run_training(
    training: Training, rhythm: Rhythm, schedule: Schedule, clip: float, tensorboard: bool = False
) -> dict[str, float]:
    """Train to the end, from the start or from where an earlier run stopped.

    Args:
        training: What is trained.
        rhythm: When to measure, save and end.
        schedule: Of the learning rate.
        clip: Longest gradient that is not shortened.
        tensorboard: Whether to write curves for TensorBoard, too.

    Returns:
        What was measured last.

    Raises:
        TrainingStopped: If the loss is not finite, the held-out error stays far above the start, or a file cannot be
            written; the message says what is kept and how to go on.
        ValueError: If TensorBoard is asked for and not installed.
    """
    state, recent, started = training.state, list[Losses](), time.monotonic()
    with Metrics(training.out, tensorboard) if training.speaks else nullcontext() as metrics:
        if state.step == 0 and not state.start_errors:
            training.begin()
            _write(metrics, 0, _examine(training))
            training.save()
        with Progress(rhythm.steps, "step", 30.0, state.step) if training.speaks else nullcontext() as progress:
            while state.step < rhythm.steps and not _enough(training, rhythm):
                rate = schedule(state.step)
                recent.append(descend(training, rate, clip))
                if progress is not None:
                    progress.advance(1)
                last = state.step == rhythm.steps
                if last or state.step % rhythm.evaluate_every == 0:
                    errors = _examine(training)
                    about = {"seconds": round(time.monotonic() - started, 1), "learning_rate": rate}
                    _write(metrics, state.step, {**about, **mean_of(recent), **errors})
                    recent = []
                    _stop_if_far(training, last)
                if last or state.step % rhythm.save_every == 0:
                    training.save()
    training.finish()
    return state.last_errors


def descend(training: Training, rate: float, clip: float) -> Losses:
    """Take one step of the optimiser and of the average.

    Args:
        training: What is trained.
        rate: Learning rate; a group of parameters with a ``share`` gets that share of it.
        clip: Length that the gradient is cut to.

    Returns:
        The batch's losses.

    Raises:
        TrainingStopped: If loss or gradient is not finite; the weights are as before.
    """
    state, optimizer = training.state, training.state.optimizer
    for group in optimizer.param_groups:
        group["lr"] = group.get("share", 1.0) * rate
    optimizer.zero_grad(set_to_none=True)
    try:
        loss, losses = training.gradient(state.step)
    except KeyboardInterrupt:
        # No weight has moved yet, so this is a good place to go on from.
        training.save()
        raise
    length = torch.nn.utils.clip_grad_norm_(state.model.parameters(), clip)
    if not bool(torch.isfinite(loss) & torch.isfinite(length)):
        raise TrainingStopped(_not_finite(training, losses))
    optimizer.step()
    state.average.update(state.model)
    state.step += 1
    return losses


def mean_of(losses: list[Losses]) -> dict[str, float]:
    """Average each loss over the steps since the last report."""
    names = losses[0].keys() if losses else ()
    return {name: float(torch.stack([one[name].detach() for one in losses]).mean()) for name in names}


def _examine(training: Training) -> dict[str, float]:
    """Measure the averaged weights, and keep them if they are the best so far."""
    state, path = training.state, training.out / training.best
    with state.average.applied_to(state.model):
        errors = state.last_errors = training.evaluate()
        state.start_errors = state.start_errors or errors
        error, best = _first(errors, training.measures), _first(state.best_errors, training.measures)
        if not (math.isnan(best) or error < best):
            state.stale += 1
            return errors
        try:
            training.write_best(path)
        except (OSError, SafetensorError) as problem:
            kept = "The older file is kept. " if path.is_file() else ""
            raise TrainingStopped(
                f"The weights of step {state.step} could not be written to {path} ({problem}). {kept}"
                "Make room and start again with the same options."
            ) from problem
    state.best_errors, state.best_step, state.stale = errors, state.step, 0
    return errors


def _enough(training: Training, rhythm: Rhythm) -> bool:
    """Whether held-out people got no better for too long, or are as good as asked for."""
    if rhythm.patience is not None and training.state.stale >= rhythm.patience:
        return True
    return rhythm.bound is not None and _first(training.state.best_errors, training.measures) <= rhythm.bound


def _stop_if_far(training: Training, last: bool) -> None:
    """Raise `TrainingStopped` if held-out people got much worse than at the start and stay so."""
    state = training.state
    name = next((name for name in training.watched if name in state.last_errors), "")
    start, now = state.start_errors.get(name, math.nan), state.last_errors.get(name, math.nan)
    state.far = 0 if math.isnan(start) or now <= FAR * start else state.far + 1
    if state.far >= SEVERAL or (last and state.far):
        best, out = training.out / training.best, training.out
        raise TrainingStopped(
            f"Training diverged: {name} on held-out people was {start:.1f} at the start and {now:.1f} after step "
            f"{state.step}, more than {FAR:g} times as much at {state.far} evaluations in a row. The best weights, of "
            f"step {state.best_step}, are kept in {best}. Start again with a lower --learning-rate and another --out; "
            f"{out / LAST} would go on from here."
        )


def _first(errors: dict[str, float], names: tuple[str, ...]) -> float:
    return next((errors[name] for name in names if name in errors), math.nan)


def _write(metrics: Metrics | None, step: int, values: dict[str, float]) -> None:
    if metrics is not None:
        metrics.write(step, values)


def _not_finite(training: Training, losses: Losses) -> str:
    values = ", ".join(f"{name} {float(value):.4g}" for name, value in losses.items())
    kept = [name for name in (LAST, training.best) if (training.out / name).is_file()]
    return (
        f"Loss or gradient is not finite in the batch of step {training.state.step} ({values}). "
        f"Kept in {training.out}: {' and '.join(kept) or 'nothing yet'}. "
        "Lower --learning-rate and start again; training goes on from there."
    )
