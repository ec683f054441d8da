"""The landmarks of many bodies and the Gauss-Newton rows they give, fast.

`body.KeypointKinematics` says what is computed and is the oracle in the tests; this says it in few large operations.
Body joints move in the chart of axis-angle vectors (``R(v + d)``), because pose priors are quadratic in them; the root
moves in its tangent space (``R exp(d)``). Both are local coordinates of the same rotations.
"""

from dataclasses import dataclass
from math import pi
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from body import BodyParams, KeypointKinematics
from body.params import JOINT_PARENTS, NUM_JOINTS
from geometry.rotations import rotmat_to_rotvec, skew

POSE = 3 * (NUM_JOINTS - 1)
"""Axis-angle values of the body pose."""


def pack(params: BodyParams) -> Float[Tensor, "*batch numbers"]:
    """One row of numbers per body: root rotation (9), axis-angle pose (69), translation (3), betas."""
    pose = rotmat_to_rotvec(params.body_pose).flatten(-2)
    return torch.cat([params.global_orient.flatten(-2), pose, params.transl, params.betas], dim=-1)


def unpack(state: Float[Tensor, "*batch numbers"]) -> BodyParams:
    """Inverse of `pack`."""
    rotations, _ = exponential(state[..., 9 : 9 + POSE].unflatten(-1, (NUM_JOINTS - 1, 3)))
    return BodyParams(state[..., :9].unflatten(-1, (3, 3)), rotations, state[..., 12 + POSE :], _transl(state))


def _transl(state: Tensor) -> Tensor:
    return state[..., 9 + POSE : 12 + POSE]


def exponential(rotvec: Tensor) -> tuple[Tensor, Tensor]:
    """Rotations of axis-angle vectors, and their right Jacobians: ``R(v + d) = R(v) exp(J d)`` to first order."""
    angle_sq = rotvec.square().sum(-1)[..., None, None]
    small = angle_sq < 1e-4
    safe = torch.where(small, 1.0, angle_sq)
    angle = safe.sqrt()
    sine = torch.where(small, 1.0 - angle_sq / 6.0, angle.sin() / angle)
    cosine = torch.where(small, 0.5 - angle_sq / 24.0, (1.0 - angle.cos()) / safe)
    cubic = torch.where(small, 1.0 / 6.0 - angle_sq / 120.0, (1.0 - angle.sin() / angle) / safe)
    cross = skew(rotvec)
    square = cross @ cross
    eye = torch.eye(3, dtype=rotvec.dtype, device=rotvec.device)
    return eye + sine * cross + cosine * square, eye - cosine * cross + cubic * square


def wrap(rotvec: Float[Tensor, "*batch 3"]) -> Float[Tensor, "*batch 3"]:
    """The axis-angle vector of the same rotation with an angle of at most pi."""
    angle = rotvec.norm(dim=-1, keepdim=True).clamp_min(1e-12)
    return torch.where(angle > pi, rotvec * (1.0 - 2.0 * pi * torch.round(angle / (2.0 * pi)) / angle), rotvec)


class Placed(NamedTuple):
    """Landmarks and what their derivatives are made of."""

    points: Float[Tensor, "batch 3 landmarks"]
    """Camera frame, metres."""
    levers: Float[Tensor, "batch 3 turned landmarks"]
    """From each free joint to the part of each landmark that it turns."""
    turns: Float[Tensor, "batch turned 3 3"]
    """Rotation vector in the camera frame per unit of each free joint's coordinates."""
    by_betas: Float[Tensor, "batch 3 betas landmarks"]


@dataclass(frozen=True)
class LandmarkTables:
    """Constants of one body, one set of landmarks and one set of free joints, see `make_tables`."""

    free: tuple[int, ...]
    """Joints that may turn, in SMPL's order; the root first where it is among them."""
    base: Float[Tensor, "offsets"]
    dirs: Float[Tensor, "betas offsets"]
    pair_joint: Tensor
    pair_mass: Float[Tensor, "pairs"]
    combine: Float[Tensor, "parts combined"]
    shape_moment: Float[Tensor, "moments shaped"]
    root_dirs: Float[Tensor, "3 betas 1"]
    levels: tuple[tuple[Tensor, Tensor], ...]
    order: Tensor
    free_index: Tensor
    transl: bool
    """Whether the translation is free too."""
    betas: bool
    """Whether the shape is free too."""


def make_tables(
    kinematics: KeypointKinematics, free: tuple[int, ...], transl: bool = True, betas: bool = True
) -> LandmarkTables:
    """Gather the constants.

    Args:
        kinematics: Which landmarks of which body.
        free: Joints that may turn.
        transl: Whether the body may move.
        betas: Whether its shape may change.
    """
    device, dtype = kinematics.joint_template.device, kinematics.joint_template.dtype
    parents = torch.tensor((0, *JOINT_PARENTS[1:]), device=device)
    root = torch.arange(NUM_JOINTS, device=device) == 0
    template, shape = kinematics.joint_template, kinematics.joint_dirs
    bones = torch.where(root[:, None], template, template - template[parents])
    bone_dirs = torch.where(root[:, None, None], shape, shape - shape[parents])
    mass, joint = kinematics.pair_mass, kinematics.pair_joint
    local = kinematics.pair_point - mass[:, None] * template[joint]
    local_dirs = kinematics.pair_dirs - mass[:, None, None] * shape[joint]
    columns = torch.tensor(free, dtype=torch.long, device=device)
    turned = torch.einsum("kp,pi->ikp", kinematics.gather, kinematics.moved_by)[columns]
    about = torch.zeros(len(free), kinematics.gather.shape[0], NUM_JOINTS, dtype=dtype, device=device)
    about[torch.arange(len(free)), :, columns] = -kinematics.subtree_mass.mT[columns]
    place = torch.cat([kinematics.gather, torch.zeros_like(about[0] if len(free) else kinematics.subtree_mass)], -1)
    combine = torch.cat([place[None], torch.cat([turned, about], dim=-1)]).flatten(0, 1)
    depth = _depths()
    order = sorted(range(NUM_JOINTS), key=lambda j: (depth[j], j))
    return LandmarkTables(
        free,
        torch.cat([bones, local]).flatten(),
        torch.cat([bone_dirs, local_dirs]).flatten(0, 1).mT.contiguous(),
        joint,
        mass,
        combine.mT.contiguous(),
        _shape_moments(kinematics, bone_dirs, local_dirs),
        bone_dirs[0][..., None],
        tuple(_level(depth, order, level, device) for level in range(1, max(depth) + 1)),
        torch.tensor([order.index(j) for j in range(NUM_JOINTS)], device=device),
        columns,
        transl,
        betas,
    )


def _depths() -> list[int]:
    depth = [0]
    for parent in JOINT_PARENTS[1:]:
        depth.append(depth[parent] + 1)
    return depth


def _level(depth: list[int], order: list[int], level: int, device: torch.device) -> tuple[Tensor, Tensor]:
    """Joints of one level of the tree, and where their parents lie in the level above."""
    above = [joint for joint in order if depth[joint] == level - 1]
    joints = [joint for joint in order if depth[joint] == level]
    places = [above.index(JOINT_PARENTS[joint]) for joint in joints]
    return torch.tensor(joints, device=device), torch.tensor(places, device=device)


def _shape_moments(kinematics: KeypointKinematics, bone_dirs: Tensor, local_dirs: Tensor) -> Tensor:
    """Derivative of the landmarks by betas as a linear function of the joints' rotations, (72, betas * landmarks)."""
    landmarks, betas = kinematics.gather.shape[0], bone_dirs.shape[-1]
    moments = torch.zeros(NUM_JOINTS, 3, betas, landmarks, dtype=bone_dirs.dtype, device=bone_dirs.device)
    for pair, (landmark, joint) in enumerate(
        zip(kinematics.pair_landmark.tolist(), kinematics.pair_joint.tolist(), strict=True)
    ):
        moments[joint, :, :, landmark] += local_dirs[pair]
        while joint > 0:
            # A bone is turned by the rotation of the joint above it; the root's own offset is not turned at all.
            moments[JOINT_PARENTS[joint], :, :, landmark] += kinematics.pair_mass[pair] * bone_dirs[joint]
            joint = JOINT_PARENTS[joint]
    return moments.flatten(2).flatten(0, 1)


def place(tables: LandmarkTables, state: Float[Tensor, "batch numbers"]) -> Placed:
    """Place the landmarks of packed bodies and prepare their derivatives."""
    batch = len(state)
    turns, jacobians = exponential(state[:, 9 : 9 + POSE].unflatten(-1, (NUM_JOINTS - 1, 3)))
    betas = state[:, 12 + POSE :]
    offsets = torch.addmm(tables.base, betas, tables.dirs).view(batch, -1, 3)
    local = state.new_zeros(batch, NUM_JOINTS, 4, 4)
    local[:, 0, :3, :3] = state[:, :9].view(batch, 3, 3)
    local[:, 1:, :3, :3] = turns
    local[:, :, :3, 3] = offsets[:, :NUM_JOINTS]
    local[:, 0, :3, 3] += _transl(state)
    local[:, :, 3, 3] = 1.0
    world = _chain(tables, local)
    joints = world[:, :, :3, 3]
    rotations = world[:, :, :3, :3]
    pairs = world[:, tables.pair_joint, :3]
    shares = (pairs[..., :3] * offsets[:, NUM_JOINTS:, None]).sum(-1) + tables.pair_mass[:, None] * pairs[..., 3]
    parts = torch.cat([shares, joints], dim=1).mT
    placed = (parts.reshape(batch * 3, -1) @ tables.combine).view(batch, 3, len(tables.free) + 1, -1)
    turned = rotations[:, tables.free_index]
    if tables.free and tables.free[0] == 0:
        turned = torch.cat([turned[:, :1], turned[:, 1:] @ jacobians[:, tables.free_index[1:] - 1]], dim=1)
    else:
        turned = turned @ jacobians[:, tables.free_index - 1]
    moments = rotations.permute(0, 2, 1, 3).reshape(batch * 3, -1) @ tables.shape_moment
    by_betas = moments.view(batch, 3, betas.shape[-1], -1) + tables.root_dirs
    return Placed(placed[:, :, 0], placed[:, :, 1:], turned, by_betas)


def _chain(tables: LandmarkTables, local: Tensor) -> Tensor:
    """Transforms of all joints, one level of the tree at a time, in SMPL's order."""
    level = local[:, :1]
    found = [level]
    for joints, parents in tables.levels:
        level = level[:, parents] @ local[:, joints]
        found.append(level)
    return torch.cat(found, dim=1)[:, tables.order]


def pull(
    tables: LandmarkTables, placed: Placed, covectors: Float[Tensor, "batch 3 rows landmarks"]
) -> Float[Tensor, "batch unknowns lines"]:
    """Derivatives of ``covector . landmark``, transposed: one line per row and landmark.

    Unknowns are ordered: coordinates of the free joints, translation, betas.
    """
    batch, _, rows, count = covectors.shape
    torque = torch.linalg.cross(placed.levers[:, :, :, None], covectors[:, :, None], dim=1)
    by_turn = placed.turns.mT @ torque.permute(0, 2, 1, 3, 4).reshape(batch, -1, 3, rows * count)
    blocks = [by_turn.flatten(1, 2)]
    if tables.transl:
        blocks.append(covectors.reshape(batch, 3, -1))
    if tables.betas:
        blocks.append((placed.by_betas[:, :, :, None] * covectors[:, :, None]).sum(1).flatten(2))
    return torch.cat(blocks, dim=1)


def move(
    tables: LandmarkTables, state: Float[Tensor, "batch numbers"], step: Float[Tensor, "batch unknowns"]
) -> Tensor:
    """Apply a step in the coordinates of `pull` to packed bodies; angles stay within pi."""
    turned = state.clone()
    done = 0
    if tables.free and tables.free[0] == 0:
        turn, _ = exponential(step[:, :3])
        turned[:, :9] = (state[:, :9].view(-1, 3, 3) @ turn).flatten(1)
        done = 3
    joints = len(tables.free) - done // 3
    if joints:
        pose = state[:, 9 : 9 + POSE].view(-1, NUM_JOINTS - 1, 3)
        columns = tables.free_index[done // 3 :] - 1
        moved = wrap(pose[:, columns] + step[:, done : done + 3 * joints].view(-1, joints, 3))
        turned[:, 9 : 9 + POSE] = pose.index_copy(1, columns, moved).flatten(1)
    done += 3 * joints
    if tables.transl:
        turned[:, 9 + POSE : 12 + POSE] += step[:, done : done + 3]
        done += 3
    if tables.betas:
        turned[:, 12 + POSE :] += step[:, done:]
    return turned
