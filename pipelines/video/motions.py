"""The motion of a track: guesses of every frame, one shape, smooth, on its feet."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, TypeVar

import torch

from fitloop.body import BodyEstimate, Detections
from fitloop.body.motion import Motion
from fitloop.fitting import Fit, Status
from fitloop.fitting.contacts import down_to_lowest, foot_points, resting_points
from fitloop.fitting.feet import hold_feet
from fitloop.fitting.floor import Floor, find_floor
from fitloop.fitting.motion import MotionConfig, fit_motion
from fitloop.fitting.sides import mend_sides
from fitloop.geometry import Camera, TensorRecord, concatenate
from fitloop.pipelines.chain.sources import fit_after
from fitloop.pipelines.video.tracks import ClipEvidence, TrackEvidence, seen_rows
from fitloop.regressor.photo_tuning import Tuned

Record = TypeVar("Record", bound=TensorRecord)
_AT_ONCE = 256
"""Frames whose bodies are guessed in one batch."""


@dataclass(frozen=True)
class TrackBodies:
    """A track after every stage; one row per frame."""

    evidence: TrackEvidence
    """With sides as its neighbours say."""
    regressed: BodyEstimate
    fitted: Fit
    motion: Motion
    mended: int
    """Frames whose sides were exchanged by the detector and were put right."""
    tuned: Tuned | None = None
    """What a network tuned to the track says, from which the motion starts; None where none was."""


def move_all(stages: Any, evidence: ClipEvidence, camera: Camera, frame_rate: float) -> list[TrackBodies]:
    """Make the motions of everybody in a clip.

    Where the camera stands still, gravity and the floor are found from feet that rest, and these are held.

    Args:
        stages: Regress and fit.
        evidence: What was seen in the clip.
        camera: Of the clip, without batch axes.
        frame_rate: Frames per second.
    """
    bodies = [move(stages, track, camera, frame_rate) for track in evidence.tracks]
    for scene in sorted(evidence.resting):
        rows = [row for row, one in enumerate(bodies) if one.evidence.scene == scene]
        for row, stood in zip(rows, _stand(stages, [bodies[row] for row in rows], frame_rate), strict=True):
            bodies[row] = stood
    return bodies


def move(stages: Any, evidence: TrackEvidence, camera: Camera, frame_rate: float) -> TrackBodies:
    """Make the motion of a track, in the frame of the camera.

    Args:
        stages: Regress and fit.
        evidence: What was seen of the person.
        camera: Of the clip, without batch axes.
        frame_rate: Frames per second.
    """
    device = stages.config.device
    mended, changed = mend_sides(evidence.detections, frame_rate)
    detections = mended.to(device)
    cameras = camera.to(device).map(lambda value: value.expand(len(mended.boxes), *value.shape).clone())
    guess = _of_all_frames(partial(stages.regressor, None), detections, cameras)
    guess = replace(guess, camera=cameras)
    tuned = _of_all_frames(stages.tuning.over_time, detections, cameras) if stages.config.test_time else None
    if tuned is not None:
        tuned = replace(tuned, estimate=replace(tuned.estimate, camera=cameras))
    start = guess if tuned is None else tuned.estimate
    fitted = fit_motion(stages.body, detections, start, frame_rate, MotionConfig(fit=fit_after(stages.regressor)))
    motion = Motion(
        params=fitted.estimate.params.to("cpu"),
        camera=cameras.to("cpu"),
        times=torch.from_numpy(evidence.frames / frame_rate).float(),
        seen=(fitted.status < int(Status.NOT_ENOUGH_EVIDENCE)).cpu(),
        frame_rate=frame_rate,
        body=stages.body.name,
        track=evidence.track,
    )
    return TrackBodies(replace(evidence, detections=mended), guess, fitted, motion, int(changed.sum()), tuned)


def _of_all_frames(answer: Callable[[Detections, Camera], Record], detections: Detections, cameras: Camera) -> Record:
    """Answers for all frames; those without evidence take that of the nearest frame with some."""
    seen = seen_rows(detections).nonzero()[:, 0]
    found = concatenate([answer(detections[rows], cameras[rows]) for rows in seen.split(_AT_ONCE)])
    frames = torch.arange(len(detections.boxes), device=seen.device)
    after = torch.searchsorted(seen, frames).clamp_max(len(seen) - 1)
    before = (after - 1).clamp_min(0)
    nearest = torch.where((frames - seen[before]).abs() < (seen[after] - frames).abs(), before, after)
    return found[nearest]


def _stand(stages: Any, bodies: Sequence[TrackBodies], frame_rate: float) -> list[TrackBodies]:
    """Put the people of a scene on the floor."""
    body = stages.body.to("cpu")
    motions = [one.motion for one in bodies]
    floors = find_floor(body, [one.params for one in motions], [one.seen for one in motions], frame_rate)
    return [
        one if floor is None else _on_floor(body, one, floor, frame_rate)
        for one, floor in zip(bodies, floors, strict=True)
    ]


def _on_floor(body: Any, one: TrackBodies, floor: Floor, frame_rate: float) -> TrackBodies:
    motion = one.motion
    points = foot_points(body, motion.params)
    resting = down_to_lowest(resting_points(points, frame_rate), points, floor.up)
    params = hold_feet(body, motion.params, resting, frame_rate)
    rotation, translation = floor.to_world()
    device = one.fitted.energy.device
    fitted = replace(one.fitted, estimate=replace(one.fitted.estimate, params=params.to(device)))
    return replace(
        one,
        fitted=fitted,
        motion=replace(motion, params=params, to_world_rotation=rotation, to_world_translation=translation),
    )
