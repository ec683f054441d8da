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
from typing import Any, Literal

import numpy as np
import psutil
import tyro
from PIL import Image

KEYPOINTS = "people.json"
STANDING = (
    *((0.0, 0.08), (0.03, 0.06), (-0.03, 0.06), (0.07, 0.07), (-0.07, 0.07), (0.2, 0.2), (-0.2, 0.2)),
    *((0.26, 0.36), (-0.26, 0.36), (0.3, 0.5), (-0.3, 0.5), (0.12, 0.5), (-0.12, 0.5)),
    *((0.14, 0.74), (-0.14, 0.74), (0.15, 0.97), (-0.15, 0.97)),
)
"""COCO's 17 keypoints of a person facing the camera, in heights of the person."""


@dataclass(frozen=True, kw_only=True)
class EnduranceConfig:
    """Run the main job on many small photos; measure memory, kill it, compare the outputs."""

    source: Path
    """Folder of photos to shrink and repeat."""
    photos: int = 2000
    """How many photos to run on."""
    early: int = 200
    """Photos after which memory should not grow any more; 50 for a run of 300 with the detector."""
    side: int = 160
    """Longer side of each, pixels."""
    evidence: Literal["keypoints", "detector"] = "keypoints"
    """Whether people come from a file that lists one in each photo, or from the embedded detector."""
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
        early, late = _memory_at(memory, config.early), _memory_at(memory, config.photos)
        deaths = _run_killed(config, folder, killed, memory[-1][2])
        same = _digest(whole) == _digest(killed)
    figures = {
        **{"photos": config.photos, "seconds": round(memory[-1][2], 1), "kills": deaths, "same_outputs": same},
        **{f"rss_mb_after_{config.early}": round(early, 1), "rss_mb_at_end": round(late, 1)},
        "growth": round(late / early - 1, 4),
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
    listed: dict[str, list[dict[str, Any]]] = {"images": [], "annotations": []}
    for number in range(config.photos):
        with Image.open(sources[number % len(sources)]) as photo:
            small = photo.convert("RGB")
        small.thumbnail((config.side, config.side))
        name = f"{number:05d}.jpg"
        small.save(folder / name, quality=90)
        _list_person(listed, number, name, small.size)
    (folder.parent / KEYPOINTS).write_text(json.dumps({**listed, "categories": [{"id": 1, "name": "person"}]}))


def _list_person(listed: dict[str, list[dict[str, Any]]], number: int, name: str, size: tuple[int, int]) -> None:
    """Put a standing person with noisy joints into the photo's annotations."""
    width, height = size
    points = np.array(STANDING) + np.random.default_rng(number).normal(0.0, 0.01, (len(STANDING), 2))
    pixels = points * (0.35 * height, 0.9 * height) + (width / 2, 0.05 * height)
    triples = np.concatenate([pixels, np.full((len(STANDING), 1), 2.0)], 1).round(2)
    box = [*pixels.min(0).round(2).tolist(), *np.ptp(pixels, axis=0).round(2).tolist()]
    listed["images"].append({"id": number, "file_name": name, "width": width, "height": height})
    person = {"id": number, "image_id": number, "category_id": 1, "bbox": box, "iscrowd": 0, "num_keypoints": 17}
    listed["annotations"].append(person | {"keypoints": triples.flatten().tolist(), "area": box[2] * box[3]})


def _start(config: EnduranceConfig, folder: Path, out: Path) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "fitloop.pipelines.cli", "run", "--images", str(folder), "--out", str(out)]
    if config.evidence == "keypoints":
        command += ["--keypoints", str(folder.parent / KEYPOINTS)]
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
