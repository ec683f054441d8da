"""Photos and estimates as training of the refinement's networks reads them."""

from dataclasses import replace

import numpy as np
import torch
from refinement_scenes import BODY, disturbed, photograph, standing

from fitloop.body import BodyEstimate, Detections, KeypointKinematics
from fitloop.body.keypoints import MEDIAPIPE_33
from fitloop.geometry import camera_of, concatenate, project
from fitloop.pipelines.lessons.erring_bodies import (
    ESTIMATES,
    PhotoChunk,
    estimates_to_rows,
    keypoint_rows,
    visible_vertices,
)
from fitloop.rendering import load_rasterizer

ROWS = 4


def samples(seed: int) -> PhotoChunk:
    """People of one kind before a square camera."""
    people = [square(standing((0.1 * k - 0.13, 0.1, 3.0))) for k in range(ROWS)]
    truth = concatenate(people)
    drawn = [photograph(one) for one in people]
    masks = torch.stack([one.silhouettes[0][:, :240] for one in drawn if one.silhouettes is not None])
    estimates = [disturbed(truth, 0.05, seed=10 * seed + k) for k in range(len(ESTIMATES))]
    grid = torch.nn.functional.interpolate(masks[:, None], (128, 128))[:, 0]
    seen = visible_vertices(BODY, truth, masks > 0, load_rasterizer("auto"))
    return PhotoChunk(
        np.stack([one.pixels.numpy()[:, :240] for one in drawn]),
        masks.byte().numpy(),
        (255 * grid).byte().numpy(),
        np.ones(ROWS, bool),
        np.packbits(seen.numpy(), axis=1),
        keypoint_rows(detected(truth)).numpy(),
        estimates_to_rows(truth).numpy(),
        torch.stack([estimates_to_rows(one) for one in estimates], 1).numpy(),
    )


def detected(truth: BodyEstimate) -> Detections:
    """What a perfect detector says."""
    points = KeypointKinematics(BODY, tuple(str(name) for name in MEDIAPIPE_33.landmarks))(truth.params)
    sure = torch.ones(points.shape[:2])
    middle = points[:, [23, 24]].mean(1, keepdim=True)
    pixels, boxes = project(points, truth.camera), torch.zeros(len(points), 4)
    return Detections(pixels, sure, boxes, MEDIAPIPE_33.name, points - middle, sure)


def square(estimate: BodyEstimate) -> BodyEstimate:
    """The camera of `refinement_scenes` with the right third of its picture cut off."""
    camera = camera_of(320, 240)
    return replace(estimate, camera=camera.map(lambda value: value[None]))
