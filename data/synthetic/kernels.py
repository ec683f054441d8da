"""Compiled loops that draw textured figures: visibility with holes in textures, then light per pixel."""

import math
from typing import no_type_check

import numpy as np

from fitloop.rendering.kernels import compiled, edges, span

NEAR = 0.05


@compiled
@no_type_check
def is_solid(corner_uv, face, weights, texture, texels, threshold):
    """Whether the texel at a point of a face has at least some alpha.

    Args:
        corner_uv: (faces, 3, 2).
        face: Which.
        weights: Of its corners, any scale.
        texture: First texel, side.
        texels: (texels, 4) uint8.
        threshold: Least alpha, 0 to 255.
    """
    u, v, w = weights
    start, side = texture
    scale = 1.0 / (u + v + w)
    s = (u * corner_uv[face, 0, 0] + v * corner_uv[face, 1, 0] + w * corner_uv[face, 2, 0]) * scale
    t = (u * corner_uv[face, 0, 1] + v * corner_uv[face, 1, 1] + w * corner_uv[face, 2, 1]) * scale
    x = min(max(int(s * side), 0), side - 1)
    y = min(max(int((1.0 - t) * side), 0), side - 1)
    return texels[start + y * side + x, 3] >= threshold


@compiled
@no_type_check
def draw_layers(mesh, materials, face_ids, depth, keys):
    """Keep the nearest face at each pixel centre; texels with little alpha let through, layers win by their bias.

    Args:
        mesh: screen (vertices, 3) float64: pixel x, pixel y, metres; faces (faces, 3); slot of each face;
            texture coordinates of its corners (faces, 3, 2).
        materials: Per slot the metres by which it counts as nearer; per slot first texel, side, whether to test alpha;
            texels (texels, 4) uint8.
        face_ids: (rows, columns), -1 beforehand; written.
        depth: (rows, columns) float32; written.
        keys: (rows, columns) float32, infinite beforehand: depth less bias; written.
    """
    screen, faces, slots, corner_uv = mesh
    slot_bias, slot_texture, texels = materials
    rows, columns = face_ids.shape
    for face in range(faces.shape[0]):
        i, j, k = faces[face, 0], faces[face, 1], faces[face, 2]
        top, bottom = span(screen[i, 1], screen[j, 1], screen[k, 1], 0, rows)
        left, right = span(screen[i, 0], screen[j, 0], screen[k, 0], 0, columns)
        az, bz, cz = screen[i, 2], screen[j, 2], screen[k, 2]
        if top > bottom or left > right or not (az >= NEAR and bz >= NEAR and cz >= NEAR):
            continue
        double_area = edges(screen, (i, j, k), screen[i, 0], screen[i, 1])[0]
        if not (1e-9 <= abs(double_area) < math.inf):
            continue
        bias = slot_bias[slots[face]]
        start, side, holes = slot_texture[slots[face]]
        for row in range(top, bottom + 1):
            for column in range(left, right + 1):
                u, v, w = edges(screen, (i, j, k), column + 0.5, row + 0.5)
                if not ((u >= 0 and v >= 0 and w >= 0) or (u <= 0 and v <= 0 and w <= 0)):
                    continue
                u, v, w = u / az, v / bz, w / cz
                z = np.float32(double_area / (u + v + w))
                # Four thresholds in each 2 x 2 block: soft edges once the block is averaged.
                threshold = 51 + 51 * ((row & 1) * 2 + ((row ^ column) & 1))
                if z - bias < keys[row, column] and (
                    not holes or is_solid(corner_uv, face, (u, v, w), (start, side), texels, threshold)
                ):
                    keys[row, column] = z - bias
                    depth[row, column] = z
                    face_ids[row, column] = face


@compiled
@no_type_check
def draw_depth(screen, faces, depth):
    """Nearest depth at each pixel centre, as seen by a light that is infinitely far away.

    Args:
        screen: (vertices, 3): pixel x, pixel y, metres along the light.
        faces: (faces, 3).
        depth: (rows, columns) float32, infinite beforehand; written.
    """
    rows, columns = depth.shape
    for face in range(faces.shape[0]):
        i, j, k = faces[face, 0], faces[face, 1], faces[face, 2]
        top, bottom = span(screen[i, 1], screen[j, 1], screen[k, 1], 0, rows)
        left, right = span(screen[i, 0], screen[j, 0], screen[k, 0], 0, columns)
        if top > bottom or left > right:
            continue
        area = edges(screen, (i, j, k), screen[i, 0], screen[i, 1])[0]
        if not (1e-9 <= abs(area) < math.inf):
            continue
        over = 1.0 / area
        for row in range(top, bottom + 1):
            for column in range(left, right + 1):
                u, v, w = edges(screen, (i, j, k), column + 0.5, row + 0.5)
                if (u >= 0 and v >= 0 and w >= 0) or (u <= 0 and v <= 0 and w <= 0):
                    z = np.float32((u * screen[i, 2] + v * screen[j, 2] + w * screen[k, 2]) * over)
                    depth[row, column] = min(depth[row, column], z)


@compiled
@no_type_check
def openness(depth, radius, result):
    """How much of the sky each pixel sees past its neighbours on the screen: 1 is all of it.

    Args:
        depth: (rows, columns) float32, infinite where there is no surface.
        radius: Pixels times metres: the reach in pixels is this over the depth.
        result: (rows, columns) float32; written.
    """
    rows, columns = depth.shape
    for row in range(rows):
        for column in range(columns):
            z = depth[row, column]
            result[row, column] = 1.0
            if not z < math.inf:
                continue
            hidden = 0.0
            # A turn of the pattern from pixel to pixel, so that its steps do not show.
            turn = 1.57 * ((row * 2 + column * 3) % 4)
            for step in range(8):
                angle = 2.399963 * step + turn
                reach = radius / z * math.sqrt((step + 0.5) / 8.0)
                y, x = row + round(reach * math.sin(angle)), column + round(reach * math.cos(angle))
                if 0 <= y < rows and 0 <= x < columns:
                    rise = z - depth[y, x]
                    if 0.012 < rise < 0.3:
                        hidden += 1.0 - rise / 0.3
            result[row, column] = 1.0 - 0.85 * hidden / 8.0


@compiled
@no_type_check
def normal_at(screen, faces, normals, face, x, y):
    """Unit normal of a face at a point of the screen, turned towards the camera, and the weights of its corners."""
    i, j, k = faces[face, 0], faces[face, 1], faces[face, 2]
    u, v, w = edges(screen, (i, j, k), x, y)
    # The sum of the edges has the sign of the winding: positive is a face seen from behind.
    behind = u + v + w > 0
    u, v, w = u / screen[i, 2], v / screen[j, 2], w / screen[k, 2]
    scale = 1.0 / (u + v + w)
    u, v, w = u * scale, v * scale, w * scale
    nx = u * normals[i, 0] + v * normals[j, 0] + w * normals[k, 0]
    ny = u * normals[i, 1] + v * normals[j, 1] + w * normals[k, 1]
    nz = u * normals[i, 2] + v * normals[j, 2] + w * normals[k, 2]
    over = 1.0 / (math.sqrt(nx * nx + ny * ny + nz * nz) + 1e-20)
    if behind:
        # Cloth and hair have one side in the mesh and two in life.
        over = -over
    return nx * over, ny * over, nz * over, u, v, w


@compiled
@no_type_check
def look_up(corner_uv, face, weights, texture, texels, to_linear):
    """Bilinear linear colour of a texture at a point of a face; texels without alpha count little.

    Args:
        corner_uv: (faces, 3, 2).
        face: Which.
        weights: Of its corners, sum 1.
        texture: First texel, side.
        texels: (texels, 4) uint8, sRGB.
        to_linear: (256,) float32.
    """
    u, v, w = weights
    start, side = texture
    s = (u * corner_uv[face, 0, 0] + v * corner_uv[face, 1, 0] + w * corner_uv[face, 2, 0]) * side - 0.5
    t = (1.0 - (u * corner_uv[face, 0, 1] + v * corner_uv[face, 1, 1] + w * corner_uv[face, 2, 1])) * side - 0.5
    s, t = min(max(s, 0.0), side - 1.001), min(max(t, 0.0), side - 1.001)
    x, y = int(s), int(t)
    fx, fy = s - x, t - y
    first = start + y * side + x
    weight, red, green, blue = 1e-6, 0.0, 0.0, 0.0
    for place, share in (
        (first, (1.0 - fx) * (1.0 - fy)),
        (first + 1, fx * (1.0 - fy)),
        (first + side, (1.0 - fx) * fy),
        (first + side + 1, fx * fy),
    ):
        share *= 1.0 + texels[place, 3]
        red += share * to_linear[texels[place, 0]]
        green += share * to_linear[texels[place, 1]]
        blue += share * to_linear[texels[place, 2]]
        weight += share
    return red / weight, green / weight, blue / weight


@compiled
@no_type_check
def light_pixels(mesh, materials, light, reach, face_ids, result):
    """Colour every visible pixel: texture, colour change of its slot, sky as spherical harmonics, sun with shadow.

    Args:
        mesh: screen (vertices, 3) float64: pixel x, pixel y, metres; faces (faces, 3); slot of each face;
            texture coordinates of its corners (faces, 3, 2); normals (vertices, 3) float32, camera frame.
        materials: Per slot first texel, side, whether there is alpha; per slot a 3 x 3 change of linear colour, a
            shift, and the gloss; texels (texels, 4) uint8, sRGB; sRGB to linear (256,).
        light: Sky (9, 3), irradiance over pi as `Light.sky`; sun (2, 3): direction towards it, irradiance over pi.
        reach: (rows, columns, 2) float32: share of the sky and of the sun that reaches the pixel.
        face_ids: (rows, columns), -1 where there is nothing.
        result: (rows, columns, 3) float32, linear; written where there is a face.
    """
    screen, faces, slots, corner_uv, normals = mesh
    slot_texture, slot_color, texels, to_linear = materials
    sky, sun = light
    # Gloss as seen by a far camera: half way between the sun and the viewer.
    hx, hy, hz = sun[0, 0], sun[0, 1], sun[0, 2] - 1.0
    length = math.sqrt(hx * hx + hy * hy + hz * hz) + 1e-9
    for row in range(face_ids.shape[0]):
        for column in range(face_ids.shape[1]):
            face = face_ids[row, column]
            if face < 0:
                continue
            nx, ny, nz, u, v, w = normal_at(screen, faces, normals, face, column + 0.5, row + 0.5)
            slot = slots[face]
            texture = (slot_texture[slot, 0], slot_texture[slot, 1])
            red, green, blue = look_up(corner_uv, face, (u, v, w), texture, texels, to_linear)
            facing = max(nx * sun[0, 0] + ny * sun[0, 1] + nz * sun[0, 2], 0.0)
            half = max((nx * hx + ny * hy + nz * hz) / length, 0.0)
            sheen = slot_color[slot, 0, 4] * half**24
            for channel in range(3):
                change = slot_color[slot, channel]
                albedo = change[3] + change[0] * red + change[1] * green + change[2] * blue
                albedo = min(max(albedo, 0.0), 0.85)
                around = (
                    sky[0, channel]
                    + sky[1, channel] * ny
                    + sky[2, channel] * nz
                    + sky[3, channel] * nx
                    + sky[4, channel] * nx * ny
                    + sky[5, channel] * ny * nz
                    + sky[6, channel] * (3.0 * nz * nz - 1.0)
                    + sky[7, channel] * nx * nz
                    + sky[8, channel] * (nx * nx - ny * ny)
                )
                direct = reach[row, column, 1] * sun[1, channel]
                result[row, column, channel] = (
                    albedo * (max(around, 0.0) * reach[row, column, 0] + direct * facing) + sheen * direct
                )


@compiled
@no_type_check
def spread_normals(screen, faces, normals, face_ids, result):
    """Normals at pixels, towards the camera.

    Args:
        screen: (vertices, 3) float64: pixel x, pixel y, metres.
        faces: (faces, 3).
        normals: (vertices, 3).
        face_ids: (rows, columns), -1 where there is nothing.
        result: (rows, columns, 3) float32, 0 beforehand; written where there is a face.
    """
    for row in range(face_ids.shape[0]):
        for column in range(face_ids.shape[1]):
            face = face_ids[row, column]
            if face >= 0:
                nx, ny, nz = normal_at(screen, faces, normals, face, column + 0.5, row + 0.5)[:3]
                result[row, column, 0], result[row, column, 1], result[row, column, 2] = nx, ny, nz
