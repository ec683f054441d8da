"""The fixed points of the surface that a dense prediction is boiled down to."""

from dataclasses import dataclass
from functools import lru_cache

import torch
from jaxtyping import Float, Int
from scipy.spatial import KDTree
from torch import Tensor

from fitloop.body import Body

NUM_POINTS = 400
"""Spread over 1.8 square metres of skin: one every 6.7 cm, about six pixels of a crop."""


@dataclass(frozen=True)
class SurfacePoints:
    """Evenly spread vertices of a body, and what lies around each."""

    vertices: tuple[int, ...]
    cell_of: Int[Tensor, "body_vertices"]
    """For every vertex of the body, the number of the nearest point."""


def spread_points(body: Body, count: int = NUM_POINTS) -> SurfacePoints:
    """Choose vertices by farthest-point sampling on the T-pose; the same for the same body, found once.

    Args:
        body: The body model.
        count: How many; at most the body's number of vertices.
    """
    return _spread(body, min(count, len(body.template)))


@lru_cache(maxsize=4)
def _spread(body: Body, count: int) -> SurfacePoints:
    template: Float[Tensor, "body_vertices 3"] = body.template
    chosen = [int(template[:, 1].argmax())]
    nearest = (template - template[chosen[0]]).square().sum(-1)
    cell = torch.zeros(len(template), dtype=torch.long, device=template.device)
    for number in range(1, count):
        chosen.append(int(nearest.argmax()))
        distance = (template - template[chosen[-1]]).square().sum(-1)
        closer = distance < nearest
        nearest, cell = torch.where(closer, distance, nearest), torch.where(closer, number, cell)
    return SurfacePoints(tuple(chosen), cell)


@lru_cache(maxsize=4)
def mirrored_points(body: Body) -> SurfacePoints:
    """The points of `spread_points` on the other side of the body, in the same order."""
    points = spread_points(body)
    template = body.template.detach().cpu().double().numpy()
    # No mesh is mirrored to the last digit, and some are not at all: the nearest vertex is near enough.
    other = torch.from_numpy(KDTree(template).query(template * [-1.0, 1.0, 1.0])[1]).to(body.template.device)
    return SurfacePoints(tuple(other[list(points.vertices)].tolist()), points.cell_of[other])
