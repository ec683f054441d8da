"""Non-negative weights on the skin that give points under it, for every shape."""

import numpy as np
from scipy.optimize import nnls

from fitloop.body.build.shapes import ShapeSpace
from fitloop.body.build.skeleton import mirrored_joints
from fitloop.body.params import JOINT_NAMES, JOINT_PARENTS

TEMPLATE_WEIGHT = 3.0
"""Error of the mean shape against error per standard deviation of each shape direction."""
SUM_WEIGHT = 10.0
"""Metres of error that a sum of weights off by one counts for."""


def point_directions(points: np.ndarray, scores: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean and linear shape dependence of points.

    Args:
        points: (samples, 3).
        scores: (samples, 10) uncorrelated with unit variance.

    Returns:
        (3,) and (3, 10).
    """
    return points.mean(0), (points - points.mean(0)).T @ scores / len(scores)


def regress_point(points: np.ndarray, space: ShapeSpace, candidates: np.ndarray) -> np.ndarray:
    """Weights of the candidate vertices that reproduce a point over all shapes.

    Args:
        points: (samples, 3) the point on each sampled body.
        space: Shape space of the vertices.
        candidates: Vertex indices that may carry weight.

    Returns:
        (V,) non-negative, sum 1.
    """
    mean, directions = point_directions(points, space.scores)
    offsets = space.template[candidates] - mean
    rows = np.concatenate(
        [
            TEMPLATE_WEIGHT * offsets.T,
            (space.directions[candidates] - directions).reshape(len(candidates), -1).T,
            np.full((1, len(candidates)), SUM_WEIGHT),
        ]
    )
    wanted = np.zeros(len(rows))
    wanted[-1] = SUM_WEIGHT
    solution, _ = nnls(rows, wanted, maxiter=100 * len(candidates))
    solution[solution < 1e-4] = 0
    weights = np.zeros(len(space.template))
    weights[candidates] = solution / solution.sum()
    return weights


def nearby(space: ShapeSpace, centre: np.ndarray, allowed: np.ndarray, radius: float) -> np.ndarray:
    """Allowed vertices within a radius of a point of the mean shape, in metres."""
    distance = np.linalg.norm(space.template - centre, axis=1)
    return np.nonzero(allowed & (distance < radius))[0]


def joint_regressor(
    joints: np.ndarray, space: ShapeSpace, weights: np.ndarray, skin: np.ndarray, mirror: np.ndarray
) -> np.ndarray:
    """(24, V) joint regressor, symmetric.

    Args:
        joints: (samples, 24, 3).
        space: Shape space.
        weights: (V, 24) skinning weights.
        skin: (V,) vertices that may carry weight.
        mirror: (V,) mirror image of each vertex.
    """
    table = np.zeros((len(JOINT_NAMES), len(skin)))
    for joint, (name, parent) in enumerate(zip(JOINT_NAMES, JOINT_PARENTS, strict=True)):
        if name.startswith("right"):
            continue
        around = skin & (weights[:, [joint, max(parent, 0)]].sum(1) > 0.2)
        candidates = nearby(space, joints[:, joint].mean(0), around, 0.22)
        table[joint] = regress_point(joints[:, joint], space, candidates)
        if not name.startswith("left"):
            table[joint] = (table[joint] + table[joint][mirror]) / 2
    for joint, other in enumerate(mirrored_joints()):
        if JOINT_NAMES[joint].startswith("right"):
            table[joint] = table[other][mirror]
    return table
