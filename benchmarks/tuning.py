"""Tuning the network to each person against fitting the person: error against seconds.

    python -m benchmarks tuning --mocap cmu_poses.npz

People of held-out motion capture as a detector sees them (`benchmarks.people`, without 3D landmarks), one at a time as
in photos of their own. Both start from the shipped network's guess. In the last row exact masks count, too; PVE-T is
that of the T-pose, so of the shape alone.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import torch
import tyro
from torch import Tensor

from benchmarks.metrics import Metric, write_metrics
from benchmarks.people import make_people
from benchmarks.scores import score
from fitloop.body import JOINT_NAMES, Body, BodyEstimate, BodyParams, Detections, load_body
from fitloop.body.mirror import rest_pelvis
from fitloop.evaluation.joints import pve
from fitloop.fitting import AFTER_REGRESSION, fit
from fitloop.geometry import concatenate
from fitloop.regressor import LossConfig, load_regressor
from fitloop.regressor.keypoint_encoder import keypoint_inputs, to_known_landmarks
from fitloop.regressor.photo_tuning import TuningConfig, tuned_estimate
from fitloop.regressor.regressor import NetworkRegressor
from fitloop.regressor.silhouettes import SilhouetteLoss

STEPS = (5, 20)


def true_masks(body: Body, truth: BodyEstimate, seen: Detections) -> Tensor:
    """Exact masks of the people, across the views that the network sees them in."""
    _, view = keypoint_inputs(to_known_landmarks(seen), truth.camera)
    params = truth.params
    rotations = torch.cat([(view.rotation @ params.global_orient)[:, None], params.body_pose], 1)
    pelvis = (view.rotation @ (params.transl + rest_pelvis(body, params.betas))[..., None])[..., 0]
    return SilhouetteLoss(body).masks(rotations, params.betas, pelvis, view)


def at_rest(body: Body, *estimates: BodyEstimate) -> list[Tensor]:
    """Vertices of the T-pose, pelvis at the origin: the shape alone."""
    found = []
    for betas in (estimate.params.betas for estimate in estimates):
        eye = torch.eye(3).expand(len(betas), len(JOINT_NAMES), 3, 3)
        mesh = body(BodyParams(eye[:, 0], eye[:, 1:], betas, torch.zeros(len(betas), 3)))
        found.append(mesh.vertices - mesh.joints[:, :1])
    return found


@dataclass(frozen=True, kw_only=True)
class TuningBenchmark:
    """Measure both ways."""

    mocap: Path
    """The file cmu_poses.npz; only held-out subjects are used."""
    people: int = 32
    """How many."""
    learning_rate: float = 3e-5
    """Of the tuning."""
    json: Path | None = None
    """Write the metrics here."""


def main(arguments: list[str]) -> int:
    """Measure and print; return the exit code."""
    config, body = tyro.cli(TuningBenchmark, args=arguments), load_body()
    people = make_people(body, config.mocap, config.people)
    seen = replace(people.detections, landmarks=None, landmark_confidence=None)
    camera = people.truth.camera
    regressor = load_regressor("keypoints", body)
    assert isinstance(regressor, NetworkRegressor)
    flat = replace(AFTER_REGRESSION, stages=tuple(replace(s, landmarks=0.0) for s in AFTER_REGRESSION.stages))

    def fitted(row: slice) -> BodyEstimate:
        return fit(body, seen[row], regressor(None, seen[row], camera[row]), flat).estimate

    masks = true_masks(body, people.truth, seen)

    def tuned(row: slice, steps: int, silhouette: float = 0.0) -> BodyEstimate:
        loss = LossConfig(1.0, 0.0, 0.0, 0.0, silhouette=silhouette)
        tuning = TuningConfig(steps, config.learning_rate, loss)
        return tuned_estimate(regressor, None, seen[row], camera[row], tuning, masks[row])

    ways: dict[str, Callable[[slice], BodyEstimate]] = {
        "guess": lambda row: regressor(None, seen[row], camera[row]),
        "fit": fitted,
        **{f"tuned_{steps}": lambda row, steps=steps: tuned(row, steps) for steps in STEPS},
        "tuned_20_silhouettes": lambda row: tuned(row, 20, 0.3),
    }
    metrics = []
    for name, way in ways.items():
        way(slice(0, 1))
        begin = time.process_time()
        found = concatenate([way(slice(row, row + 1)) for row in range(config.people)])
        seconds = (time.process_time() - begin) / config.people
        scores = score(body, found, people.truth, seen.convention)
        metrics += [
            Metric(f"tuning.{name}.seconds", seconds, "s of CPU per person", "lower"),
            Metric(f"tuning.{name}.error_2d", scores.error_2d, "% of box side", "lower"),
            Metric(f"tuning.{name}.mpjpe", scores.mpjpe, "mm", "lower"),
            Metric(f"tuning.{name}.pa_mpjpe", scores.pa_mpjpe, "mm", "lower"),
            Metric(f"tuning.{name}.pve_t", float(pve(*at_rest(body, found, people.truth)).mean()), "mm", "lower"),
        ]
        print("  ".join(f"{metric.key} {metric.value:.3f}" for metric in metrics[-5:]), flush=True)
    if config.json is not None:
        write_metrics(metrics, config.json)
    return 0
