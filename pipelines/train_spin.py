"""Train a regressor with fitting in the loop (SPIN, Kolotouros et al. 2019).

fitloop train-spin --data lspet.npz --images lspet/ --out runs/spin
torchrun --nproc-per-node 2 -m fitloop.pipelines.train_spin --data lspet.npz --shards 2
"""

if __name__ == "__main__":
    from fitloop.pipelines.cli import run_program

    run_program("train-spin")

import logging

from fitloop.pipelines.console.endings import end_well
from fitloop.pipelines.console.options import parse
from fitloop.pipelines.spin.config import SpinConfig
from fitloop.pipelines.spin.report import Epoch
from fitloop.pipelines.spin.run import open_run
from fitloop.pipelines.spin.training import FINAL, go_on
from fitloop.pipelines.training.devices import training_device
from fitloop.pipelines.training.loop import BEST
from fitloop.pipelines.training.processes import Processes, join_processes

_logger = logging.getLogger(__name__)


def train_spin(config: SpinConfig, processes: Processes = Processes()) -> list[Epoch]:
    """Train, or go on where an earlier run of the same options stopped.

    Args:
        config: Data, loop, losses.
        processes: This one among all that train together.

    Returns:
        What was measured before training and after every epoch.

    Raises:
        FileNotFoundError: If a file is missing.
        ValueError: If data, weights, fits, body and device do not go together.
        TrainingStopped: If the loss is not finite, the held-out error stays far above the start, or a checkpoint
            cannot be written.
    """
    training_device(config.device, config.threads)
    return go_on(open_run(config, processes), config.tensorboard)


def main(arguments: list[str] | None = None) -> int:
    """Train as the command line says; return the exit code."""
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    config = parse(SpinConfig, arguments)

    def work() -> str:
        with join_processes(config.device) as processes:
            epochs = train_spin(config, processes)
        where = (
            f"Weights in {config.out / FINAL}, the best in {BEST} beside it; report in {config.out / 'report.html'}."
        )
        return f"{epochs[-1].line()}\n{where}" if processes.first else ""

    return end_well(work, config.out)
