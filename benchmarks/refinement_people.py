"""Held-out synthetic people as the real pipeline sees them, and how far a body is from the true one."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Bool
from torch import Tensor

from fitloop.body import Body, BodyEstimate, Detections, Image
from fitloop.body.keypoints import COCO_17
from fitloop.data.detector_noise import NoiseConfig
from fitloop.data.keypoint_samples import KeypointSampler, KeypointSampling
from fitloop.data.synthetic import SceneConfig, load_assets, render_person_scene
from fitloop.detection import MediapipeDetector
from fitloop.evaluation.joints import mpjpe, pa_mpjpe
from fitloop.fitting import AFTER_REGRESSION, fit
from fitloop.geometry import Camera, project
from fitloop.geometry.cameras import camera_of
from fitloop.refinement import Photo
from fitloop.regressor import load_regressor
from fitloop.regressor.keypoint_encoder import KEYPOINT_NAMES
from fitloop.rendering import Rasterizer, load_rasterizer

MATCH = 0.4
"""Overlap of detected and true box from which they are the same person."""


@dataclass(frozen=True)
class Case:
    """One person of a photo, found by the pipeline."""

    photo: Photo
    detections: Detections
    truth: BodyEstimate
    mask: Bool[Tensor, "height width"]
    """Pixels of the person, as if nothing were in front."""
    regressed: BodyEstimate
    fitted: BodyEstimate


def synthetic_cases(
    body: Body, assets: Path, count: int, seed: int, known_focal: bool, drawn: bool = False
) -> Iterator[Case | None]:
    """Draw photos and run detector, regressor and fit on the main person; None where the detector misses it.

    Args:
        body: The open body.
        assets: docs/synthetic.md.
        count: Photos.
        seed: Of the photos.
        known_focal: Whether the true focal length is known; else the photo's diagonal is taken.
        drawn: Whether keypoints are COCO's, true ones disturbed as detectors err; silhouettes are the detector's.
    """
    sampler, generator = _drawing_sampler(body), torch.Generator().manual_seed(seed)
    detector, regressor = MediapipeDetector(), load_regressor("keypoints", body)
    loaded = load_assets(assets)
    for number in range(count):
        photo = render_person_scene(loaded, (seed, number), SceneConfig(split="held-out"))
        person = photo.people[0]
        height, width = photo.pixels.shape[:2]
        true_camera = Camera(torch.tensor(photo.view.focal), torch.tensor(photo.view.principal_point))
        params = person.params.map(lambda value: value[None])
        truth = BodyEstimate(params, true_camera.map(lambda value: value[None]), body.name)
        camera = true_camera if known_focal else camera_of(width, height)
        image = Image(photo.pixels, camera, str(number))
        found = detector(image)
        row = best_match(found.boxes, torch.from_numpy(person.box))
        # Scenes are drawn with maps, so whoever is in the photo has a mask; who was not detected is counted as missed.
        if row is None or person.full_mask is None:
            yield None
            continue
        seen = found[row : row + 1]
        if drawn:
            told = sampler.detect(truth.params, truth.camera, generator).detections(KEYPOINT_NAMES, COCO_17.name)
            seen = replace(told, silhouettes=seen.silhouettes, silhouette_boxes=seen.silhouette_boxes)
        regressed = regressor(image, seen, camera.map(lambda value: value[None]))
        yield Case(
            Photo(torch.from_numpy(photo.pixels), seen.silhouettes, seen.silhouette_boxes),
            seen,
            truth,
            torch.from_numpy(np.asarray(person.full_mask)),
            regressed,
            fit(body, seen, regressed, AFTER_REGRESSION).estimate,
        )


def _drawing_sampler(body: Body) -> KeypointSampler:
    sampling = KeypointSampling(noise=NoiseConfig(landmarks=0.0), conventions=((COCO_17.name, 1.0),))
    return KeypointSampler(body, KEYPOINT_NAMES, lambda count, _: torch.eye(3).repeat(count, 24, 1, 1), sampling)


def best_match(boxes: Tensor, box: Tensor) -> int | None:
    """Row of the box that overlaps most with ``box``; None if none overlaps by `MATCH`."""
    if not len(boxes):
        return None
    low, high = torch.maximum(boxes[:, :2], box[:2]), torch.minimum(boxes[:, 2:], box[2:])
    shared = (high - low).clamp_min(0.0).prod(-1)
    union = (boxes[:, 2:] - boxes[:, :2]).prod(-1) + (box[2:] - box[:2]).prod() - shared
    share = shared / union
    return int(share.argmax()) if float(share.max()) >= MATCH else None


class Scorer:
    """Errors of one body."""

    def __init__(self, body: Body) -> None:
        self.body = body
        self.rasterizer: Rasterizer = load_rasterizer("auto")

    def __call__(self, case: Case, estimate: BodyEstimate) -> dict[str, float]:
        """MPJPE, PA-MPJPE and PVE in mm with pelvises laid together, silhouette IoU and 2D error of the vertices."""
        ours, true = self.body(estimate.params), self.body(case.truth.params)
        joints, truth = ours.joints - ours.joints[:, :1], true.joints - true.joints[:, :1]
        vertices = (ours.vertices - ours.joints[:, :1]) - (true.vertices - true.joints[:, :1])
        apart = project(ours.vertices, estimate.camera) - project(true.vertices, case.truth.camera)
        size = case.mask.shape
        covered = self.rasterizer(ours.vertices, self.body.faces, estimate.camera, (size[0], size[1])).covered[0]
        shared = (covered & case.mask).sum() / (covered | case.mask).sum().clamp_min(1)
        height = project(true.vertices, case.truth.camera)[0, :, 1]
        return {
            "mpjpe": float(mpjpe(joints, truth).mean()),
            "pa_mpjpe": float(pa_mpjpe(joints, truth).mean()),
            "pve": 1000.0 * float(vertices.norm(dim=-1).mean()),
            "iou": 100.0 * float(shared),
            "vertices_2d": 100.0 * float(apart.norm(dim=-1).mean() / (height.amax() - height.amin())),
        }
