"""Errors of whole meshes of many people, without ever holding more than a few of them.

What `evaluation.joints.pve` and `pve_t_sc` give for meshes at hand; skinning, comparing and averaging in one loop over
the vertices spares the meshes themselves, which is most of the time.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from fitloop.body import JOINT_NAMES, Body, BodyParams
from fitloop.body.model import forward_kinematics
from fitloop.evaluation.joints import MILLIMETRES

AT_ONCE = 8
"""People whose T-posed vertices are held at once: few enough for a processor's cache."""
SURFACE_METRICS = ("pve", "pve_t", "pve_t_sc")
_HIPS = [JOINT_NAMES.index("left_hip"), JOINT_NAMES.index("right_hip")]


class SkinnedSide(NamedTuple):
    """A few people of one body, as the compiled loop wants them; single precision."""

    rest: np.ndarray
    """(people, vertices, 3): the T-pose of each shape."""
    bent: np.ndarray
    """The same with SMPL's pose correctives; the same array where the body has none."""
    joints: np.ndarray
    """(vertices, most): joints that move each vertex, the strongest first."""
    weights: np.ndarray
    """(vertices, most): their skinning weights, 0 behind the last."""
    motions: np.ndarray
    """(people, joints, 12): rows of the rigid motion (3, 4) of each joint from the T-pose to the camera frame."""
    hips: np.ndarray
    """(people, 3): the middle of the hips of the T-pose."""


@dataclass(frozen=True)
class Surface:
    """The mesh of a body with its skinning weights as short lists; made once per body."""

    body: Body
    joints: np.ndarray
    weights: np.ndarray
    template: Float[Tensor, "elements"]
    shapedirs: Float[Tensor, "betas elements"]

    def sides(self, params: BodyParams, root: Float[Tensor, "people 3"]) -> Iterator[SkinnedSide]:
        """Prepare people, `AT_ONCE` at a time.

        Args:
            params: Of this body.
            root: Subtracted from the posed vertices; camera frame, metres.
        """
        rest_joints = self.body.rest_joints(params.betas)
        world, joints = forward_kinematics(params.rotations, rest_joints)
        place = joints + (params.transl - root)[:, None] - (world @ rest_joints[..., None])[..., 0]
        motions = torch.cat([world, place[..., None]], -1).flatten(-2).numpy()
        hips = rest_joints[:, _HIPS].mean(1).numpy()
        for start in range(0, len(root), AT_ONCE):
            rows = slice(start, start + AT_ONCE)
            rest = bent = torch.addmm(self.template, params.betas[rows], self.shapedirs).unflatten(-1, (-1, 3))
            if self.body.posedirs is not None:
                feature = (params.body_pose[rows] - torch.eye(3)).flatten(1)
                bent = rest + torch.einsum("vcp,np->nvc", self.body.posedirs, feature).contiguous()
            yield SkinnedSide(rest.numpy(), bent.numpy(), self.joints, self.weights, motions[rows], hips[rows])


def surface_of(body: Body) -> Surface:
    """List the joints that move each vertex of a body on the CPU, in single precision."""
    # SMPL has four joints per vertex; a dense matrix would multiply twenty zeros for each.
    most = int((body.lbs_weights > 0).sum(-1).max())
    weights, joints = body.lbs_weights.topk(most, dim=-1)
    directions = body.shapedirs.flatten(0, 1).mT.contiguous()
    return Surface(body, joints.to(torch.int32).numpy(), weights.numpy(), body.template.flatten(), directions)


def surface_errors(
    ours: tuple[Surface, BodyParams, Float[Tensor, "people 3"]],
    goal: tuple[Surface, BodyParams, Float[Tensor, "people 3"]],
) -> dict[str, Float[Tensor, "people"]]:
    """PVE about the root, PVE-T about the middle of the hips, and PVE-T-SC, in millimetres.

    Args:
        ours: Surface, parameters and root of the estimate.
        goal: Those of the truth, row by row, on the same mesh.
    """
    from fitloop.evaluation.kernels import compare_surfaces

    parts = []
    for side, target in zip(ours[0].sides(*ours[1:]), goal[0].sides(*goal[1:]), strict=True):
        parts.append(np.empty((len(side.rest), len(SURFACE_METRICS))))
        compare_surfaces(side, target, parts[-1])
    columns = torch.from_numpy(MILLIMETRES * np.concatenate(parts)).float().unbind(-1)
    return dict(zip(SURFACE_METRICS, columns, strict=True))
