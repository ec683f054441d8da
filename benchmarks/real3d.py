"""Real photos with true 3D joints: what each stage makes of the same person, and what the evidence costs.

    python -m benchmarks real3d --data REAL3D --refine --json real3d.json

``REAL3D`` holds ``frames/CAMERA_FFFF.jpg`` and ``truth.npz`` (joints_3d in each camera's frame, keypoints_openpose,
K). Errors are over the twelve joints from shoulders to ankles. MPJPE is relative to the middle of the hips, PA-MPJPE
is after a similarity, both in millimetres. The 2D error is the distance to OpenPose's keypoints over the longer side
of the box around them, since the truth's projections lie beside the photo. A person is *turned* where the line from
the right to the left hip and shoulder points away from the true one.

These photos measure; no setting and no weight is fitted to them by a program.
"""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal, get_args

import numpy as np
import torch
import tyro
from jaxtyping import Bool, Float
from torch import Tensor

from benchmarks.metrics import Metric, write_metrics
from benchmarks.refinement_people import best_match
from fitloop.body import Body, BodyEstimate, Detections, Image, KeypointKinematics, convention_named
from fitloop.body.keypoints import BODY_25
from fitloop.data import load_image
from fitloop.detection import DetectionReport, MediapipeConfig, MediapipeDetector
from fitloop.evaluation import mpjpe, pa_mpjpe
from fitloop.evaluation.alignment import align_root
from fitloop.geometry import camera_of, concatenate, project
from fitloop.pipelines.chain.config import StagesConfig
from fitloop.pipelines.chain.people import People
from fitloop.pipelines.regress_then_fit import Stages

Evidence = Literal["search", "boxes", "openpose", "exact"]
JOINTS = tuple(
    f"{side}_{part}" for part in ("shoulder", "elbow", "wrist", "hip", "knee", "ankle") for side in ("left", "right")
)
_LEFT, _RIGHT = ([JOINTS.index(f"{side}_{part}") for part in ("hip", "shoulder")] for side in ("left", "right"))
_HIPS = [JOINTS.index(f"{side}_hip") for side in ("left", "right")]
_BOX_MARGIN = 0.05


@dataclass(frozen=True, kw_only=True)
class Real3dConfig:
    """Measure every stage on photos with true 3D joints."""

    data: Path
    """Folder with frames/ and truth.npz."""
    evidence: tuple[Evidence, ...] = get_args(Evidence)
    """Where 2D keypoints come from: the embedded detector in the whole photo or in the person's box, OpenPose, or the
    projected truth."""
    focal: Literal["known", "guessed"] = "known"
    """Whether the camera's focal length is told, or guessed from the photo's size as the main job does."""
    refine: bool = False
    """Measure refined bodies too."""
    test_time: bool = False
    """Tune the regressor to each photo before fitting, and measure that stage too."""
    pose_prior: str = "open"
    """What fits know of poses, as for `fitloop run`."""
    detector: MediapipeConfig = MediapipeConfig(threads=1)
    """Settings of the embedded detector."""
    json: Path | None = None
    """Write the metrics here."""


@dataclass(frozen=True)
class Scene:
    """One photo and what is known of the person in it."""

    image: Image
    joints: Float[Tensor, "joints 3"]
    """`JOINTS`, metres, camera frame."""
    openpose: Detections
    exact: Detections

    @property
    def seen(self) -> Float[Tensor, "joints 2"]:
        """OpenPose's pixels of `JOINTS`; NaN where it saw nothing."""
        columns = [BODY_25.index(name) for name in JOINTS]
        unseen = self.openpose.confidence[0, columns, None] == 0
        return self.openpose.keypoints[0, columns].masked_fill(unseen, torch.nan)


@dataclass(frozen=True)
class Errors:
    """Of one stage; one row per photo."""

    mpjpe: Float[Tensor, "photos"]
    pa_mpjpe: Float[Tensor, "photos"]
    pixels: Float[Tensor, "photos"]
    """Share of the box's longer side."""
    turned: Bool[Tensor, "photos"]


def load_scenes(folder: Path, focal: str) -> list[Scene]:
    """Read every frame with its truth.

    Args:
        folder: With ``frames/`` and ``truth.npz``.
        focal: ``known`` gives the images the true focal length.
    """
    with np.load(folder / "truth.npz", allow_pickle=False) as file:
        truth = {key: file[key] for key in file.files}
    names, cameras = truth["joints"].tolist(), truth["cameras"].tolist()
    columns = [names.index(name) for name in JOINTS]
    scenes = []
    for path in sorted((folder / "frames").glob("*.jpg")):
        camera_name, frame = path.stem.split("_")
        at = cameras.index(camera_name), int(frame)
        image = load_image(path)
        height, width = image.pixels.shape[:2]
        camera = camera_of(width, height, float(truth["K"][at[0], 0, 0]))
        points = torch.from_numpy(truth["joints_3d"][at])
        projected = torch.cat([project(points, camera), torch.isfinite(points).all(-1, keepdim=True)], -1)
        if focal == "known":
            image = replace(image, camera=camera)
        openpose = torch.from_numpy(truth["keypoints_openpose"][at])
        scenes.append(Scene(image, points[columns], _body25(names, openpose), _body25(names, projected)))
    return scenes


def _body25(names: list[str], points: Float[Tensor, "given 3"]) -> Detections:
    """Keypoints x, y, confidence by name, one person; what the names lack or is not finite counts as not observed."""
    known = torch.nan_to_num(points)
    rows = [known[names.index(name)] if name in names else torch.zeros(3) for name in BODY_25.keypoints]
    keypoints = torch.stack(rows)
    there = keypoints[keypoints[:, 2] > 0, :2]
    low, high = there.amin(0), there.amax(0)
    margin = _BOX_MARGIN * (high - low).max()
    box = torch.cat([low - margin, high + margin])
    return Detections(keypoints[None, :, :2], keypoints[None, :, 2].clamp(0.0, 1.0), box[None], BODY_25.name)


def find(scene: Scene, evidence: Evidence, detector: MediapipeDetector) -> Detections | None:
    """The person of a photo as one row; None where the search finds nobody there."""
    match evidence:
        case "openpose":
            return scene.openpose
        case "exact":
            return scene.exact
        case "boxes":
            return detector.in_boxes(scene.image, scene.openpose.boxes)
        case "search":
            found = detector(scene.image)
            row = best_match(found.boxes, scene.openpose.boxes[0])
            return None if row is None else found[row : row + 1]


def measure(config: Real3dConfig, scenes: list[Scene], evidence: Evidence) -> dict[str, Errors]:
    """Errors by stage, of the photos in which the person was found."""
    stages, detector = (
        Stages(StagesConfig(refine=config.refine, pose_prior=config.pose_prior, test_time=config.test_time)),
        MediapipeDetector(config.detector),
    )
    found = [(scene, seen) for scene in scenes if (seen := find(scene, evidence, detector)) is not None]
    crowd = [stages.regress(scene.image, DetectionReport(seen)) for scene, seen in found]
    crowd = stages.correct(*crowd)
    if config.refine:
        crowd = [stages.refine(scene.image, people) for (scene, _), people in zip(found, crowd, strict=True)]
    at = [scene for scene, _ in found]
    measured = {} if found[0][1].landmarks is None else {"landmarks": _of_landmarks(at, [seen for _, seen in found])}
    for number, (name, _) in enumerate(crowd[0].stages()):
        measured[name] = _of_bodies(at, crowd, stages.body, number)
    return measured


def _of_landmarks(scenes: list[Scene], seen: list[Detections]) -> Errors:
    columns = [convention_named(seen[0].convention).index(name) for name in JOINTS]
    points = torch.cat([person.landmarks[:, columns] for person in seen if person.landmarks is not None])
    return _errors(scenes, points, torch.cat([person.keypoints[:, columns] for person in seen]))


def _of_bodies(scenes: list[Scene], crowd: list[People], body: Body, stage: int) -> Errors:
    return errors_of(scenes, body, concatenate([list(people.stages())[stage][1] for people in crowd]))


def errors_of(scenes: list[Scene], body: Body, estimate: BodyEstimate) -> Errors:
    """Errors of bodies, one row per photo."""
    names = tuple(str(BODY_25.landmarks[BODY_25.index(name)]) for name in JOINTS)
    points = KeypointKinematics(body, names)(estimate.params)
    return _errors(scenes, points, project(points, estimate.camera))


def _errors(scenes: list[Scene], points: Float[Tensor, "photos 12 3"], pixels: Float[Tensor, "photos 12 2"]) -> Errors:
    truth = torch.stack([scene.joints for scene in scenes])
    points, truth = align_root(points, truth, points[:, _HIPS].mean(1), truth[:, _HIPS].mean(1))
    seen = torch.stack([scene.seen for scene in scenes])
    boxes = torch.cat([scene.openpose.boxes for scene in scenes])
    distance = (pixels - seen).norm(dim=-1).nanmean(-1) / (boxes[:, 2:] - boxes[:, :2]).amax(-1)
    across = [(joints[:, _LEFT] - joints[:, _RIGHT]).sum(1)[:, [0, 2]] for joints in (points, truth)]
    turned = (across[0] * across[1]).sum(-1) < 0
    return Errors(mpjpe(points, truth), pa_mpjpe(points, truth), distance, turned)


def metrics_of(key: str, errors: Errors) -> list[Metric]:
    """Means over all photos, and over those in which the person is not turned around."""
    right = ~errors.turned
    return [
        Metric(f"{key}.mpjpe", float(errors.mpjpe.mean()), "mm", "lower", 0.05),
        Metric(f"{key}.pa_mpjpe", float(errors.pa_mpjpe.mean()), "mm", "lower", 0.05),
        Metric(f"{key}.error_2d", 100.0 * float(errors.pixels.mean()), "% of box side", "lower", 0.05),
        Metric(f"{key}.turned", float(errors.turned.sum()), "photos", "none"),
        Metric(f"{key}.not_turned.mpjpe", float(errors.mpjpe[right].mean()), "mm", "none"),
        Metric(f"{key}.not_turned.pa_mpjpe", float(errors.pa_mpjpe[right].mean()), "mm", "none"),
    ]


def main(arguments: list[str]) -> int:
    """Measure and print a table; return the exit code."""
    config = tyro.cli(Real3dConfig, args=arguments)
    scenes = load_scenes(config.data, config.focal)
    metrics: list[Metric] = []
    print(f"{len(scenes)} photos, focal length {config.focal}; in brackets without turned ones")
    print(f"{'evidence':9s} {'stage':10s} found turned        MPJPE mm     PA-MPJPE mm   2D %")
    for evidence in config.evidence:
        for stage, errors in measure(config, scenes, evidence).items():
            found = metrics_of(f"real3d.{config.focal}.{evidence}.{stage}", errors)
            metrics += found
            values = [metric.value for metric in found]
            both = [f"{values[n]:6.1f} ({values[n + 4]:6.1f})" for n in (0, 1)]
            counts = f"{len(errors.mpjpe):5d} {values[3]:6.0f}"
            print(f"{evidence:9s} {stage:10s} {counts} {both[0]} {both[1]} {values[2]:6.2f}")
    if config.json is not None:
        write_metrics(metrics, config.json)
    return 0
