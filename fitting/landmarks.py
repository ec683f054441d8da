"""The landmarks of many bodies and the Gauss-Newton rows they give, fast.

`body.KeypointKinematics` says what is computed and is the oracle in the tests; this says it in few large operations.
"""

from dataclasses import dataclass
from typing import NamedTuple

import torch
from jaxtyping import Float, Int
from torch import Tensor

from fitloop.body.params import NUM_JOINTS
from fitloop.fitting.coordinates import BETAS, ORIENT, TRANSL, TURNS, exponential, eye_and_crosses, wrap
from fitloop.geometry.rotations import skew


class Placed(NamedTuple):
    """Landmarks and what their derivatives are made of."""

    points: Float[Tensor, "batch 3 landmarks"]
    """Camera frame, metres."""
    centred: Float[Tensor, "batch 3 landmarks"]
    """The same from the root joint."""
    screws: Float[Tensor, "batch coordinates 6"]
    """What one unit of each free joint's coordinates does to space: rotation vector, and velocity at the root joint."""
    levers: Float[Tensor, "batch 3 split"]
    """From the joint to the part of the landmark that it turns, for the pairs that `LandmarkTables.split` lists."""
    turns: Float[Tensor, "batch split 3 3"]
    """Rotation vector per unit of the coordinates, for the same pairs."""
    by_betas: Float[Tensor, "batch 3 betas landmarks"] | None
    """None where the shape is not free."""
    by_correctives: Float[Tensor, "batch landmarks 3 coordinates"] | None
    """What pose-dependent offsets add per coordinate of the free joints; None for bodies without."""


class Split(NamedTuple):
    """Pairs of a landmark and a free joint that turns only a share of it, because skinning blends it with others."""

    landmark: Int[Tensor, "split"]
    joint: Int[Tensor, "split"]
    """Position among the free joints."""


@dataclass(frozen=True)
class LandmarkTables:
    """Constants of one body, one set of landmarks and one set of free joints, see `make_tables`.

    A *part* is a vector that one joint's rotation carries along: the bone to a child, or a landmark's share of that
    joint. Joints, landmarks and levers are fixed sums of parts.
    """

    free: tuple[int, ...]
    """Joints that may turn, in SMPL's order; the root first where it is among them."""
    transl: bool
    """Whether the translation is free too."""
    betas: bool
    """Whether the shape is free too."""
    carrier: Int[Tensor, "parts"]
    """The joint whose rotation carries each part."""
    base: Float[Tensor, "offsets"]
    """The root's rest position, then every part in the T-pose; metres."""
    dirs: Float[Tensor, "betas offsets"]
    combine: Float[Tensor, "parts combined"]
    """From parts to landmarks, positions of the free joints, and levers of the split pairs; all from the root joint."""
    moved: Float[Tensor, "coordinates landmarks"]
    """1 where the joint of a coordinate turns the whole landmark or a share of it."""
    split: Split
    shape_moment: Float[Tensor, "moments shaped"]
    """From the joints' rotations to the landmarks' derivatives by shape."""
    root_dirs: Float[Tensor, "3 betas 1"]
    levels: tuple[tuple[Tensor, Tensor], ...]
    """Joints of each level of the tree below the root, and where their parents lie in the level above."""
    order: Int[Tensor, "joints"]
    """Where each joint lies in the levels laid end to end."""
    free_index: Int[Tensor, "turned"]
    correctives: "Correctives | None"


@dataclass(frozen=True)
class Correctives:
    """SMPL's pose-dependent offsets of the parts that have any."""

    parts: Int[Tensor, "corrected"]
    table: Float[Tensor, "features components"]
    """From the elements of (R - I) of the 23 joints to the offsets of these parts, metres."""
    gather: Float[Tensor, "landmarks corrected"]
    root: bool
    """Whether the root is among the free joints."""


class _Posed(NamedTuple):
    """Where everything that the tables combine lies, before any derivative."""

    local: Float[Tensor, "batch joints 3 3"]
    jacobians: Float[Tensor, "batch joints 3 3"]
    world: Float[Tensor, "batch joints 3 3"]
    carried: Float[Tensor, "batch parts 3 3"]
    root: Float[Tensor, "batch 3"]
    combined: Float[Tensor, "batch 3 combined"]


def _pose(tables: LandmarkTables, state: Tensor) -> _Posed:
    batch = len(state)
    local, jacobians = exponential(state[:, :TURNS].view(batch, NUM_JOINTS, 3))
    local[:, 0] = state[:, ORIENT].view(batch, 3, 3)
    world = _chain(tables, local)
    offsets = torch.addmm(tables.base, state[:, BETAS], tables.dirs).view(batch, -1, 3)
    root = offsets[:, 0] + state[:, TRANSL]
    offsets = offsets[:, 1:]
    if tables.correctives is not None:
        offsets = _corrected(tables.correctives, offsets, local)
    carried = world.index_select(1, tables.carrier)
    parts = (carried * offsets[:, :, None]).sum(-1)
    combined = (parts.mT.reshape(batch * 3, -1) @ tables.combine).view(batch, 3, -1)
    return _Posed(local, jacobians, world, carried, root, combined)


def place_points(tables: LandmarkTables, state: Float[Tensor, "batch numbers"]) -> Float[Tensor, "batch 3 landmarks"]:
    """`place` without the derivatives: camera frame, metres."""
    posed = _pose(tables, state)
    return posed.combined[:, :, : tables.moved.shape[1]] + posed.root[:, :, None]


def place(tables: LandmarkTables, state: Float[Tensor, "batch numbers"]) -> Placed:
    """Place the landmarks of packed bodies (see `pack`) and prepare their derivatives."""
    batch = len(state)
    local, jacobians, world, carried, root, combined = _pose(tables, state)
    landmarks, joints = tables.moved.shape[1], len(tables.free)
    centred, positions, levers = combined.split((landmarks, joints, len(tables.split.joint)), dim=2)
    points = centred + root[:, :, None]
    turns = world.index_select(1, tables.free_index) @ jacobians.index_select(1, tables.free_index)
    by_betas = by_correctives = None
    if tables.betas:
        moments = world.permute(0, 2, 1, 3).reshape(batch * 3, -1) @ tables.shape_moment
        by_betas = moments.view(batch, 3, tables.dirs.shape[0], -1) + tables.root_dirs
    if tables.correctives is not None:
        by_correctives = _by_correctives(tables.correctives, carried, local, jacobians, tables.free_index)
    split_turns = turns.index_select(1, tables.split.joint)
    return Placed(points, centred, _screws(turns, positions), levers, split_turns, by_betas, by_correctives)


def _screws(turns: Tensor, positions: Tensor) -> Tensor:
    """Rotations about joints as rotations about the root with a velocity: (w, p x w) for each column w."""
    _, crosses = eye_and_crosses(turns.dtype, turns.device)
    crosses = -(positions.mT @ crosses).unflatten(-1, (3, 3))
    return torch.cat([turns.mT, turns.mT @ crosses], dim=-1).flatten(1, 2)


def _chain(tables: LandmarkTables, local: Tensor) -> Tensor:
    """Rotations of all joints in the camera frame, one level of the tree at a time, in SMPL's order."""
    level = local[:, :1]
    found = [level]
    for joints, parents in tables.levels:
        level = level.index_select(1, parents) @ local.index_select(1, joints)
        found.append(level)
    return torch.cat(found, dim=1).index_select(1, tables.order)


def _corrected(correctives: Correctives, offsets: Tensor, local: Tensor) -> Tensor:
    eye = torch.eye(3, dtype=local.dtype, device=local.device)
    extra = (local[:, 1:] - eye).flatten(1) @ correctives.table
    return offsets.index_add(1, correctives.parts, extra.view(len(offsets), -1, 3))


def _by_correctives(
    correctives: Correctives, carried: Tensor, local: Tensor, jacobians: Tensor, free: Tensor
) -> Tensor:
    """Through ``dR = R skew(J d)`` to the offsets, by the carrier's rotation to the camera, summed per landmark."""
    eye = torch.eye(3, dtype=local.dtype, device=local.device)
    joints = free[int(correctives.root) :]
    turned, jacobian = local.index_select(1, joints), jacobians.index_select(1, joints)
    by_element = torch.einsum("bjac,bjex,ecd->bjxad", turned, jacobian, skew(eye))
    table = correctives.table.view(-1, 3, 3, correctives.gather.shape[1], 3).index_select(0, joints - 1)
    by_part = torch.einsum("jadpq,bjxad->bpqjx", table, by_element)
    world = carried.index_select(1, correctives.parts)
    by_landmark = torch.einsum("kp,bpcq,bpqjx->bkcjx", correctives.gather, world, by_part).flatten(3)
    blank = by_landmark.new_zeros(*by_landmark.shape[:3], 3 * int(correctives.root))
    return torch.cat([blank, by_landmark], dim=-1)


def pull(
    tables: LandmarkTables, placed: Placed, covectors: Float[Tensor, "batch 3 rows landmarks"]
) -> Float[Tensor, "batch unknowns lines"]:
    """Derivatives of ``covector . landmark``, transposed: one line per row and landmark.

    A joint turns everything below it rigidly, so the derivative of nearly every pair is the product of the joint's
    screw with a force at the landmark; the few landmarks that skinning splits get theirs from their own levers.
    Unknowns are ordered: coordinates of the free joints, translation, betas.
    """
    batch, _, rows, count = covectors.shape
    blocks = []
    if tables.free:
        wrench = torch.cat([_cross(placed.centred[:, :, None], covectors), covectors], dim=1)
        by_turn = (placed.screws @ wrench.flatten(2)).view(batch, -1, rows, count).mul_(tables.moved[:, None])
        if len(tables.split.joint):
            by_turn.view(batch, len(tables.free), 3, rows, count).permute(1, 4, 0, 3, 2)[
                tables.split.joint, tables.split.landmark
            ] = _split_lines(tables, placed, covectors)
        if placed.by_correctives is not None:
            by_turn += torch.einsum("bkcu,bcrk->burk", placed.by_correctives, covectors)
        blocks.append(by_turn.flatten(2))
    if tables.transl:
        blocks.append(covectors.reshape(batch, 3, -1))
    if placed.by_betas is not None:
        x, y, z = placed.by_betas[:, :, :, None].unbind(1)
        p, q, r = covectors[:, :, None].unbind(1)
        blocks.append((x * p).addcmul_(y, q).addcmul_(z, r).flatten(2))
    return torch.cat(blocks, dim=1)


def _split_lines(tables: LandmarkTables, placed: Placed, covectors: Tensor) -> Tensor:
    """Derivatives of the split pairs, (split, batch, rows, 3)."""
    forces = covectors.index_select(3, tables.split.landmark)
    torques = _cross(placed.levers[:, :, None], forces)
    return (torques.permute(0, 3, 2, 1) @ placed.turns).transpose(0, 1)


def _cross(first: Tensor, second: Tensor) -> Tensor:
    """Cross product along axis 1."""
    x, y, z = first.unbind(1)
    p, q, r = second.unbind(1)
    return torch.stack([y * r - z * q, z * p - x * r, x * q - y * p], dim=1)


def move(
    tables: LandmarkTables, state: Float[Tensor, "batch numbers"], step: Float[Tensor, "batch unknowns"]
) -> Float[Tensor, "batch numbers"]:
    """Apply a step in the coordinates of `pull` to packed bodies; angles stay within pi."""
    moved = state.clone()
    done = 3 * len(tables.free)
    if tables.free:
        vectors = moved[:, :TURNS].view(-1, NUM_JOINTS, 3)
        vectors.index_add_(1, tables.free_index, step[:, :done].view(-1, len(tables.free), 3))
        if tables.free[0] == 0:
            turn, _ = exponential(vectors[:, 0])
            moved[:, ORIENT] = (state[:, ORIENT].view(-1, 3, 3) @ turn).flatten(1)
            vectors[:, 0] = 0.0
        moved[:, :TURNS] = wrap(vectors).flatten(1)
    if tables.transl:
        moved[:, TRANSL].add_(step[:, done : done + 3])
        done += 3
    if tables.betas:
        moved[:, BETAS].add_(step[:, done:])
    return moved
