"""The equations of offsets: how far points of the surface should move, and the smoothest field that does it."""

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from scipy.linalg import cho_factor, cho_solve
from torch import Tensor
from torch.nn.functional import pad

from fitloop.body import Body, BodyEstimate, SurfaceEvidence
from fitloop.geometry import Camera, project
from fitloop.refinement.offset_space import OffsetSpace
from fitloop.refinement.outlines import compare_outlines, outline_normals
from fitloop.rendering import Fragments, Rasterizer

PICTURE = 256
"""Pixels along an edge of the picture in which outlines are compared: 1 cm of a standing person each."""
_ALONG = 0.3
"""Least cosine between a point's direction and its outline's normal; less says nothing about its offset."""


@dataclass(frozen=True)
class OffsetConfig:
    """How offsets are found and when they are taken."""

    rounds: int = 3
    """How often the clothed body is drawn and compared."""
    smoothing: float = 0.05
    """Metres: bumps that are much smaller than this are not followed."""
    scale: float = 0.03
    """Geman-McClure scale of distances, metres."""
    outwards: float = 0.15
    """Metres from the body's outline beyond which the silhouette shows something else; less where `limits` say so."""
    inwards: float = 0.03
    """Metres by which the silhouette may lie inside the body; less at thin limbs."""
    dense: float = 0.0
    """Weight of dense surface evidence, if given, beside the outline's."""
    least_overlap: float = 0.55
    """Intersection over union of body and silhouette from which they are of the same person in the same pose; below,
    offsets would mend a wrong pose by swollen limbs."""
    least_outline: float = 0.2
    """Share of the body's outline that must have been found in the silhouette."""
    least_gain: float = 0.005
    """By how much the overlap must grow."""
    largest_mean: float = 0.04
    """Metres of mean offset over all vertices that wear something, beyond which they are absurd."""

    def __post_init__(self) -> None:
        if self.rounds < 1:
            raise ValueError(f"rounds must be at least 1, got {self.rounds}.")
        lengths = (self.smoothing, self.scale, self.outwards, self.inwards, self.largest_mean)
        if min(lengths) <= 0 or self.dense < 0:
            raise ValueError(
                "smoothing, scale, outwards, inwards and largest_mean are positive metres and dense is not negative, "
                f"got {lengths} and {self.dense}."
            )


@dataclass(frozen=True)
class OffsetProblem:
    """What stays the same between rounds; a batch of people."""

    body: Body
    space: OffsetSpace
    vertices: Float[Tensor, "people vertices 3"]
    """Of the bare bodies, camera frame."""
    along: Float[Tensor, "people vertices 3"]
    """Directions of the field in the camera frame."""
    camera: Camera
    """Of the pictures."""
    silhouette: Float[Tensor, "people size size"]
    known: Bool[Tensor, "people size size"]
    """Pixels that lie in the photo and in the silhouette's grid."""
    inside: Bool[Tensor, "people size size"]
    """Pixels that lie in the photo."""
    large: Bool[Tensor, "people"]
    """Who is in the photo, large enough."""
    rasterizer: Rasterizer

    def moved(self, field: Float[Tensor, "people vertices"]) -> Float[Tensor, "people vertices 3"]:
        """Vertices with a field laid on, camera frame."""
        return self.vertices + field[..., None] * self.along

    def draw(self, field: Float[Tensor, "people vertices"]) -> Fragments:
        """The bodies with a field laid on."""
        return self.rasterizer(self.moved(field), self.body.faces, self.camera, (PICTURE, PICTURE))


@dataclass(frozen=True)
class Equations:
    """Equations of one person: coefficient * field = target, all metres."""

    corners: Int[np.ndarray, "rows 3"]
    share: Float[np.ndarray, "rows 3"]
    """Of the corners in each row, the coefficient included."""
    target: Float[np.ndarray, "rows"]
    weight: Float[np.ndarray, "rows"]
    """Metres of outline that the row stands for."""

    def joined(self, other: "Equations") -> "Equations":
        pairs = [(getattr(self, name), getattr(other, name)) for name in ("corners", "share", "target", "weight")]
        return Equations(*(np.concatenate(pair) for pair in pairs))


def outline_rows(
    problem: OffsetProblem, drawn: Fragments, field: Float[Tensor, "people vertices"], config: OffsetConfig
) -> tuple[list[Equations], Float[Tensor, "people"]]:
    """One row per pixel of the outline of the clothed bodies, and the share of them that the silhouette shows.

    Args:
        problem: Bodies and silhouettes.
        drawn: The bodies with the field laid on.
        field: As it is, metres.
        config: Which outlines count.
    """
    vertices, faces = problem.moved(field), problem.body.faces
    depth = problem.vertices[..., 2].mean(-1).clamp_min(0.1)
    pixels = torch.where(problem.large, problem.camera.focal / depth, 0.0)
    outline = compare_outlines(
        drawn, problem.silhouette, problem.known, (config.outwards * pixels, config.inwards * pixels)
    )
    corners, person = faces[outline.face], outline.person[:, None]
    points = (outline.barycentrics[..., None] * vertices[person, corners]).sum(1)
    normals, pixel = outline_normals(outline, points, problem.camera)
    along = (normals[:, None] * problem.along[person, corners]).sum(-1)
    share = outline.barycentrics * along
    limits, shrink, bare = (
        torch.from_numpy(values).to(points)[corners]
        for values in (problem.space.limits, problem.space.shrink.clip(max=config.inwards), problem.space.bare)
    )
    now = (share * field[person, corners]).sum(-1)
    target = now + outline.distance * pixel
    bare = bare.amax(-1) > 0
    used = outline.seen & ~bare & (share.sum(-1) > _ALONG)
    used &= (target < limits.amin(-1)) & (target > -shrink.amax(-1))
    # Each person's equations are small and dense, and SciPy solves them on the CPU.
    total, found = (torch.bincount(outline.person[w], minlength=len(field)) for w in (~bare, used))
    rows = []
    for number in range(len(field)):
        mine = used & (outline.person == number)
        values = (corners, share, target, pixel)
        rows.append(Equations(*(value[mine].cpu().numpy() for value in values)))
    return rows, found / total.clamp_min(1)


def dense_rows(
    problem: OffsetProblem, estimate: BodyEstimate, surface: SurfaceEvidence, config: OffsetConfig
) -> list[Equations]:
    """Where points of the surface were seen, as far as motion along their directions can bring them there."""
    chosen = list(surface.vertices)
    points, along = problem.vertices[:, chosen], problem.along[:, chosen]
    apart = (surface.targets - project(points, estimate.camera)) / estimate.camera.focal[:, None, None]
    apart = apart * points[..., 2:]
    # What a step along the direction does across the line of sight: its depth moves the point in the picture too.
    across = along[..., :2] - along[..., 2:] * points[..., :2] / points[..., 2:]
    share = across.norm(dim=-1)
    target = (apart * across).sum(-1) / share.clamp_min(1e-6)
    near = apart.norm(dim=-1) < torch.from_numpy(problem.space.limits).to(points)[chosen]
    weight = config.dense * surface.confidence * ((share > _ALONG) & near)
    corners = torch.tensor(chosen, device=points.device)[:, None].expand(-1, 3)
    rows = []
    for number in range(len(points)):
        kept = weight[number] > 0
        shares = pad(share[number, kept, None], (0, 2))
        values = (corners[kept], shares, target[number, kept], weight[number, kept])
        rows.append(Equations(*(value.cpu().numpy() for value in values)))
    return rows


def solve(space: OffsetSpace, rows: Equations, config: OffsetConfig) -> Float[np.ndarray, "vertices"]:
    """The field at every vertex, by iteratively reweighted least squares."""
    if len(rows.target) == 0:
        return np.zeros(len(space.spread), np.float32)
    matrix = np.einsum("rc,rcn->rn", rows.share, space.spread[rows.corners])
    stiffness, robust = config.smoothing**3 * space.roughness, np.ones_like(rows.target)
    values = np.zeros(0)
    for _ in range(2):
        weighted = (robust * rows.weight)[:, None] * matrix
        values = cho_solve(cho_factor(weighted.T @ matrix + stiffness), weighted.T @ rows.target)
        # Only the second pass doubts: seen from the bare body, hair would be an outlier.
        robust = (1.0 + ((matrix @ values - rows.target) / config.scale) ** 2) ** -2
    field = space.spread @ values.astype(np.float32)
    return np.clip(field, -space.shrink.clip(max=config.inwards), space.limits)
