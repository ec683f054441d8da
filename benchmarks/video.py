"""Synthetic clips with exact truth: every frame fitted alone against the person followed and smoothed.

    python -m benchmarks video --assets ASSETS --work WORK --json video.json

Draws open-bench-video (20 clips of 3 s, held-out people, 30 frames a second) into WORK once, runs the main job over
the clips, and fits the evidence of every frame once more as if it were a photo's. So both sides have the same evidence
and differ in time alone; exchanged sides that neighbours put right are put right for both.

MPJPE (about the middle of the hips) and PA-MPJPE are over nose and limbs. The acceleration error is the distance of
second differences, in mm per frame squared and in m/s^2. Feet slide by what they move in the world from a frame to
the next while those of the truth rest (under 0.15 m/s). A switch is a person who goes on under another number.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
import tyro
from jaxtyping import Bool, Float
from torch import Tensor

from benchmarks.metrics import Metric, write_metrics
from fitloop.body import Body, BodyEstimate, BodyParams, KeypointKinematics
from fitloop.data.synthetic.clip_files import PER_FRAME
from fitloop.evaluation import mpjpe, pa_mpjpe
from fitloop.evaluation.joints import acceleration_error
from fitloop.evaluation.motion import follow, foot_sliding, identity_switches, resting
from fitloop.evaluation.protocols import CLIP_KINDS, protocol_named
from fitloop.pipelines import synthesize
from fitloop.pipelines.chain.people import People
from fitloop.pipelines.folder.config import RunConfig
from fitloop.pipelines.folder.run import run_folder
from fitloop.pipelines.regress_then_fit import Stages
from fitloop.rendering.motion_files import read_motion_npz

JOINTS = protocol_named("open-bench-video").joints
FEET = ("left_foot", "right_foot")
STAGES = ("regressed", "per frame", "smoothed")
_HIPS = [JOINTS.index(f"{side}_hip") for side in ("left", "right")]
_AT_ONCE = 64


@dataclass(frozen=True, kw_only=True)
class VideoConfig:
    """Measure clips with exact truth."""

    assets: Path
    """Folder of the assets that docs/synthetic.md describes."""
    work: Path
    """Keeps the clips and the run, so that a second measurement is quick."""
    clips: int = 20
    """How many of the benchmark's clips; fewer are a first look and no figure to compare."""
    workers: int = 1
    """Processes that draw."""
    json: Path | None = None
    """Write the metrics here."""


@dataclass(frozen=True)
class Moving:
    """One person of the truth, and what each stage made of them; one row per frame."""

    kind: str
    joints: Float[Tensor, "frames joints 3"]
    feet: Float[Tensor, "frames feet 3"]
    """World."""
    stages: dict[str, tuple[Float[Tensor, "frames joints 3"], Float[Tensor, "frames feet 3"]]]
    """Joints in the camera's frame, feet in the world."""
    found: Bool[Tensor, "frames"]
    tracks: tuple[int | None, ...]


def draw(config: VideoConfig) -> Path:
    """Draw the clips that are not there yet; return their folder.

    Raises:
        RuntimeError: If drawing failed; the reason was printed.
    """
    out = config.work / f"clips_{config.clips}"
    words = ["--assets", str(config.assets), "--out", str(out), "--preset", "open-bench", "--video"]
    count = [] if config.clips == synthesize.CLIPS else ["--count", str(config.clips)]
    code = synthesize.main([*words, *count, "--workers", str(config.workers)])
    if code:
        raise RuntimeError(f"The clips could not be drawn (exit code {code}).")
    return out


def people_of(truth: Path, out: Path, stages: Stages) -> Iterator[Moving]:
    """Everybody of the truth with what the run in ``out`` made of them."""
    with np.load(truth, allow_pickle=False) as file:
        arrays = {key: file[key] for key in file.files}
    for clip in np.unique([str(name).split("/")[0] for name in arrays["photo"]]):
        results = _frames(out, clip, stages.body)
        alone = _alone(results, stages)
        smoothed = _smoothed(out / "motion" / clip, stages.body)
        rows = np.char.startswith(arrays["photo"].astype(str), f"{clip}/")
        cast = [np.flatnonzero(arrays["sequence"] == name) for name in np.unique(arrays["sequence"][rows])]
        matches = _rows([arrays["boxes"][own] for own in cast], results, len(cast[0]))
        for person, own in enumerate(cast):
            of_one = {key: arrays[key][own] for key in PER_FRAME}
            chosen = [int(match[person]) if match[person] >= 0 else None for match in matches]
            yield _moving(of_one, (results, chosen), (alone, smoothed), stages.body)


Found = dict[int, tuple[People, np.ndarray]]


def _frames(out: Path, clip: str, body: Body) -> Found:
    """People and their tracks by frame."""
    found: Found = {}
    for path in sorted((out / "results" / clip).glob("*.npz")):
        with np.load(path, allow_pickle=False) as file:
            arrays = {key: file[key] for key in file.files}
        found[int(path.stem)] = People.from_arrays(arrays, body), arrays["track"]
    return found


def _alone(results: Found, stages: Stages) -> dict[int, BodyEstimate]:
    """Every frame fitted as the main job fits a photo."""
    frames, estimates = sorted(results), {}
    for start in range(0, len(frames), _AT_ONCE):
        chunk = frames[start : start + _AT_ONCE]
        fitted = stages.correct(*(replace(results[frame][0], fitted=None) for frame in chunk))
        estimates |= {frame: people.estimate for frame, people in zip(chunk, fitted, strict=True)}
    return estimates


def _smoothed(folder: Path, body: Body) -> dict[tuple[int, int], BodyParams]:
    """Parameters by frame and track."""
    found = {}
    for path in sorted(folder.glob("*.npz")):
        motion = read_motion_npz(path, body)
        first = round(float(motion.times[0]) * motion.frame_rate)
        for row in range(len(motion.times)):
            found[first + row, motion.track] = motion.params[row]
    return found


def _moving(
    truth: dict[str, np.ndarray],
    matched: tuple[Found, list[int | None]],
    bodies: tuple[dict[int, BodyEstimate], dict[tuple[int, int], BodyParams]],
    body: Body,
) -> Moving:
    (results, chosen), (alone, smoothed) = matched, bodies
    tracks = [None if at is None else int(results[int(f)][1][at]) for at, f in zip(chosen, truth["frame"], strict=True)]
    own = BodyParams(*(torch.from_numpy(truth[key]) for key in ("global_orient", "body_pose", "betas", "transl")))
    params: dict[str, list[BodyParams]] = {name: [] for name in STAGES}
    for row, (frame, at) in enumerate(zip(truth["frame"].tolist(), chosen, strict=True)):
        # A row that nobody matched holds the truth's own place and counts nowhere.
        missing = at is None or (frame, tracks[row]) not in smoothed
        chosen[row] = None if missing else at
        of_stage = (
            (own[row],) * 3
            if missing
            else (
                results[frame][0].regressed.params[at],
                alone[frame].params[at],
                smoothed[frame, tracks[row] or 0],
            )
        )
        for name, values in zip(STAGES, of_stage, strict=True):
            params[name].append(values)
    joints_of, feet_of = KeypointKinematics(body, JOINTS), KeypointKinematics(body, FEET)

    def world(values: BodyParams) -> Tensor:
        rotation, center = (torch.from_numpy(truth[f"camera_{part}"]) for part in ("rotation", "center"))
        return feet_of(values) @ rotation + center[:, None]

    stacked = {name: _stack(rows) for name, rows in params.items()}
    return Moving(
        str(truth["grade"][0]),
        joints_of(own),
        world(own),
        {name: (joints_of(values), world(values)) for name, values in stacked.items()},
        torch.tensor([at is not None for at in chosen]),
        tuple(tracks),
    )


def _stack(rows: list[BodyParams]) -> BodyParams:
    names = ("global_orient", "body_pose", "betas", "transl")
    return BodyParams(*(torch.stack([getattr(row, name).float() for row in rows]) for name in names))


def _rows(boxes: list[np.ndarray], results: Found, frames: int) -> list[np.ndarray]:
    """Row of the results of each person of the truth, frame by frame."""
    none = (np.zeros((0, 4), np.float32), np.zeros(0, int))
    found = [
        (results[frame][0].detections.boxes.numpy(), results[frame][1]) if frame in results else none
        for frame in range(frames)
    ]
    truth = [np.stack(of_frame) for of_frame in zip(*boxes, strict=True)]
    return follow(truth, [boxes for boxes, _ in found], [tracks for _, tracks in found])


def measure(people: list[Moving], frame_rate: float) -> list[Metric]:
    """Means over all frames that were found, by stage, of all clips and of each kind."""
    found: list[Metric] = []
    for kind in ("all", *CLIP_KINDS):
        chosen = [one for one in people if kind in ("all", one.kind)]
        if not chosen:
            continue
        share = torch.cat([one.found for one in chosen]).float().mean()
        switches = sum(identity_switches(one.tracks) for one in chosen)
        found += [
            Metric(f"video.{kind}.found", 100.0 * float(share), "% of frames", "higher", 0.02),
            Metric(f"video.{kind}.identity_switches", float(switches), "", "lower", 0.0),
        ]
        for stage in STAGES:
            found += _of_stage(f"video.{kind}.{stage.replace(' ', '_')}", chosen, stage, frame_rate)
    return found


def _of_stage(key: str, people: list[Moving], stage: str, frame_rate: float) -> list[Metric]:
    columns: dict[str, list[Tensor]] = {"mpjpe": [], "pa_mpjpe": [], "acceleration": [], "foot_sliding": []}
    for one in people:
        points, feet = one.stages[stage]
        about, target = (values - values[:, _HIPS].mean(1, keepdim=True) for values in (points, one.joints))
        columns["mpjpe"].append(mpjpe(about, target)[one.found])
        columns["pa_mpjpe"].append(pa_mpjpe(about, target)[one.found])
        weights = one.found[:, None].float().expand(-1, len(JOINTS))
        columns["acceleration"].append(acceleration_error(about, target, weights))
        both = (one.found[1:] & one.found[:-1])[:, None]
        columns["foot_sliding"].append(foot_sliding(feet, resting(one.feet, frame_rate) & both))
    means = {name: float(torch.cat(values).nanmean()) for name, values in columns.items()}
    return [
        Metric(f"{key}.mpjpe", means["mpjpe"], "mm", "lower", 0.05),
        Metric(f"{key}.pa_mpjpe", means["pa_mpjpe"], "mm", "lower", 0.05),
        Metric(f"{key}.acceleration", means["acceleration"], "mm/frame^2", "lower", 0.05),
        Metric(f"{key}.acceleration_si", means["acceleration"] * frame_rate**2 / 1000.0, "m/s^2", "lower", 0.05),
        Metric(f"{key}.foot_sliding", means["foot_sliding"], "mm/frame", "lower", 0.05),
    ]


def main(arguments: list[str]) -> int:
    """Draw, run, measure and print; return the exit code."""
    config = tyro.cli(VideoConfig, args=arguments)
    clips = draw(config)
    run = RunConfig(images=clips / "clips", out=config.work / f"run_{config.clips}", outputs=())
    code = run_folder(run, Stages)
    if code:
        return code
    people = list(people_of(clips / "truth.npz", run.out, Stages(run)))
    metrics = measure(people, synthesize.BENCH_CLIPS.frame_rate)
    print(f"{len(people)} people in {config.clips} clips")
    for metric in metrics:
        print(f"{metric.key:48s} {metric.value:9.2f} {metric.unit}")
    if config.json is not None:
        write_metrics(metrics, config.json)
    return 0
