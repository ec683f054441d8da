"""Pictures for people to look at: bodies drawn over their photo, and a body seen from its side."""

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Int, UInt8
from torch import Tensor

from fitloop.geometry import Camera, project
from fitloop.rendering.backends import load_rasterizer
from fitloop.rendering.rasterizer import NEAR, Rasterizer
from fitloop.rendering.shading import person_colors, shade, turn_about_vertical

TILE = 512
"""Side in pixels of the squares that are drawn one by one; bounds the memory whatever the photo's size."""
LARGE = 2_000_000
"""Pixels in a person's box above which edges are no longer smoothed by default."""


@dataclass(frozen=True)
class OverlayStyle:
    """How bodies are laid over a photo."""

    alpha: float = 0.9
    """Opacity: 0 shows the photo, 1 hides it."""
    samples: int | None = None
    """Samples per pixel along each axis; 2 gives smooth edges, 1 is faster. By default 2 unless people are so large in
    the photo that single pixels do not show: 1 if the largest takes a box of more than `LARGE` pixels."""

    def __post_init__(self) -> None:
        if not 0.0 <= self.alpha <= 1.0:
            raise ValueError(f"alpha lies between 0 and 1, got {self.alpha}.")
        if self.samples is not None and not 1 <= self.samples <= 4:
            raise ValueError(f"samples lies between 1 and 4, got {self.samples}.")


def draw_overlay(
    pixels: UInt8[np.ndarray, "height width 3"],
    vertices: Float[Tensor, "people vertices 3"],
    faces: Int[Tensor, "faces 3"],
    camera: Camera,
    colors: Float[Tensor, "*any 3"] | None = None,
    style: OverlayStyle = OverlayStyle(),
) -> UInt8[np.ndarray, "height width 3"]:
    """Draw all people of a photo over it; at each sample the nearest surface hides those behind.

    Only the parts of the photo that people touch are drawn, so the cost follows the people, not the photo.

    Args:
        pixels: The photo, RGB; left untouched.
        vertices: Camera frame, metres; a person who is behind the camera or not finite is left out.
        faces: Counter-clockwise seen from outside, shared by all.
        camera: Of the photo: one for all, or one per person.
        colors: sRGB in [0, 1], (people, 3) or per vertex (people, vertices, 3); by default `person_colors`.
        style: Opacity and smoothing.

    Returns:
        A new picture of the photo's size.

    Raises:
        ValueError: If the number of cameras or colours is not the number of people.
    """
    people = len(vertices)
    colors = person_colors(people).to(vertices.device) if colors is None else colors
    if camera.focal.ndim and len(camera.focal) != people or len(colors) != people:
        raise ValueError(
            f"There are {people} people, {len(colors)} colours and cameras of shape {tuple(camera.focal.shape)}; "
            "give one colour per person and one camera for all or per person."
        )
    picture = pixels.copy()
    if people == 0:
        return picture
    colors = colors.to(vertices.dtype)
    shaded = shade(vertices, faces, colors if colors.ndim == 3 else colors[:, None])
    boxes = _pixel_boxes(vertices, camera, (pixels.shape[1], pixels.shape[0]))
    largest = float(((boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])).max())
    samples = style.samples or (1 if largest > LARGE else 2)
    rasterizer = load_rasterizer("auto", vertices.device)
    canvas = _Canvas(_to_unit_camera(vertices, camera), shaded, faces, rasterizer, style.alpha)
    for tile in _tiles(pixels.shape[0], pixels.shape[1]):
        touched = (boxes[:, :2] < tile[2:]).all(-1) & (boxes[:, 2:] > tile[:2]).all(-1)
        if not touched.any():
            continue
        low, high = boxes[touched, :2].amin(0).floor(), boxes[touched, 2:].amax(0).ceil()
        left, top = low.maximum(tile[:2]).int().tolist()
        right, bottom = high.minimum(tile[2:]).int().tolist()
        canvas.draw(touched, (left, top), picture[top:bottom, left:right], samples)
    return picture


def _tiles(height: int, width: int) -> Float[Tensor, "tiles 4"]:
    """Squares (x y x y) that cover a picture."""
    corners = [(left, top) for top in range(0, height, TILE) for left in range(0, width, TILE)]
    low = torch.tensor(corners, dtype=torch.float32).reshape(-1, 2)
    return torch.cat([low, (low + TILE).minimum(torch.tensor([width, height]))], -1)


def draw_side_view(
    vertices: Float[Tensor, "vertices 3"],
    faces: Int[Tensor, "faces 3"],
    size: tuple[int, int],
    color: tuple[float, float, float] | Float[Tensor, "vertices 3"] = (0.47, 0.69, 0.95),
    degrees: float = 90.0,
) -> UInt8[np.ndarray, "height width 3"]:
    """Draw one body turned about the vertical, filling a picture with a plain background.

    Args:
        vertices: Camera frame, metres; where it stands does not matter.
        faces: Counter-clockwise seen from outside.
        size: Height and width in pixels.
        color: sRGB in [0, 1], one for all or one per vertex.
        degrees: How far to turn; 90 shows what a viewer on the camera's right sees, 0 what the camera sees.

    Raises:
        ValueError: If a vertex is not finite.
    """
    if not bool(vertices.isfinite().all()):
        raise ValueError("The side view needs finite vertices; leave this body out.")
    turned = turn_about_vertical(vertices, degrees)
    low, high = turned.amin(0), turned.amax(0)
    extent = (high - low).clamp_min(1e-6)
    height, width = size
    # Far away and through a long lens: nearly parallel, so limbs keep their proportions.
    distance = 8.0 * float(extent.max())
    focal = 0.86 * distance * min(height / float(extent[1]), width / float(extent[0]))
    placed = turned - (low + high) / 2 + vertices.new_tensor([0.0, 0.0, distance])
    camera = Camera(vertices.new_tensor(focal), vertices.new_tensor([width / 2, height / 2]))
    floor = height / 2 + focal / distance * float(extent[1]) / 2
    scale = focal / distance * float(extent[0])
    return draw_overlay(
        _backdrop(size, floor, scale),
        placed[None],
        faces,
        camera,
        torch.as_tensor(color).to(vertices)[None],
        OverlayStyle(alpha=1.0),
    )


@dataclass(frozen=True)
class _Canvas:
    vertices: Tensor
    """As `_to_unit_camera` gives them."""
    colors: Tensor
    """sRGB per vertex."""
    faces: Tensor
    rasterizer: Rasterizer
    alpha: float

    def draw(self, people: Tensor, corner: tuple[int, int], part: np.ndarray, samples: int) -> None:
        """Blend people over a part of the picture that begins at ``corner``, in place."""
        from fitloop.rendering.kernels import lay_over

        chosen = people.nonzero()[:, 0].to(self.vertices.device)
        vertices, colors = self.vertices[chosen].flatten(0, 1), self.colors[chosen].flatten(0, 1)
        first = torch.arange(len(chosen), device=vertices.device)[:, None, None] * self.vertices.shape[1]
        faces = (self.faces + first).flatten(0, 1)
        camera = Camera(vertices.new_tensor(samples), -samples * vertices.new_tensor(corner))
        size = (part.shape[0] * samples, part.shape[1] * samples)
        fragments = self.rasterizer(vertices, faces, camera, size)
        face_ids, barycentrics, faces, colors = (
            tensor.cpu().numpy() for tensor in (fragments.face_ids, fragments.barycentrics, faces, colors.float())
        )
        lay_over(part, (face_ids, barycentrics), faces, colors, samples, self.alpha)


def _to_unit_camera(vertices: Tensor, camera: Camera) -> Tensor:
    """Move each person's vertices so that a camera of focal 1 px and principal point 0 sees them where theirs does.

    People estimated with different cameras can then hide one another; depths stay.
    """
    # z stays, so that who hides whom stays too.
    xy = vertices[..., :2] * camera.focal[..., None, None] + camera.principal_point[..., None, :] * vertices[..., 2:]
    return torch.cat([xy, vertices[..., 2:]], dim=-1)


def _pixel_boxes(vertices: Tensor, camera: Camera, size: tuple[int, int]) -> Tensor:
    """Boxes (x y x y) in the photo around the vertices in front of each camera; no area where there are none."""
    rows = Camera(camera.focal.expand(len(vertices)), camera.principal_point.expand(len(vertices), 2))
    pixels = project(vertices, rows)
    seen = (vertices[..., 2:] >= NEAR) & pixels.isfinite().all(-1, keepdim=True)
    low = torch.where(seen, pixels, torch.inf).amin(1)
    high = torch.where(seen, pixels, -torch.inf).amax(1)
    limit = vertices.new_tensor(size)
    return torch.cat([low.clamp_min(0).minimum(limit), high.clamp_min(0).minimum(limit)], dim=-1).cpu()


def _backdrop(size: tuple[int, int], floor: float, scale: float) -> np.ndarray:
    """Light grey, darker towards the floor, with a soft shadow where the body stands."""
    height, width = size
    rows, columns = np.mgrid[:height, :width] + 0.5
    grey = 243.0 - 20.0 * (rows / height) ** 2
    reach = ((columns - width / 2) / (0.55 * scale)) ** 2 + ((rows - floor) / (0.10 * scale + 0.01 * height)) ** 2
    grey = grey - 42.0 * np.exp(-1.5 * reach)
    return np.repeat(grey[..., None], 3, axis=2).astype(np.uint8)
