"""Where a training computes, and in which precision."""

import torch


def open_device(name: str, threads: int | None = None) -> torch.device:
    """Choose where to compute.

    Args:
        name: As `torch.device` takes it: ``cpu``, ``cuda``, ``cuda:1``, ...
        threads: CPU threads; as many as there are cores if not given.

    Raises:
        ValueError: If there is no such device here.
    """
    if threads is not None:
        torch.set_num_threads(threads)
    try:
        device = torch.device(name)
    except RuntimeError as error:
        raise ValueError(f"--device must be cpu, cuda, cuda:1 or the like, got {name!r}.") from error
    if device.type == "cuda" and not torch.cuda.is_available():
        raise ValueError("--device cuda: this machine has no CUDA device, or torch is a CPU build; use --device cpu.")
    return device


def mixed_precision(device: torch.device, enabled: bool = True) -> torch.autocast:
    """Run the layers inside in bfloat16, on whichever device they are."""
    return torch.autocast(device.type, torch.bfloat16, enabled=enabled)
