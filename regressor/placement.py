"""Where a posed body stands: the translation that best explains its 2D keypoints."""

from dataclasses import replace

import torch
from jaxtyping import Float
from torch import Tensor

from fitloop.body import BodyParams, KeypointKinematics
from fitloop.geometry import Camera, project

MIN_KEYPOINTS = 3
"""Fewer observed keypoints than this do not place a body."""
MAX_CHANGE = 2.0
"""How many times further or nearer than first guessed a body may be put."""
NEAREST = 0.2
"""Metres in front of the camera that no point of a person may pass: a foot behind it would land anywhere."""


def place_body(
    params: BodyParams,
    kinematics: KeypointKinematics,
    keypoints: Float[Tensor, "people keypoints 2"],
    confidence: Float[Tensor, "people keypoints"],
    camera: Camera,
) -> BodyParams:
    """Replace ``transl`` by the weighted least-squares solution, reweighted so that outliers lose their say.

    A point q (relative to the translation t) lands on pixel u when f (q_xy + t_xy) = (u - c)(q_z + t_z), which is
    linear in t. Reweighting is Geman-McClure's with a scale of three times the median error. The distance changes
    at most by `MAX_CHANGE`, and no point comes nearer than `NEAREST`. People with fewer than three keypoints keep the
    translation they have.

    Args:
        params: Pose, shape and a first guess of the place.
        kinematics: Places the keypoints, in their order.
        keypoints: Full-image pixels.
        confidence: 0 where not observed.
        camera: One per person.
    """
    points = kinematics(replace(params, transl=torch.zeros_like(params.transl)))
    rays = (keypoints - camera.principal_point[:, None]) / camera.focal[:, None, None]
    middle = points[..., 2].mean(1)
    guess = (params.transl[:, 2] + middle).clamp_min(0.1)
    least = torch.maximum(guess / MAX_CHANGE, middle - points[..., 2].amin(1) + NEAREST)
    weight = confidence.square()
    transl = params.transl
    for _ in range(5):
        # A pose that does not fit, upside down for one, is best explained by a body at the lens or far away.
        depth = _solve(points, rays, weight)[:, 2] + middle
        depth = torch.maximum(torch.minimum(depth, guess * MAX_CHANGE), least) - middle
        wanted = rays * (points[..., 2:] + depth[:, None, None]) - points[..., :2]
        share = weight / weight.sum(-1, keepdim=True).clamp_min(1e-9)
        transl = torch.cat([(share[..., None] * wanted).sum(1), depth[:, None]], -1)
        error = (project(points + transl[:, None], camera) - keypoints).norm(dim=-1)
        weight = confidence.square() * _robust(error, confidence)
    enough = (confidence > 0).sum(-1, keepdim=True) >= MIN_KEYPOINTS
    return replace(params, transl=torch.where(enough & transl.isfinite().all(-1, keepdim=True), transl, params.transl))


def _solve(points: Tensor, rays: Tensor, weight: Tensor) -> Tensor:
    """Weighted normal equations of t_xy - ray t_z = ray q_z - q_xy."""
    right = rays * points[..., 2:] - points[..., :2]
    total = weight.sum(-1)
    slope = (weight[..., None] * rays).sum(1)
    spread = (weight * rays.square().sum(-1)).sum(-1)
    zero = torch.zeros_like(total)
    rows = [total, zero, -slope[:, 0], zero, total, -slope[:, 1], -slope[:, 0], -slope[:, 1], spread]
    normal = torch.stack(rows, -1).unflatten(-1, (3, 3))
    side = (weight[..., None] * right).sum(1)
    depth = -(weight * (rays * right).sum(-1)).sum(-1)
    ridge = 1e-9 * (total + 1e-9)[:, None, None] * torch.eye(3, dtype=rays.dtype, device=rays.device)
    solution, _ = torch.linalg.solve_ex(normal + ridge, torch.cat([side, depth[:, None]], -1))
    return solution


def _robust(error: Tensor, confidence: Tensor) -> Tensor:
    seen = torch.where(confidence > 0, error, torch.nan)
    scale = 3.0 * seen.nanmedian(-1, keepdim=True).values.nan_to_num(1.0).clamp_min(1e-3)
    return (scale.square() / (scale.square() + error.square())).square()
