"""The CUDA rasterizer in plain torch: all pairs of a face and a pixel of its box; a scatter keeps the nearest."""

import torch
from jaxtyping import Float, Int
from torch import Tensor

from geometry import Camera
from rendering.rasterizer import MIN_DOUBLE_AREA, NEAR, Fragments, check_scene

CHUNK = 1 << 22
"""Pairs of face and pixel looked at together; bounds the memory at about 0.5 GB."""
_NOTHING = torch.iinfo(torch.int64).max


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
        scene = check_scene(vertices, faces, camera, size)
        triangles = scene.screen[:, faces.to(scene.vertices.device).long()].flatten(0, 1)
        meshes, (height, width) = len(scene.vertices), size
        boxes = _pixel_boxes(triangles, height, width)
        nearest = torch.full((meshes * height * width,), _NOTHING, dtype=torch.int64, device=triangles.device)
        for chosen in _chunks(boxes):
            pixels, depth, owner = _covered_pixels(triangles[chosen], boxes[chosen])
            mesh, face = chosen[owner] // len(faces), chosen[owner] % len(faces)
            # The bits of positive floats sort as integers: one minimum finds the nearest face, then the lowest index.
            key = depth.float().view(torch.int32).long() << 32 | face
            nearest.scatter_reduce_(0, (mesh * height + pixels[:, 1]) * width + pixels[:, 0], key, "amin")
        face_ids, barycentrics, depth = _resolve(nearest, triangles, len(faces), size)
        shape = (meshes, height, width)
        return scene.fragments(face_ids.view(shape), barycentrics.view(*shape, 3), depth.view(shape))


def _pixel_boxes(triangles: Tensor, height: int, width: int) -> Tensor:
    """First column and row, columns and rows of pixel centres in each triangle's box; 0 if it is left out."""
    low = (triangles[..., :2].amin(1) - 0.5).ceil().clamp_min(0)
    limit = torch.tensor([width - 1, height - 1], dtype=triangles.dtype, device=triangles.device)
    high = torch.minimum((triangles[..., :2].amax(1) - 0.5).floor(), limit)
    double_area = _double_area(triangles).abs()
    keep = (triangles[..., 2] >= NEAR).all(1) & (double_area >= MIN_DOUBLE_AREA) & double_area.isfinite()
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
    """(column, row), depth and triangle of each pixel centre inside a triangle."""
    counts = boxes[:, 2] * boxes[:, 3]
    owner = torch.repeat_interleave(counts)
    rank = torch.arange(len(owner), device=owner.device) - (counts.cumsum(0) - counts)[owner]
    columns = boxes[owner, 2]
    pixels = boxes[owner, :2] + torch.stack([rank % columns, rank // columns], dim=1)
    edges = _edges(triangles[owner], pixels)
    inside = (edges >= 0).all(1) | (edges <= 0).all(1)
    pixels, owner, edges = pixels[inside], owner[inside], edges[inside]
    return pixels, _depth(edges, triangles[owner]), owner


def _resolve(nearest: Tensor, triangles: Tensor, faces: int, size: tuple[int, int]) -> tuple[Tensor, Tensor, Tensor]:
    place = (nearest != _NOTHING).nonzero()[:, 0]
    face = nearest[place] & 0xFFFFFFFF
    mesh = place // (size[0] * size[1])
    pixels = torch.stack([place % size[1], place // size[1] % size[0]], dim=1)
    seen = triangles[mesh * faces + face]
    edges = _edges(seen, pixels)
    weights = edges / seen[..., 2]
    face_ids = torch.full_like(nearest, -1)
    barycentrics = torch.zeros(len(nearest), 3, device=nearest.device)
    depth = torch.zeros(len(nearest), device=nearest.device)
    face_ids[place] = face
    barycentrics[place] = (weights / weights.sum(1, keepdim=True)).float()
    depth[place] = _depth(edges, seen).float()
    return face_ids, barycentrics, depth


def _edges(triangles: Tensor, pixels: Tensor) -> Tensor:
    """Doubled signed areas between each pixel centre and the edges facing the three corners."""
    a, b, c = (triangles[..., :2] - (pixels + 0.5)[:, None]).unbind(1)
    return torch.stack([_cross(b, c), _cross(c, a), _cross(a, b)], dim=1)


def _double_area(triangles: Tensor) -> Tensor:
    a, b, c = triangles[..., :2].unbind(1)
    return _cross(b - a, c - a)


def _cross(first: Tensor, second: Tensor) -> Tensor:
    return first[:, 0] * second[:, 1] - first[:, 1] * second[:, 0]


def _depth(edges: Tensor, triangles: Tensor) -> Tensor:
    # Step by step as the compiled loop does, so that both round alike.
    u, v, w = (edges * (1.0 / triangles[..., 2])).unbind(1)
    return _double_area(triangles) / (u + v + w)
