"""Whether the regressor knows how sure it is, and what the fit gains from being told.

    python -m benchmarks uncertainty --mocap cmu_poses.npz --detected RUN --real3d REAL3D --lspet LSPET

Calibration: of people whom training never saw, the share of errors inside 50 and 90 % of what the network says. The
gain: the same guesses fitted as if the network said nothing (untold), and with the weights of guesses that say how sure
they are: holding on to all joints alike, and to each by how sure the network is of it.

``--detected`` is a folder of `fitloop train-refinement` (its ``held-out/`` is measured on), ``--real3d`` that of
`benchmarks real3d`, ``--lspet`` LSP Extended. Errors are MPJPE and PA-MPJPE in millimetres, the mean and median
distance of the annotated joints in % of the box's longer side on LSP Extended.
"""

import sys
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import torch
from torch import Tensor

from benchmarks import real3d
from benchmarks.lspet import joint_errors as joint_errors_2d
from benchmarks.photographed import lspet_people
from benchmarks.regressor import SHIPPED, settings
from fitloop.body import JOINT_NAMES, Body, BodyEstimate, Detections, KeypointKinematics, load_body
from fitloop.body.spreads import LEVELS, log_spread_of, missed_parts, share_inside
from fitloop.data.images import load_image
from fitloop.data.keypoint_samples import KeypointSamples, KeypointSampling
from fitloop.data.mocap import load_mocap
from fitloop.detection import MediapipeDetector
from fitloop.evaluation import mpjpe, pa_mpjpe
from fitloop.fitting import AFTER_REGRESSION, FitConfig, fit
from fitloop.geometry import Camera, concatenate
from fitloop.pipelines.console.options import parse
from fitloop.pipelines.lessons.erring_fits import CONVENTION
from fitloop.pipelines.lessons.keypoint_batches import KeypointBatches
from fitloop.pipelines.lessons.seen_people import SeenPeople
from fitloop.regressor import Regressor, load_regressor, load_weights
from fitloop.regressor.hmr import HMR
from fitloop.regressor.keypoint_encoder import KEYPOINT_NAMES
from fitloop.regressor.several_looks import Seen, look_several_times


@dataclass(frozen=True, kw_only=True)
class UncertaintyBenchmark:
    """Options."""

    mocap: Path
    """The poses, ``cmu_poses.npz``."""
    detected: Path | None = None
    """Drawn people as the embedded detector saw them."""
    real3d: Path | None = None
    """Photos with true 3D joints."""
    lspet: Path | None = None
    """LSP Extended."""
    weights: Path = SHIPPED
    """A ``.safetensors`` of the keypoints encoder that says how sure it is."""
    people: int = 2048
    """At most so many of each source."""


@dataclass(frozen=True)
class Measured(ABC):
    """People, what was seen of them, and two errors of bodies: means over people."""

    name: str
    detections: Detections
    camera: Camera

    @abstractmethod
    def errors(self, estimate: BodyEstimate) -> tuple[float, float]:
        """How far bodies are from what is known of these people."""


@dataclass(frozen=True)
class _Drawn(Measured):
    body: Body
    joints: Tensor

    def errors(self, estimate: BodyEstimate) -> tuple[float, float]:
        found = KeypointKinematics(self.body, JOINT_NAMES)(estimate.params)
        found, truth = found - found[:, :1], self.joints - self.joints[:, :1]
        return float(mpjpe(found, truth).mean()), float(pa_mpjpe(found, truth).mean())


@dataclass(frozen=True)
class _Photographed(Measured):
    body: Body
    scenes: list[real3d.Scene]

    def errors(self, estimate: BodyEstimate) -> tuple[float, float]:
        found = real3d.errors_of(self.scenes, self.body, estimate)
        return float(found.mpjpe.mean()), float(found.pa_mpjpe.mean())


@dataclass(frozen=True)
class _Annotated(Measured):
    body: Body

    def errors(self, estimate: BodyEstimate) -> tuple[float, float]:
        found = 100.0 * joint_errors_2d(self.body, estimate, self.detections)
        return float(found.nanmean()), float(found.nanmedian())


def sources(config: UncertaintyBenchmark, body: Body) -> Iterator[Measured]:
    """Everybody whom the options name."""
    if config.detected is not None:
        people = SeenPeople(config.detected / "held-out", body, turned=0.0, jitter=0.0, flat=0.0)
        drawn = people(min(config.people, len(people)), torch.Generator().manual_seed(0))
        detections = drawn.detections(KEYPOINT_NAMES, CONVENTION)
        joints = KeypointKinematics(body, JOINT_NAMES)(drawn.params)
        yield _Drawn("drawn, detector", detections, drawn.camera, body, joints)
        without = replace(detections, landmarks=None, landmark_confidence=None)
        yield _Drawn("drawn, 2D alone", without, drawn.camera, body, joints)
    if config.real3d is not None:
        scenes = real3d.load_scenes(config.real3d, "known")
        detector = MediapipeDetector(real3d.Real3dConfig(data=config.real3d).detector)
        camera = _stack([scene.image.camera for scene in scenes])
        for evidence in ("boxes", "openpose", "exact"):
            found = [real3d.find(scene, evidence, detector) for scene in scenes]
            seen = concatenate([one for one in found if one is not None])
            yield _Photographed(f"real3d, {evidence}", seen, camera, body, scenes)
    if config.lspet is not None:
        found = lspet_people(config.lspet, config.people)
        camera = _stack([load_image(path).camera for path in found.paths])
        yield _Annotated("LSP Extended, given", found.annotations, camera, body)


def _stack(cameras: list[Camera]) -> Camera:
    return concatenate([camera.map(lambda value: value[None]) for camera in cameras])


def gains(regressor: Regressor, body: Body, measured: Measured) -> list[tuple[str, tuple[float, float]]]:
    """Errors regressed, fitted untold, and told: with one hold for all, and with a hold per joint."""
    guess = regressor(None, measured.detections, measured.camera)
    stages = {"regressed": guess}
    for name, start, config in ways(guess):
        stages[name] = fit(body, measured.detections, start, config).estimate
    return [(name, measured.errors(estimate)) for name, estimate in stages.items()]


def ways(guess: BodyEstimate) -> list[tuple[str, BodyEstimate, FitConfig]]:
    """How a guess can be fitted: names, starts, configs."""
    alike = tuple(replace(stage, usual_turn=None) for stage in AFTER_REGRESSION.told_stages)
    return [
        ("untold", replace(guess, uncertainty=None), AFTER_REGRESSION),
        ("alike", guess, replace(AFTER_REGRESSION, told_stages=alike)),
        ("per joint", guess, AFTER_REGRESSION),
    ]


def milliseconds(regressor: Regressor, body: Body, measured: Measured, rounds: int = 5) -> dict[str, float]:
    """Least time per person of the regressor and of both fits, in turn in one process."""
    rows = slice(0, 64)
    seen, camera = measured.detections[rows], measured.camera[rows]
    guess = regressor(None, seen, camera)
    works: dict[str, Callable[[], object]] = {"regressed": partial(regressor, None, seen, camera)}
    works |= {name: partial(fit, body, seen, start, config) for name, start, config in ways(guess)}
    best = dict.fromkeys(works, float("inf"))
    for _ in range(rounds):
        for name, work in works.items():
            begin = time.perf_counter()
            work()
            best[name] = min(best[name], 1000.0 * (time.perf_counter() - begin) / len(seen.boxes))
    return best


def shares(config: UncertaintyBenchmark, body: Body) -> dict[str, dict[str, float]]:
    """Calibration on people drawn as in training, and on those that the detector saw, of the answers of six looks."""
    model = load_weights(config.weights).model
    held_out, found = load_mocap(config.mocap).held_out(), {}
    drawn = {"as in training": KeypointSampling()} | {
        name: settings()[name] for name in ("2d only", "2d and landmarks")
    }
    for name, sampling in drawn.items():
        # Another seed than training's tests, on which the temperatures were set.
        people = KeypointBatches(body, held_out, sampling).sampler(config.people, torch.Generator().manual_seed(23))
        found[name] = calibration(model, people, body)
    if config.detected is not None:
        people = SeenPeople(config.detected / "held-out", body, turned=0.0, jitter=0.0, flat=0.0)
        seen = people(min(config.people, len(people)), torch.Generator().manual_seed(0))
        found["drawn, detector"] = calibration(model, seen, body)
        found["drawn, 2D alone"] = calibration(model, replace(seen, landmark_confidence=0.0 * seen.confidence), body)
    return found


@torch.no_grad()
def calibration(model: HMR, people: KeypointSamples, body: Body) -> dict[str, float]:
    """Share of the errors inside 50 and 90 % of what the network says, in percent: root, other joints, shape."""
    said, told = look_several_times(model, Seen(people.detected, people.camera), body)
    if told is None:
        return {}
    truth = people.params
    missed = missed_parts(said.rotations, said.betas, truth.rotations, truth.betas)
    shares: dict[str, float] = {}
    for level in LEVELS:
        inside = 100.0 * share_inside(missed, log_spread_of(told), body.num_betas, level)
        for name, parts in (("root", inside[:1]), ("joints", inside[1:-1]), ("shape", inside[-1:])):
            shares[f"{name}_inside_{100 * level:.0f}"] = float(parts.mean())
    return shares


def main(arguments: list[str] | None = None) -> int:
    """Print all tables."""
    config = parse(UncertaintyBenchmark, arguments, __doc__)
    body = load_body()
    regressor = load_regressor(config.weights, body)
    for name, inside in shares(config, body).items():
        print(f"{name:22s}", "  ".join(f"{key} {value:.0f} %" for key, value in inside.items()))
    for measured in sources(config, body):
        cells = [f"{name} {one:.2f} / {two:.2f}" for name, (one, two) in gains(regressor, body, measured)]
        took = [f"{value:.2f}" for value in milliseconds(regressor, body, measured).values()]
        print(f"{measured.name:22s}", "  ".join(cells), f"  ms a person: {', '.join(took)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
