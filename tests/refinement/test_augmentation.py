"""Mirrored and turned views show what a mirrored and turned world would show."""

import math
from dataclasses import replace

import torch
from refinement_scenes import BODY, disturbed, draw, look, photograph, standing

from fitloop.geometry import camera_of, project, rotvec_to_rotmat
from fitloop.refinement.augmentation import Batch, blend, change_background, change_light, choose_rows, mirror, turn
from fitloop.refinement.inputs import NUM_CHANNELS, channel_slices, mirrored_input, network_input
from fitloop.refinement.texture import unknown_appearance
from fitloop.rendering import interpolate

TRUTH = standing((0.0, 0.1, 3.0))


def random_batch() -> Batch:
    generator = torch.Generator().manual_seed(0)
    return Batch(
        torch.randn(2, NUM_CHANNELS, 8, 8, generator=generator),
        torch.randn(2, 2, 8, 8, generator=generator),
        (torch.rand(2, 8, 8, generator=generator) > 0.3).float(),
        torch.rand(2, 5, 4, 4, generator=generator),
    )


def test_a_quarter_turn_moves_pixels_and_directions_together():
    batch = random_batch()
    turned = turn(batch, torch.full((2,), math.pi / 2.0))
    torch.testing.assert_close(turned.weight, batch.weight.rot90(-1, (-2, -1)))
    x, y = batch.truth.rot90(-1, (-2, -1)).unbind(1)
    torch.testing.assert_close(turned.truth, torch.stack([-y, x], 1), atol=1e-5, rtol=0)
    torch.testing.assert_close(turned.inputs[:, 0], batch.inputs[:, 0].rot90(-1, (-2, -1)), atol=1e-4, rtol=0)
    normals = channel_slices()["normals"].start
    x, y = (batch.inputs[:, normals + k].rot90(-1, (-2, -1)) for k in (0, 1))
    torch.testing.assert_close(turned.inputs[:, normals], -y, atol=1e-5, rtol=0)
    torch.testing.assert_close(turned.inputs[:, normals + 1], x, atol=1e-5, rtol=0)
    torch.testing.assert_close(turned.surface, batch.surface.rot90(-1, (-2, -1)), atol=1e-5, rtol=0)


def test_turning_by_nothing_and_mirroring_twice_change_nothing():
    batch = random_batch()
    batch.inputs[:, channel_slices()["cover"]] = 1.0
    for same in (turn(batch, torch.zeros(2)), mirror(mirror(batch))):
        torch.testing.assert_close(same.inputs, batch.inputs, atol=1e-5, rtol=0)
        torch.testing.assert_close(same.truth, batch.truth, atol=1e-5, rtol=0)
        torch.testing.assert_close(same.surface, batch.surface, atol=1e-5, rtol=0)


def test_a_mirrored_view_is_the_view_of_the_mirrored_person():
    def inputs_of(estimate):
        seen = look(estimate, photograph(estimate))
        nothing = unknown_appearance(1, len(BODY.template))
        return network_input(BODY, seen.drawn, nothing, seen.photo, seen.silhouette, torch.zeros(1))

    pose = TRUTH.params.body_pose.clone()
    pose[:, 3] = rotvec_to_rotmat(torch.tensor((0.5, 0.0, 0.0)))
    other = TRUTH.params.body_pose.clone()
    other[:, 4] = pose[:, 3]
    person, mirrored = (replace(TRUTH, params=replace(TRUTH.params, body_pose=p)) for p in (pose, other))
    first = inputs_of(person)
    flipped = mirrored_input(first)
    rendered = slice(channel_slices()["cover"].start, None)
    difference = (flipped - inputs_of(mirrored))[:, rendered].abs()
    assert difference.mean() < 0.01 and (difference > 0.1).float().mean() < 0.02


def test_blending_ends_where_the_true_camera_sees_the_truth():
    estimate = disturbed(TRUTH)
    other = replace(estimate, camera=camera_of(320, 240, 700.0).map(lambda value: value[None]))
    end = blend(other, TRUTH, torch.ones(1), BODY)
    apart = project(BODY(end.params).vertices, end.camera) - project(BODY(TRUTH.params).vertices, TRUTH.camera)
    assert apart.norm(dim=-1).mean() < 4.0
    torch.testing.assert_close(end.params.rotations, TRUTH.params.rotations, atol=1e-4, rtol=0)
    start = blend(other, TRUTH, torch.zeros(1), BODY)
    torch.testing.assert_close(start.params.transl, other.params.transl, atol=1e-4, rtol=0)


def test_other_light_is_another_photo_of_the_same_size():
    photos = torch.rand(2, 3, 16, 16, generator=torch.Generator().manual_seed(0))
    changed = change_light(photos, 0.2, torch.Generator().manual_seed(1))
    assert changed.shape == photos.shape and 0 <= changed.min() and changed.max() <= 1
    assert (changed - photos).abs().mean() > 0.02


def test_people_move_before_another_background_and_stay_what_they_are():
    photos = torch.rand(2, 3, 16, 16, generator=torch.Generator().manual_seed(0))
    masks = torch.zeros(2, 16, 16)
    masks[:, 4:12, 4:12] = 1.0
    moved = change_background(photos, masks, 1.0, torch.Generator().manual_seed(1))
    torch.testing.assert_close(moved[..., 5:11, 5:11], photos[..., 5:11, 5:11])
    torch.testing.assert_close(moved[0, :, :3], photos[1].flip(-1)[:, :3])
    assert change_background(photos, masks, 0.0, torch.Generator()).equal(photos)


def test_rows_are_taken_from_the_estimates_with_their_number():
    estimates = [disturbed(TRUTH[[0, 0]], seed=seed) for seed in (1, 2)]
    chosen = choose_rows(estimates, torch.tensor([1, 0]))
    torch.testing.assert_close(chosen.params.transl[0], estimates[1].params.transl[0])
    torch.testing.assert_close(chosen.params.transl[1], estimates[0].params.transl[1])


def test_displacements_are_those_of_the_drawn_points():
    estimate = disturbed(TRUTH)
    seen = look(estimate, photograph(TRUTH))
    true = draw(TRUTH, seen)
    moved = project(true.vertices, true.camera) - project(seen.drawn.vertices, seen.drawn.camera)
    offset = interpolate(seen.drawn.fragments, moved, BODY.faces)[0]
    row, column = seen.drawn.fragments.covered[0].nonzero()[100].tolist()
    corners = BODY.faces[seen.drawn.fragments.face_ids[0, row, column]]
    place = seen.drawn.fragments.barycentrics[0, row, column] @ project(true.vertices, true.camera)[0, corners]
    expected = place - torch.tensor([column + 0.5, row + 0.5])
    torch.testing.assert_close(offset[row, column], expected, atol=0.05, rtol=0)
