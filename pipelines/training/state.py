"""All that a training run must remember to go on exactly where it stopped."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Generic, TypeVar

import torch
from torch import Tensor, nn

from fitloop.body.files import whole_file
from fitloop.pipelines.console.endings import TrainingStopped
from fitloop.regressor.checkpoints import read_torch_file

Network = TypeVar("Network", bound=nn.Module)


@contextmanager
def evaluating(model: nn.Module) -> Iterator[None]:
    """Switch a network to evaluation, and every part of it back to what it was."""
    modes = [(module, module.training) for module in model.modules()]
    model.eval()
    try:
        yield
    finally:
        for module, training in modes:
            module.training = training


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
        try:
            with evaluating(model):
                yield
        finally:
            model.load_state_dict(live)


class TrainingState(Generic[Network]):
    """Network, optimisers, average, step, and what was measured at the start and at best."""

    def __init__(
        self, model: Network, optimizers: dict[str, torch.optim.Optimizer], average: Average, others: dict
    ) -> None:
        """Gather what must be saved.

        Args:
            model: The network.
            optimizers: By name; the first one moves the network.
            average: Of the network.
            others: Further modules by name, such as the discriminator.
        """
        self.model, self.optimizers, self.average, self.others = model, optimizers, average, others
        self.step = 0
        self.start_errors: dict[str, float] = {}
        self.last_errors: dict[str, float] = {}
        self.best_errors: dict[str, float] = {}
        self.best_step = 0
        self.stale = 0
        """Evaluations since the best one."""
        self.far = 0
        """Evaluations in a row that were far above the start."""

    @property
    def optimizer(self) -> torch.optim.Optimizer:
        """The one that moves the network."""
        return next(iter(self.optimizers.values()))

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
            "start_errors": self.start_errors,
            "last_errors": self.last_errors,
            "best_errors": self.best_errors,
            "best_step": self.best_step,
            "stale": self.stale,
            "far": self.far,
        }
        try:
            with whole_file(path) as temporary:
                torch.save(_on_cpu(tree), temporary)
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
            # Older checkpoints do not know the start: what was best so far takes its place.
            self.start_errors = tree.get("start_errors", self.best_errors)
            self.last_errors = tree.get("last_errors", self.best_errors)
            self.best_step, self.far = tree.get("best_step", self.step), tree.get("far", 0)
        except (KeyError, RuntimeError, ValueError) as error:
            raise ValueError(
                f"{path} belongs to another network or program ({' '.join(str(error).split())[:200]}); "
                "choose another --out, or remove it to start over."
            ) from error


def _on_cpu(tree: Any) -> Any:
    """The same tree with every tensor on the CPU, so that a checkpoint is read wherever training goes on."""
    if isinstance(tree, Tensor):
        return tree.cpu()
    if isinstance(tree, dict):
        return {name: _on_cpu(value) for name, value in tree.items()}
    return [_on_cpu(value) for value in tree] if isinstance(tree, list) else tree
