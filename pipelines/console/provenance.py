"""What a result was made with."""

import datetime
import os
import platform
import shlex
import subprocess
from importlib import metadata
from pathlib import Path

from fitloop.evaluation.scorecard import Provenance

_PACKAGES = ("fitloop", "torch", "numpy", "mediapipe", "ai-edge-litert", "smplx", "numba")


def versions() -> dict[str, str]:
    """Versions of Python and of the packages that results depend on; a missing one is left out."""
    found = {"python": platform.python_version()}
    for package in _PACKAGES:
        try:
            found[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            continue
    return found


def commit() -> str:
    """Commit of this checkout, ``-dirty`` appended if files differ; ``unknown`` outside a checkout."""
    folder = Path(__file__).parent
    try:
        told = subprocess.run(
            ["git", "describe", "--always", "--dirty", "--abbrev=12", "--exclude=*"],
            **{"cwd": folder, "capture_output": True, "text": True, "timeout": 10, "check": True},
        )
    except (OSError, subprocess.SubprocessError):
        return "unknown"
    return told.stdout.strip()


def hardware() -> str:
    """Processor, number of cores, and GPU if there is one, in words."""
    import torch

    processor = platform.processor() or platform.machine()
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.is_file():
        names = [line.split(":", 1)[1].strip() for line in cpuinfo.read_text().splitlines() if "model name" in line]
        processor = names[0] if names else processor
    told = f"{processor}, {os.cpu_count()} cores"
    return f"{told}, {torch.cuda.get_device_name()}" if torch.cuda.is_available() else told


def provenance(weights: str, arguments: list[str]) -> Provenance:
    """Commit, versions, hardware and date of this moment."""
    now = datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds")
    return Provenance(commit(), versions(), hardware(), now, shlex.join(["fitloop", *arguments]), weights)
