"""The compiled loops of the numba back end. Imported only when that back end is asked for."""

import logging
import math
from collections.abc import Callable
from typing import Any, no_type_check

import numpy as np
from numba import njit

logger = logging.getLogger(__name__)


def compiled(function: Callable[..., Any]) -> Callable[..., Any]:
    """Compile without the interpreter lock, and keep the machine code on disk where any place can be written."""
    options: dict[str, Any] = {"nogil": True, "error_model": "numpy"}
    try:
        return njit(cache=True, **options)(function)
    except RuntimeError:
        # Numba found neither the package's folder nor the user's cache folder writable.
        logger.info("No writable cache folder: %s is compiled anew in each process.", function.__name__)
        return njit(**options)(function)


@compiled
@no_type_check
def span(a, b, c, first, count):
    """First and last pixel centre between the least and greatest of three coordinates, counted from ``first``."""
    low = max(math.ceil(min(a, b, c) - 0.5) - first, 0.0)
    high = min(math.floor(max(a, b, c) - 0.5) - first, count - 1.0)
    # Written so that a corner that is not a number gives an empty span.
    return (int(low), int(high)) if low <= high else (0, -1)


@compiled
@no_type_check
def edges(screen, corners, x, y):
    """Doubled signed areas between a point and the edges that face the three corners."""
    i, j, k = corners
    ax, ay = screen[i, 0] - x, screen[i, 1] - y
    bx, by = screen[j, 0] - x, screen[j, 1] - y
    cx, cy = screen[k, 0] - x, screen[k, 1] - y
    return bx * cy - by * cx, cx * ay - cy * ax, ax * by - ay * bx


@compiled
@no_type_check
def _lines(screen, corners):
    """`edges` as (a x + b y + c) for each corner, turned so that inside is positive, and the doubled area."""
    i, j, k = corners
    ax, ay, bx, by, cx, cy = screen[i, 0], screen[i, 1], screen[j, 0], screen[j, 1], screen[k, 0], screen[k, 1]
    area = (bx - ax) * (cy - ay) - (by - ay) * (cx - ax)
    turn = -1.0 if area < 0 else 1.0
    u = (turn * (by - cy), turn * (cx - bx), turn * (bx * cy - by * cx))
    v = (turn * (cy - ay), turn * (ax - cx), turn * (cx * ay - cy * ax))
    w = (turn * (ay - by), turn * (bx - ax), turn * (ax * by - ay * bx))
    return u, v, w, turn * area


@compiled
@no_type_check
def draw_faces(screen, faces, first_row, limits, face_ids, nearness):
    """Keep the nearest face at each pixel centre of a band of rows.

    Args:
        screen: (vertices, 3) float64: pixel x, pixel y, metres.
        faces: (faces, 3) integers.
        first_row: Row of the picture at which the band starts.
        limits: Least depth of a corner in metres, least doubled area in square pixels; faces below are left out.
        face_ids: (rows, columns) integers, written; -1 where there is no face.
        nearness: (rows, columns) float32, written: 1 / depth; 0 where there is no face.
    """
    rows, columns = face_ids.shape
    near, min_double_area = limits
    face_ids[:] = -1
    nearness[:] = 0.0
    for face in range(faces.shape[0]):
        i, j, k = faces[face, 0], faces[face, 1], faces[face, 2]
        top, bottom = span(screen[i, 1], screen[j, 1], screen[k, 1], first_row, rows)
        left, right = span(screen[i, 0], screen[j, 0], screen[k, 0], 0, columns)
        az, bz, cz = screen[i, 2], screen[j, 2], screen[k, 2]
        # Written so that a corner that is not a number fails it.
        if top > bottom or left > right or not (az >= near and bz >= near and cz >= near and az + bz + cz < math.inf):
            continue
        u, v, w, double_area = _lines(screen, (i, j, k))
        if not (min_double_area <= double_area < math.inf):
            continue
        over_az, over_bz, over_cz = 1.0 / (az * double_area), 1.0 / (bz * double_area), 1.0 / (cz * double_area)
        for row in range(top, bottom + 1):
            y = row + first_row + 0.5
            u_row, v_row, w_row = u[1] * y + u[2], v[1] * y + v[2], w[1] * y + w[2]
            for column in range(left, right + 1):
                x = column + 0.5
                at_a, at_b, at_c = u[0] * x + u_row, v[0] * x + v_row, w[0] * x + w_row
                if at_a >= 0 and at_b >= 0 and at_c >= 0:
                    found = np.float32(at_a * over_az + at_b * over_bz + at_c * over_cz)
                    if found > nearness[row, column]:
                        nearness[row, column] = found
                        face_ids[row, column] = face


@compiled
@no_type_check
def weigh_corners(screen, faces, first_row, face_ids, depth, barycentrics):
    """Write depth and the perspective-correct weights of each visible face's corners; depth 0 where there is none.

    Args:
        screen: As in `draw_faces`.
        faces: As in `draw_faces`.
        first_row: As in `draw_faces`.
        face_ids: (rows, columns), as `draw_faces` left it.
        depth: (rows, columns) float32, written, metres.
        barycentrics: (rows, columns, 3) float32, written where there is a face; 0 beforehand.
    """
    rows, columns = face_ids.shape
    for row in range(rows):
        for column in range(columns):
            face = face_ids[row, column]
            if face < 0:
                depth[row, column] = 0.0
                continue
            i, j, k = faces[face, 0], faces[face, 1], faces[face, 2]
            u, v, w = edges(screen, (i, j, k), column + 0.5, row + first_row + 0.5)
            area = u + v + w
            u, v, w = u / screen[i, 2], v / screen[j, 2], w / screen[k, 2]
            total = u + v + w
            depth[row, column] = area / total
            barycentrics[row, column, 0] = u / total
            barycentrics[row, column, 1] = v / total
            barycentrics[row, column, 2] = w / total


@compiled
@no_type_check
def lay_over(picture, fragments, faces, colors, samples, alpha):
    """Blend coloured faces over a picture, in place.

    Args:
        picture: (rows, columns, 3) uint8, written where a sample shows a face.
        fragments: Faces as `draw_faces` and weights as `weigh_corners` left them, (rows * samples, columns * samples).
        faces: (faces, 3) integers.
        colors: (vertices, 3) float32, sRGB in [0, 1].
        samples: Per pixel along each axis; a pixel takes their mean.
        alpha: Opacity of the faces.
    """
    face_ids, barycentrics = fragments
    share = alpha / (samples * samples)
    for row in range(picture.shape[0]):
        for column in range(picture.shape[1]):
            covered, red, green, blue = 0, 0.0, 0.0, 0.0
            for y in range(row * samples, (row + 1) * samples):
                for x in range(column * samples, (column + 1) * samples):
                    face = face_ids[y, x]
                    if face < 0:
                        continue
                    covered += 1
                    for corner in range(3):
                        weight, vertex = barycentrics[y, x, corner], faces[face, corner]
                        red += weight * colors[vertex, 0]
                        green += weight * colors[vertex, 1]
                        blue += weight * colors[vertex, 2]
            if covered:
                rest = 1.0 - share * covered
                picture[row, column, 0] = int(rest * picture[row, column, 0] + 255.0 * share * red + 0.5)
                picture[row, column, 1] = int(rest * picture[row, column, 1] + 255.0 * share * green + 0.5)
                picture[row, column, 2] = int(rest * picture[row, column, 2] + 255.0 * share * blue + 0.5)
