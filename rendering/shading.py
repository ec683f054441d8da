"""Light on a body: a warm key, a cool fill, a light from behind and a soft sky, so that form reads without texture."""

import math

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn.functional import normalize

from fitloop.rendering.interpolation import can_be_compiled, smooth_normals

PERSON_COLORS = (
    *((0.47, 0.69, 0.95), (0.98, 0.66, 0.45), (0.52, 0.82, 0.62), (0.93, 0.56, 0.70), (0.72, 0.64, 0.95)),
    *((0.98, 0.83, 0.45), (0.42, 0.81, 0.83), (0.95, 0.53, 0.47), (0.74, 0.84, 0.42), (0.85, 0.74, 0.62)),
)
"""sRGB in [0, 1]; people beyond the tenth begin again."""

_LIGHTS = (
    # Direction towards the light (camera axes), colour (linear RGB), softness of the shadow edge.
    ((-0.60, -0.80, -0.60), (1.05, 1.00, 0.92), 0.15),
    ((0.95, -0.05, -0.45), (0.14, 0.17, 0.22), 0.40),
    ((0.45, -0.50, 0.80), (0.50, 0.53, 0.58), 0.05),
)
_SKY, _GROUND = (0.25, 0.27, 0.31), (0.09, 0.085, 0.085)
_GLOSS, _SHININESS, _RIM = 0.09, 24.0, 0.22


def person_colors(people: int) -> Float[Tensor, "people 3"]:
    """A colour for each person, sRGB in [0, 1], well apart for neighbours in the list."""
    return torch.tensor([PERSON_COLORS[index % len(PERSON_COLORS)] for index in range(people)]).reshape(-1, 3)


def shade(
    vertices: Float[Tensor, "*batch vertices 3"],
    faces: Int[Tensor, "faces 3"],
    colors: Float[Tensor, "*batch #vertices 3"],
) -> Float[Tensor, "*batch vertices 3"]:
    """Colour of each vertex as a camera at the origin sees it, sRGB in [0, 1].

    Light is added in linear RGB: wrapped Lambert terms of three lights, a hemisphere of ambient light dimmed where the
    surface is hollow, a faint Blinn-Phong gloss and a rim at grazing angles.

    Args:
        vertices: Camera frame, metres.
        faces: Counter-clockwise seen from outside.
        colors: Of the surface, sRGB in [0, 1], one per mesh or one per vertex.
    """
    normals = smooth_normals(vertices, faces)
    to_camera = normalize(-vertices, dim=-1)
    albedo = _to_linear(colors)
    hollow = _openness(vertices, normals, faces)
    sky = 0.5 - 0.5 * normals[..., 1:2]
    light = hollow * (sky * vertices.new_tensor(_SKY) + (1 - sky) * vertices.new_tensor(_GROUND))
    gloss = torch.zeros_like(vertices[..., :1])
    for direction, color, wrap in _LIGHTS:
        towards = normalize(vertices.new_tensor(direction), dim=0)
        facing = ((normals @ towards + wrap) / (1 + wrap)).clamp_min(0)[..., None]
        light = light + facing * vertices.new_tensor(color) * (0.35 + 0.65 * hollow)
        half = normalize(to_camera + towards, dim=-1)
        gloss = gloss + (normals * half).sum(-1, keepdim=True).clamp_min(0) ** _SHININESS * max(color)
    grazing = 1 - (normals * to_camera).sum(-1, keepdim=True).clamp(0, 1)
    return _to_srgb(albedo * light + hollow * (_GLOSS * gloss + _RIM * grazing**3 * sky))


def _openness(vertices: Tensor, normals: Tensor, faces: Tensor) -> Tensor:
    """`openness`, by compiled loops where there is no gradient to keep."""
    if not can_be_compiled(vertices, faces):
        return openness(vertices, normals, faces)
    from fitloop.rendering.surface_kernels import add_neighbours, add_slopes

    corners = np.ascontiguousarray(faces.numpy())
    sums = np.zeros((*vertices.shape[:-1], 2), np.float32)
    for row in np.ndindex(*vertices.shape[:-2]):
        add_slopes(vertices[row].contiguous().numpy(), normals[row].contiguous().numpy(), corners, sums[row])
        for _ in range(2):
            add_neighbours(sums[row].copy(), corners, sums[row])
    return _open(*torch.from_numpy(sums).unbind(-1))


def openness(
    vertices: Float[Tensor, "*batch vertices 3"],
    normals: Float[Tensor, "*batch vertices 3"],
    faces: Int[Tensor, "faces 3"],
) -> Float[Tensor, "*batch vertices 1"]:
    """1 on flat and bulging surface, down to 0.3 in creases; from the slope of the edges around each vertex."""
    edges = torch.cat([faces[:, [0, 1]], faces[:, [1, 2]], faces[:, [2, 0]]])
    start, end = edges.unbind(1)
    rise = (normalize(vertices[..., end, :] - vertices[..., start, :], dim=-1) * normals[..., start, :]).sum(-1)
    total = torch.zeros_like(vertices[..., 0]).index_add(-1, start, rise)
    # How many edges a vertex has is the same for every mesh of a batch.
    count = vertices.new_zeros(vertices.shape[-2]).index_add(0, start, vertices.new_ones(len(start)))
    for _ in range(2):
        total, count = _spread(total, start, end), _spread(count, start, end)
    return _open(total, count)


def _open(total: Tensor, count: Tensor) -> Tensor:
    hollow = (total / count.clamp_min(1e-6)).clamp_min(0)
    return torch.exp(-6.0 * hollow).clamp_min(0.3)[..., None]


def _spread(values: Tensor, start: Tensor, end: Tensor) -> Tensor:
    return values.index_add(-1, start, values[..., end])


def _to_linear(colors: Tensor) -> Tensor:
    return colors.clamp(0, 1) ** 2.2


def _to_srgb(light: Tensor) -> Tensor:
    # A shoulder above 0.6 keeps highlights from clipping.
    knee = 0.6
    excess = (light - knee).clamp_min(0) / (1 - knee)
    soft = torch.where(light > knee, knee + (1 - knee) * (1 - torch.exp(-excess)), light)
    return soft.clamp(0, 1) ** (1 / 2.2)


def turn_about_vertical(
    vertices: Float[Tensor, "*batch vertices 3"], degrees: float
) -> Float[Tensor, "*batch vertices 3"]:
    """Turn about the camera's y through the middle of the mesh; 90 degrees shows what a viewer on the right sees."""
    middle = (vertices.amin(-2, keepdim=True) + vertices.amax(-2, keepdim=True)) / 2
    cos, sin = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
    x, y, z = (vertices - middle).unbind(-1)
    return torch.stack([cos * x + sin * z, y, cos * z - sin * x], dim=-1) + middle
