"""From what was seen in each frame to what was seen of each person."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from fitloop.body import Detections
from fitloop.pipelines.video.looks_file import stretch_path
from fitloop.pipelines.video.shots import rests

SHORTEST = 0.2
"""Seconds: who is seen for less is a passing mistake, unless the clip is no longer itself."""


@dataclass(frozen=True)
class TrackEvidence:
    """One person from the first to the last frame in which they were seen."""

    track: int
    frames: Int[np.ndarray, "rows"]
    """Index in the clip of each row, without gaps."""
    detections: Detections
    """One row per frame; confidence 0 where the person was not seen, or the clip had no new picture."""
    scene: int


@dataclass(frozen=True)
class ClipEvidence:
    """Everybody in a clip."""

    frames: Int[np.ndarray, "frames"]
    """Index of every frame that was looked at."""
    scenes: Int[np.ndarray, "frames"]
    tracks: tuple[TrackEvidence, ...]
    resting: frozenset[int]
    """Scenes in which the camera stood still."""


def gather(folder: Path, stretches: int, frame_rate: float) -> ClipEvidence:
    """Read the stretches of a clip and sort them by person.

    Args:
        folder: Of the stretches.
        stretches: How many there are.
        frame_rate: Frames per second.
    """
    found: dict[str, list[np.ndarray]] = {}
    convention = ""
    for number in range(stretches):
        with np.load(stretch_path(folder, number), allow_pickle=False) as file:
            convention = str(file["convention"]) or convention
            for name in file.files:
                if name.startswith("row_") or name in ("frames", "scenes", "motions"):
                    found.setdefault(name, []).append(file[name])
    arrays = {name: np.concatenate(values) for name, values in found.items()}
    frames, scenes, motions = arrays["frames"], arrays["scenes"], arrays["motions"]
    resting = {int(scene) for scene in np.unique(scenes) if rests(motions[motions[:, 0] == scene, 1])}
    tracks: list[TrackEvidence] = []
    least = min(max(round(SHORTEST * frame_rate), 2), len(frames))
    for track in np.unique(arrays.get("row_track", np.zeros(0, np.int64))):
        rows = (arrays["row_track"] == track).nonzero()[0]
        if len(rows) < least:
            continue
        own = {name.removeprefix("row_"): value[rows] for name, value in arrays.items() if name.startswith("row_")}
        scene = int(scenes[np.searchsorted(frames, own["frame"][0])])
        tracks.append(_evidence(len(tracks), own, convention, scene))
    return ClipEvidence(frames, scenes, tuple(tracks), frozenset(resting))


def _evidence(number: int, own: dict[str, np.ndarray], convention: str, scene: int) -> TrackEvidence:
    first, last = int(own["frame"][0]), int(own["frame"][-1])
    at = torch.from_numpy(own["frame"] - first)
    count = last - first + 1

    def spread(name: str) -> Tensor | None:
        if name not in own:
            return None
        values = torch.from_numpy(own[name])
        return values.new_zeros(count, *values.shape[1:]).index_copy_(0, at, values)

    keypoints, confidence, boxes = (spread(name) for name in ("keypoints", "confidence", "boxes"))
    assert keypoints is not None and confidence is not None and boxes is not None
    detections = Detections(
        keypoints, confidence, _held(boxes, at), convention, spread("landmarks"), spread("landmark_confidence")
    )
    return TrackEvidence(number, np.arange(first, last + 1), detections, scene)


def _held(boxes: Float[Tensor, "frames 4"], seen: Int[Tensor, "seen"]) -> Float[Tensor, "frames 4"]:
    """Boxes of frames in between, evenly between their neighbours'."""
    known = seen.numpy()
    every = np.arange(len(boxes))
    filled = [np.interp(every, known, boxes[seen, column].numpy()) for column in range(4)]
    return torch.from_numpy(np.stack(filled, -1)).to(boxes)


def seen_rows(detections: Detections) -> Bool[Tensor, "frames"]:
    """Rows in which anything was observed."""
    return (detections.confidence > 0).any(-1)
