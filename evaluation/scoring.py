"""Scores of some people under a protocol: one number per person and metric."""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from body import JOINT_NAMES, Body
from body.keypoints import CONVENTIONS
from evaluation.joints import mpjpe, n_mpjpe, pa_mpjpe, pck, pck_auc, point_errors, pve, pve_t_sc
from evaluation.keypoints import box_side, head_length, keypoint_distances, pck_2d, torso_diameter
from evaluation.people import People
from evaluation.placing import Bodies, Placed, body_rows, place, root_of
from evaluation.protocols import Protocol
from evaluation.rotations import quaternion_errors, rotation_errors

MESHES = 32
"""People whose meshes are in memory at once."""


@dataclass(frozen=True)
class Scores:
    """One row per person; NaN where a metric is undefined."""

    columns: dict[str, Float[Tensor, "people"]]
    """By metric, in its stored unit."""
    joint_errors: Float[Tensor, "people joints"]
    """Millimetres about the root for 3D protocols, pixels for 2D ones; NaN where a joint is not known."""


def score_people(
    truth: People, estimate: People, placed_truth: Placed, protocol: Protocol, bodies: Bodies
) -> tuple[Scores, Placed]:
    """Score rows that belong together.

    Args:
        truth: People of the protocol.
        estimate: Their results, row by row.
        placed_truth: `place` of the truth, made once for all stages.
        protocol: What to compute.
        bodies: Pose the parameters of both.

    Returns:
        The scores, and the estimate's joints (for metrics over time).
    """
    placed = place(estimate, protocol, bodies)
    columns: dict[str, Tensor] = {}
    weights = placed.weights * placed_truth.weights
    errors = point_errors(placed.joints, placed_truth.joints)
    if weights.any():
        columns |= _joint_metrics(placed.joints, placed_truth.joints, errors, weights)
    pixel_weights = placed.pixel_weights * placed_truth.pixel_weights
    distances = keypoint_distances(placed.pixels, placed_truth.pixels)
    if pixel_weights.any():
        columns |= _pixel_metrics(truth, placed_truth, protocol, distances, pixel_weights)
    columns |= _body_metrics(truth, estimate, protocol, bodies)
    if weights.any():
        shown, known = errors, weights
    else:
        shown, known = distances, pixel_weights
    columns = {name: values for name, values in columns.items() if name in protocol.metrics}
    return Scores(columns, torch.where(known > 0, shown, torch.nan)), placed


def _joint_metrics(points: Tensor, target: Tensor, errors: Tensor, weights: Tensor) -> dict[str, Tensor]:
    return {
        "mpjpe": mpjpe(points, target, weights),
        "pa_mpjpe": torch.where(weights.sum(-1) >= 3, pa_mpjpe(points, target, weights), torch.nan),
        "n_mpjpe": n_mpjpe(points, target, weights),
        "pck_150": pck(errors, weights=weights),
        "auc": pck_auc(errors, weights),
    }


def _pixel_metrics(
    truth: People, placed: Placed, protocol: Protocol, distances: Tensor, weights: Tensor
) -> dict[str, Tensor]:
    count = weights.sum(-1)
    mean = torch.where(count > 0, (distances * weights).sum(-1) / count.clamp_min(1.0), torch.nan)
    found = {"pixels": mean}
    if truth.boxes is not None:
        found["pixels_box"] = mean / box_side(truth.boxes)
    convention = CONVENTIONS[protocol.convention]
    if convention.keypoints == protocol.joints or set(protocol.joints) >= {"left_hip", "right_shoulder"}:
        target, observed = _in_convention(placed, protocol)
        torso = torso_diameter(target, observed, convention)
        found["pck_01"] = pck_2d(distances, torso, 0.1, weights)
        found["pck_02"] = pck_2d(distances, torso, 0.2, weights)
        if {"neck", "head_top"} <= set(protocol.joints):
            found["pckh_05"] = pck_2d(distances, head_length(target, observed, convention), 0.5, weights)
    return found


def _in_convention(placed: Placed, protocol: Protocol) -> tuple[Tensor, Tensor]:
    names = CONVENTIONS[protocol.convention].keypoints
    target = torch.zeros(len(placed.pixels), len(names), 2)
    observed = torch.zeros(len(placed.pixels), len(names))
    columns = [names.index(name) for name in protocol.joints]
    target[:, columns], observed[:, columns] = placed.pixels, placed.pixel_weights
    return target, observed


def _body_metrics(truth: People, estimate: People, protocol: Protocol, bodies: Bodies) -> dict[str, Tensor]:
    wanted = {"mpjpe_24", "pve", "pve_t", "pve_t_sc", "rotation", "quaternion"} & set(protocol.metrics)
    if not wanted or truth.params is None or estimate.params is None or not _comparable(truth, estimate, bodies):
        return {}
    columns = {name: torch.full((len(truth),), torch.nan) for name in wanted}
    for name, rows in body_rows(truth):
        for part in rows.split(MESHES):
            found = _score_bodies(truth, estimate, part, name, protocol, bodies)
            for key in wanted:
                columns[key][part] = found[key].to(torch.float32)
    return columns


def _comparable(truth: People, estimate: People, bodies: Bodies) -> bool:
    """Whether vertices and joint rotations of the two sides mean the same: the same mesh."""
    own = bodies.body(estimate.body or "")
    theirs = [bodies.body(name) for name, _ in body_rows(truth)]
    return all(_same_mesh(own, body) for body in theirs)


def _same_mesh(first: Body, second: Body) -> bool:
    return first is second or (first.faces.shape == second.faces.shape and bool((first.faces == second.faces).all()))


def _score_bodies(
    truth: People, estimate: People, rows: Tensor, name: str, protocol: Protocol, bodies: Bodies
) -> dict[str, Tensor]:
    assert truth.params is not None and estimate.params is not None
    target, params = truth.params[rows], estimate.params[rows]
    theirs, ours = bodies.body(name), bodies.body(estimate.body or "")
    goal, mesh = theirs(target), ours(params)
    goal_root = root_of(target, name, protocol, bodies)[:, None]
    root = root_of(params, estimate.body or "", protocol, bodies)[:, None]
    pelvis = JOINT_NAMES.index("pelvis")
    rest_goal, rest = _rest_mesh(theirs, target.betas), _rest_mesh(ours, params.betas)
    return {
        "pve": pve(mesh.vertices - root, goal.vertices - goal_root),
        "mpjpe_24": mpjpe(mesh.joints - mesh.joints[:, [pelvis]], goal.joints - goal.joints[:, [pelvis]]),
        "pve_t": pve(rest, rest_goal),
        "pve_t_sc": pve_t_sc(rest, rest_goal),
        "rotation": rotation_errors(params.rotations, target.rotations).mean(-1),
        "quaternion": quaternion_errors(params.rotations, target.rotations).mean(-1),
    }


def _rest_mesh(body: Body, betas: Tensor) -> Tensor:
    """T-posed vertices, relative to the middle of the hips."""
    joints = body.rest_joints(betas)
    hips = [JOINT_NAMES.index("left_hip"), JOINT_NAMES.index("right_hip")]
    vertices = body.template + torch.einsum("vcb,nb->nvc", body.shapedirs, betas)
    return vertices - joints[:, hips].mean(1, keepdim=True)
