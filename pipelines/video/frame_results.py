"""Results of a clip frame by frame, in the same arrays as those of photos."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from fitloop.body import Body
from fitloop.body.files import whole_file
from fitloop.geometry import concatenate
from fitloop.pipelines.chain.people import People
from fitloop.pipelines.video.motions import TrackBodies
from fitloop.pipelines.video.tracks import ClipEvidence
from fitloop.regressor.photo_tuning import Tuned


def frame_path(out: Path, clip: str, frame: int) -> Path:
    """Where the results of a frame lie."""
    return out / "results" / clip / f"{frame:06d}.npz"


def _tuned(there: Sequence[TrackBodies], rows: Sequence[slice]) -> list[Tuned]:
    return [one.tuned[row] for one, row in zip(there, rows, strict=True) if one.tuned is not None]


def write_frames(
    config: Any, clip: str, evidence: ClipEvidence, bodies: Sequence[TrackBodies], body: Body, size: tuple[int, int]
) -> None:
    """Write ``results/CLIP/FRAME.npz`` of every frame.

    Args:
        config: Names the folder.
        clip: Its name.
        evidence: Of the clip.
        bodies: Of its tracks.
        body: Whose parameters they are.
        size: Height and width of the frames.
    """
    for frame in evidence.frames.tolist():
        there = [one for one in bodies if one.evidence.frames[0] <= frame <= one.evidence.frames[-1]]
        if not there:
            continue
        rows = [slice(frame - int(one.evidence.frames[0]), frame - int(one.evidence.frames[0]) + 1) for one in there]
        people = People(
            f"{clip}/{frame:06d}",
            body,
            concatenate([one.evidence.detections[row] for one, row in zip(there, rows, strict=True)]),
            concatenate([one.regressed[row] for one, row in zip(there, rows, strict=True)]),
            concatenate([one.fitted[row] for one, row in zip(there, rows, strict=True)]),
            tuned=concatenate(tuned) if (tuned := _tuned(there, rows)) else None,
        )
        arrays = people.to_arrays() | {
            "image_size": np.array(size, np.int32),
            "track": np.array([one.motion.track for one in there], np.int32),
        }
        with whole_file(frame_path(config.out, clip, frame)) as file:
            np.savez(file, **arrays)  # pyright: ignore[reportArgumentType]
