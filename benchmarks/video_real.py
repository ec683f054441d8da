"""A real clip with true 3D joints: every frame alone against the person followed and smoothed.

    python -m benchmarks video_real --data REAL3D --json video_real.json

``REAL3D`` holds ``videos/CAMERA.mp4`` and ``truth.npz`` (see `benchmarks.real3d`). Errors are over the twelve joints
from shoulders to ankles; MPJPE is relative to the middle of the hips, PA-MPJPE after a similarity. The acceleration
error is the mean distance between second differences of the root-relative joints, in mm per frame squared. A frame is
*turned* where the line from the right to the left hip and shoulder points away from the true one.

These clips measure; no setting and no weight is fitted to them by a program.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
import tyro
from jaxtyping import Bool, Float
from torch import Tensor

from benchmarks.metrics import Metric, write_metrics
from benchmarks.real3d import JOINTS
from fitloop.body import BodyParams, KeypointKinematics
from fitloop.body.keypoints import BODY_25
from fitloop.data.video import ClipReader
from fitloop.evaluation import mpjpe, pa_mpjpe
from fitloop.geometry import camera_of
from fitloop.pipelines.chain.config import StagesConfig
from fitloop.pipelines.regress_then_fit import Stages, predict
from fitloop.pipelines.video.lookers import looker_of
from fitloop.pipelines.video.looking import ClipLook
from fitloop.pipelines.video.motions import move
from fitloop.pipelines.video.tracker import Tracker
from fitloop.pipelines.video.tracks import gather

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


@dataclass(frozen=True)
class Track3d:
    """Joints over the frames of a clip; NaN where the person was not found."""

    joints: Float[Tensor, "frames joints 3"]
    """`JOINTS`, metres, camera frame."""


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


def metrics_of(
    key: str, joints: Float[Tensor, "frames joints 3"], truth: Float[Tensor, "frames joints 3"]
) -> list[Metric]:
    """Of one clip; frames in which nobody was found are left out."""
    found = torch.isfinite(joints).flatten(1).all(-1) & torch.isfinite(truth).flatten(1).all(-1)
    estimate, exact = rooted(joints), rooted(truth)
    errors = mpjpe(estimate[found], exact[found]), pa_mpjpe(joints[found], truth[found])
    bends = 1000.0 * (estimate.diff(n=2, dim=0) - exact.diff(n=2, dim=0)).norm(dim=-1).mean(-1)
    wrong = turned(joints[found], truth[found])
    return [
        Metric(f"{key}.frames", float(found.sum()), "frames", "none"),
        Metric(f"{key}.mpjpe", float(errors[0].mean()), "mm", "lower", 0.05),
        Metric(f"{key}.pa_mpjpe", float(errors[1].mean()), "mm", "lower", 0.05),
        Metric(f"{key}.acceleration", float(bends[torch.isfinite(bends)].mean()), "mm/frame^2", "lower", 0.05),
        Metric(f"{key}.turned", float(wrong.sum()), "frames", "none"),
    ]


def measure_alone(stages: Stages, clip: Path, focal: float) -> Float[Tensor, "frames joints 3"]:
    """Every frame as a photo of its own; the largest person counts."""
    from fitloop.body import Image

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
    bodies = move(stages, track, camera_of(width, height, focal), reader.info.frame_rate)
    found = {}
    for name, params in (("regressed", bodies.regressed.params), ("motion", bodies.motion.params)):
        whole = torch.full((len(evidence.frames), len(JOINTS), 3), torch.nan)
        whole[torch.from_numpy(track.frames)] = joints_of(stages, params)
        found[name] = whole
    print(f"{clip.name}: {len(evidence.tracks)} tracks, {bodies.mended} frames mended, resting: {evidence.resting}")
    return found


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
