"""Offsets of vertices from the body, for hair and clothes (SMPL+D): what a silhouette says that no pose can explain.

Alldieck et al. 2018 fit v = W(T(betas) + D, pose) to silhouettes of a turning person; here one photo speaks of one
outline, and the Laplacian of the body's surface (docs/refinement.md) says the rest.
"""

from dataclasses import dataclass
from enum import IntEnum

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from fitloop.body import Body, BodyEstimate, BodyParams, SurfaceEvidence
from fitloop.body.model import forward_kinematics
from fitloop.geometry import TensorRecord
from fitloop.refinement.crops import crop_camera, crops_to_look_at, cut_silhouettes
from fitloop.refinement.evidence import inside_photo
from fitloop.refinement.gate import overlap
from fitloop.refinement.look import MIN_COVER, Photo
from fitloop.refinement.offset_fit import PICTURE, OffsetConfig, OffsetProblem, dense_rows, outline_rows, solve
from fitloop.refinement.offset_space import OffsetSpace, offset_space
from fitloop.rendering import Rasterizer

_MARGIN = 1.35
"""Side of that picture over the longer side of the body's visible box: hair and skirts stand out."""


class OffsetReason(IntEnum):
    """Why offsets were taken or not."""

    BETTER = 0
    """Taken."""
    NOT_SEEN = 1
    """The body lies outside the photo, behind the camera, or covers too few pixels."""
    NO_SILHOUETTE = 2
    """The detector gave none, or it is empty there."""
    ANOTHER_SHAPE = 3
    """Body and silhouette overlap too little to be the same person in the same pose."""
    TOO_LITTLE = 4
    """Too little of the body's outline has one of the silhouette near it."""
    NO_GAIN = 5
    """The overlap does not improve enough."""
    ABSURD = 6
    """Most of the surface would be far off the body."""


@dataclass(frozen=True)
class Offsets(TensorRecord):
    """What covers each body beside its skin; 0 where nothing is known or the result was not taken."""

    rest: Float[Tensor, "people vertices 3"]
    """Metres in the rest pose, added to the shaped template before posing: v = W(T + D)."""
    reason: Int[Tensor, "people"]
    """Codes of `OffsetReason`."""
    overlap_before: Float[Tensor, "people"]
    """Intersection over union of the bare body and the silhouette; NaN where there is none."""
    overlap_after: Float[Tensor, "people"]
    """The same for the clothed body, taken or not."""
    outline: Float[Tensor, "people"]
    """Share of the body's outline that was found in the silhouette."""

    @property
    def accepted(self) -> Bool[Tensor, "people"]:
        """Whose offsets were taken."""
        return self.reason == int(OffsetReason.BETTER)


def no_offsets(body: Body, people: int, reason: OffsetReason) -> Offsets:
    """Nothing was found for anybody."""
    unknown = body.template.new_full((people,), torch.nan)
    rest = body.template.new_zeros(people, len(body.template), 3)
    reasons = torch.full((people,), int(reason), device=rest.device)
    return Offsets(rest, reasons, unknown, unknown.clone(), torch.zeros_like(unknown))


def pose_offsets(
    body: Body, params: BodyParams, rest: Float[Tensor, "*batch vertices 3"]
) -> Float[Tensor, "*batch vertices 3"]:
    """Turn offsets of the rest pose into the camera frame by the blended skinning rotations (Loper et al. 2015, eq. 2).

    ``body(params).vertices + pose_offsets(body, params, rest)`` is the clothed body in any pose.

    Args:
        body: The body model.
        params: The pose.
        rest: Metres.
    """
    return (_turns(body, params) @ rest[..., None])[..., 0]


def _turns(body: Body, params: BodyParams) -> Float[Tensor, "*batch vertices 3 3"]:
    world, _ = forward_kinematics(params.rotations, body.rest_joints(params.betas))
    return (body.lbs_weights @ world.flatten(-2)).unflatten(-1, (3, 3))


def find_offsets(
    body: Body,
    photo: Photo,
    estimate: BodyEstimate,
    rasterizer: Rasterizer,
    surface: SurfaceEvidence | None = None,
    config: OffsetConfig = OffsetConfig(),
) -> Offsets:
    """Move vertices along their normals until the body's outline is the silhouette's, as smoothly as possible.

    Minimises, per person, the sum over points of the outline of (length) * rho(n . D - distance) plus smoothing^3 times
    the integral of (Laplacian of D)^2 and of D^2 / REACH^4 over the surface; rho is Geman-McClure. What no outline
    speaks of follows its surroundings and falls back to the body within `REACH`; hands and face stay.

    Args:
        body: The body model.
        photo: Its size, and the silhouettes.
        estimate: One posed body per person, full-image camera.
        rasterizer: Any back end.
        surface: Where points of the surface were seen, from `gather_evidence`; counts only with ``config.dense``.
        config: Weights and gate.

    Returns:
        Offsets of the rest pose; zero with a reason where there is no silhouette, it is another shape, or nothing
        is gained.

    Raises:
        ValueError: If the number of silhouettes is not the number of bodies.
    """
    people, grids = len(estimate.params.betas), photo.silhouettes
    if grids is None or photo.silhouette_boxes is None:
        return no_offsets(body, people, OffsetReason.NO_SILHOUETTE)
    if len(grids) != people:
        raise ValueError(f"There are {people} bodies but {len(grids)} silhouettes; give one per body.")
    if people == 0:
        return no_offsets(body, 0, OffsetReason.NO_SILHOUETTE)
    problem = _pose_problem(body, (grids, photo.silhouette_boxes, photo.size), estimate, rasterizer)
    field = torch.zeros_like(problem.vertices[..., 0])
    drawn = problem.draw(field)
    before = drawn.covered & problem.inside
    share = torch.zeros_like(field[:, 0])
    # The clothed outline is another one than the bare body's, so rows are gathered anew where it is drawn now.
    for number in range(config.rounds):
        rows, found = outline_rows(problem, drawn, field, config)
        share = found if number == 0 else share
        if surface is not None and config.dense > 0:
            rows = [a.joined(b) for a, b in zip(rows, dense_rows(problem, estimate, surface, config), strict=True)]
        solved = [solve(problem.space, person, config) for person in rows]
        field = torch.from_numpy(np.stack(solved)).to(field)
        drawn = problem.draw(field)
    after = drawn.covered & problem.inside
    overlaps = overlap(before, problem.silhouette), overlap(after, problem.silhouette)
    seen = problem.large & (before.flatten(1).sum(-1) >= MIN_COVER)
    reason = _judge(field, problem.space, (*overlaps, share, seen), config)
    # Overlaps are told of what was tried; the offsets themselves only where they are taken.
    taken = (reason == int(OffsetReason.BETTER))[:, None]
    rest = torch.where(taken, field, 0.0)[..., None] * problem.space.directions
    return Offsets(rest.to(body.template.dtype), reason, *overlaps, share)


def _pose_problem(
    body: Body, seen: tuple[Tensor, Tensor, tuple[int, int]], estimate: BodyEstimate, rasterizer: Rasterizer
) -> OffsetProblem:
    """Gather what stays; ``seen`` are silhouettes, their boxes, and the size of the photo."""
    grids, boxes, size = seen
    space, vertices = offset_space(body), body(estimate.params).vertices
    crop, large = crops_to_look_at(vertices, estimate.camera, size, _MARGIN)
    large = large & vertices.isfinite().flatten(1).all(-1)
    # One NaN would reach all people through the smoothing of their pictures.
    grids = grids.nan_to_num(0.0)
    silhouette = cut_silhouettes(grids, boxes, crop, PICTURE)
    inside = inside_photo(crop, PICTURE, size)
    within = cut_silhouettes(torch.ones_like(grids), boxes, crop, PICTURE) > 0.999
    along = pose_offsets(body, estimate.params, space.directions.expand_as(vertices))
    camera = crop_camera(estimate.camera, crop, PICTURE)
    vertices, known = vertices.nan_to_num(0.0), inside & within
    return OffsetProblem(body, space, vertices, along, camera, silhouette, known, inside, large, rasterizer)


def _judge(
    field: Tensor, space: OffsetSpace, found: tuple[Tensor, Tensor, Tensor, Tensor], config: OffsetConfig
) -> Int[Tensor, "people"]:
    before, after, outline, seen = found
    worn = torch.from_numpy(space.bare == 0).to(field.device)
    reason = torch.full((len(field),), int(OffsetReason.BETTER), device=field.device)

    def reject(where: Tensor, why: OffsetReason) -> None:
        reason[where & (reason == int(OffsetReason.BETTER))] = int(why)

    reject(~seen, OffsetReason.NOT_SEEN)
    reject(before.isnan(), OffsetReason.NO_SILHOUETTE)
    reject(before < config.least_overlap, OffsetReason.ANOTHER_SHAPE)
    reject(outline < config.least_outline, OffsetReason.TOO_LITTLE)
    # Written so that a field that is not a number is absurd.
    reject(~(field[:, worn].abs().mean(-1) < config.largest_mean), OffsetReason.ABSURD)
    reject(~(after > before + config.least_gain), OffsetReason.NO_GAIN)
    return reason
