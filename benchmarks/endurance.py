"""A long run of the main job: memory over photos, and outputs after being killed at random moments.

python -m benchmarks.endurance --photos 2000 --kills 5 --json endurance.json
"""

import hashlib
import json
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import psutil
import tyro
from PIL import Image


@dataclass(frozen=True, kw_only=True)
class EnduranceConfig:
    """Run the main job on many small photos; measure memory, kill it, compare the outputs."""

    source: Path
    """Folder of photos to shrink and repeat."""
    photos: int = 2000
    """How many photos to run on."""
    side: int = 160
    """Longer side of each, pixels."""
    kills: int = 5
    """How often the second run is killed."""
    seed: int = 0
    """Of the moments of death."""
    json: Path | None = None
    """Where to write the figures."""
    arguments: tuple[str, ...] = ("--outputs", "page")
    """Further options of the main job."""


def main(config: EnduranceConfig) -> int:
    """Measure; return 0 if memory stayed within 5 % and the outputs are the same."""
    with tempfile.TemporaryDirectory() as place:
        folder, whole, killed = (Path(place) / name for name in ("photos", "whole", "killed"))
        _make_photos(config, folder)
        memory = _run(config, folder, whole)
        early, late = _memory_at(memory, 200), _memory_at(memory, config.photos)
        deaths = _run_killed(config, folder, killed, memory[-1][2])
        same = _digest(whole) == _digest(killed)
    figures = {
        **{"photos": config.photos, "seconds": round(memory[-1][2], 1), "kills": deaths, "same_outputs": same},
        **{"rss_mb_after_200": round(early, 1), "rss_mb_at_end": round(late, 1), "growth": round(late / early - 1, 4)},
    }
    print(json.dumps(figures, indent=2))
    if config.json is not None:
        config.json.write_text(json.dumps(figures, indent=2) + "\n")
    return 0 if same and late <= 1.05 * early else 1


def _make_photos(config: EnduranceConfig, folder: Path) -> None:
    sources = sorted(p for p in config.source.iterdir() if p.suffix.lower() in (".jpg", ".png"))
    if not sources:
        raise ValueError(f"No .jpg or .png photos in {config.source}.")
    folder.mkdir()
    for number in range(config.photos):
        with Image.open(sources[number % len(sources)]) as photo:
            small = photo.convert("RGB")
        small.thumbnail((config.side, config.side))
        small.save(folder / f"{number:05d}.jpg", quality=90)


def _start(config: EnduranceConfig, folder: Path, out: Path) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "pipelines.cli", "run", "--images", str(folder), "--out", str(out)]
    return subprocess.Popen(command + list(config.arguments), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def _run(config: EnduranceConfig, folder: Path, out: Path) -> list[tuple[int, float, float]]:
    """Photos done, resident megabytes and seconds, about once a second."""
    start = time.monotonic()
    process = _start(config, folder, out)
    watched = psutil.Process(process.pid)
    samples: list[tuple[int, float, float]] = []
    while process.poll() is None:
        time.sleep(1.0)
        try:
            resident = watched.memory_info().rss / 1e6
        except psutil.NoSuchProcess:
            break
        samples.append((_done(out), resident, time.monotonic() - start))
    if process.wait() != 0:
        raise RuntimeError(f"The main job ended with code {process.returncode}; run it by hand to see why.")
    return [sample for sample in samples if sample[1] > 0]


def _done(out: Path) -> int:
    return sum(1 for _ in (out / "results").glob("*.npz")) if (out / "results").is_dir() else 0


def _memory_at(samples: list[tuple[int, float, float]], photos: int) -> float:
    """Median of the ten samples around the moment when that many photos were done."""
    moment = next((i for i, sample in enumerate(samples) if sample[0] >= photos), len(samples) - 1)
    window = samples[max(0, moment - 9) : moment + 1]
    return float(np.median([sample[1] for sample in window]))


def _run_killed(config: EnduranceConfig, folder: Path, out: Path, seconds: float) -> int:
    generator = random.Random(config.seed)
    for _ in range(config.kills):
        process = _start(config, folder, out)
        try:
            process.wait(timeout=generator.uniform(3.0, max(4.0, seconds / (config.kills + 1))))
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGKILL)
            process.wait()
    if _start(config, folder, out).wait() != 0:
        raise RuntimeError("The last run of the killed job failed.")
    return config.kills


def _digest(out: Path) -> str:
    """Of every file but those that tell times and the folder's own name."""
    total = hashlib.sha256()
    for path in sorted(out.rglob("*")):
        if path.is_file() and path.name not in ("run.json", "config.yaml"):
            total.update(str(path.relative_to(out)).encode() + path.read_bytes())
    shutil.rmtree(out)
    return total.hexdigest()


if __name__ == "__main__":
    sys.exit(main(tyro.cli(EnduranceConfig)))
