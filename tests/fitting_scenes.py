"""Bodies, what a perfect detector sees of them, and starts near them."""

from dataclasses import replace

import torch
from toy import toy_camera

from fitloop.body import Body, BodyEstimate, BodyParams, Detections, KeypointKinematics, convention_named
from fitloop.geometry import project, rotvec_to_rotmat


def estimate_of(params: BodyParams, body: Body) -> BodyEstimate:
    return BodyEstimate(params, toy_camera(*params.transl.shape[:-1]), body.name)


def see(body: Body, estimate: BodyEstimate, convention: str = "coco17") -> Detections:
    """What a perfect detector would report."""
    table = convention_named(convention)
    points = KeypointKinematics(body, tuple(str(name) for name in table.landmarks))(estimate.params)
    keypoints = project(points, estimate.camera)
    boxes = torch.cat([keypoints.amin(-2), keypoints.amax(-2)], dim=-1)
    return Detections(keypoints, torch.ones_like(keypoints[..., 0]), boxes, convention)


def start_near(params: BodyParams, seed: int = 9, spread: float = 0.15) -> BodyParams:
    generator = torch.Generator().manual_seed(seed)
    turns = rotvec_to_rotmat(spread * torch.randn(*params.rotations.shape[:-1], generator=generator))
    rotations = params.rotations @ turns
    return replace(
        params,
        global_orient=rotations[..., 0, :, :],
        body_pose=rotations[..., 1:, :, :],
        transl=params.transl + 0.1 * torch.randn(params.transl.shape, generator=generator),
        betas=torch.zeros_like(params.betas),
    )
