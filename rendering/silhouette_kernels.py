"""The compiled loops of soft silhouettes on a CPU: pictures, and their gradient. Imported only when they are drawn."""

import math
from typing import no_type_check

import numpy as np

from fitloop.rendering.kernels import compiled, span


@compiled
@no_type_check
def _nearest(corners, x, y):
    """The face's border nearest to a point: number of the edge, how far along it, the way there, and if it is inside.

    Args:
        corners: (3, 2) pixels.
        x: Of the point.
        y: Of the point.
    """
    edge, along, way_x, way_y, least = 0, 0.0, 0.0, 0.0, math.inf
    left, right = 0, 0
    for number in range(3):
        after = (number + 1) % 3
        ax, ay = corners[number, 0] - x, corners[number, 1] - y
        ux, uy = corners[after, 0] - corners[number, 0], corners[after, 1] - corners[number, 1]
        share = min(max(-(ax * ux + ay * uy) / max(ux * ux + uy * uy, 1e-12), 0.0), 1.0)
        to_x, to_y = ax + share * ux, ay + share * uy
        squared = to_x * to_x + to_y * to_y
        if squared < least:
            edge, along, way_x, way_y, least = number, share, to_x, to_y, squared
        side = ax * uy - ay * ux
        left, right = left + (side > 0), right + (side < 0)
    return edge, along, way_x, way_y, left == 3 or right == 3


@compiled
@no_type_check
def _window(corners, reach, size):
    """Rows and columns of pixels within reach of a face; the last is below the first where there are none."""
    zero = 0.0
    middle_x, middle_y = corners[:, 0].sum() / 3.0, corners[:, 1].sum() / 3.0
    low_x, high_x = corners[:, 0].min() - reach, corners[:, 0].max() + reach
    low_y, high_y = corners[:, 1].min() - reach, corners[:, 1].max() + reach
    if not (abs(middle_x) < math.inf and abs(middle_y) < math.inf):
        return 0, -1, 0, -1
    top, bottom = span(low_y, high_y, middle_y, zero, size)
    first, last = span(low_x, high_x, middle_x, zero, size)
    return top, bottom, first, last


@compiled
@no_type_check
def add_faces(points, faces, softness, limits, total):
    """Add up, at each pixel, the negative logs of the chances that faces do not cover it.

    Args:
        points: (batch, vertices, 2) pixels.
        faces: (faces, 3) integers.
        softness: Pixels.
        limits: Exponent beyond which a face is left out; sum from which a pixel is certain and nothing more is added.
        total: (batch, size, size), 0 beforehand, written.
    """
    size = total.shape[-1]
    farthest, certain = limits
    reach = softness * math.sqrt(farthest)
    corners = np.empty((3, 2), points.dtype)
    for mesh in range(points.shape[0]):
        for face in range(faces.shape[0]):
            for corner in range(3):
                corners[corner] = points[mesh, faces[face, corner]]
            top, bottom, first, last = _window(corners, reach, size)
            for row in range(top, bottom + 1):
                for column in range(first, last + 1):
                    if total[mesh, row, column] >= certain:
                        continue
                    _, _, x, y, inside = _nearest(corners, column + 0.5, row + 0.5)
                    level = (x * x + y * y) / softness**2
                    level = level if inside else -level
                    total[mesh, row, column] += max(level, 0.0) + math.log1p(math.exp(-abs(level)))


@compiled
@no_type_check
def add_gradients(points, faces, softness, limits, pulls, gradient):
    """Add up what each pixel asks of the vertices.

    Args:
        points: As in `add_faces`.
        faces: As in `add_faces`.
        softness: Pixels.
        limits: As in `add_faces`.
        pulls: (batch, size, size): derivative by each pixel's sum; 0 where it is certain.
        gradient: (batch, vertices, 2), 0 beforehand, written.
    """
    size = pulls.shape[-1]
    reach = softness * math.sqrt(limits[0])
    corners = np.empty((3, 2), points.dtype)
    for mesh in range(points.shape[0]):
        for face in range(faces.shape[0]):
            for corner in range(3):
                corners[corner] = points[mesh, faces[face, corner]]
            top, bottom, first, last = _window(corners, reach, size)
            for row in range(top, bottom + 1):
                for column in range(first, last + 1):
                    pull = pulls[mesh, row, column]
                    if pull == 0.0:
                        continue
                    edge, along, x, y, inside = _nearest(corners, column + 0.5, row + 0.5)
                    turn = 1.0 if inside else -1.0
                    level = turn * (x * x + y * y) / softness**2
                    # The nearest place on the border moves with the corners, but no nearer: only its distance counts.
                    pull = pull * turn / (1.0 + math.exp(-level)) * 2.0 / softness**2
                    start, end = faces[face, edge], faces[face, (edge + 1) % 3]
                    gradient[mesh, start, 0] += pull * (1.0 - along) * x
                    gradient[mesh, start, 1] += pull * (1.0 - along) * y
                    gradient[mesh, end, 0] += pull * along * x
                    gradient[mesh, end, 1] += pull * along * y
