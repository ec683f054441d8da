"""Limbs do not run into one another: overlapping capsules, after Bogo et al. 2016, section 3.2.

SMPLify approximates capsules by spheres with Gaussians; here the overlap of two capsules is exact: the sum of their
radii less the distance of their axes. Where it is positive it is a residual in metres.
"""

from dataclasses import dataclass
from typing import NamedTuple

import torch
from jaxtyping import Float, Int
from torch import Tensor

from fitloop.body import Body
from fitloop.body.capsules import Capsules, fit_capsules
from fitloop.fitting.coordinates import BETAS
from fitloop.fitting.landmark_tables import Moments, ancestry, make_tables
from fitloop.fitting.landmarks import LandmarkTables, place, pull


@dataclass(frozen=True)
class CapsuleTables:
    """Constants of the term for one body and one set of free joints."""

    landmarks: LandmarkTables
    """Both ends of each capsule, one after the other."""
    radius: Float[Tensor, "capsules"]
    radius_dirs: Float[Tensor, "betas capsules"]
    pairs: Int[Tensor, "pairs 2"]


class Overlap(NamedTuple):
    """How deep each pair overlaps, and where."""

    depth: Float[Tensor, "batch pairs"]
    """Metres; 0 where the pair is apart."""
    normal: Float[Tensor, "batch 3 pairs"]
    """Unit vector from the second axis to the first."""
    along: tuple[Float[Tensor, "batch pairs"], Float[Tensor, "batch pairs"]]
    """Where on each axis the nearest points lie, 0 to 1."""


def make_capsule_tables(body: Body, free: tuple[int, ...], transl: bool, betas: bool) -> CapsuleTables:
    """Fit capsules to a body and gather the constants; arguments as in `make_tables`."""
    capsules = fit_capsules(body.template, body.shapedirs, body.joint_regressor, body.lbs_weights)
    tables = make_tables(_end_moments(body, capsules), free, transl, betas)
    return CapsuleTables(tables, capsules.radius, capsules.radius_dirs.mT.contiguous(), capsules.pairs)


def _end_moments(body: Body, capsules: Capsules) -> Moments:
    """The ends as landmarks that one joint carries each."""
    template = body.joint_regressor @ body.template
    dirs = torch.einsum("jv,vcb->jcb", body.joint_regressor, body.shapedirs)
    joint = capsules.joint.repeat_interleave(2)
    count = len(joint)
    like = template
    number = torch.arange(count, device=like.device)
    gather = torch.eye(count, dtype=like.dtype, device=like.device)
    moved = ancestry(like)[joint]
    return Moments(
        joint_template=template,
        joint_dirs=dirs,
        pair_landmark=number,
        pair_joint=joint,
        pair_mass=torch.ones(count, dtype=like.dtype, device=like.device),
        pair_point=capsules.ends.flatten(0, 1) + template[joint],
        pair_dirs=capsules.ends_dirs.flatten(0, 1) + dirs[joint],
        pair_correctives=None,
        gather=gather,
        moved_by=moved,
        subtree_mass=moved,
    )


def overlap(
    ends: Float[Tensor, "batch 3 ends"], radius: Float[Tensor, "batch capsules"], pairs: Int[Tensor, "pairs 2"]
) -> Overlap:
    """Overlap of pairs of capsules.

    Args:
        ends: Both ends of each capsule, one after the other, metres.
        radius: Metres.
        pairs: Which capsules to compare.
    """
    first, second = pairs.unbind(1)
    starts, axes = ends[:, :, 0::2], ends[:, :, 1::2] - ends[:, :, 0::2]
    p, u = starts.index_select(2, first), axes.index_select(2, first)
    q, v = starts.index_select(2, second), axes.index_select(2, second)
    gap = p - q
    uu, vv, uv = (u * u).sum(1).clamp_min(1e-9), (v * v).sum(1).clamp_min(1e-9), (u * v).sum(1)
    ug, vg = (u * gap).sum(1), (v * gap).sum(1)
    # Nearest points of two segments: the free solution, then each parameter clamped and the other solved again.
    parallel = (uu * vv - uv * uv).clamp_min(1e-6 * uu * vv)
    s = ((uv * vg - vv * ug) / parallel).clamp(0.0, 1.0)
    t = ((uv * s + vg) / vv).clamp(0.0, 1.0)
    s = ((uv * t - ug) / uu).clamp(0.0, 1.0)
    offset = gap + s[:, None] * u - t[:, None] * v
    distance = offset.norm(dim=1).clamp_min(1e-6)
    reach = radius.index_select(1, first) + radius.index_select(1, second)
    return Overlap((reach - distance).clamp_min(0.0), offset / distance[:, None], (s, t))


def interpenetration(tables: CapsuleTables, state: Float[Tensor, "batch numbers"]) -> Float[Tensor, "batch"]:
    """Sum of squared overlaps, square metres."""
    radius = tables.radius + state[:, BETAS] @ tables.radius_dirs
    return overlap(place(tables.landmarks, state).points, radius, tables.pairs).depth.square().sum(-1)


def interpenetration_lines(
    tables: CapsuleTables, state: Float[Tensor, "batch numbers"]
) -> tuple[Float[Tensor, "batch pairs"], Float[Tensor, "batch unknowns pairs"]]:
    """Overlaps, metres, and their derivatives.

    The nearest points may be held still while differentiating: where they are free they minimise the distance, and
    where they are not they sit at an end.
    """
    placed = place(tables.landmarks, state)
    radius = tables.radius + state[:, BETAS] @ tables.radius_dirs
    found = overlap(placed.points, radius, tables.pairs)
    batch, _, ends = placed.points.shape
    axes = torch.eye(3, dtype=state.dtype, device=state.device)[None, :, :, None].expand(batch, 3, 3, ends)
    by_ends = pull(tables.landmarks, placed, axes)
    touching = (found.depth > 0).to(state.dtype)
    push = state.new_zeros(batch, 3, ends, len(tables.pairs))
    column = torch.arange(len(tables.pairs), device=state.device)
    for side, (where, sign) in enumerate(zip(found.along, (-1.0, 1.0), strict=True)):
        start = 2 * tables.pairs[:, side]
        share = sign * touching[:, None] * found.normal
        push[:, :, start, column] = share * (1.0 - where)[:, None]
        push[:, :, start + 1, column] = share * where[:, None]
    lines = by_ends @ push.flatten(1, 2)
    if tables.landmarks.betas:
        swell = tables.radius_dirs[:, tables.pairs].sum(-1)
        lines[:, -len(swell) :] += touching[:, None] * swell
    return found.depth, lines
