"""Scores of some people under a protocol: one number per person and metric."""

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from fitloop.body import Body, BodyParams
from fitloop.body.keypoints import CONVENTIONS
from fitloop.body.model import forward_kinematics
from fitloop.evaluation.joints import mpjpe, n_mpjpe, pa_mpjpe, pck, pck_auc, point_errors
from fitloop.evaluation.keypoints import box_side, head_length, keypoint_distances, pck_2d, torso_diameter
from fitloop.evaluation.people import ScoredPeople
from fitloop.evaluation.placing import Bodies, Placed, body_rows, place, root_of
from fitloop.evaluation.protocols import Protocol
from fitloop.evaluation.rotations import quaternion_errors, rotation_errors
from fitloop.evaluation.surfaces import SURFACE_METRICS, surface_errors

BODY_METRICS = {"mpjpe_24", "rotation", "quaternion", *SURFACE_METRICS}
"""Those that need parameters on both sides."""


@dataclass(frozen=True)
class Scores:
    """One row per person; NaN where a metric is undefined."""

    columns: dict[str, Float[Tensor, "people"]]
    """By metric, in its stored unit."""
    joint_errors: Float[Tensor, "people joints"]
    """Millimetres about the root for 3D protocols, pixels for 2D ones; NaN where a joint is not known."""


@dataclass(frozen=True)
class Goal:
    """People of the truth, and where their joints are."""

    people: ScoredPeople
    placed: Placed

    def take(self, rows: np.ndarray) -> "Goal":
        """Choose people."""
        return Goal(self.people.take(rows), self.placed.take(rows))


def goal_of(people: ScoredPeople, protocol: Protocol, bodies: Bodies) -> Goal:
    """Prepare people of the truth, once for all stages."""
    return Goal(people, place(people, protocol, bodies))


def score_people(goal: Goal, estimate: ScoredPeople, protocol: Protocol, bodies: Bodies) -> tuple[Scores, Placed]:
    """Score rows that belong together.

    Args:
        goal: People of the protocol.
        estimate: Their results, row by row.
        protocol: What to compute.
        bodies: Pose the parameters of both.

    Returns:
        The scores, and the estimate's joints (for metrics over time).
    """
    truth, placed_truth = goal.people, goal.placed
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
    # 3D where there is any: pixels are what is left to compare when a side has no depth.
    if weights.any():
        shown, known = errors, weights
    else:
        shown, known = distances, pixel_weights
    columns = {name: values for name, values in columns.items() if name in protocol.metrics}
    return Scores(columns, torch.where(known > 0, shown, torch.nan)), placed


def _joint_metrics(points: Tensor, target: Tensor, errors: Tensor, weights: Tensor) -> dict[str, Tensor]:
    return {
        "mpjpe": mpjpe(points, target, weights),
        # Two points fit any similarity exactly, which would be an error of 0.
        "pa_mpjpe": torch.where(weights.sum(-1) >= 3, pa_mpjpe(points, target, weights), torch.nan),
        "n_mpjpe": n_mpjpe(points, target, weights),
        "pck_150": pck(errors, weights=weights),
        "auc": pck_auc(errors, weights),
    }


def _pixel_metrics(
    truth: ScoredPeople, placed: Placed, protocol: Protocol, distances: Tensor, weights: Tensor
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


def _body_metrics(truth: ScoredPeople, estimate: ScoredPeople, protocol: Protocol, bodies: Bodies) -> dict[str, Tensor]:
    wanted = BODY_METRICS & set(protocol.metrics)
    if not wanted or truth.params is None or estimate.params is None or not _comparable(truth, estimate, bodies):
        return {}
    columns = {name: torch.full((len(estimate),), torch.nan) for name in wanted}
    for name, rows in body_rows(truth):
        found = _score_bodies(truth.params[rows], name, estimate.params[rows], estimate.body or "", protocol, bodies)
        for key in wanted:
            columns[key][rows] = found[key]
    return columns


def _comparable(truth: ScoredPeople, estimate: ScoredPeople, bodies: Bodies) -> bool:
    """Whether vertices and joint rotations of the two sides mean the same: the same mesh."""
    # Vertex 1000 of two meshes is the same place only if the meshes are.
    own = bodies.body(estimate.body or "")
    theirs = [bodies.body(name) for name, _ in body_rows(truth)]
    return all(_same_mesh(own, body) for body in theirs)


def _same_mesh(first: Body, second: Body) -> bool:
    return first is second or (first.faces.shape == second.faces.shape and bool((first.faces == second.faces).all()))


def _score_bodies(
    target: BodyParams, name: str, params: BodyParams, own: str, protocol: Protocol, bodies: Bodies
) -> dict[str, Tensor]:
    joints, theirs = (_about_pelvis(bodies.body(who), of) for who, of in ((own, params), (name, target)))
    found = {
        "mpjpe_24": mpjpe(joints, theirs),
        "rotation": rotation_errors(params.rotations, target.rotations).mean(-1),
        "quaternion": quaternion_errors(params.rotations, target.rotations).mean(-1),
    }
    if set(SURFACE_METRICS) & set(protocol.metrics):
        sides = [
            (bodies.surface(who), of, root_of(of, who, protocol, bodies)) for who, of in ((own, params), (name, target))
        ]
        found |= surface_errors(*sides)
    return found


def _about_pelvis(body: Body, params: BodyParams) -> Tensor:
    joints = forward_kinematics(params.rotations, body.rest_joints(params.betas))[1]
    return joints - joints[:, :1]
