"""Silhouettes that can be differentiated: the soft rasterizer of Liu et al. 2019, for small pictures.

A pixel belongs to a mesh with the probability ``1 - prod over faces (1 - sigmoid(+-d^2 / s^2))``, where d is its
distance from the face's border, counted positive inside. Faces farther than a few s do not matter, and pixels that are
certainly covered have no gradient: the first are left out, the second are drawn without one. Several faces near a
border add up, so that bodies come out wider than they are, by about the softness; masks to compare with are drawn
alike, or the softness is small.
"""

from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor

_FARTHEST = 6.9
"""Exponent beyond which a face counts less than a thousandth, so that it is left out."""
_CERTAIN = 9.2
"""Negative log of the chance that a pixel is not covered, beyond which it has no gradient."""
_CHUNK = 1 << 20
"""Pairs of face and pixel looked at together where no gradient is needed."""


def soft_silhouettes(
    points: Float[Tensor, "batch vertices 2"], faces: Int[Tensor, "faces 3"], size: int, softness: float = 1.0
) -> Float[Tensor, "batch size size"]:
    """Draw meshes as soft silhouettes; gradients flow to the vertices.

    On a CPU compiled loops draw, elsewhere `drawn_by_pairs`; both give the same to 0.001.

    Args:
        points: Projected vertices in pixels of the picture, whose first pixel has its centre at (0.5, 0.5).
        faces: Corner indices, shared by the batch.
        size: Side of the square pictures, pixels.
        softness: Distance in pixels over which the border is smeared (the square root of PyTorch3D's sigma).

    Raises:
        ValueError: If size or softness is not positive.
    """
    if size < 1 or not softness > 0:
        raise ValueError(f"A soft silhouette needs a size and a softness above 0, got {size} and {softness}.")
    if points.device.type != "cpu":
        return drawn_by_pairs(points, faces, size, softness)
    return _Drawn.apply(points, faces, size, softness)


class _Drawn(torch.autograd.Function):
    """Soft silhouettes by compiled loops over faces and the pixels near them."""

    @staticmethod
    def forward(ctx: Any, points: Tensor, faces: Tensor, size: int, softness: float) -> Tensor:
        from fitloop.rendering.silhouette_kernels import add_faces

        total = points.new_zeros(len(points), size, size)
        arrays = points.detach().contiguous().numpy(), faces.contiguous().numpy()
        add_faces(*arrays, softness, (_FARTHEST, _CERTAIN), total.numpy())
        ctx.save_for_backward(points, faces, total)
        ctx.softness = softness
        return -torch.expm1(-total)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None, None, None]:
        from fitloop.rendering.silhouette_kernels import add_gradients

        points, faces, total = ctx.saved_tensors
        pulls = torch.where(total < _CERTAIN, gradients[0] * torch.exp(-total), 0.0).contiguous()
        found = torch.zeros_like(points, memory_format=torch.contiguous_format)
        arrays = points.detach().contiguous().numpy(), faces.contiguous().numpy()
        add_gradients(*arrays, ctx.softness, (_FARTHEST, _CERTAIN), pulls.numpy(), found.numpy())
        return found, None, None, None


def drawn_by_pairs(
    points: Float[Tensor, "batch vertices 2"], faces: Int[Tensor, "faces 3"], size: int, softness: float
) -> Float[Tensor, "batch size size"]:
    """The same in plain torch, for any device: all pairs of a face and a pixel near it."""
    batch, count = len(points), len(faces)
    triangles = points[:, faces].flatten(0, 1)
    with torch.no_grad():
        owner, pixel = _pairs(triangles.detach(), size, softness)
        place = torch.div(owner, max(count, 1), rounding_mode="floor") * size**2 + pixel
        fixed = points.new_zeros(batch * size**2)
        for some in torch.arange(len(owner), device=owner.device).split(_CHUNK):
            share = _not_covered(triangles.detach()[owner[some]], pixel[some], size, softness)
            fixed.index_add_(0, place[some], share)
        moving = fixed[place] < _CERTAIN
    owner, pixel, place = owner[moving], pixel[moving], place[moving]
    share = _not_covered(triangles[owner], pixel, size, softness)
    total = torch.zeros_like(fixed).index_add(0, place, share)
    total = torch.where(fixed < _CERTAIN, total, fixed)
    return (-torch.expm1(-total)).view(batch, size, size)


def _pairs(triangles: Tensor, size: int, softness: float) -> tuple[Tensor, Tensor]:
    """Faces and the pixels near them."""
    reach = softness * _FARTHEST**0.5
    low = (triangles.amin(1) - reach - 0.5).ceil().clamp(0, size)
    high = (triangles.amax(1) + reach - 0.5).floor().clamp(-1, size - 1)
    wide = (high - low + 1).clamp_min(0).nan_to_num(0.0).long()
    counts = wide.prod(1)
    owner = torch.repeat_interleave(counts)
    rank = torch.arange(len(owner), device=owner.device) - (counts.cumsum(0) - counts)[owner]
    columns = wide[owner, 0]
    corner = low.nan_to_num(0.0).long()[owner]
    column, row = corner[:, 0] + rank % columns, corner[:, 1] + torch.div(rank, columns, rounding_mode="floor")
    return owner, row * size + column


def _not_covered(triangles: Tensor, pixel: Tensor, size: int, softness: float) -> Tensor:
    """Negative log of the chance that a face does not cover a pixel."""
    row = torch.div(pixel, size, rounding_mode="floor")
    center = torch.stack([pixel - row * size, row], -1).to(triangles) + 0.5
    ends = triangles - center[:, None]
    start, end = ends, ends[:, [1, 2, 0]]
    edge = end - start
    share = -(start * edge).sum(-1) / edge.square().sum(-1).clamp_min(1e-12)
    distance = (start + share.clamp(0.0, 1.0)[..., None] * edge).square().sum(-1).amin(-1)
    side = start[..., 0] * end[..., 1] - start[..., 1] * end[..., 0]
    inside = (side > 0).all(-1) | (side < 0).all(-1)
    return torch.nn.functional.softplus(torch.where(inside, distance, -distance) / softness**2)


def silhouette_distance(
    drawn: Float[Tensor, "batch height width"], seen: Float[Tensor, "masks rows columns"]
) -> Float[Tensor, "batch"]:
    """One minus the soft intersection over union; 0 for rows of which nothing was seen.

    Args:
        drawn: Soft silhouettes.
        seen: Masks, 0 to 1; pixels below 0 are not known and do not count.

    Raises:
        ValueError: If the pictures differ in size.
    """
    if drawn.shape != seen.shape:
        raise ValueError(
            f"The masks are {tuple(seen.shape)}, the drawn silhouettes {tuple(drawn.shape)}; bring them to one size."
        )
    drawn, seen = torch.where(seen < 0, 0.0, drawn), seen.clamp_min(0.0)
    both = (drawn * seen).sum((-2, -1))
    either = (drawn + seen - drawn * seen).sum((-2, -1))
    return torch.where(seen.amax((-2, -1)) > 0.5, 1.0 - both / either.clamp_min(1e-6), 0.0)


def coarse_mesh(
    template: Float[Tensor, "vertices 3"], faces: Int[Tensor, "faces 3"], cell: float
) -> tuple[Int[Tensor, "kept"], Int[Tensor, "coarse 3"]]:
    """Thin out a mesh by keeping one vertex per cell of a grid (Rossignac and Borrel 1993).

    Args:
        template: At rest, metres.
        faces: Corner indices.
        cell: Side of the cells, metres.

    Returns:
        The kept vertices, and faces that name these by their place among them.
    """
    grid = (template / cell).round().long()
    _, group = torch.unique(grid, dim=0, return_inverse=True)
    count = int(group.max()) + 1
    center = torch.zeros(count, 3).to(template).index_add_(0, group, template)
    center = center / torch.bincount(group, minlength=count)[:, None]
    away = (template - center[group]).norm(dim=-1)
    nearest = torch.full((count,), torch.inf).to(template).scatter_reduce(0, group, away, "amin")
    numbers = torch.arange(len(template), device=template.device)
    chosen = torch.where(away == nearest[group], numbers, len(template))
    kept = torch.full((count,), len(template)).to(numbers).scatter_reduce(0, group, chosen, "amin")
    coarse = group[faces.long()].sort(dim=1).values
    different = (coarse[:, 0] != coarse[:, 1]) & (coarse[:, 1] != coarse[:, 2])
    return kept, torch.unique(coarse[different], dim=0)
