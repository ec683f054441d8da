"""All that a training run must remember to go on exactly where it stopped."""

import json
import math
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Generic, TypeVar

import torch
from torch import Tensor, nn

from fitloop.body.files import whole_file
from fitloop.pipelines.console.endings import TrainingStopped
from fitloop.regressor.checkpoints import read_torch_file

Network = TypeVar("Network", bound=nn.Module)


class Average:
    """Exponential moving average of a network's weights: what is evaluated and shipped (Polyak and Juditsky 1992)."""

    def __init__(self, model: nn.Module, decay: float) -> None:
        """Start at the present weights.

        Args:
            model: Whose weights to average.
            decay: Share of the old average that a step keeps; early steps keep less. 0 follows the weights.
        """
        self.decay = decay
        self.steps = 0
        self.tensors = {name: tensor.detach().clone() for name, tensor in model.state_dict().items()}

    @torch.no_grad()
    def update(self, model: nn.Module) -> None:
        """Take a step's weights in."""
        self.steps += 1
        keep = min(self.decay, self.steps / (self.steps + 20))
        for name, tensor in model.state_dict().items():
            if tensor.is_floating_point():
                self.tensors[name].lerp_(tensor, 1.0 - keep)
            else:
                self.tensors[name].copy_(tensor)

    @contextmanager
    def applied_to(self, model: nn.Module) -> Iterator[None]:
        """Put the average into the network for evaluation, and the live weights back afterwards."""
        live = {name: tensor.detach().clone() for name, tensor in model.state_dict().items()}
        model.load_state_dict(self.tensors)
        model.eval()
        try:
            yield
        finally:
            model.load_state_dict(live)
            model.train()


class TrainingState(Generic[Network]):
    """Network, optimisers, average, step and best result."""

    def __init__(
        self, model: Network, optimizers: dict[str, torch.optim.Optimizer], average: Average, others: dict
    ) -> None:
        """Gather what must be saved.

        Args:
            model: The network.
            optimizers: By name.
            average: Of the network.
            others: Further modules by name, such as the discriminator.
        """
        self.model, self.optimizers, self.average, self.others = model, optimizers, average, others
        self.step = 0
        self.best_errors: dict[str, float] = {}
        self.stale = 0

    def descend(self, loss: Tensor, rate: float, longest: float) -> None:
        """Take one step of the optimiser ``network`` and of the average.

        Args:
            loss: With a gradient.
            rate: Learning rate of the step.
            longest: Length that the network's gradient is cut to.

        Raises:
            TrainingStopped: If loss or gradient is not finite; nothing is changed.
        """
        optimizer = self.optimizers["network"]
        for group in optimizer.param_groups:
            group["lr"] = rate
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        length = torch.nn.utils.clip_grad_norm_(self.model.parameters(), longest)
        if not bool(torch.isfinite(loss) & torch.isfinite(length)):
            raise TrainingStopped(f"Loss or gradient of step {self.step} is not finite; lower learning_rate and go on.")
        optimizer.step()
        self.average.update(self.model)
        self.step += 1

    def save(self, path: Path) -> None:
        """Write everything, whole or not at all.

        Raises:
            TrainingStopped: If the disk is full or cannot be written; the older file is untouched.
        """
        tree = {
            "model": self.model.state_dict(),
            "average": self.average.tensors,
            "average_steps": self.average.steps,
            "optimizers": {name: one.state_dict() for name, one in self.optimizers.items()},
            "others": {name: one.state_dict() for name, one in self.others.items()},
            "step": self.step,
            "best_errors": self.best_errors,
            "stale": self.stale,
        }
        try:
            with whole_file(path) as temporary:
                torch.save(tree, temporary)
        except (OSError, RuntimeError) as error:
            kept = f"The older {path} is kept." if path.is_file() else "There is no older one."
            raise TrainingStopped(
                f"The checkpoint of step {self.step} could not be written to {path} ({error}). {kept} "
                "Make room and start again with the same options: training goes on from it."
            ) from error

    def load(self, path: Path) -> None:
        """Read everything back.

        Raises:
            ValueError: If the file is damaged or belongs to another network.
        """
        tree = read_torch_file(path)
        try:
            self.model.load_state_dict(tree["model"])
            places = {name: tensor.device for name, tensor in self.average.tensors.items()}
            self.average.tensors = {name: one.to(places[name]).clone() for name, one in tree["average"].items()}
            self.average.steps = tree["average_steps"]
            for name, one in self.optimizers.items():
                one.load_state_dict(tree["optimizers"][name])
            for name, one in self.others.items():
                one.load_state_dict(tree["others"][name])
            self.step, self.best_errors, self.stale = tree["step"], tree["best_errors"], tree["stale"]
        except (KeyError, RuntimeError, ValueError) as error:
            raise ValueError(
                f"{path} belongs to another network or program ({' '.join(str(error).split())[:200]}); "
                "choose another --out, or remove it to start over."
            ) from error


def warm_cosine(step: int, steps: int, rate: float, warmup: int) -> float:
    """Learning rate that rises linearly over the warm-up and follows a cosine to 0."""
    fallen = 0.5 * (1.0 + math.cos(math.pi * step / steps))
    return rate * min(1.0, (step + 1) / warmup) * fallen


def write_metrics(out: Path, step: int, values: dict[str, float]) -> None:
    """Add a line to ``metrics.jsonl`` of a folder, and tell it."""
    line = {"step": step, **{name: round(value, 4) for name, value in values.items()}}
    with (out / "metrics.jsonl").open("a", encoding="utf-8") as file:
        file.write(json.dumps(line) + "\n")
    sys.stderr.write(", ".join(f"{name} {value:.4g}" for name, value in line.items()) + "\n")


def mean_of(losses: list[dict[str, Tensor]]) -> dict[str, float]:
    """Average each loss over the steps since the last report."""
    names = losses[0].keys() if losses else ()
    return {name: float(torch.stack([one[name].detach() for one in losses]).mean()) for name in names}
