"""Pose, shape and place of bodies."""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from fitloop.geometry.records import TensorRecord

NUM_BETAS = 10
JOINT_NAMES = (
    *("pelvis", "left_hip", "right_hip", "spine1", "left_knee", "right_knee", "spine2", "left_ankle"),
    *("right_ankle", "spine3", "left_foot", "right_foot", "neck", "left_collar", "right_collar", "head"),
    *("left_shoulder", "right_shoulder", "left_elbow", "right_elbow", "left_wrist", "right_wrist"),
    *("left_hand", "right_hand"),
)
"""SMPL's 24 joints in SMPL's order."""
JOINT_PARENTS = (-1, 0, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 9, 9, 12, 13, 14, 16, 17, 18, 19, 20, 21)
NUM_JOINTS = len(JOINT_NAMES)


@dataclass(frozen=True)
class BodyParams(TensorRecord):
    """Pose, shape and place of a body in the camera frame.

    still = fitloop.body.upright(2)  # two people in T-pose, facing the camera
    params = fitloop.BodyParams(still.global_orient, still.body_pose, betas, transl)
    fitloop.load_body()(params).vertices  # (2, vertices, 3), metres
    """

    global_orient: Float[Tensor, "*batch 3 3"]
    """Root to camera. The body's own frame has y up, the camera's y down: a person standing upright and facing
    the camera has a rotation by pi about x."""
    body_pose: Float[Tensor, "*batch joints 3 3"]
    """Each joint relative to its parent, ordered as `JOINT_NAMES[1:]`."""
    betas: Float[Tensor, "*batch betas"]
    """Shape coefficients, standard deviations of the body's shape space."""
    transl: Float[Tensor, "*batch 3"]
    """Added to the posed body, metres, as in ``smplx``: the pelvis lies at its rest position plus ``transl``."""

    @property
    def rotations(self) -> Float[Tensor, "*batch all_joints 3 3"]:
        """Root orientation and body pose in one tensor, ordered as `JOINT_NAMES`."""
        return torch.cat([self.global_orient[..., None, :, :], self.body_pose], dim=-3)


def upright(*batch: int, dtype: torch.dtype = torch.float32, device: torch.device | str = "cpu") -> BodyParams:
    """T-pose of the mean shape, upright and facing the camera, at the camera's origin.

    Args:
        *batch: Leading axes.
        dtype: Floating type of every tensor.
        device: Where to put them.
    """
    eye = torch.eye(3, dtype=dtype, device=device)
    facing = torch.diag(torch.tensor([1.0, -1.0, -1.0], dtype=dtype, device=device))
    return BodyParams(
        facing.expand(*batch, 3, 3).clone(),
        eye.expand(*batch, NUM_JOINTS - 1, 3, 3).clone(),
        torch.zeros(*batch, NUM_BETAS, dtype=dtype, device=device),
        torch.zeros(*batch, 3, dtype=dtype, device=device),
    )
