"""How far fitted bodies are from the truth, in 2D and 3D."""

from typing import NamedTuple

import torch
from torch import Tensor

from fitloop.body import JOINT_NAMES, Body, BodyEstimate, KeypointKinematics, convention_named
from fitloop.evaluation.joints import mpjpe, pa_mpjpe, pve
from fitloop.geometry import project

NUM_TRUE_JOINTS = 22
"""Hands are not captured."""
MESHES_AT_ONCE = 64


class Scores(NamedTuple):
    """Means over people."""

    error_2d: float
    """Distance of projected landmarks from the exact ones, % of the longer side of the box."""
    mpjpe: float
    """Millimetres, pelvis on pelvis."""
    pa_mpjpe: float
    """Millimetres, after the best similarity."""
    pve: float
    """Vertices, millimetres, pelvis on pelvis."""


def score(body: Body, estimate: BodyEstimate, truth: BodyEstimate, convention: str) -> Scores:
    """Compare estimates with the truth."""
    joints = KeypointKinematics(body, JOINT_NAMES[:NUM_TRUE_JOINTS])
    found, true = joints(estimate.params), joints(truth.params)
    centred, goal = found - found[:, :1], true - true[:, :1]
    names = tuple(str(name) for name in convention_named(convention).landmarks)
    landmarks = KeypointKinematics(body, names)
    exact = project(landmarks(truth.params), truth.camera)
    side = (exact.amax(1) - exact.amin(1)).amax(-1)
    pixels = project(landmarks(estimate.params), estimate.camera)
    distance = (pixels - exact).norm(dim=-1).mean(-1) / side

    vertices = [
        pve(_surface(body, estimate[rows]), _surface(body, truth[rows]))
        for rows in torch.arange(len(side)).split(MESHES_AT_ONCE)
    ]
    return Scores(
        100.0 * float(distance.mean()),
        float(mpjpe(centred, goal).mean()),
        float(pa_mpjpe(centred, goal).mean()),
        float(torch.cat(vertices).mean()),
    )


def _surface(body: Body, estimate: BodyEstimate) -> Tensor:
    mesh = body(estimate.params)
    return mesh.vertices - mesh.joints[:, :1]
