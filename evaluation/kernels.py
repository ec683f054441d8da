"""The compiled loops of the errors of meshes. Imported only when they are asked for."""

from math import sqrt
from typing import no_type_check

import numpy as np

from fitloop.rendering.kernels import compiled


@compiled
@no_type_check
def _middle_and_spread(points):
    """Mean of some points, and the sum of squared distances to it."""
    a = b = c = squares = 0.0
    for v in range(len(points)):
        x, y, z = points[v, 0], points[v, 1], points[v, 2]
        a, b, c, squares = a + x, b + y, c + z, squares + (x * x + y * y + z * z)
    a, b, c = a / len(points), b / len(points), c / len(points)
    return (a, b, c), squares - len(points) * (a * a + b * b + c * c)


@compiled
@no_type_check
def _posed(ours, goal, person):
    """Mean distance of vertices after skinning both sides: each a weighted mean of rigid motions of a rest point.

    The lists of joints end in weights of 0 rather than being cut short: a branch would cost more than the products.
    """
    p, m, joints, weights = ours.bent[person], ours.motions[person], ours.joints, ours.weights
    q, n, goal_joints, goal_weights = goal.bent[person], goal.motions[person], goal.joints, goal.weights
    total = 0.0
    for v in range(len(p)):
        a = b = c = np.float32(0.0)
        x, y, z = p[v, 0], p[v, 1], p[v, 2]
        for k in range(weights.shape[1]):
            w, j = weights[v, k], joints[v, k]
            a += w * (m[j, 0] * x + m[j, 1] * y + m[j, 2] * z + m[j, 3])
            b += w * (m[j, 4] * x + m[j, 5] * y + m[j, 6] * z + m[j, 7])
            c += w * (m[j, 8] * x + m[j, 9] * y + m[j, 10] * z + m[j, 11])
        x, y, z = q[v, 0], q[v, 1], q[v, 2]
        for k in range(goal_weights.shape[1]):
            w, j = goal_weights[v, k], goal_joints[v, k]
            a -= w * (n[j, 0] * x + n[j, 1] * y + n[j, 2] * z + n[j, 3])
            b -= w * (n[j, 4] * x + n[j, 5] * y + n[j, 6] * z + n[j, 7])
            c -= w * (n[j, 8] * x + n[j, 9] * y + n[j, 10] * z + n[j, 11])
        total += sqrt(a * a + b * b + c * c)
    return total / len(p)


@compiled
@no_type_check
def _still(points, target, scale, shift):
    """Mean distance of scaled and shifted points to their targets."""
    total = 0.0
    for v in range(len(points)):
        x = scale * points[v, 0] + shift[0] - target[v, 0]
        y = scale * points[v, 1] + shift[1] - target[v, 1]
        z = scale * points[v, 2] + shift[2] - target[v, 2]
        total += sqrt(x * x + y * y + z * z)
    return total / len(points)


@compiled
@no_type_check
def compare_surfaces(ours, goal, errors):
    """Mean distance of corresponding vertices: posed, in T-pose, and in T-pose after scale and translation.

    Args:
        ours: A `SkinnedSide` of the estimate.
        goal: One of the truth, on the same mesh.
        errors: (people, 3), filled; the unit of both sides.
    """
    for n in range(len(errors)):
        rest, target, hips, aim = ours.rest[n], goal.rest[n], ours.hips[n], goal.hips[n]
        errors[n, 0] = _posed(ours, goal, n)
        errors[n, 1] = _still(rest, target, 1.0, (aim[0] - hips[0], aim[1] - hips[1], aim[2] - hips[2]))
        middle, spread = _middle_and_spread(rest)
        goal_middle, goal_spread = _middle_and_spread(target)
        s = sqrt(max(goal_spread, 0.0) / max(spread, 1e-12))
        shift = (goal_middle[0] - s * middle[0], goal_middle[1] - s * middle[1], goal_middle[2] - s * middle[2])
        errors[n, 2] = _still(rest, target, s, shift)
