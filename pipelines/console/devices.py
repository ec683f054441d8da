"""Where a program computes."""

import torch


def open_device(name: str) -> torch.device:
    """Choose where to compute.

    Args:
        name: As `torch.device` takes it: ``cpu``, ``cuda``, ``cuda:1``, ...

    Raises:
        ValueError: If there is no such device here.
    """
    try:
        device = torch.device(name)
    except RuntimeError as error:
        raise ValueError(f"--device must be cpu, cuda, cuda:1 or the like, got {name!r}.") from error
    if device.type == "cuda" and not torch.cuda.is_available():
        raise ValueError("--device cuda: this machine has no CUDA device, or torch is a CPU build; use --device cpu.")
    return device
