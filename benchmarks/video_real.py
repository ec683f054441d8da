"""A real clip with true 3D joints: every frame alone against the person followed and smoothed.

    python -m benchmarks video_real --data REAL3D --json video_real.json

``REAL3D`` holds ``videos/CAMERA.mp4`` and ``truth.npz`` (see `benchmarks.real3d`). Errors are over the twelve joints
from shoulders to ankles; MPJPE is relative to the middle of the hips, PA-MPJPE after a similarity. The acceleration
error is the mean distance between second differences of the root-relative joints, in mm per frame squared; the truth is
triangulated frame by frame and jitters more than the man moves, so it is low-passed for that (Butterworth, both ways,
6 Hz as gait laboratories do). *Jitter* is the mean second difference alone, without any truth. A frame is *turned*
where the line from the right to the left hip and shoulder points away from the true one.

These clips measure; no setting and no weight is fitted to them by a program.
"""

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
import tyro
from jaxtyping import Bool, Float
from scipy.signal import butter, filtfilt
from torch import Tensor

from benchmarks.metrics import Metric, write_metrics
from benchmarks.real3d import JOINTS
from fitloop.body import BodyParams, Image, KeypointKinematics, convention_named
from fitloop.body.keypoints import BODY_25
from fitloop.data.video import ClipReader
from fitloop.evaluation import mpjpe, pa_mpjpe
from fitloop.fitting.contacts import down_to_lowest, foot_points, resting_points, sliding
from fitloop.fitting.sides import mend_sides
from fitloop.geometry import camera_of
from fitloop.pipelines.chain.config import StagesConfig
from fitloop.pipelines.regress_then_fit import Stages, predict
from fitloop.pipelines.video.lookers import looker_of
from fitloop.pipelines.video.looking import ClipLook
from fitloop.pipelines.video.motions import TrackBodies, move, move_all
from fitloop.pipelines.video.tracker import Tracker
from fitloop.pipelines.video.tracks import TrackEvidence, gather

_LEFT, _RIGHT = ([JOINTS.index(f"{side}_{part}") for part in ("hip", "shoulder")] for side in ("left", "right"))
_HIPS = [JOINTS.index(f"{side}_hip") for side in ("left", "right")]


@dataclass(frozen=True, kw_only=True)
class VideoRealConfig:
    """Measure clips with true 3D joints."""

    data: Path
    """Folder with videos/ and truth.npz."""
    work: Path
    """Folder that keeps what was seen, so that a second run measures at once."""
    cameras: tuple[str, ...] = ("cam01", "cam03")
    alone: bool = True
    """Measure every frame as a photo of its own, too."""
    json: Path | None = None
    """Write the metrics here."""


def joints_of(stages: Stages, params: BodyParams) -> Float[Tensor, "frames joints 3"]:
    """The twelve joints of bodies."""
    names = tuple(str(BODY_25.landmarks[BODY_25.index(name)]) for name in JOINTS)
    return KeypointKinematics(stages.body, names)(params)


def rooted(joints: Float[Tensor, "frames joints 3"]) -> Float[Tensor, "frames joints 3"]:
    """Relative to the middle of the hips."""
    return joints - joints[:, _HIPS].mean(1, keepdim=True)


def turned(joints: Float[Tensor, "frames joints 3"], truth: Float[Tensor, "frames joints 3"]) -> Bool[Tensor, "frames"]:
    """Whether a person faces away from where they truly do."""
    across = [(points[:, _LEFT] - points[:, _RIGHT]).sum(1)[:, [0, 2]] for points in (joints, truth)]
    return (across[0] * across[1]).sum(-1) < 0


def smoothed(joints: Float[Tensor, "frames joints 3"], rate: float = 60.0) -> Float[Tensor, "frames joints 3"]:
    """Without what is faster than 6 Hz; no lag."""
    low = butter(2, 6.0, fs=rate)
    return torch.from_numpy(filtfilt(*low, joints.double().numpy(), axis=0).copy()).to(joints)


def metrics_of(
    key: str, joints: Float[Tensor, "frames joints 3"], truth: Float[Tensor, "frames joints 3"]
) -> list[Metric]:
    """Of one clip; frames in which nobody was found are left out."""
    found = torch.isfinite(joints).flatten(1).all(-1) & torch.isfinite(truth).flatten(1).all(-1)
    estimate, exact = rooted(joints), rooted(truth)
    errors = mpjpe(estimate[found], exact[found]), pa_mpjpe(joints[found], truth[found])
    own = estimate.diff(n=2, dim=0)
    bends = 1000.0 * (own - smoothed(exact).diff(n=2, dim=0)).norm(dim=-1).mean(-1)
    jitter = 1000.0 * own.norm(dim=-1).mean(-1)
    wrong = turned(joints[found], truth[found])
    return [
        Metric(f"{key}.frames", float(found.sum()), "frames", "none"),
        Metric(f"{key}.mpjpe", float(errors[0].mean()), "mm", "lower", 0.05),
        Metric(f"{key}.pa_mpjpe", float(errors[1].mean()), "mm", "lower", 0.05),
        Metric(f"{key}.acceleration", float(bends[torch.isfinite(bends)].mean()), "mm/frame^2", "lower", 0.05),
        Metric(f"{key}.jitter", float(jitter[torch.isfinite(jitter)].mean()), "mm/frame^2", "none"),
        Metric(f"{key}.turned", float(wrong.sum()), "frames", "none"),
    ]


def measure_alone(stages: Stages, clip: Path, focal: float) -> Float[Tensor, "frames joints 3"]:
    """Every frame as a photo of its own; the largest person counts."""
    rows = []
    for frame in ClipReader(clip).frames():
        height, width = frame.pixels.shape[:2]
        people = predict(Image(frame.pixels, camera_of(width, height, focal), str(frame.index)), stages)
        if len(people) == 0:
            rows.append(torch.full((len(JOINTS), 3), torch.nan))
            continue
        extent = people.detections.boxes[:, 2:] - people.detections.boxes[:, :2]
        row = int(extent.prod(-1).argmax())
        rows.append(joints_of(stages, people.params[row : row + 1])[0])
    return torch.stack(rows)


def measure_tracked(
    stages: Stages, clip: Path, focal: float, work: Path
) -> dict[str, Float[Tensor, "frames joints 3"]]:
    """The longest track: its guesses, and its motion."""
    reader = ClipReader(clip)
    look = ClipLook(reader, Tracker(looker_of(stages), reader.info.frame_rate), work)
    look.run(lambda _: None)
    evidence = gather(work, look.stretches, reader.info.frame_rate)
    track = max(evidence.tracks, key=lambda one: len(one.frames))
    height, width = next(reader.frames()).pixels.shape[:2]
    camera, rate = camera_of(width, height, focal), reader.info.frame_rate
    everybody = move_all(stages, evidence, camera, rate)
    bodies = everybody[evidence.tracks.index(track)]
    smooth = move(stages, track, camera, rate)
    _tell_feet(stages, smooth, bodies, rate)
    found = {}
    stage = (("regressed", bodies.regressed), ("smoothed", smooth.fitted.estimate), ("motion", bodies.fitted.estimate))
    for name, params in ((name, estimate.params) for name, estimate in stage):
        whole = torch.full((len(evidence.frames), len(JOINTS), 3), torch.nan)
        whole[torch.from_numpy(track.frames)] = joints_of(stages, params)
        found[name] = whole
    print(f"{clip.name}: {len(evidence.tracks)} tracks, {bodies.mended} frames mended")
    # The detector of today takes him for turned around in no frame, so some are made: single ones and half a second.
    made = [5, 17, 18, 19, *range(40, 70)]
    made = [frame for frame in made if frame < len(track.frames)]
    mended, _ = mend_sides(exchanged(track, made).detections, rate)
    right = (mended.keypoints == track.detections.keypoints).flatten(1).all(-1)
    print(f"of {len(made)} frames turned around on purpose {int(right[made].sum())} are mended")
    return found


def _tell_feet(stages: Stages, before: TrackBodies, after: TrackBodies, rate: float) -> None:
    """Print how fast feet that rest slide, before and after they were held, and the direction of gravity."""
    turn = after.motion.to_world_rotation
    if turn is None:
        return
    points = [foot_points(stages.body, one.motion.params) for one in (before, after)]
    resting = down_to_lowest(resting_points(points[0], rate), points[0], turn[2])
    slid = [100.0 * sliding(one, resting, rate) for one in points]
    print(f"feet that rest slide {slid[0]:.1f} cm/s before and {slid[1]:.1f} after; up is {turn[2].numpy().round(3)}")


def exchanged(evidence: TrackEvidence, frames: list[int]) -> TrackEvidence:
    """The man taken for turned around in some frames: left and right exchanged, near and far, too."""
    seen = evidence.detections
    flip = list(convention_named(seen.convention).flip)
    keypoints, confidence = seen.keypoints.clone(), seen.confidence.clone()
    keypoints[frames], confidence[frames] = keypoints[frames][:, flip], confidence[frames][:, flip]
    turned_round = replace(seen, keypoints=keypoints, confidence=confidence)
    if seen.landmarks is not None:
        landmarks = seen.landmarks.clone()
        landmarks[frames] = landmarks[frames][:, flip] * torch.tensor([1.0, 1.0, -1.0])
        turned_round = replace(turned_round, landmarks=landmarks)
    return replace(evidence, detections=turned_round)


def main(arguments: list[str]) -> int:
    """Measure and print a table; return the exit code."""
    config = tyro.cli(VideoRealConfig, args=arguments)
    with np.load(config.data / "truth.npz", allow_pickle=False) as file:
        truth = {key: file[key] for key in file.files}
    names, cameras = truth["joints"].tolist(), truth["cameras"].tolist()
    columns = [names.index(name) for name in JOINTS]
    stages, metrics = Stages(StagesConfig()), []
    for camera in config.cameras:
        number, clip = cameras.index(camera), config.data / "videos" / f"{camera}.mp4"
        exact = torch.from_numpy(truth["joints_3d"][number][:, columns]).float()
        focal = float(truth["K"][number, 0, 0])
        found = measure_tracked(stages, clip, focal, config.work / camera)
        if config.alone:
            kept = config.work / f"{camera}_alone.npy"
            if not kept.is_file():
                np.save(kept, measure_alone(stages, clip, focal).numpy())
            found = {"alone": torch.from_numpy(np.load(kept)), **found}
        for name, joints in found.items():
            metrics += metrics_of(f"video_real.{camera}.{name}", joints, exact[: len(joints)])
    for metric in metrics:
        print(f"{metric.key:42s} {metric.value:10.2f} {metric.unit}")
    if config.json is not None:
        write_metrics(metrics, config.json)
    return 0
