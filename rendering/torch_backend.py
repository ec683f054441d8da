"""The CUDA rasterizer in plain torch: all pairs of a face and a pixel of its box; a scatter keeps the nearest."""

import torch
from jaxtyping import Float, Int
from torch import Tensor

from fitloop.geometry import Camera
from fitloop.rendering.rasterizer import MIN_DOUBLE_AREA, NEAR, Fragments, check_meshes

CHUNK = 1 << 22
"""Pairs of face and pixel looked at together; bounds the memory at about 0.5 GB."""
_LAST = 0xFFFFFFFF


class TorchRasterizer:
    """Same rules and face ids as the numba back end, on any device; see `Rasterizer`."""

    name = "torch"

    def __call__(
        self,
        vertices: Float[Tensor, "*batch vertices 3"],
        faces: Int[Tensor, "faces 3"],
        camera: Camera,
        size: tuple[int, int],
    ) -> Fragments:
        """Rasterize one mesh per batch row; arguments and errors as in `Rasterizer`."""
        checked = check_meshes(vertices, faces, camera, size)
        triangles = checked.screen[:, faces.to(checked.vertices.device).long()].flatten(0, 1)
        meshes, (height, width) = len(checked.vertices), size
        boxes = _pixel_boxes(triangles, height, width)
        nearest = torch.zeros(meshes * height * width, dtype=torch.int64, device=triangles.device)
        for chosen in _chunks(boxes):
            pixels, nearness, owner = _covered_pixels(triangles[chosen], boxes[chosen])
            mesh, face = chosen[owner] // len(faces), chosen[owner] % len(faces)
            # The bits of positive floats sort as integers: one maximum finds the nearest face, then the lowest index.
            key = nearness.float().view(torch.int32).long() << 32 | (_LAST - face)
            nearest.scatter_reduce_(0, (mesh * height + pixels[:, 1]) * width + pixels[:, 0], key, "amax")
        face_ids, barycentrics, depth = _resolve(nearest, triangles, len(faces), size)
        shape = (meshes, height, width)
        return checked.fragments(face_ids.view(shape), barycentrics.view(*shape, 3), depth.view(shape))


def _pixel_boxes(triangles: Tensor, height: int, width: int) -> Tensor:
    """First column and row, columns and rows of pixel centres in each triangle's box; 0 if it is left out."""
    low = (triangles[..., :2].amin(1) - 0.5).ceil().clamp_min(0)
    limit = torch.tensor([width - 1, height - 1], dtype=triangles.dtype, device=triangles.device)
    high = torch.minimum((triangles[..., :2].amax(1) - 0.5).floor(), limit)
    double_area = _double_area(triangles).abs()
    in_front = (triangles[..., 2] >= NEAR) & triangles[..., 2].isfinite()
    keep = in_front.all(1) & (double_area >= MIN_DOUBLE_AREA) & double_area.isfinite()
    keep = keep & (low <= high).all(1)
    boxes = torch.cat([low, high - low + 1], dim=1)
    return torch.where(keep[:, None], boxes, 0.0).long()


def _chunks(boxes: Tensor) -> list[Tensor]:
    """Indices of triangles with pixels in their box, in groups of about `CHUNK` pixels."""
    pixels = boxes[:, 2] * boxes[:, 3]
    kept = pixels.nonzero()[:, 0]
    group = (pixels[kept].cumsum(0) - 1) // CHUNK
    return list(kept.split(torch.unique_consecutive(group, return_counts=True)[1].tolist())) if len(kept) else []


def _covered_pixels(triangles: Tensor, boxes: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """(column, row), 1 / depth and triangle of each pixel centre inside a triangle."""
    counts = boxes[:, 2] * boxes[:, 3]
    owner = torch.repeat_interleave(counts)
    rank = torch.arange(len(owner), device=owner.device) - (counts.cumsum(0) - counts)[owner]
    columns = boxes[owner, 2]
    pixels = boxes[owner, :2] + torch.stack([rank % columns, rank // columns], dim=1)
    lines, area = _lines(triangles)
    x, y = (pixels + 0.5).unbind(1)
    # Step by step as the compiled loop does, so that both round alike.
    edges = [line[owner, 0] * x + (line[owner, 1] * y + line[owner, 2]) for line in lines]
    inside = (edges[0] >= 0) & (edges[1] >= 0) & (edges[2] >= 0)
    pixels, owner = pixels[inside], owner[inside]
    # 1 / depth is linear in the picture, depth itself is not.
    over = 1.0 / (triangles[..., 2] * area[:, None])
    first, second, third = (edge[inside] * over[owner, corner] for corner, edge in enumerate(edges))
    return pixels, first + second + third, owner


def _resolve(nearest: Tensor, triangles: Tensor, faces: int, size: tuple[int, int]) -> tuple[Tensor, Tensor, Tensor]:
    place = nearest.nonzero()[:, 0]
    face = _LAST - (nearest[place] & _LAST)
    mesh = place // (size[0] * size[1])
    pixels = torch.stack([place % size[1], place // size[1] % size[0]], dim=1)
    seen = triangles[mesh * faces + face]
    u, v, w = _edges(seen, pixels)
    area = u + v + w
    u, v, w = u / seen[:, 0, 2], v / seen[:, 1, 2], w / seen[:, 2, 2]
    total = u + v + w
    face_ids = torch.full_like(nearest, -1)
    barycentrics = torch.zeros(len(nearest), 3, device=nearest.device)
    depth = torch.zeros(len(nearest), device=nearest.device)
    face_ids[place] = face
    barycentrics[place] = (torch.stack([u, v, w], dim=1) / total[:, None]).float()
    depth[place] = (area / total).float()
    return face_ids, barycentrics, depth


def _edges(triangles: Tensor, pixels: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Doubled signed areas between each pixel centre and the edges facing the three corners."""
    a, b, c = (triangles[..., :2] - (pixels + 0.5)[:, None]).unbind(1)
    return _cross(b, c), _cross(c, a), _cross(a, b)


def _lines(triangles: Tensor) -> tuple[list[Tensor], Tensor]:
    """`_edges` as (a, b, c) of a x + b y + c for each corner, turned so that inside is positive; the doubled areas."""
    area = _double_area(triangles)
    turn = torch.where(area < 0, -1.0, 1.0).to(area)
    points = triangles[..., :2].unbind(1)
    lines = []
    for first, second in ((1, 2), (2, 0), (0, 1)):
        p, q = points[first], points[second]
        line = torch.stack([p[:, 1] - q[:, 1], q[:, 0] - p[:, 0], _cross(p, q)], dim=1)
        lines.append(turn[:, None] * line)
    return lines, turn * area


def _double_area(triangles: Tensor) -> Tensor:
    a, b, c = triangles[..., :2].unbind(1)
    return _cross(b - a, c - a)


def _cross(first: Tensor, second: Tensor) -> Tensor:
    return first[:, 0] * second[:, 1] - first[:, 1] * second[:, 0]
