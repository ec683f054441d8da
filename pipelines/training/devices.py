"""Where a training computes, and in which precision."""

import torch

from fitloop.pipelines.console.devices import open_device


def training_device(name: str, threads: int | None) -> torch.device:
    """Choose where to compute, and with how many threads of the CPU; as many as there are cores if not given.

    Raises:
        ValueError: If there is no such device here.
    """
    if threads is not None:
        torch.set_num_threads(threads)
    return open_device(name)


def mixed_precision(device: torch.device, enabled: bool = True) -> torch.autocast:
    """Run the layers inside in bfloat16, on whichever device they are."""
    return torch.autocast(device.type, torch.bfloat16, enabled=enabled)
