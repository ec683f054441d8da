"""What was seen in a stretch of frames, on disk: an interrupted clip goes on from the last whole stretch."""

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

import numpy as np

from fitloop.body.files import whole_file
from fitloop.pipelines.video.lookers import Sightings
from fitloop.pipelines.video.shots import ShotState
from fitloop.pipelines.video.tracker import Track, TrackerState

STRETCH = 120
"""Frames in a file."""
_PER_PERSON = ("keypoints", "confidence", "boxes", "landmarks", "landmark_confidence")


@dataclass
class Stretch:
    """Sightings of consecutive frames, one row per person and frame."""

    convention: str = ""
    """Of the keypoints; empty where nobody was seen."""
    frames: list[int] = field(default_factory=list)
    """Index of every frame."""
    scenes: list[int] = field(default_factory=list)
    """Scene of every frame; a cut begins the next one."""
    repeated: list[bool] = field(default_factory=list)
    """Whether the frame shows the picture of the one before."""
    motions: list[tuple[int, float]] = field(default_factory=list)
    """Scene and background motion, as `fitloop.pipelines.video.shots.background_motion` gives it."""
    rows: dict[str, list[np.ndarray]] = field(default_factory=dict)
    """By array: ``frame``, ``track`` and what `fitloop.body.Detections` holds."""

    def add(self, frame: int, numbers: list[int], seen: Sightings | None) -> None:
        """Note who was seen in a frame."""
        if seen is None:
            return
        self.convention = seen.detections.convention
        arrays: dict[str, Any] = {"frame": np.full(len(numbers), frame), "track": np.array(numbers)}
        for name in _PER_PERSON:
            value = getattr(seen.detections, name)
            if value is not None:
                arrays[name] = value.numpy().astype(np.float32)
        for name, value in arrays.items():
            self.rows.setdefault(name, []).append(value)

    def to_arrays(self) -> dict[str, np.ndarray]:
        """Plain arrays."""
        return {
            "convention": np.array(self.convention),
            "frames": np.array(self.frames, np.int64),
            "scenes": np.array(self.scenes, np.int64),
            "repeated": np.array(self.repeated, bool),
            "motions": np.array(self.motions, float).reshape(-1, 2),
            **{f"row_{name}": np.concatenate(values) for name, values in self.rows.items()},
        }


@dataclass(frozen=True)
class LookState:
    """Where a clip stands between two frames."""

    next_frame: int
    scene: int
    tracker: TrackerState
    shot: ShotState | None
    size: tuple[int, int] = (0, 0)
    """Height and width of the frames."""


def stretch_path(folder: Path, number: int) -> Path:
    """Where a stretch lies."""
    return folder / f"{number:06d}.npz"


def save_stretch(path: Path, stretch: Stretch, state: LookState, last: bool, notices: tuple[str, ...]) -> None:
    """Write a stretch and the state after it, whole or not at all.

    Args:
        path: Of the file.
        stretch: Sightings.
        state: After its last frame.
        last: Whether the clip ends here.
        notices: What the reader of the clip told, complete where ``last``.
    """
    tracks = state.tracker.tracks
    arrays = {
        **stretch.to_arrays(),
        **{f"track_{f.name}": np.array([getattr(track, f.name) for track in tracks]) for f in fields(Track)},
        "tracker": np.array([state.tracker.next_number, state.tracker.last_search, state.tracker.wait], float),
        "next": np.array([state.next_frame, state.scene, *state.size], np.int64),
        "last": np.array(last),
        "notices": np.array(notices, dtype=np.str_),
    }
    if state.shot is not None:
        arrays |= {f"shot_{f.name}": np.asarray(getattr(state.shot, f.name)) for f in fields(ShotState)}
    with whole_file(path) as file:
        np.savez_compressed(file, **arrays)  # pyright: ignore[reportArgumentType]


def load_state(arrays: Mapping[str, np.ndarray]) -> LookState:
    """The state after a stretch."""
    columns = {f.name: arrays[f"track_{f.name}"] for f in fields(Track)}
    tracks = tuple(
        Track(
            int(columns["number"][row]),
            *(columns[name][row] for name in ("square", "before", "keypoints")),
            int(columns["seen"][row]),
            columns["colours"][row],
        )
        for row in range(len(columns["number"]))
    )
    number, search, wait = arrays["tracker"].tolist()
    shot = None
    if "shot_usual" in arrays:
        shot = ShotState(
            arrays["shot_thumbnail"], float(arrays["shot_usual"]), arrays["shot_reference"], arrays["shot_taken"]
        )
    frame, scene, height, width = arrays["next"].tolist()
    return LookState(frame, scene, TrackerState(tracks, int(number), int(search), wait), shot, (height, width))
