"""One process or many (torchrun): who does what, and sums over all of them."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch
import torch.distributed as distributed
from torch import Tensor, nn


@dataclass(frozen=True)
class Processes:
    """This process among all."""

    rank: int = 0
    count: int = 1
    local_rank: int = 0

    @property
    def first(self) -> bool:
        """Whether this is the one that writes and speaks."""
        return self.rank == 0

    def owned_shards(self, shards: int) -> tuple[int, ...]:
        """Which shards are this process's.

        Raises:
            ValueError: If the shards cannot be dealt out evenly.
        """
        if shards % self.count:
            raise ValueError(f"{shards} shards cannot be dealt to {self.count} processes; set --shards to a multiple.")
        return tuple(range(self.rank, shards, self.count))

    def device(self, asked: str) -> torch.device:
        """Where this process computes: its own GPU if GPUs are asked for without a number."""
        return torch.device("cuda", self.local_rank) if asked == "cuda" else torch.device(asked)

    def wait(self) -> None:
        """Wait until all processes are here."""
        if self.count > 1:
            distributed.barrier()

    def add(self, counts: dict[str, float]) -> dict[str, float]:
        """Sum every entry over all processes; one that a process lacks counts as 0."""
        if self.count == 1:
            return counts
        gathered: list[dict[str, float] | None] = [None] * self.count
        distributed.all_gather_object(gathered, counts)
        names = sorted({name for one in gathered if one for name in one})
        return {name: sum((one or {}).get(name, 0.0) for one in gathered) for name in names}

    def mean(self, value: Tensor) -> Tensor:
        """Mean of a number over all processes, the same in each."""
        if self.count == 1:
            return value
        total = value.clone()
        distributed.all_reduce(total)
        return total / self.count


@contextmanager
def join_processes(device: str) -> Iterator[Processes]:
    """Join the processes that torchrun started, if it did: NCCL between GPUs, gloo between CPUs."""
    count = int(os.environ.get("WORLD_SIZE", "1"))
    if count == 1:
        yield Processes()
        return
    distributed.init_process_group("nccl" if device.startswith("cuda") else "gloo")
    local = int(os.environ.get("LOCAL_RANK", "0"))
    try:
        yield Processes(distributed.get_rank(), count, local)
    finally:
        distributed.destroy_process_group()


def shared(model: nn.Module, processes: Processes) -> nn.Module:
    """The network as all processes train it: gradients are averaged, buffers are left to each."""
    if processes.count == 1:
        return model
    return nn.parallel.DistributedDataParallel(model, broadcast_buffers=False)


@contextmanager
def gradients_kept_back(model: nn.Module, keep: bool) -> Iterator[None]:
    """Gather gradients without averaging them between processes yet."""
    if keep and isinstance(model, nn.parallel.DistributedDataParallel):
        with model.no_sync():
            yield
    else:
        yield
