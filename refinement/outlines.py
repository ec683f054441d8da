"""How far the outline of a drawn body lies from the outline of a silhouette."""

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int
from scipy.ndimage import gaussian_filter
from torch import Tensor
from torch.nn.functional import grid_sample, max_pool2d

from fitloop.geometry import Camera, TensorRecord
from fitloop.rendering import Fragments

STEP = 0.5
"""Pixels between samples along a ray."""
_SMOOTH = 2.0
"""Pixels of smoothing under which normals are found."""
_AGREE = 0.5
"""Cosine between the two outlines' normals from which they are the same edge."""


@dataclass(frozen=True)
class Outline(TensorRecord):
    """Points of the surface on the outlines of drawn bodies, all people together."""

    person: Int[Tensor, "points"]
    face: Int[Tensor, "points"]
    barycentrics: Float[Tensor, "points 3"]
    normal: Float[Tensor, "points 2"]
    """Unit vector in the picture that leads out of the body."""
    distance: Float[Tensor, "points"]
    """Pixels to the silhouette's outline along the normal; negative where it lies inside the body. 0 if not seen."""
    seen: Bool[Tensor, "points"]
    """Whether the silhouette has an outline there."""


def compare_outlines(
    fragments: Fragments,
    silhouette: Float[Tensor, "people size size"],
    known: Bool[Tensor, "people size size"],
    reach: tuple[Float[Tensor, "people"], Float[Tensor, "people"]],
) -> Outline:
    """Look from the outlines of bodies along their normals for the outlines of silhouettes.

    Both outlines are found by the same interpolation, so that equal ones have distance 0. A silhouette's outline counts
    if it faces the same way, no other limb lies before it, and both it and the body's outline lie where the
    silhouette is known.

    Args:
        fragments: The bodies, one picture each.
        silhouette: Probability of belonging to the person, same pixels.
        known: Pixels that the photo and the silhouette's grid cover; their borders are no outlines.
        reach: Pixels outwards and inwards beyond which an outline is another one.
    """
    covered = fragments.covered.to(silhouette.dtype)
    inner = -max_pool2d(-covered[:, None], 3, 1, 1)[:, 0]
    person, row, column = ((covered > 0) & (inner == 0)).nonzero(as_tuple=True)
    start = torch.stack([column, row], -1) + 0.5
    normal, length = _outwards(covered, person, start)
    # Steps are the same for all people but for how far they go, so that a batch gives what its people give alone.
    far = int(min(float(torch.cat(reach).amax()) + 2.0, silhouette.shape[-1]) / STEP) + 1
    steps = STEP * torch.arange(-far, far + 1, dtype=start.dtype, device=start.device)
    places = start[:, None] + steps[:, None] * normal[:, None]
    layers = torch.stack([covered, silhouette, known.to(covered.dtype)], 1)
    body, seen, valid = _sample(layers, person, places).unbind(-1)
    edge = _first(body < 0.5, steps > 0, body, steps)
    edged, edge = edge.isfinite(), edge.nan_to_num(0.0)
    here = _sample(layers, person, (start + edge[:, None] * normal)[:, None])[:, 0]
    away = steps - edge[:, None]
    outside, inside = _crossings(body, seen, away)
    distance = torch.where(here[:, 1] >= 0.5, outside, inside)
    end = start + (edge + distance.nan_to_num(0.0))[:, None] * normal
    facing, _ = _outwards(silhouette, person, end)
    found = distance.isfinite() & edged & (length > 1e-3)
    found &= (distance < reach[0][person]) & (distance > -reach[1][person])
    # Whatever an outline's surroundings touch has to be known, else a border would pass for an outline.
    there = _sample(layers[:, 2:], person, end[:, None])[:, 0, 0]
    found &= (here[:, 2] > 0.99) & (there > 0.99) & ((facing * normal).sum(-1) > _AGREE)
    ids = fragments.face_ids[person, row, column]
    corners = fragments.barycentrics[person, row, column]
    return Outline(person, ids, corners, normal, torch.where(found, distance, 0.0), found)


def _outwards(mask: Tensor, person: Tensor, places: Tensor) -> tuple[Tensor, Tensor]:
    """Unit vectors down the slope of smoothed pictures, and how steep it is per pixel."""
    smooth = gaussian_filter(mask.cpu().numpy(), (0.0, _SMOOTH, _SMOOTH), mode="nearest")
    smooth = torch.from_numpy(smooth).to(mask.device)[:, None]
    left, right = (places.new_tensor([sign, 0.0]) for sign in (-1.0, 1.0))
    around = torch.stack([places + left, places + right, places + left.flip(0), places + right.flip(0)], 1)
    values = _sample(smooth, person, around)[..., 0]
    slope = torch.stack([values[:, 0] - values[:, 1], values[:, 2] - values[:, 3]], -1) / 2.0
    length = slope.norm(dim=-1)
    return slope / length.clamp_min(1e-9)[:, None], length


def _sample(layers: Tensor, person: Tensor, places: Tensor) -> Tensor:
    """Bilinear values (points, samples, layers) of each point's own person; 0 outside the pictures."""
    size = layers.shape[-1]
    result = layers.new_zeros(*places.shape[:2], layers.shape[1])
    grid = 2.0 * places / size - 1.0
    for number in range(len(layers)):
        points = person == number
        looked = grid_sample(layers[number : number + 1], grid[points][None].to(layers.dtype), align_corners=False)
        result[points] = looked[0].permute(1, 2, 0)
    return result


def _crossings(body: Tensor, seen: Tensor, away: Tensor) -> tuple[Tensor, Tensor]:
    """Nearest outline of the silhouette outside and inside the body's; NaN where a limb or a gap comes before it."""
    beyond, within = away > 0, away < 0
    outside = _first(seen < 0.5, beyond, seen, away)
    # The body's own edge is blurred over a pixel; farther out it must not come again, farther in it must not end.
    limb = _first(body > 0.5, away > 1.0, body, away)
    flipped = [tensor.flip(-1) for tensor in (seen, body, away)]
    inside = _first(flipped[0] > 0.5, within.flip(-1), flipped[0], flipped[2])
    gap = _first(flipped[1] < 0.5, flipped[2] < -1.0, flipped[1], flipped[2])
    outside = torch.where(limb.isfinite() & (limb < outside), torch.nan, outside)
    return outside, torch.where(gap.isfinite() & (gap > inside), torch.nan, inside)


def _first(reached: Tensor, allowed: Tensor, values: Tensor, places: Tensor) -> Tensor:
    """Where along each row a value first passes one half, between samples; NaN where it never does."""
    hit = reached & allowed
    index = hit.to(torch.uint8).argmax(-1, keepdim=True)
    before = (index - 1).clamp_min(0)
    places = places.expand_as(values)
    a, b = values.gather(-1, before) - 0.5, values.gather(-1, index) - 0.5
    share = (a / (a - b).where(a != b, torch.ones_like(a))).clamp(0.0, 1.0)
    start, end = places.gather(-1, before), places.gather(-1, index)
    return torch.where(hit.any(-1), (start + share * (end - start))[:, 0], torch.nan)


def outline_normals(
    outline: Outline, points: Float[Tensor, "points 3"], camera: Camera
) -> tuple[Float[Tensor, "points 3"], Float[Tensor, "points"]]:
    """Lift distances in the picture to space.

    Args:
        outline: From `compare_outlines`.
        points: Its points, camera frame, metres.
        camera: Of the pictures, one per person.

    Returns:
        The gradient of each point's place along its normal in the picture, per metre and in units of focal / depth
        (about a unit vector across the line of sight); and the metres at the point's depth that a pixel spans.
    """
    slope = (outline.normal * points[:, :2]).sum(-1, keepdim=True) / points[:, 2:]
    return torch.cat([outline.normal, -slope], -1), points[:, 2] / camera.focal[outline.person]
