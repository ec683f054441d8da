"""The main job over clips: people followed, one motion each, files."""

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from fitloop.body import Image
from fitloop.data.video import ClipReader, UnreadableClip
from fitloop.geometry.cameras import camera_of
from fitloop.pipelines.chain.photo import ImpossibleCamera, with_camera
from fitloop.pipelines.console.progress import Progress
from fitloop.pipelines.folder.config import RunConfig
from fitloop.pipelines.video.frame_results import write_frames
from fitloop.pipelines.video.lookers import looker_of
from fitloop.pipelines.video.looking import ClipLook
from fitloop.pipelines.video.motions import TrackBodies, move
from fitloop.pipelines.video.outputs import write_motions
from fitloop.pipelines.video.tracker import Tracker
from fitloop.pipelines.video.tracks import gather


def run_clips(config: RunConfig, clips: Sequence[str], stages: Any, journal: Any) -> None:
    """Run the main job over clips.

    Args:
        config: Of the run.
        clips: Paths below the folder, or the name of the one file.
        stages: What sees, guesses and fits people.
        journal: Told about times and clips that cannot be read.
    """
    root = config.images if config.images.is_dir() else config.images.parent
    for clip in clips:
        try:
            _run_clip(config, root / clip, clip, stages, journal)
        except (UnreadableClip, ImpossibleCamera) as error:
            journal.skipped[clip] = str(error)


def _run_clip(config: RunConfig, path: Path, clip: str, stages: Any, journal: Any) -> None:
    reader = ClipReader(path, config.sampling)
    rate = reader.info.frame_rate
    look = ClipLook(reader, Tracker(looker_of(stages), rate), config.out / "looks" / clip)
    done = 0 if look.state is None else look.state.next_frame - int(np.ceil(config.start * rate - 1e-6))
    if not look.finished:
        with Progress(max(reader.info.frames or 0, done), "frame", done=done) as progress:
            look.run(progress.advance)
    for stage, seconds in look.seconds.items():
        journal.seconds[f"clip {stage}"] = journal.seconds.get(f"clip {stage}", 0.0) + seconds
        journal.timed[f"clip {stage}"] = journal.timed.get(f"clip {stage}", 0) + (reader.info.frames or 0)
    start = time.perf_counter()
    evidence = gather(config.out / "looks" / clip, look.stretches, rate)
    assert look.state is not None
    height, width = look.state.size
    camera = with_camera(Image(np.zeros((height, width, 3), np.uint8), camera_of(width, height), clip), config).camera
    bodies: list[TrackBodies] = [move(stages, track, camera, rate) for track in evidence.tracks]
    journal.clock("clip motion", start, len(evidence.frames))
    start = time.perf_counter()
    write_motions(config, clip, bodies, stages.body)
    write_frames(config, clip, evidence, bodies, stages.body, (height, width))
    journal.clock("clip files", start, len(evidence.frames))
