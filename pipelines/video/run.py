"""The main job over clips: people followed, one motion each, files."""

import shutil
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from fitloop.body import Image
from fitloop.body.files import whole_file
from fitloop.data.video import ClipReader, UnreadableClip
from fitloop.geometry.cameras import camera_of
from fitloop.pipelines.chain.photo import ImpossibleCamera, with_camera
from fitloop.pipelines.console.endings import warn
from fitloop.pipelines.console.progress import Progress
from fitloop.pipelines.folder.config import RunConfig
from fitloop.pipelines.video.frame_results import write_frames
from fitloop.pipelines.video.lookers import looker_of
from fitloop.pipelines.video.looking import ClipLook
from fitloop.pipelines.video.looks_file import LookState
from fitloop.pipelines.video.motions import TrackBodies, move_all
from fitloop.pipelines.video.outputs import motion_folder, write_clips, write_motions, write_page
from fitloop.pipelines.video.record import ClipRecord, PersonRecord, hash_of, load_record, save_record
from fitloop.pipelines.video.tracker import Tracker
from fitloop.pipelines.video.tracks import ClipEvidence, gather

NO_KEYPOINTS = "It is a clip, and --keypoints speaks of photos; run it apart, without them."


def run_clips(config: RunConfig, clips: Sequence[str], stages: Any, journal: Any) -> None:
    """Run the main job over clips; what one cannot be read for goes to the journal.

    Args:
        config: Of the run.
        clips: Paths below the folder, or the name of the one file.
        stages: What sees, guesses and fits people.
        journal: Told about times and clips that cannot be read.
    """
    root = config.images if config.images.is_dir() else config.images.parent
    for clip in clips:
        if config.keypoints is not None:
            journal.skipped[clip] = NO_KEYPOINTS
            continue
        try:
            record = _ClipRun(config, root / clip, clip, stages, journal).run()
        except (UnreadableClip, ImpossibleCamera) as error:
            journal.skipped[clip] = str(error)
            continue
        _tell(record, config)


def _tell(record: ClipRecord, config: RunConfig) -> None:
    for notice in record.notices:
        warn(f"{record.clip!r}: {notice}")
    followed = "1 person" if len(record.people) == 1 else f"{len(record.people)} people"
    where = motion_folder(config.out, record.clip)
    print(f"{record.clip}: {followed} followed over {record.frames} frames. Motions are in {where}")


class _ClipRun:
    """The main job over one clip."""

    def __init__(self, config: RunConfig, path: Path, clip: str, stages: Any, journal: Any) -> None:
        self._config, self._path, self._clip = config, path, clip
        self._stages, self._journal = stages, journal
        self._looks = config.out / "looks" / clip
        self._done = motion_folder(config.out, clip) / "clip.json"

    def run(self) -> ClipRecord:
        """Look, move, write; what an earlier run finished of the same file stays."""
        reader = ClipReader(self._path, self._config.sampling)
        self._forget_other_file()
        record = load_record(self._done)
        if record is not None:
            return record
        look, state = self._look(reader)
        rate, frames = reader.info.frame_rate, max(reader.info.frames or 0, 1)
        for stage, seconds in look.seconds.items():
            self._journal.clock(f"clip: {stage}", time.perf_counter() - seconds, frames)
        evidence = gather(self._looks, look.stretches, rate)
        size = state.size
        bodies = self._move(evidence, size, rate)
        start = time.perf_counter()
        write_motions(self._config, self._clip, bodies, self._stages.body)
        write_frames(self._config, self._clip, evidence, bodies, self._stages.body, size)
        self._journal.clock("clip: files", start, len(evidence.frames))
        self._draw(reader, bodies, len(evidence.frames))
        if bodies and "page" in self._config.outputs:
            write_page(self._config, self._clip, evidence, bodies, self._stages.body, size)
        record = _record(self._clip, evidence, bodies, size, rate, look.notices + _notices(evidence))
        save_record(self._done, record)
        return record

    def _forget_other_file(self) -> None:
        """Remove what was made of another file of the same name."""
        now, noted = hash_of(self._path), self._looks / "clip.hash"
        before = noted.read_text(encoding="utf-8").strip() if noted.is_file() else ""
        if before and before != now:
            self._journal.remade[self._clip] = ["the clip"]
        if before != now:
            for folder in (self._looks, self._done.parent, self._config.out / "results" / self._clip):
                shutil.rmtree(folder, ignore_errors=True)
            with whole_file(noted) as file:
                file.write_text(now + "\n", encoding="utf-8")

    def _look(self, reader: ClipReader) -> tuple[ClipLook, LookState]:
        rate = reader.info.frame_rate
        look = ClipLook(reader, Tracker(looker_of(self._stages), rate), self._looks)
        first = int(np.ceil(self._config.start * rate - 1e-6))
        done = 0 if look.state is None else look.state.next_frame - first
        with Progress(max(reader.info.frames or 0, done), "frame", done=done) as progress:
            return look, look.run(progress.advance)

    def _move(self, evidence: ClipEvidence, size: tuple[int, int], rate: float) -> list[TrackBodies]:
        start = time.perf_counter()
        height, width = size
        blank = Image(np.zeros((height, width, 3), np.uint8), camera_of(width, height), self._clip)
        bodies = move_all(self._stages, evidence, with_camera(blank, self._config).camera, rate)
        self._journal.clock("clip: motion", start, len(evidence.frames))
        return bodies

    def _draw(self, reader: ClipReader, bodies: Sequence[TrackBodies], frames: int) -> None:
        if not bodies or not {"overlays", "page"} & set(self._config.outputs):
            return
        start = time.perf_counter()
        with Progress(frames, "drawn frame") as progress:
            write_clips(self._config, self._clip, reader, bodies, self._stages.body, progress.advance)
        self._journal.clock("clip: drawing", start, frames)


def _notices(evidence: ClipEvidence) -> tuple[str, ...]:
    told = []
    if not evidence.tracks:
        told.append("Nobody was found in it.")
    return tuple(told)


def _record(
    clip: str,
    evidence: ClipEvidence,
    bodies: Sequence[TrackBodies],
    size: tuple[int, int],
    rate: float,
    notices: tuple[str, ...],
) -> ClipRecord:
    people = tuple(
        PersonRecord(
            one.motion.track,
            int(one.evidence.frames[0]),
            int(one.evidence.frames[-1]),
            int(one.motion.seen.sum()),
            one.mended,
            one.motion.to_world_rotation is not None,
        )
        for one in bodies
    )
    scenes = {int(scene) for scene in evidence.scenes}
    return ClipRecord(clip, len(evidence.frames), rate, size, len(scenes), scenes <= evidence.resting, people, notices)
