"""The compiled loops over the surface of one mesh: normals and creases. Imported only when bodies are drawn or written.

They say what `vertex_normals` and `fitloop.rendering.shading.openness` say, ten times faster.
"""

import math
from typing import no_type_check

from fitloop.rendering.kernels import compiled


@compiled
@no_type_check
def add_normals(points, faces, normals):
    """Give each vertex the unit mean of its faces' normals, weighted by their area; 0 without a face of positive area.

    Args:
        points: (vertices, 3) float32.
        faces: (faces, 3) integers.
        normals: (vertices, 3) float32, written; 0 beforehand.
    """
    for face in range(faces.shape[0]):
        i, j, k = faces[face, 0], faces[face, 1], faces[face, 2]
        ax, ay, az = points[j, 0] - points[i, 0], points[j, 1] - points[i, 1], points[j, 2] - points[i, 2]
        bx, by, bz = points[k, 0] - points[i, 0], points[k, 1] - points[i, 1], points[k, 2] - points[i, 2]
        x, y, z = ay * bz - az * by, az * bx - ax * bz, ax * by - ay * bx
        for vertex in (i, j, k):
            normals[vertex, 0] += x
            normals[vertex, 1] += y
            normals[vertex, 2] += z
    for vertex in range(normals.shape[0]):
        x, y, z = normals[vertex, 0], normals[vertex, 1], normals[vertex, 2]
        length = max(math.sqrt(x * x + y * y + z * z), 1e-20)
        normals[vertex, 0], normals[vertex, 1], normals[vertex, 2] = x / length, y / length, z / length


@compiled
@no_type_check
def add_slopes(points, normals, faces, sums):
    """Add up, at each vertex, how steeply the edges around it rise above its tangent plane, and how many they are.

    Args:
        points: (vertices, 3) float32.
        normals: (vertices, 3) float32, unit.
        faces: (faces, 3) integers; an edge of two faces counts once in each direction.
        sums: (vertices, 2) float32, written: slopes, edges; 0 beforehand.
    """
    for face in range(faces.shape[0]):
        for corner in range(3):
            start, end = faces[face, corner], faces[face, (corner + 1) % 3]
            x = points[end, 0] - points[start, 0]
            y = points[end, 1] - points[start, 1]
            z = points[end, 2] - points[start, 2]
            rise = x * normals[start, 0] + y * normals[start, 1] + z * normals[start, 2]
            sums[start, 0] += rise / max(math.sqrt(x * x + y * y + z * z), 1e-12)
            sums[start, 1] += 1.0


@compiled
@no_type_check
def add_neighbours(values, faces, sums):
    """Add to each vertex the values of the vertices at the ends of its edges.

    Args:
        values: (vertices, 2) float32.
        faces: As in `add_slopes`.
        sums: (vertices, 2) float32, written; a copy of the values beforehand.
    """
    for face in range(faces.shape[0]):
        for corner in range(3):
            start, end = faces[face, corner], faces[face, (corner + 1) % 3]
            sums[start, 0] += values[end, 0]
            sums[start, 1] += values[end, 1]
