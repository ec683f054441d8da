"""What the displacement network looks at: the photo, and renderings of the body as it is thought to be."""

from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn.functional import normalize

from fitloop.body import Body, BodyEstimate
from fitloop.geometry import Camera, Crop, TensorRecord
from fitloop.refinement.crops import crop_camera
from fitloop.rendering import Fragments, Rasterizer, interpolate, unique_vertex_colors

CHANNELS = {"photo": 3, "silhouette": 2, "cover": 1, "texture": 4, "depth": 1, "colors": 3, "normals": 3}
"""Groups of input channels in order. Silhouette: probability, and 1 where the detector gave one. Texture: RGB, and how
far it is known. Depth: half metres from the middle of the body. Colours: place on the body in T-pose."""
NUM_CHANNELS = sum(CHANNELS.values())
_DEPTH_UNIT = 0.5


@dataclass(frozen=True)
class Appearance(TensorRecord):
    """Colours at the vertices of bodies."""

    colors: Float[Tensor, "people vertices 3"]
    """RGB in [0, 1]."""
    known: Float[Tensor, "people vertices"]
    """1: seen; 0.5: guessed from the part of the body; 0: nothing is known. While gathering: the weight."""


@dataclass(frozen=True)
class Drawn(TensorRecord):
    """Bodies as they lie in their crops."""

    fragments: Fragments
    vertices: Float[Tensor, "people vertices 3"]
    """Camera frame, metres."""
    camera: Camera
    """Of the crops."""
    normals: Float[Tensor, "people size size 3"]
    """Of the faces, camera frame; 0 where there is no body. Faces are about as large as pixels."""


def draw_bodies(body: Body, estimate: BodyEstimate, crop: Crop, size: int, rasterizer: Rasterizer) -> Drawn:
    """Find what each pixel of the crops sees of the bodies.

    Args:
        body: The body model.
        estimate: One body per person and the camera of the full photo.
        crop: One square per person, sides above 0.
        size: Pixels along an edge.
        rasterizer: Any back end.
    """
    vertices = body(estimate.params).vertices
    return draw_vertices(vertices, body.faces, crop_camera(estimate.camera, crop, size), size, rasterizer)


def draw_vertices(
    vertices: Float[Tensor, "people vertices 3"],
    faces: Int[Tensor, "faces 3"],
    camera: Camera,
    size: int,
    rasterizer: Rasterizer,
) -> Drawn:
    """`draw_bodies` where the vertices are at hand.

    Args:
        vertices: Camera frame, metres.
        faces: Of the body.
        camera: Of the crops.
        size: Pixels along an edge.
        rasterizer: Any back end.
    """
    fragments = rasterizer(vertices, faces, camera, (size, size))
    return Drawn(fragments, vertices, camera, _face_normals(fragments, vertices, faces))


def _face_normals(fragments: Fragments, vertices: Tensor, faces: Tensor) -> Tensor:
    people, row, column = fragments.covered.nonzero(as_tuple=True)
    corners = vertices[people[:, None], faces[fragments.face_ids[people, row, column]]]
    normals = torch.linalg.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    result = vertices.new_zeros(*fragments.face_ids.shape, 3)
    result[people, row, column] = normalize(normals, dim=-1, eps=1e-20)
    return result


def network_input(
    body: Body,
    drawn: Drawn,
    appearance: Appearance,
    photo: Float[Tensor, "people 3 size size"],
    silhouette: Float[Tensor, "people size size"],
    has_silhouette: Float[Tensor, "people"],
) -> Float[Tensor, "people channels size size"]:
    """Stack everything in the order of `CHANNELS`.

    Args:
        body: The body model.
        drawn: The estimates.
        appearance: Colours at their vertices.
        photo: RGB in [0, 1], same crops.
        silhouette: The detector's probability.
        has_silhouette: 1 where there is one, else 0.
    """
    # Everything that is known at vertices goes to the pixels in one pass: finding them costs more than channels do.
    depth = drawn.vertices[..., 2:]
    place = unique_vertex_colors(body.template).expand(*drawn.vertices.shape)
    known = appearance.known[..., None]
    shown = torch.where(known > 0, appearance.colors - 0.5, 0.0)
    middle = depth.mean(-2, keepdim=True)
    values = torch.cat([torch.ones_like(depth), shown, known, (depth - middle) / _DEPTH_UNIT, place], -1)
    rendered = interpolate(drawn.fragments, values, body.faces)
    rendered = torch.cat([rendered, drawn.normals], -1).permute(0, 3, 1, 2)
    given = has_silhouette[:, None, None]
    seen = torch.stack([silhouette * given, given.expand_as(silhouette)], 1)
    return torch.cat([photo - 0.5, seen, rendered], 1)


def channel_slices() -> dict[str, slice]:
    """Where each group of `CHANNELS` lies."""
    found, start = {}, 0
    for name, count in CHANNELS.items():
        found[name] = slice(start, start + count)
        start += count
    return found


def mirrored_input(inputs: Float[Tensor, "people channels size size"]) -> Float[Tensor, "people channels size size"]:
    """The same look in a mirror: left and right of the picture and of the body change places."""
    slices = channel_slices()
    inputs = inputs.flip(-1)
    normals, colors = slices["normals"].start, slices["colors"].start
    # x of the normals turns round, and so does the x of the place on the body, where a body was drawn at all.
    inputs[:, normals] = -inputs[:, normals]
    inputs[:, colors] = inputs[:, slices["cover"].start] - inputs[:, colors]
    return inputs
