"""What a network that reads pixels is worth to those who have people's boxes and no keypoints.

Beside it stand the mean pose, which is what they get without it, and `keypoints` on what the embedded detector sees in
the same boxes, which is what they get if they let it look.
"""

from pathlib import Path

import torch
from torch import Tensor

from benchmarks.encoders import read_truth, see
from benchmarks.real3d import errors_of, load_scenes
from benchmarks.scores import score
from fitloop.body import Body, BodyEstimate, Detections, Image
from fitloop.body.keypoints import COCO_17
from fitloop.geometry import Camera, concatenate
from fitloop.regressor import load_regressor

Row = tuple[str, ...]
HEAD: Row = ("people", "body from", "score (m)", "MPJPE mm", "PA-MPJPE mm", "turned around %")


def boxes_alone(boxes: Tensor) -> Detections:
    """People of whom nothing but the box is known."""
    people, keypoints = len(boxes), len(COCO_17.keypoints)
    return Detections(torch.zeros(people, keypoints, 2), torch.zeros(people, keypoints), boxes, COCO_17.name)


def drawn_rows(folder: Path, weights: Path, body: Body, people: int) -> list[Row]:
    """Errors on drawn people of `fitloop synthesize`, 22 joints and all vertices, pelvis on pelvis.

    Args:
        folder: Photos with their truth.
        weights: Of a network that reads pixels.
        body: Of the truth.
        people: At most so many, spread evenly.
    """
    truth, shown = read_truth(folder, people, body)
    rows: list[Row] = []
    for name, found in guesses(weights, body, shown.images, shown.boxes, truth.camera):
        figures = score(body, found, truth, COCO_17.name)
        facing = (found.params.global_orient[..., :, 2] * truth.params.global_orient[..., :, 2])[..., [0, 2]].sum(-1)
        cells = (f"{figures.pve / 1000.0:.4f}", f"{figures.mpjpe:.1f}", f"{figures.pa_mpjpe:.1f}", _percent(facing < 0))
        rows.append((folder.name, name, *cells))
    return rows


def photo_rows(folder: Path, weights: Path, body: Body) -> list[Row]:
    """Errors on photos with true 3D joints (`benchmarks real3d`), twelve joints; they have no true vertices.

    Args:
        folder: With ``frames/`` and ``truth.npz``.
        weights: Of a network that reads pixels.
        body: To regress.
    """
    scenes = load_scenes(folder, "known")
    images, boxes = [scene.image for scene in scenes], torch.cat([scene.openpose.boxes for scene in scenes])
    cameras = concatenate([image.camera.map(lambda value: value[None]) for image in images])
    rows: list[Row] = []
    for name, found in guesses(weights, body, images, boxes, cameras):
        errors = errors_of(scenes, body, found)
        cells = (f"{float(errors.mpjpe.mean()):.1f}", f"{float(errors.pa_mpjpe.mean()):.1f}", _percent(errors.turned))
        rows.append((folder.name, name, "", *cells))
    return rows


def guesses(
    weights: Path, body: Body, images: list[Image], boxes: Tensor, cameras: Camera
) -> list[tuple[str, BodyEstimate]]:
    """What the mean pose and the network make of the boxes, and `keypoints` of what the detector sees in them.

    Args:
        weights: Of a network that reads pixels.
        body: To regress.
        images: The photo of each person.
        boxes: x y x y, one per person.
        cameras: One per person.
    """
    known = boxes_alone(boxes)
    seen = see(images, boxes)
    evidence = (("mean", "mean", known), (str(weights), "pixels", known), ("keypoints", "keypoints", seen))
    result = []
    for source, name, detections in evidence:
        regressor = load_regressor(source, body)
        found = [
            regressor(image, detections[row : row + 1], cameras[row : row + 1]) for row, image in enumerate(images)
        ]
        result.append((name, concatenate(found)))
    return result


def _percent(flags: Tensor) -> str:
    return f"{100.0 * float(flags.float().mean()):.0f}"
