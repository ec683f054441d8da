"""The motion of a track: guesses of every frame, one shape, smooth, on its feet."""

from dataclasses import dataclass, replace
from typing import Any

import torch

from fitloop.body import BodyEstimate
from fitloop.body.motion import Motion
from fitloop.fitting import Fit, Status
from fitloop.fitting.motion import MotionConfig, fit_motion
from fitloop.fitting.sides import mend_sides
from fitloop.geometry import Camera, concatenate
from fitloop.pipelines.chain.sources import fit_after
from fitloop.pipelines.video.tracks import TrackEvidence, seen_rows

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


def move(stages: Any, evidence: TrackEvidence, camera: Camera, frame_rate: float) -> TrackBodies:
    """Make the motion of a track.

    Args:
        stages: Regress and fit.
        evidence: What was seen of the person.
        camera: Of the clip, without batch axes.
        frame_rate: Frames per second.
    """
    device = stages.config.device
    mended, changed = mend_sides(evidence.detections, frame_rate)
    evidence = replace(evidence, detections=mended)
    detections = mended.to(device)
    cameras = camera.to(device).map(lambda value: value.expand(len(detections.boxes), *value.shape).clone())
    guess = _regressed(stages, detections, cameras)
    config = MotionConfig(fit=fit_after(stages.regressor))
    fitted = fit_motion(stages.body, detections, guess, frame_rate, config)
    seen = (fitted.status < int(Status.NOT_ENOUGH_EVIDENCE)).cpu()
    times = torch.from_numpy(evidence.frames / frame_rate).float()
    motion = Motion(
        fitted.estimate.params.to("cpu"),
        cameras.to("cpu"),
        times,
        seen,
        frame_rate,
        body=stages.body.name,
        track=evidence.track,
    )
    return TrackBodies(evidence, guess, fitted, motion, int(changed.sum()))


def _regressed(stages: Any, detections: Any, cameras: Camera) -> BodyEstimate:
    """Guesses of all frames; those without evidence take that of the nearest frame with some."""
    seen = seen_rows(detections).nonzero()[:, 0]
    found = [stages.regressor(None, detections[rows], cameras[rows]) for rows in seen.split(_AT_ONCE)]
    guess = concatenate(found)
    frames = torch.arange(len(detections.boxes), device=seen.device)
    nearest = (frames[:, None] - seen).abs().argmin(1) if len(frames) * len(seen) < 4e6 else _nearest(frames, seen)
    return replace(guess, params=guess.params[nearest], camera=cameras)


def _nearest(frames: torch.Tensor, seen: torch.Tensor) -> torch.Tensor:
    after = torch.searchsorted(seen, frames).clamp_max(len(seen) - 1)
    before = (after - 1).clamp_min(0)
    return torch.where((frames - seen[before]).abs() <= (seen[after] - frames).abs(), before, after)
