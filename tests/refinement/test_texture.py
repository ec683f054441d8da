"""Colours go from the photo to the surface, are merged over photos, and are guessed where unseen."""

import pytest
import torch
from refinement_scenes import BODY, disturbed, look, photograph, standing

from fitloop.refinement.inputs import Appearance, channel_slices, network_input
from fitloop.refinement.look import personal_texture
from fitloop.refinement.texture import body_cells, fill_unseen, look_up, merge_appearances, spread_over_cells
from fitloop.rendering import unique_vertex_colors

TRUTH = standing((0.0, 0.1, 3.0))
PHOTO = photograph(TRUTH)
COLORS = unique_vertex_colors(BODY.template)


def test_visible_vertices_get_the_colours_that_the_photo_shows():
    seen = look(TRUTH, PHOTO)
    found = look_up(seen.drawn, seen.photo)
    shown = found.known[0] > 0.1
    assert 1500 < shown.sum() < 9000
    assert (found.colors[0] - COLORS)[shown].abs().mean() < 0.02


def test_backs_outlines_and_what_the_mask_leaves_out_have_no_weight():
    seen = look(TRUTH, PHOTO)
    found = look_up(seen.drawn, seen.photo)
    back = BODY.template[:, 2] < -0.05
    assert back.sum() > 50 and (found.known[0, back] == 0).all()
    assert (look_up(seen.drawn, seen.photo, torch.zeros_like(seen.silhouette)).known == 0).all()


def test_merging_keeps_what_most_photos_show():
    colors = torch.zeros(5, 1, 3, 3) + torch.tensor([0.2, 0.5, 0.7])
    colors[4] = torch.tensor([0.9, 0.0, 0.1])
    weight = torch.ones(5, 1, 3)
    weight[:, 0, 2] = 0.0
    merged = merge_appearances([Appearance(c, w) for c, w in zip(colors, weight, strict=True)])
    torch.testing.assert_close(merged.colors[0, :2], colors[0, 0, :2], atol=0.01, rtol=0)
    assert merged.known[0].tolist() == [1.0, 1.0, 0.0]
    with pytest.raises(ValueError, match="at least one photo"):
        merge_appearances([])


def test_parts_take_their_usual_colour_despite_outliers():
    cells = body_cells(BODY)
    colors = torch.full((1, len(cells), 3), 0.3)
    colors[:, ::5] = 0.9
    usual = spread_over_cells(Appearance(colors, torch.ones(1, len(cells))), cells)
    torch.testing.assert_close(usual.colors, torch.full_like(colors, 0.3), atol=0.02, rtol=0)
    assert (usual.known == 0.5).all()
    unknown = spread_over_cells(Appearance(colors, torch.zeros(1, len(cells))), cells)
    assert (unknown.known == 0).all()


def test_left_and_right_sleeves_share_a_cell_and_fronts_do_not_share_with_backs():
    cells, parts = body_cells(BODY), BODY.vertex_parts
    left, right = (set(cells[parts == BODY.joint_names.index(f"{side}_elbow")].tolist()) for side in ("left", "right"))
    assert left == right and len(left) == 2


def test_a_texture_of_two_photos_knows_more_than_one_and_guesses_the_rest():
    looks = [look(estimate, PHOTO) for estimate in (TRUTH, disturbed(TRUTH, 0.02))]
    one, two = personal_texture(BODY, looks[:1]), personal_texture(BODY, looks)
    assert (two.known == 1).sum() >= (one.known == 1).sum() > 1000
    shown = two.known[0] == 1
    assert (two.colors[0] - COLORS)[shown].abs().mean() < 0.05


def test_unseen_vertices_are_filled_and_seen_ones_kept():
    cells = body_cells(BODY)
    known = (torch.arange(len(cells)) % 2 == 0).float()[None]
    colors = torch.full((1, len(cells), 3), 0.4)
    filled = fill_unseen(Appearance(colors * known[..., None], known), cells)
    # A cell of which next to nothing was seen stays unknown.
    guessed = filled.known == 0.5
    assert guessed.float().mean() > 0.45 and (filled.known[known > 0] == 1).all()
    torch.testing.assert_close(filled.colors[filled.known > 0], colors[filled.known > 0])


def test_unknown_textures_leave_their_channels_empty():
    seen = look(TRUTH, PHOTO)
    nothing = Appearance(torch.rand(1, len(COLORS), 3), torch.zeros(1, len(COLORS)))
    inputs = network_input(BODY, seen.drawn, nothing, seen.photo, seen.silhouette, torch.zeros(1))
    slices = channel_slices()
    assert (inputs[:, slices["texture"]] == 0).all() and (inputs[:, slices["silhouette"]] == 0).all()
    covered = seen.drawn.fragments.covered
    torch.testing.assert_close(inputs[:, slices["cover"]][:, 0], covered.float())
    normals = inputs[:, slices["normals"]].permute(0, 2, 3, 1)[covered]
    torch.testing.assert_close(normals.norm(dim=-1), torch.ones(len(normals)))
    assert (normals[:, 2] < 0).float().mean() > 0.99
