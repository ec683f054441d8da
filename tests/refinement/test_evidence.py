"""From displacements to targets: an exact displacement gives the exact place of every visible point."""

from dataclasses import replace

import torch
from refinement_scenes import BODY, disturbed, draw, look, photograph, standing

from fitloop.geometry import project
from fitloop.refinement import Displacement, gather_evidence
from fitloop.refinement.points import spread_points
from fitloop.rendering import interpolate

TRUTH = standing((0.0, 0.1, 3.0))
PHOTO = photograph(TRUTH)


def exact(estimate, seen, spread: float = 0.0) -> Displacement:
    """What a perfect network would say."""
    true = draw(TRUTH[[0] * len(estimate.params.betas)], seen)
    moved = project(true.vertices, true.camera) - project(seen.drawn.vertices, seen.drawn.camera)
    offset = interpolate(seen.drawn.fragments, moved, BODY.faces).permute(0, 3, 1, 2)
    return Displacement(offset, torch.full_like(offset[:, 0], spread))


def test_points_are_spread_evenly_and_every_vertex_belongs_to_the_nearest():
    points = spread_points(BODY)
    chosen = BODY.template[list(points.vertices)]
    apart = torch.cdist(chosen, chosen) + torch.eye(len(chosen))
    assert len(set(points.vertices)) == 400 and apart.amin() > 0.02
    nearest = torch.cdist(BODY.template, chosen).argmin(-1)
    assert (nearest == points.cell_of).float().mean() > 0.99
    assert spread_points(BODY) is points


def test_exact_displacements_give_the_true_places_of_visible_points():
    estimate = disturbed(TRUTH)
    seen = look(estimate, PHOTO)
    found = gather_evidence(BODY, seen, exact(estimate, seen))
    true = project(BODY(TRUTH.params).vertices[:, list(found.vertices)], TRUTH.camera)
    start = project(BODY(estimate.params).vertices[:, list(found.vertices)], TRUTH.camera)
    shown = found.confidence > 0
    assert 120 < shown.sum() < 260
    error = (found.targets - true).norm(dim=-1)[shown].mean()
    assert error < 0.12 * (start - true).norm(dim=-1)[shown].mean()


def test_hidden_points_are_not_observed():
    seen = look(TRUTH, PHOTO)
    found = gather_evidence(BODY, seen, exact(TRUTH, seen))
    back = BODY.template[list(found.vertices), 2] < -0.05
    assert back.sum() > 5 and (found.confidence[0, back] == 0).all()


def test_confidence_falls_with_the_predicted_spread_unless_told_otherwise():
    seen = look(TRUTH, PHOTO)
    sure, unsure = (gather_evidence(BODY, seen, exact(TRUTH, seen, spread)) for spread in (-1.0, 1.5))
    alike = gather_evidence(BODY, seen, exact(TRUTH, seen, 1.5), weighted=False)
    shown = sure.confidence > 0
    assert (sure.confidence[shown] == 1).all() and (alike.confidence == sure.confidence).all()
    torch.testing.assert_close(unsure.confidence[shown], torch.full((int(shown.sum()),), 2.718281828**-1.5))


def test_uneven_spread_becomes_a_metric_that_counts_less_along_the_unsure_direction():
    seen = look(TRUTH, PHOTO)
    told = exact(TRUTH, seen, 1.0)
    uneven = torch.zeros_like(told.offset)
    uneven[:, 0] = 0.5  # unsure in x, sure in y
    found = gather_evidence(BODY, seen, replace(told, uneven=uneven))
    shown = found.confidence > 0
    expected = torch.tensor([[2.718281828**-1.0, 0.0], [0.0, 1.0]])
    torch.testing.assert_close(found.metric[shown], expected.expand(int(shown.sum()), 2, 2), atol=1e-4, rtol=0)
    torch.testing.assert_close(found.confidence[shown], torch.full((int(shown.sum()),), 2.718281828**-0.5))


def test_a_batch_gives_what_its_people_give_alone():
    both = TRUTH[[0, 0]]
    estimate = disturbed(both)
    photo = photograph(both)
    together = look(estimate, photo)
    alone = look(estimate[1:], type(photo)(photo.pixels, photo.silhouettes[1:], photo.silhouette_boxes[1:]))
    first = gather_evidence(BODY, together, exact(estimate, together))
    second = gather_evidence(BODY, alone, exact(estimate[1:], alone))
    torch.testing.assert_close(first.targets[1], second.targets[0], atol=1e-3, rtol=0)


def test_people_cut_by_the_border_have_targets_only_from_inside():
    truth = standing((1.15, 0.1, 3.0))
    photo = photograph(truth)
    seen = look(truth, photo)
    assert seen.seen.all()
    still = Displacement(torch.zeros(1, 2, 128, 128), torch.zeros(1, 128, 128))
    found = gather_evidence(BODY, seen, still)
    shown = found.confidence[0] > 0
    assert 10 < shown.sum() < 200 and (found.targets[0, shown, 0] < 325).all()


def test_people_behind_the_camera_beside_the_photo_or_tiny_are_not_seen():
    for place in ((0.0, 0.0, -3.0), (9.0, 0.0, 3.0), (0.0, 0.0, 60.0)):
        seen = look(standing(place), PHOTO)
        assert not seen.seen.any()
        still = Displacement(torch.zeros(1, 2, 128, 128), torch.zeros(1, 128, 128))
        found = gather_evidence(BODY, seen, still)
        assert (found.confidence == 0).all() and found.targets.isfinite().all()
