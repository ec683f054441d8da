"""From a displacement per pixel to where points of the surface were seen."""

import torch
from jaxtyping import Bool
from torch import Tensor
from torch.nn.functional import grid_sample

from fitloop.body import Body, SurfaceEvidence
from fitloop.geometry import Crop, project
from fitloop.refinement.inputs import Drawn
from fitloop.refinement.network import Displacement
from fitloop.refinement.points import SurfacePoints

SURE = 1.0
"""Crop pixels of predicted spread up to which a point has full confidence; beyond, confidence falls as 1 / spread."""
_PIXELS = 3.0
"""Pixels that must show the surroundings of a point."""
_HIDDEN = 0.03
"""Metres behind what its pixel shows at which a point is hidden."""


def surface_evidence(
    body: Body, points: SurfacePoints, drawn: Drawn, crop: Crop, predicted: Displacement, inside: Tensor
) -> SurfaceEvidence:
    """Boil a displacement field down to the targets of fixed points.

    Each pixel's displacement goes to the corners of its face by its barycentric weights, and from each vertex to the
    point in whose surroundings it lies; pixels weigh by their predicted precision. A point's target is where it is
    drawn plus that mean.

    Args:
        body: The body model.
        points: From `spread_points`.
        drawn: The estimates that the network saw.
        crop: Where, in the photo.
        predicted: By the network, same crops.
        inside: (people, size, size) boolean: pixels of the crops that lie in the photo.

    Returns:
        Targets in full-image pixels. Not observed are points that are hidden, behind the camera, or of whose
        surroundings less than three pixels are seen.
    """
    size, count = predicted.offset.shape[-1], len(points.vertices)
    people, row, column = (drawn.fragments.covered & inside).nonzero(as_tuple=True)
    corners = body.faces[drawn.fragments.face_ids[people, row, column]]
    place = (people[:, None] * count + points.cell_of[corners]).flatten()
    offset = predicted.offset[people, :, row, column]
    spread = predicted.log_spread[people, row, column].exp()
    share = drawn.fragments.barycentrics[people, row, column]
    precision = share / spread.square()[:, None]
    uneven = torch.zeros_like(predicted.offset) if predicted.uneven is None else predicted.uneven
    values = torch.cat([offset, spread[:, None], uneven[people, :, row, column], torch.ones_like(spread[:, None])], -1)
    weighted = (precision[..., None] * values[:, None]).flatten(0, 1)
    weighted = torch.cat([weighted, share.reshape(-1, 1)], -1)
    total = weighted.new_zeros(len(drawn.vertices) * count, 7).index_add(0, place, weighted)
    total = total.view(-1, count, 7)
    mean = total[..., :5] / total[..., 5:6].clamp_min(1e-9)
    vertices = drawn.vertices[:, list(points.vertices)]
    pixels = project(vertices, drawn.camera)
    seen = (total[..., 6] >= _PIXELS) & _shown(vertices[..., 2], pixels, drawn, size)
    targets = (pixels + mean[..., :2]) / size - 0.5
    targets = crop.center[:, None] + targets * crop.side[:, None, None]
    least, metric = _directed(mean[..., 2], mean[..., 3:])
    confidence = torch.where(seen, least, 0.0)
    return SurfaceEvidence(points.vertices, torch.where(seen[..., None], targets, 0.0), confidence, metric)


def _directed(spread: Tensor, uneven: Tensor) -> tuple[Tensor, Tensor]:
    """Confidence in the direction that is known best, and the metric that shortens distances along the other."""
    more = uneven.norm(dim=-1).exp()
    best, worst = ((SURE / wide.clamp_min(1e-6)).clamp_max(1.0) for wide in (spread / more, spread * more))
    angle = 0.5 * torch.atan2(uneven[..., 1], uneven[..., 0])
    along = torch.stack([torch.cos(angle), torch.sin(angle)], -1)
    lost = (1.0 - worst / best)[..., None, None]
    return best, torch.eye(2, dtype=along.dtype, device=along.device) - lost * along[..., :, None] * along[..., None, :]


def _shown(depth: Tensor, pixels: Tensor, drawn: Drawn, size: int) -> Bool[Tensor, "people points"]:
    grid = (2.0 * pixels / size - 1.0)[:, None]
    near = grid_sample(drawn.fragments.depth[:, None], grid, mode="nearest", align_corners=False)[:, 0, 0]
    # Beside the outline a visible point's own pixel may be empty.
    return (depth > 0.05) & ((near == 0) | (depth < near + _HIDDEN))


def inside_photo(crop: Crop, size: int, photo: tuple[int, int]) -> Bool[Tensor, "people size size"]:
    """Which pixels of the crops lie in the photo.

    Args:
        crop: One square per person, not turned.
        size: Pixels along an edge of the crops.
        photo: Height and width.
    """
    ticks = (torch.arange(size, dtype=crop.side.dtype, device=crop.side.device) + 0.5) / size - 0.5
    along = crop.center[..., None] + ticks * crop.side[:, None, None]
    x, y = along.unbind(1)
    in_x, in_y = (x > 0) & (x < photo[1]), (y > 0) & (y < photo[0])
    return in_y[:, :, None] & in_x[:, None, :]
