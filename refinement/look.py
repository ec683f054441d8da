"""One look at a photo: where the network thinks the points of each body's surface are."""

from dataclasses import dataclass, replace

import torch
from jaxtyping import Bool, Float, UInt8
from torch import Tensor

from fitloop.body import Body, BodyEstimate, SurfaceEvidence
from fitloop.geometry import Crop, TensorRecord
from fitloop.refinement.crops import CROP_SIZE, crop_camera, crops_to_look_at, cut_photo, cut_silhouettes
from fitloop.refinement.evidence import inside_photo, surface_evidence
from fitloop.refinement.inputs import (
    Appearance,
    Drawn,
    channel_slices,
    draw_bodies,
    draw_vertices,
    mirrored_input,
    network_input,
)
from fitloop.refinement.network import Displacement, DisplacementNet
from fitloop.refinement.points import mirrored_points, spread_points
from fitloop.refinement.texture import body_cells, fill_unseen, look_up, merge_appearances, rows_or, spread_over_cells
from fitloop.rendering import Rasterizer

MIN_COVER = 60
"""Pixels of the crop that the body must cover inside the photo."""


@dataclass(frozen=True)
class Photo(TensorRecord):
    """A photo and what the detector saw of its people beside keypoints; lies where the bodies lie."""

    pixels: UInt8[Tensor, "height width 3"]
    """RGB."""
    silhouettes: Float[Tensor, "people rows columns"] | None = None
    """Probability of belonging to the person."""
    silhouette_boxes: Float[Tensor, "people 4"] | None = None
    """x y x y in full-image pixels that the grids span."""
    texture: Appearance | None = None
    """Of the same people in other photos, from `merge_appearances`; guessed from this photo if not given, and for
    people of whom nothing is known."""

    @property
    def size(self) -> tuple[int, int]:
        """Height and width."""
        return int(self.pixels.shape[0]), int(self.pixels.shape[1])


@dataclass(frozen=True)
class Look(TensorRecord):
    """What was drawn, seen and predicted of each person."""

    crop: Crop
    """Where in the photo."""
    drawn: Drawn
    photo: Float[Tensor, "people 3 size size"]
    """RGB in [0, 1]."""
    silhouette: Float[Tensor, "people size size"]
    """0 where the detector gave none."""
    inside: Bool[Tensor, "people size size"]
    """Pixels that lie in the photo."""
    seen: Bool[Tensor, "people"]
    """Whether the body lies in the photo and is large enough to be refined."""


def look_at(body: Body, photo: Photo, estimate: BodyEstimate, rasterizer: Rasterizer, size: int = CROP_SIZE) -> Look:
    """Cut the people out of a photo and draw their bodies.

    Args:
        body: The body model.
        photo: Where they are.
        estimate: One body per person and the camera of the photo.
        rasterizer: Any back end.
        size: Pixels along an edge of the crops.

    Raises:
        ValueError: If the number of people differs.
    """
    people = len(estimate.params.betas)
    if photo.silhouettes is not None and len(photo.silhouettes) != people:
        raise ValueError(f"There are {people} bodies but {len(photo.silhouettes)} silhouettes; give one per body.")
    vertices = body(estimate.params).vertices
    crop, large = crops_to_look_at(vertices, estimate.camera, photo.size)
    drawn = draw_vertices(vertices, body.faces, crop_camera(estimate.camera, crop, size), size, rasterizer)
    if photo.silhouettes is None or photo.silhouette_boxes is None:
        silhouette = torch.zeros_like(drawn.fragments.depth)
    else:
        silhouette = cut_silhouettes(photo.silhouettes, photo.silhouette_boxes, crop, size)
    inside = inside_photo(crop, size, photo.size)
    # Rows of people who are not there stay, so that everything keeps one row per person.
    shown = (drawn.fragments.covered & inside).flatten(1).sum(-1) >= MIN_COVER
    return Look(crop, drawn, cut_photo(photo.pixels, crop, size), silhouette, inside, large & shown)


def look_again(body: Body, look: Look, estimate: BodyEstimate, rasterizer: Rasterizer) -> Look:
    """Draw other bodies of the same people in the same crops.

    Args:
        body: The body model.
        look: From `look_at`.
        estimate: Of the same people.
        rasterizer: Any back end.
    """
    drawn = draw_bodies(body, estimate, look.crop, look.photo.shape[-1], rasterizer)
    shown = (drawn.fragments.covered & look.inside).flatten(1).sum(-1) >= MIN_COVER
    return replace(look, drawn=drawn, seen=look.seen & shown)


def personal_texture(body: Body, looks: list[Look]) -> Appearance:
    """Texture of people from other photos of them, one look per photo, people in the same order."""
    seen = [look_up(look.drawn, look.photo, _mask(look)) for look in looks]
    return fill_unseen(merge_appearances(seen), body_cells(body))


@dataclass(frozen=True)
class Glance:
    """What the displacement network made of a look in one pass."""

    levels: tuple[Tensor, ...]
    """Its features at every resolution (people, width, rows, columns), coarsest first; of the mirrored picture where
    it looked in a mirror."""
    displacement: Displacement
    """In the picture as it is, also where it looked in a mirror."""


@dataclass(frozen=True)
class Sight:
    """What the displacement network made of a look."""

    straight: Glance
    mirrored: Glance | None
    """None where it did not look in a mirror."""
    texture: Appearance
    """What the drawn bodies were coloured with."""

    @property
    def displacement(self) -> Displacement:
        """The mean of both answers, which errs less than either."""
        one = self.straight.displacement
        if self.mirrored is None:
            return one
        other = self.mirrored.displacement
        uneven = None if one.uneven is None or other.uneven is None else (one.uneven + other.uneven) / 2.0
        return Displacement((one.offset + other.offset) / 2.0, (one.log_spread + other.log_spread) / 2.0, uneven)


@torch.no_grad()
def see(
    body: Body,
    network: DisplacementNet,
    look: Look,
    texture: Appearance | None = None,
    without: tuple[str, ...] = (),
    twice: bool = True,
) -> Sight:
    """Show looks to the displacement network.

    Args:
        body: The body model.
        network: From `load_network`, or from `made_quick`.
        look: From `look_at`.
        texture: From other photos; without one, and for people of whom it knows nothing, the usual colours of each
            part of the body in this one.
        without: Groups of `CHANNELS` to set to 0, to see what they are worth.
        twice: Whether to look in a mirror as well.
    """
    texture = usual_texture(body, look, texture)
    inputs = input_of(body, look, texture)
    slices = channel_slices()
    for name in without:
        inputs[:, slices[name]] = 0.0
    people = len(inputs)
    # One pass over both is quicker than two.
    both = torch.cat([inputs, mirrored_input(inputs)]) if twice else inputs
    levels = [level.float() for level in network.levels(both)]
    found = network.read(levels[-1])
    straight = Glance(tuple(level[:people] for level in levels), found[:people])
    if not twice:
        return Sight(straight, None, texture)
    mirrored = Glance(tuple(level[people:] for level in levels), _turned_back(found[people:]))
    return Sight(straight, mirrored, texture)


def _turned_back(mirrored: Displacement) -> Displacement:
    """A displacement seen in a mirror as it is in the picture."""
    flipped = mirrored.map(lambda one: one.flip(-1))
    offset = flipped.offset * flipped.offset.new_tensor([-1.0, 1.0])[:, None, None]
    if flipped.uneven is None:
        return replace(flipped, offset=offset)
    # In a mirror an angle a becomes pi - a: cos 2a stays and sin 2a changes sign.
    return replace(flipped, offset=offset, uneven=flipped.uneven * offset.new_tensor([1.0, -1.0])[:, None, None])


def predict_displacement(
    body: Body,
    network: DisplacementNet,
    look: Look,
    texture: Appearance | None = None,
    without: tuple[str, ...] = (),
    twice: bool = True,
) -> Displacement:
    """Ask the network how far the drawn bodies lie from those in the photo; arguments as of `see`."""
    return see(body, network, look, texture, without, twice).displacement


def usual_texture(body: Body, look: Look, texture: Appearance | None = None) -> Appearance:
    """A texture from other photos, and the usual colours of each part of the body in this one where there is none."""
    if texture is not None and bool((texture.known > 0).any(-1).all()):
        return texture
    usual = spread_over_cells(look_up(look.drawn, look.photo, _mask(look)), body_cells(body))
    return usual if texture is None else rows_or(texture, usual)


def input_of(body: Body, look: Look, texture: Appearance) -> Float[Tensor, "people channels size size"]:
    """What the displacement network is shown of a look.

    Args:
        body: The body model.
        look: From `look_at`.
        texture: From `usual_texture`.
    """
    given = (look.silhouette > 0.5).flatten(1).any(-1).to(look.silhouette.dtype)
    return network_input(body, look.drawn, texture, look.photo, look.silhouette, given)


def gather_evidence(
    body: Body, look: Look, predicted: Displacement, weighted: bool = True, mirrored: bool = False
) -> SurfaceEvidence:
    """Targets of the body's fixed points; none for people who are not seen.

    Args:
        body: The body model.
        look: From `look_at`.
        predicted: From `predict_displacement`.
        weighted: Whether confidence follows the predicted spread; else every seen point counts alike.
        mirrored: Whether the points are those on the other side of the body.
    """
    points = mirrored_points(body) if mirrored else spread_points(body)
    found = surface_evidence(body, points, look.drawn, look.crop, predicted, look.inside)
    if not weighted:
        found = replace(found, confidence=(found.confidence > 0).to(found.confidence.dtype), metric=None)
    return replace(found, confidence=found.confidence * look.seen[:, None])


def _mask(look: Look) -> Tensor:
    """The silhouette where there is one, else everything inside the photo."""
    given = (look.silhouette > 0.5).flatten(1).any(-1)[:, None, None]
    return torch.where(given, look.silhouette, look.inside.to(look.silhouette.dtype))
