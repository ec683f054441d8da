"""Tuning the network to each person against fitting the person: error against seconds.

    python -m benchmarks tuning --mocap cmu_poses.npz --plot tuning.png

People of held-out motion capture as a detector sees them (`benchmarks.people`, without 3D landmarks), one at a time as
in photos of their own. All start from the shipped network's guess: the fit after 1, 2, ... steps and at its end, the
tuning after 1, 2, ... steps, by keypoints alone and with exact masks, and where asked for the fit from a tuned answer.
PVE-T is that of the T-pose, so of the shape alone. Seconds are CPU seconds of one core.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeVar

import torch
import tyro
from torch import Tensor

from benchmarks.curves import Curve, Plot, draw_plots
from benchmarks.metrics import Metric, write_metrics
from benchmarks.people import People, make_people
from benchmarks.scores import score
from fitloop.body import JOINT_NAMES, Body, BodyEstimate, BodyParams, Detections, load_body
from fitloop.body.mirror import rest_pelvis
from fitloop.evaluation.joints import pve
from fitloop.fitting import AFTER_REGRESSION, FitConfig, fit
from fitloop.geometry import concatenate
from fitloop.regressor import load_regressor
from fitloop.regressor.keypoint_encoder import keypoint_inputs, to_known_landmarks
from fitloop.regressor.photo_tuning import PhotoTuner, TuningConfig
from fitloop.regressor.regressor import NetworkRegressor
from fitloop.regressor.silhouettes import SilhouetteLoss

STEPS = (1, 2, 3, 5, 7, 10, 15, 20, 30, 40)
FIT_STEPS = (1, 2, 3, 5, 8)
LABELS = {
    "fit": "fit (SMPLify, Levenberg-Marquardt), 0 steps to its end",
    "tuned": "network tuned to keypoints, 1 to 40 steps",
    "tuned_silhouettes": "network tuned to keypoints and exact silhouette",
    "tuned_then_fit": "tuned to keypoints, then fitted",
    "tuned_silhouettes_then_fit": "tuned to both, then fitted",
}
Answers = list[tuple[float, BodyEstimate]]
"""On the way, and the seconds until they were there."""
Result = TypeVar("Result")


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
    people: int = 40
    """How many."""
    seed: int = 1
    """Of the people."""
    steps: int = 40
    """Longest tuning."""
    compared: tuple[str, ...] = ("fit", "tuned", "tuned_silhouettes")
    """Ways to measure; there are also `tuned_then_fit` and `tuned_silhouettes_then_fit`."""
    tuning: TuningConfig = TuningConfig()
    """Rate and losses."""
    plot: Path | None = None
    """Draw error against seconds into this file."""
    json: Path | None = None
    """Write the metrics here."""


def main(arguments: list[str]) -> int:
    """Measure and print; return the exit code."""
    config, body = tyro.cli(TuningBenchmark, args=arguments), load_body()
    people = make_people(body, config.mocap, config.people, seed=config.seed)
    people = replace(people, detections=replace(people.detections, landmarks=None, landmark_confidence=None))
    metrics: list[Metric] = []
    every = ways(config, body, people)
    for way in config.compared:
        answers = every[way]
        rows = [slice(row, row + 1) for row in range(config.people)]
        # The first person pays for what is loaded and compiled once.
        answers(rows[0])
        found = [answers(row) for row in rows]
        for place, name in enumerate(answers.names):
            seconds = sum(one[place][0] for one in found) / len(found)
            metrics += told(f"{way}.{name}", seconds, concatenate([one[place][1] for one in found]), body, people)
    if config.plot is not None:
        draw(metrics, config.plot, config.people)
    if config.json is not None:
        write_metrics(metrics, config.json)
    return 0


@dataclass(frozen=True)
class Way:
    """A way from keypoints to bodies, and what is looked at on it."""

    names: tuple[str, ...]
    run: Callable[[slice], Answers]

    def __call__(self, row: slice) -> Answers:
        """Answers for some people at each of the places."""
        return self.run(row)


def ways(config: TuningBenchmark, body: Body, people: People) -> dict[str, Way]:
    """What is compared."""
    seen, camera = people.detections, people.truth.camera
    regressor = load_regressor("keypoints", body)
    assert isinstance(regressor, NetworkRegressor)
    masks = true_masks(body, people.truth, seen)
    outlined = PhotoTuner(regressor, config.tuning)
    plain = PhotoTuner(regressor, replace(config.tuning, silhouette=0.0))
    steps = tuple(step for step in STEPS if step <= config.steps)

    def fitted(row: slice) -> Answers:
        guess, seconds = timed(lambda: regressor(None, seen[row], camera[row]))
        found = [(seconds, guess)]
        for limit in (*FIT_STEPS, None):
            answer, more = timed(lambda limit=limit: fit(body, seen[row], guess, fit_config(limit)).estimate)
            found.append((seconds + more, answer))
        return found

    def tuned(row: slice, silhouettes: bool, fits: bool = False) -> Answers:
        start = time.process_time()
        given = regressor.look(None, seen[row], camera[row])
        tuning = (outlined if silhouettes else plain).begin(given, masks[row])
        spent, found = time.process_time() - start, []
        for step in range(1, steps[-1] + 1):
            spent += timed(tuning.step)[1]
            if step not in steps:
                continue
            answer, more = timed(tuning.answer)
            if fits:
                answer, longer = timed(lambda answer=answer: fit(body, seen[row], answer, fit_config(None)).estimate)
                more += longer
            found.append((spent + more, answer))
        return found

    names = tuple(f"{step}_steps" for step in steps)
    return {
        "fit": Way(("guess", *(f"{limit}_steps" for limit in FIT_STEPS), "end"), fitted),
        "tuned": Way(names, lambda row: tuned(row, False)),
        "tuned_silhouettes": Way(names, lambda row: tuned(row, True)),
        "tuned_then_fit": Way(names, lambda row: tuned(row, False, True)),
        "tuned_silhouettes_then_fit": Way(names, lambda row: tuned(row, True, True)),
    }


def fit_config(limit: int | None) -> FitConfig:
    """The main job's fit, stopped after so many steps."""
    if limit is None:
        return AFTER_REGRESSION
    stages, told_stages = (
        tuple(replace(stage, solver=replace(stage.solver, max_steps=limit)) for stage in some)
        for some in (AFTER_REGRESSION.stages, AFTER_REGRESSION.told_stages)
    )
    return replace(AFTER_REGRESSION, stages=stages, told_stages=told_stages)


def timed(work: Callable[[], Result]) -> tuple[Result, float]:
    """What came of it, and the CPU seconds."""
    start = time.process_time()
    return work(), time.process_time() - start


def told(name: str, seconds: float, found: BodyEstimate, body: Body, people: People) -> list[Metric]:
    """Scores of the answers at one place; printed, too."""
    scores = score(body, found, people.truth, people.detections.convention)
    metrics = [
        Metric(f"tuning.{name}.seconds", seconds, "s of CPU per person", "lower"),
        Metric(f"tuning.{name}.error_2d", scores.error_2d, "% of box side", "lower"),
        Metric(f"tuning.{name}.mpjpe", scores.mpjpe, "mm", "lower"),
        Metric(f"tuning.{name}.pa_mpjpe", scores.pa_mpjpe, "mm", "lower"),
        Metric(f"tuning.{name}.pve_t", float(pve(*at_rest(body, found, people.truth)).mean()), "mm", "lower"),
    ]
    print(f"{name:36s} " + "  ".join(f"{one.key.split('.')[-1]} {one.value:.3f}" for one in metrics), flush=True)
    return metrics


def draw(metrics: list[Metric], path: Path, people: int) -> None:
    """MPJPE against seconds, one line per way."""
    values, curves = {metric.key: metric.value for metric in metrics}, []
    for way, label in LABELS.items():
        places = [
            key.removesuffix(".mpjpe") for key in values if key.startswith(f"tuning.{way}.") and key.endswith(".mpjpe")
        ]
        if places:
            points = [(values[f"{place}.seconds"], values[f"{place}.mpjpe"]) for place in places]
            # The guess alone takes no time, which has no place on an axis of tenfold steps.
            curves.append(Curve(label, [point for point in points if point[0] > 0]))
    guess = values.get("tuning.fit.guess.mpjpe")
    if guess is not None:
        curves.append(Curve("dashed: the network's guess", (), level=guess))
    beside = f"MPJPE, mm; {people} held-out people, keypoints with a detector's noise"
    draw_plots(path, [Plot("CPU seconds per person, one core", beside, curves, steps="tenfold")])
