"""Looking at a clip: every frame once, in stretches that are kept, so that an interrupted clip goes on."""

import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import numpy as np

from fitloop.body import Image
from fitloop.data.video import ClipReader, Frame
from fitloop.geometry.cameras import camera_of
from fitloop.pipelines.video import shots
from fitloop.pipelines.video.looks_file import (
    STRETCH,
    LookState,
    Stretch,
    load_state,
    save_stretch,
    stretch_path,
)
from fitloop.pipelines.video.tracker import Tracker, TrackerState, waited

_BACKGROUND_EVERY = 0.25
"""Seconds between two measurements of the background's motion."""


class ClipLook:
    """Looks at the frames of one clip and keeps what was seen in a folder."""

    def __init__(self, reader: ClipReader, tracker: Tracker, folder: Path) -> None:
        """Begin, or go on where an earlier run was interrupted.

        Args:
            reader: Of the clip.
            tracker: Follows its people.
            folder: Of the stretches.
        """
        self._reader, self._tracker, self._folder = reader, tracker, folder
        self._every = max(round(_BACKGROUND_EVERY * reader.info.frame_rate), 1)
        self.seconds: dict[str, float] = {}
        """Time by stage."""
        self.stretches, self.finished = 0, False
        self.notices: tuple[str, ...] = ()
        self.state: LookState | None = None
        while not self.finished and (arrays := _read(stretch_path(folder, self.stretches))) is not None:
            self.state, self.finished = load_state(arrays), bool(arrays["last"])
            self.notices = tuple(str(notice) for notice in arrays["notices"])
            self.stretches += 1

    def run(self, advance: Callable[[int], None]) -> None:
        """Look at the rest of the clip.

        Args:
            advance: Told how many frames were done.
        """
        if self.finished:
            return
        stretch, state = Stretch(), self.state
        for frame in self._prefetched(self._reader.frames(state and state.next_frame)):
            state = self._look(frame, state, stretch)
            advance(1)
            if len(stretch.frames) == STRETCH:
                self._save(stretch, state, last=False)
                stretch = Stretch()
        # An empty stretch says that the clip ends with the one before it.
        if state is not None:
            self._save(stretch, state, last=True)
        self.finished = True

    def _prefetched(self, frames: Iterator[Frame]) -> Iterator[Frame]:
        """Each frame is decoded while people are looked for in the one before."""
        with ThreadPoolExecutor(1) as pool:
            coming = pool.submit(next, frames, None)
            while True:
                start = time.perf_counter()
                frame = coming.result()
                self._clock("waiting for frames", start)
                if frame is None:
                    return
                coming = pool.submit(next, frames, None)
                yield frame

    def _save(self, stretch: Stretch, state: LookState, last: bool) -> None:
        self.notices = tuple(dict.fromkeys([*self.notices, *self._reader.notices]))
        save_stretch(stretch_path(self._folder, self.stretches), stretch, state, last, self.notices)
        self.stretches, self.state = self.stretches + 1, state

    def _look(self, frame: Frame, state: LookState | None, stretch: Stretch) -> LookState:
        start = time.perf_counter()
        size = (frame.pixels.shape[0], frame.pixels.shape[1])
        if state is None or state.shot is None:
            state = LookState(frame.index, 0, TrackerState(), shots.begin(frame.pixels), size)
        assert state.shot is not None
        cut, shot = shots.is_cut(state.shot, frame.pixels)
        scene = state.scene + cut
        if cut:
            shot = shots.begin(frame.pixels)
        self._clock("scene", start)
        start = time.perf_counter()
        image = Image(frame.pixels, camera_of(size[1], size[0]), f"{frame.index:06d}")
        if frame.repeated:
            tracker, numbers, seen = waited(state.tracker, frame.index), [], None
        else:
            tracker, numbers, seen = self._tracker.step(state.tracker, frame.index, image, cut)
        self._clock("looking", start)
        start = time.perf_counter()
        if frame.index % self._every == 0:
            boxes = np.zeros((0, 4)) if seen is None else seen.detections.boxes.double().numpy()
            moved, shot = shots.background_motion(shot, frame.pixels, boxes)
            stretch.motions.append((scene, moved))
        self._clock("scene", start)
        stretch.frames.append(frame.index)
        stretch.scenes.append(scene)
        stretch.repeated.append(frame.repeated)
        stretch.add(frame.index, numbers, seen)
        return replace(state, next_frame=frame.index + 1, scene=scene, tracker=tracker, shot=shot)

    def _clock(self, stage: str, start: float) -> None:
        self.seconds[stage] = self.seconds.get(stage, 0.0) + time.perf_counter() - start


def _read(path: Path) -> dict[str, np.ndarray] | None:
    # A file that a full disk cut short is made anew.
    with suppress(OSError, ValueError, KeyError, EOFError):
        with np.load(path, allow_pickle=False) as file:
            return {name: file[name] for name in file.files}
    return None
