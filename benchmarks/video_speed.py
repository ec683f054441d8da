"""Processor time of each stage of a clip, with one person and with copies of them side by side.

    python -m benchmarks video_speed --clip CLIP.mp4 --copies 1 3

Seconds are those of all threads together, so other programs on the machine hardly change them; two cores that nobody
else uses do at most twice the frames a second that are printed for one. Drawing is left out.
"""

import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path

import cv2
import numpy as np
import torch
import tyro

from benchmarks.metrics import Metric, write_metrics
from fitloop.data.video import ClipReader, Frame
from fitloop.geometry import camera_of
from fitloop.pipelines.chain.config import StagesConfig
from fitloop.pipelines.regress_then_fit import Stages
from fitloop.pipelines.video.lookers import looker_of
from fitloop.pipelines.video.looking import ClipLook
from fitloop.pipelines.video.motions import move_all
from fitloop.pipelines.video.tracker import Tracker
from fitloop.pipelines.video.tracks import gather


@dataclass(frozen=True, kw_only=True)
class VideoSpeedConfig:
    """Time the stages of a clip."""

    clip: Path
    """A clip of one person."""
    copies: tuple[int, ...] = (1, 3)
    """How many of them are shown side by side, each measured by itself."""
    height: int = 1080
    width: int = 1920
    """Of the frames that are looked at, pixels."""
    frames: int = 120
    """At most."""
    json: Path | None = None
    """Write the metrics here."""


class CopiedClip(ClipReader):
    """Shows a clip several times side by side."""

    def __init__(self, config: VideoSpeedConfig, copies: int) -> None:
        super().__init__(config.clip)
        self._config, self._copies = config, copies

    def frames(self, first: int | None = None) -> Iterator[Frame]:
        """Copies over a grey frame."""
        height, width = self._config.height, self._config.width
        for frame in islice(super().frames(first), self._config.frames):
            wide = round(frame.pixels.shape[1] * height / frame.pixels.shape[0])
            part = cv2.resize(frame.pixels, (min(wide, width // self._copies), height), interpolation=cv2.INTER_AREA)
            whole = np.full((height, width, 3), 128, np.uint8)
            for copy in range(self._copies):
                left = round((copy + 0.5) * width / self._copies - part.shape[1] / 2.0)
                whole[:, left : left + part.shape[1]] = part
            yield replace(frame, pixels=whole)


def measure(config: VideoSpeedConfig, copies: int, stages: Stages) -> list[Metric]:
    """Processor milliseconds a frame, by stage, and frames a second of processor time."""
    reader, rate = CopiedClip(config, copies), 0.0
    with tempfile.TemporaryDirectory() as folder:
        start = time.process_time()
        count = sum(1 for _ in reader.frames())
        decoded = time.process_time()
        rate = reader.info.frame_rate
        look = ClipLook(reader, Tracker(looker_of(stages), rate), Path(folder))
        look.run(lambda _: None)
        looked = time.process_time()
        evidence = gather(Path(folder), look.stretches, rate)
        move_all(stages, evidence, camera_of(config.width, config.height), rate)
        moved = time.process_time()
    spent = {
        "decode_and_paste": decoded - start,
        "look": looked - decoded - (decoded - start),
        "motion": moved - looked,
    }
    key = f"video_speed.{copies}"
    found = [Metric(f"{key}.{name}", 1000.0 * value / count, "ms/frame", "lower", 0.2) for name, value in spent.items()]
    found.append(Metric(f"{key}.tracks", float(len(evidence.tracks)), "tracks", "none"))
    return [*found, Metric(f"{key}.per_core", count / sum(spent.values()), "frames/s", "higher", 0.2)]


def main(arguments: list[str]) -> int:
    """Measure and print; return the exit code."""
    config = tyro.cli(VideoSpeedConfig, args=arguments)
    torch.set_num_threads(1)
    stages, metrics = Stages(StagesConfig()), []
    # What is made once is not the clip's: weights, tables, threads.
    measure(replace(config, frames=3), 1, stages)
    for copies in config.copies:
        metrics += measure(config, copies, stages)
    for metric in metrics:
        print(f"{metric.key:36s} {metric.value:8.2f} {metric.unit}")
    if config.json is not None:
        write_metrics(metrics, config.json)
    return 0
