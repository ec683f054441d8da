"""Colours flow over the surface to where no photo looked."""

import torch
from refinement_scenes import BODY

from fitloop.refinement.inpainting import fill_over_surface, mirrored_vertices
from fitloop.refinement.inputs import Appearance
from fitloop.rendering import unique_vertex_colors

COLORS = unique_vertex_colors(torch.cat([BODY.template[:, :1].abs(), BODY.template[:, 1:]], 1))[None]
"""Smooth, and the same left and right."""
COUNT = len(BODY.template)


def seen(where: torch.Tensor, colors: torch.Tensor = COLORS) -> Appearance:
    known = where.float()[None]
    return Appearance(colors * known[..., None], known)


def test_seen_colours_stay_and_holes_are_closed_smoothly():
    hole = (BODY.template - BODY.template[BODY.template[:, 2].argmax()]).norm(dim=-1) < 0.06
    assert hole.sum() > 50
    filled = fill_over_surface(BODY, seen(~hole))
    torch.testing.assert_close(filled.colors[0, ~hole], COLORS[0, ~hole])
    assert (filled.known[0, ~hole] == 1.0).all() and (filled.known[0, hole] == 0.5).all()
    assert (filled.colors - COLORS)[0, hole].abs().mean() < 0.02


def test_an_unseen_side_takes_the_colours_of_the_other():
    stripes = (8.0 * BODY.template[:, 1:2]).sin().expand(-1, 3) * 0.4 + 0.5
    left = BODY.template[:, 0] > 0.0
    filled = fill_over_surface(BODY, seen(left, stripes[None]))
    unseen = ~left & (mirrored_vertices(BODY) != torch.arange(COUNT))
    away = (filled.colors[0] - stripes)[unseen].abs().mean()
    assert away < 0.02, "stripes that change sides with the body"


def test_the_open_body_mirrors_onto_itself():
    other = mirrored_vertices(BODY)
    torch.testing.assert_close(BODY.template[other], BODY.template * torch.tensor([-1.0, 1.0, 1.0]))
    assert torch.equal(other[other], torch.arange(COUNT))


def test_without_any_colour_nothing_is_invented_and_people_do_not_mix():
    nothing = torch.zeros(COUNT, dtype=torch.bool)
    some = BODY.template[:, 2] > 0.0
    both = Appearance(
        torch.cat([seen(nothing).colors, seen(some).colors]), torch.cat([seen(nothing).known, seen(some).known])
    )
    filled = fill_over_surface(BODY, both)
    assert (filled.known[0] == 0.0).all() and (filled.known[1] > 0.0).all()
    torch.testing.assert_close(filled.colors[1], fill_over_surface(BODY, seen(some)).colors[0])
