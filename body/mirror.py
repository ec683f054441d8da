"""Bodies and points in a mirror, and turned about the rest pose's pelvis."""

from dataclasses import replace

import torch
from jaxtyping import Float
from torch import Tensor

from fitloop.body.keypoints import mirrored
from fitloop.body.model import Body
from fitloop.body.params import JOINT_NAMES, BodyParams

MIRRORED_JOINTS = [JOINT_NAMES.index(mirrored(name)) for name in JOINT_NAMES]
MIRRORED_PARTS = [*MIRRORED_JOINTS, len(JOINT_NAMES)]
"""The same with the shape as the last part, which has no side."""


def mirror_points(
    points: Float[Tensor, "people keypoints axes"], order: list[int]
) -> Float[Tensor, "people keypoints axes"]:
    """Mirror points in x and exchange left and right names."""
    swapped = points[:, order].clone()
    swapped[..., 0] = -swapped[..., 0]
    return swapped


def mirror_turns(turns: Float[Tensor, "people joints 3"]) -> Float[Tensor, "people joints 3"]:
    """Mirror the rotation vectors of all joints in x: the part along that axis stays, and the others turn round."""
    return turns[:, MIRRORED_JOINTS] * turns.new_tensor([1.0, -1.0, -1.0])


def mirror_params(params: BodyParams, body: Body) -> BodyParams:
    """The mirror image of a body in the plane x = 0: its own inverse."""
    pelvis = rest_pelvis(body, params.betas)
    place = (pelvis + params.transl) * params.transl.new_tensor([-1.0, 1.0, 1.0])
    signs = params.transl.new_tensor([-1.0, 1.0, 1.0])
    # M R M with M = diag(-1, 1, 1) mirrors a rotation.
    rotations = params.rotations[..., MIRRORED_JOINTS, :, :] * signs[:, None] * signs
    return replace(
        params,
        global_orient=rotations[..., 0, :, :],
        body_pose=rotations[..., 1:, :, :],
        transl=place - pelvis,
    )


def rest_pelvis(body: Body, betas: Float[Tensor, "*batch betas"]) -> Float[Tensor, "*batch 3"]:
    """Where the pelvis of the T-pose lies in the body's own frame, metres: what `BodyParams.transl` is added to."""
    moved = torch.einsum("v,vcb->cb", body.joint_regressor[0], body.shapedirs)
    return body.joint_regressor[0] @ body.template + betas @ moved.mT


def turn_params(
    params: BodyParams, rotation: Float[Tensor, "*batch 3 3"], pelvis: Float[Tensor, "*batch 3"]
) -> BodyParams:
    """The same body in a frame turned by ``rotation`` about the camera's centre.

    Args:
        params: Pose, shape and place in the old frame.
        rotation: Old frame to new frame.
        pelvis: `rest_pelvis` of the same betas.
    """
    place = (rotation @ (pelvis + params.transl)[..., None])[..., 0]
    return replace(params, global_orient=rotation @ params.global_orient, transl=place - pelvis)
