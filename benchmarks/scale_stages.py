"""What the trials of `benchmarks.scale` run in the place of real photos: stages, work and listings that are made up."""

import os
import time
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import fsspec
import numpy as np
import torch
from PIL import Image as PillowImage

from benchmarks.endurance import STANDING
from fitloop.body import Detections, Image
from fitloop.detection import DetectionReport
from fitloop.pipelines.cluster.job import Chunk, Done, Job, Watch
from fitloop.pipelines.folder.config import RunConfig
from fitloop.pipelines.regress_then_fit import Stages

PER_FOLDER = 1000


class StandingStages(Stages):
    """The real stages, but for a detector that finds one standing person in every photo, after a pause.

    A photo whose name says so ends the process, or takes four gigabytes.
    """

    pause = 0.0

    def expect(self, photos: Any) -> None:
        """Nothing is listed anywhere."""

    def detect(self, image: Image) -> DetectionReport:
        """Find a person whose joints depend on the photo's name alone."""
        if "exit" in image.name:
            os._exit(1)
        if "greedy" in image.name:
            hoard = [np.ones(1 << 24) for _ in range(32)]
            time.sleep(5.0 * len(hoard))
        time.sleep(self.pause)
        height, width = image.pixels.shape[:2]
        noise = np.random.default_rng(zlib.crc32(image.name.encode())).normal(0.0, 0.01, (len(STANDING), 2))
        points = (np.array(STANDING) + noise) * (0.35 * height, 0.9 * height) + (width / 2, 0.05 * height)
        box = np.concatenate([points.min(0), points.max(0)])
        keypoints = torch.tensor(points[None], dtype=torch.float32)
        boxes = torch.tensor(box[None], dtype=torch.float32)
        return DetectionReport(Detections(keypoints, torch.ones(1, len(STANDING)), boxes, "coco17"))


@dataclass(frozen=True)
class Standing:
    """Makes `StandingStages`; travels to the workers with all that it says."""

    pause: float = 0.0
    """Seconds that a photo takes where nothing is computed: shows the engine on a machine that does other work too."""

    def __call__(self, config: RunConfig) -> StandingStages:
        """Stages of a config."""
        stages = StandingStages(config)
        stages.pause = self.pause
        return stages


def nothing(_: Job, chunk: Chunk, __: Watch | None) -> Done:
    """Work that does nothing but tell one person per photo."""
    rows = [
        {
            "photo": photo.name,
            "person": 0,
            "status": "converged",
            "energy": float(zlib.crc32(photo.name.encode()) % 300),
        }
        for photo in chunk.photos
    ]
    return Done(rows)


class Simulated(fsspec.AbstractFileSystem):
    """Lists as many photos as its address says, ``simulated://1000000``, in folders of a thousand; holds none."""

    protocol = "simulated"

    def ls(self, path: str, detail: bool = True, **_: Any) -> list[Any]:
        """Folders of the root, photos of a folder."""
        pieces = str(self._strip_protocol(path)).strip("/").split("/")
        count = int(pieces[0])
        if len(pieces) == 1:
            folders = range((count + PER_FOLDER - 1) // PER_FOLDER)
            found = [{"name": f"{count}/{number:06d}", "size": 0, "type": "directory"} for number in folders]
        else:
            first = int(pieces[1]) * PER_FOLDER
            numbers = range(first, min(first + PER_FOLDER, count))
            found = [{"name": f"{count}/{pieces[1]}/{n:08d}.jpg", "size": n, "type": "file"} for n in numbers]
        return found if detail else [one["name"] for one in found]


def register() -> None:
    """Make ``simulated://`` an address."""
    fsspec.register_implementation("simulated", "benchmarks.scale_stages.Simulated", clobber=True)


def make_photos(folder: Path, count: int, source: Path | None = None, special: tuple[str, ...] = ()) -> Path:
    """Small grey photos, or links to those of a folder over and over."""
    folder.mkdir()
    known = [] if source is None else sorted(path for path in source.iterdir() if path.suffix.lower() == ".jpg")
    for number in range(count):
        path = folder / f"{number:05d}.jpg"
        if known:
            path.symlink_to(known[number % len(known)].resolve())
        else:
            PillowImage.fromarray(np.full((120, 160, 3), number % 200, np.uint8)).save(path)
    for number, name in enumerate(special):
        PillowImage.fromarray(np.full((120, 160, 3), number, np.uint8)).save(folder / name)
    return folder
