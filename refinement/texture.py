"""Colours of a person's surface: looked up in photos, merged, and guessed where nothing was seen.

A texel is a vertex: the open body has 13,524 of them, one per square centimetre, which is as fine as the crops are.
A body without texture coordinates has a texture too.
"""

from functools import lru_cache

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn.functional import grid_sample, max_pool2d, normalize

from fitloop.body import Body
from fitloop.body.keypoints import mirrored
from fitloop.geometry import backproject, concatenate, project
from fitloop.refinement.inputs import Appearance, Drawn
from fitloop.rendering.interpolation import vertex_normals

_HIDDEN = 0.02
"""Metres behind what a pixel shows at which a vertex is hidden."""
_STEP = 0.06
"""Metres between neighbouring pixels that make a boundary."""
_OUTLIER = 0.15
"""Scale of colour differences, in [0, 1], beyond which photos disagree."""
SEEN = 0.02
"""Weight above which a vertex counts as seen."""
MARGIN = 1.0 / 64.0
"""Width, over the side of the crop, of what is left out beside outlines and edges of depth."""


def unknown_appearance(people: int, vertices: int, device: torch.device | str = "cpu") -> Appearance:
    """Nothing is known."""
    return Appearance(
        torch.full((people, vertices, 3), 0.5, device=device), torch.zeros(people, vertices, device=device)
    )


def look_up(
    drawn: Drawn,
    photos: Float[Tensor, "people 3 size size"],
    masks: Float[Tensor, "people size size"] | None = None,
    margin: float = MARGIN,
) -> Appearance:
    """Colours of the visible vertices by back-projection, with their weights.

    The weight falls with the slant of the surface, is 0 next to outlines and to edges of depth, where a small error of
    the pose picks up another surface, and 0 where the vertex is hidden, outside the picture or outside the mask.

    Args:
        drawn: Where the bodies are thought to be.
        photos: RGB in [0, 1], cut as the bodies are drawn.
        masks: Probability of belonging to the person, where it is known.
        margin: Width of "next to", over the side of the crop.
    """
    size = photos.shape[-1]
    depth, vertices = drawn.fragments.depth, drawn.vertices
    grid = (2.0 * project(vertices, drawn.camera) / size - 1.0)[:, None]
    rays = backproject(_centers(size, depth).expand(len(depth), -1, 2), torch.ones_like(depth.flatten(1)), drawn.camera)
    towards = -(drawn.normals.flatten(1, 2) * normalize(rays, dim=-1)).sum(-1).view(depth.shape)
    # Squared, because a slanted pixel also spans more of the surface.
    weight = towards.clamp_min(0.0).square() * _inner(depth, max(1, round(margin * size)))
    weight = weight if masks is None else weight * (masks > 0.5)
    colors = grid_sample(photos, grid, align_corners=False)[:, :, 0].mT
    pixel = grid_sample(torch.stack([weight, depth], 1), grid, mode="nearest", align_corners=False)[:, :, 0]
    near = pixel[:, 1]
    shown = (vertices[..., 2] < near + _HIDDEN) & (near > 0) & (vertices[..., 2] > 0.05)
    return Appearance(colors, pixel[:, 0] * shown)


def _centers(size: int, like: Tensor) -> Float[Tensor, "pixels 2"]:
    ticks = torch.arange(size, dtype=like.dtype, device=like.device) + 0.5
    y, x = torch.meshgrid(ticks, ticks, indexing="ij")
    return torch.stack([x, y], -1).flatten(0, 1)


def _inner(depth: Float[Tensor, "people height width"], reach: int) -> Float[Tensor, "people height width"]:
    """1 where the pixels around, as far as ``reach``, show one surface."""
    empty = depth == 0
    window = (2 * reach + 1, 1, reach)
    far = max_pool2d(torch.where(empty, 1e3, depth)[:, None], *window)[:, 0]
    near = -max_pool2d(-torch.where(empty, 1e3, depth)[:, None], *window)[:, 0]
    return (far - near < _STEP).to(depth.dtype)


def merge_appearances(looks: list[Appearance]) -> Appearance:
    """Merge what several photos of the same people show: the weighted mean of those that agree.

    Starts at the weighted median of each vertex and channel, then weighs each photo down where its colour is far from
    the others' (Geman-McClure, three rounds).

    Raises:
        ValueError: If there is no photo.
    """
    if not looks:
        raise ValueError("merge_appearances needs at least one photo's appearance, got none.")
    if len(looks) == 1:
        return Appearance(looks[0].colors, (looks[0].known > SEEN).to(looks[0].known.dtype))
    colors = torch.stack([look.colors for look in looks])
    weight = torch.stack([look.known for look in looks])
    # From the median on: a mean would start half way to the photo of somebody else and stay there.
    middle = _weighted_median(colors, weight)
    for _ in range(3):
        distance = (colors - middle).norm(dim=-1)
        agreeing = weight * (_OUTLIER**2 / (_OUTLIER**2 + distance.square())).square()
        total = agreeing.sum(0)
        mean = (agreeing[..., None] * colors).sum(0) / total.clamp_min(1e-9)[..., None]
        middle = torch.where((total > 1e-6)[..., None], mean, middle)
    return Appearance(middle, (weight.amax(0) > SEEN).to(colors.dtype))


def _weighted_median(colors: Tensor, weight: Tensor) -> Tensor:
    order = colors.argsort(0)
    sorted_weight = weight[..., None].expand_as(colors).gather(0, order)
    share = sorted_weight.cumsum(0) / sorted_weight.sum(0).clamp_min(1e-9)
    place = (share < 0.5).sum(0, keepdim=True).clamp_max(len(colors) - 1)
    return colors.gather(0, order.gather(0, place))[0]


@lru_cache(maxsize=4)
def body_cells(body: Body) -> Int[Tensor, "vertices"]:
    """Number of the piece of clothing or skin that each vertex probably shares its colour with.

    A cell is a part of the body, front or back, left and right together.
    """
    names = body.joint_names
    side = [min(k, names.index(mirrored(name))) for k, name in enumerate(names)]
    back = vertex_normals(body.template, body.faces)[:, 2] < 0
    return 2 * torch.tensor(side, device=body.template.device)[body.vertex_parts] + back.long()


def spread_over_cells(look: Appearance, cells: Int[Tensor, "vertices"]) -> Appearance:
    """One colour per cell: the approximate texture of a photo whose body is not yet aligned.

    Pixel for pixel, a texture taken from the photo to be explained repeats the photo wherever the body happens
    to be, and shows no error. The usual colour of a whole sleeve does. Outlying colours (background beside a misplaced
    limb) lose their weight in three rounds.

    Args:
        look: From `look_up`.
        cells: From `body_cells`.
    """
    people, count = len(look.colors), int(cells.max()) + 1
    flat = (cells + count * torch.arange(people, device=cells.device)[:, None]).flatten()
    colors, weight = look.colors.flatten(0, 1), look.known.flatten()
    # Two thirds of the vertices are hidden and have no say.
    shown = (weight > 0).nonzero()[:, 0]
    place, seen, weight = flat[shown], colors[shown], weight[shown]
    # The first of four rounds has no mean yet and counts all alike.
    agreeing, mean = weight, colors.new_zeros(people * count, 3)
    for _ in range(4):
        total = colors.new_zeros(people * count).index_add(0, place, agreeing)
        mean = mean.new_zeros(mean.shape).index_add(0, place, agreeing[:, None] * seen)
        mean = mean / total.clamp_min(1e-9)[:, None]
        distance = (seen - mean[place]).norm(dim=-1)
        agreeing = weight * (_OUTLIER**2 / (_OUTLIER**2 + distance.square())).square()
    known = colors.new_zeros(people * count).index_add(0, place, weight) > 1.0
    shape = look.known.shape
    return Appearance(mean[flat].view(look.colors.shape), 0.5 * known[flat].view(shape).to(colors.dtype))


def fill_unseen(seen: Appearance, cells: Int[Tensor, "vertices"]) -> Appearance:
    """Where a merged texture knows nothing, guess the usual colour of the cell.

    Args:
        seen: From `merge_appearances`.
        cells: From `body_cells`.
    """
    usual = spread_over_cells(seen, cells)
    known = seen.known > 0
    return Appearance(
        torch.where(known[..., None], seen.colors, usual.colors), torch.where(known, seen.known, usual.known)
    )


def rows_or(texture: Appearance, other: Appearance) -> Appearance:
    """The texture, and ``other`` for people of whom it knows nothing."""
    some = (texture.known > 0).any(-1, keepdim=True)
    return Appearance(
        torch.where(some[..., None], texture.colors, other.colors), torch.where(some, texture.known, other.known)
    )


def join_textures(given: list[Appearance | None], rows: list[int]) -> Appearance | None:
    """Textures of the people of several photos, one row per person; None where nobody has one.

    Args:
        given: One per photo.
        rows: How many people each photo has.
    """
    known = [one for one in given if one is not None]
    if not known:
        return None
    like = known[0].colors
    blank = [unknown_appearance(count, like.shape[1], like.device) for count in rows]
    return concatenate([none if one is None else one for one, none in zip(given, blank, strict=True)])
