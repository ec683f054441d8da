"""Refinement end to end, with a network that is told the truth, lies, or is absent."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from fitting_scenes import see
from refinement_scenes import BODY, SIZE, disturbed, draw, look, photograph, standing

import fitloop.pipelines.chain.refining as refining
import fitloop.refinement.refiner as stage
from fitloop.body import BodyEstimate, Image
from fitloop.body.records import Uncertainty
from fitloop.detection import MediapipeDetector
from fitloop.detection.fetching import NetworksMissing
from fitloop.fitting import Fit, Status
from fitloop.geometry import camera_of, project
from fitloop.pipelines.chain.config import StagesConfig
from fitloop.pipelines.chain.people import People
from fitloop.pipelines.chain.refining import (
    Dresser,
    RefinementStage,
    dense_fit,
    make_refiner,
    refine_people,
    with_silhouettes,
)
from fitloop.refinement import Displacement, DisplacementNet, Photo, Reason, predict_displacement
from fitloop.refinement.gate import withhold
from fitloop.refinement.look import Glance, Sight, usual_texture
from fitloop.refinement.network import NetworkConfig
from fitloop.refinement.offsets import find_offsets
from fitloop.refinement.refiner import RefineConfig, Refiner
from fitloop.refinement.subjects import Subjects
from fitloop.rendering import interpolate
from fitloop.rendering.flow import draw_flow
from fitloop.rendering.numba_backend import NumbaRasterizer

TRUTH = standing((-0.5, 0.1, 3.0), (0.6, 0.1, 3.4))
PHOTO = photograph(TRUTH)
NETWORK = DisplacementNet(NetworkConfig((8, 8, 8), (1, 1, 1))).eval()


@pytest.fixture
def told(monkeypatch):
    """Make the network say what it is told: the truth times a factor."""

    def tell(factor: float) -> Refiner:
        def tell_truth(body, network, look, texture=None, without=(), twice=True):
            true = draw(TRUTH, look)
            moved = project(true.vertices, true.camera) - project(look.drawn.vertices, look.drawn.camera)
            offset = factor * interpolate(look.drawn.fragments, moved, BODY.faces).permute(0, 3, 1, 2)
            told = Displacement(offset, torch.full_like(offset[:, 0], -1.0))
            return Sight(Glance((), told), None, usual_texture(body, look, texture))

        monkeypatch.setattr(stage, "see", tell_truth)
        return make_refiner(BODY, network=NETWORK)

    return tell


def error(estimate) -> torch.Tensor:
    apart = BODY(estimate.params).vertices - BODY(TRUTH.params).vertices
    return apart.norm(dim=-1).mean(-1)


def test_true_displacements_bring_bodies_to_the_truth(told):
    fitted = disturbed(TRUTH, 0.06)
    refined = told(1.0)(PHOTO, see(BODY, TRUTH), fitted)
    across = [
        (project(BODY(e.params).vertices, e.camera) - project(BODY(TRUTH.params).vertices, TRUTH.camera)).norm(dim=-1)
        for e in (fitted, refined.proposal)
    ]
    assert (across[1].mean(-1) < 0.4 * across[0].mean(-1)).all()
    assert refined.accepted.all()
    torch.testing.assert_close(refined.estimate.params.transl, refined.proposal.params.transl)


def test_false_displacements_are_refused_and_the_fit_is_kept(told):
    fitted = disturbed(TRUTH, 0.02)
    refined = told(-15.0)(PHOTO, see(BODY, TRUTH), fitted)
    assert not refined.accepted.any()
    torch.testing.assert_close(refined.estimate.params.body_pose, fitted.params.body_pose)
    assert set(refined.reason.tolist()) <= {
        int(r) for r in (Reason.WITHHELD_KEYPOINTS, Reason.SILHOUETTE, Reason.IMPLAUSIBLE)
    }


def test_people_not_in_the_photo_keep_their_fit_and_spoil_no_neighbour(told):
    fitted = disturbed(TRUTH, 0.06)
    away = replace(fitted.params, transl=torch.stack([fitted.params.transl[0], torch.tensor([0.0, 0.0, -4.0])]))
    refined = told(1.0)(PHOTO, see(BODY, TRUTH), replace(fitted, params=away))
    assert refined.reason.tolist() == [int(Reason.BETTER), int(Reason.NOT_SEEN)]
    torch.testing.assert_close(refined.estimate.params.transl[1], away.transl[1])


def test_without_silhouettes_keypoints_decide_and_without_fits_nothing_is_taken(told):
    bare = replace(PHOTO, silhouettes=None, silhouette_boxes=None)
    refined = told(1.0)(bare, see(BODY, TRUTH), disturbed(TRUTH, 0.06), torch.tensor([True, False]))
    assert refined.outcome.overlap_after.isnan().all()
    assert refined.reason.tolist() == [int(Reason.BETTER), int(Reason.NOT_FITTED)]


def test_an_empty_mask_counts_as_none(told):
    empty = replace(PHOTO, silhouettes=torch.zeros_like(PHOTO.silhouettes))  # pyright: ignore[reportArgumentType]
    refined = told(1.0)(empty, see(BODY, TRUTH), disturbed(TRUTH, 0.06))
    assert refined.outcome.overlap_before.isnan().all() and refined.accepted.all()


def test_what_does_not_turn_round_in_a_mirror_cancels():
    class Colours(DisplacementNet):
        def levels(self, inputs):
            return [inputs]

        def read(self, features):
            return Displacement(features[:, :2], features[:, 2])

    seen = look(TRUTH, PHOTO)
    once, twice = (predict_displacement(BODY, Colours(), seen, twice=given) for given in (False, True))
    torch.testing.assert_close(once.offset, seen.photo[:, :2] - 0.5)
    assert (twice.offset[:, 0] == 0).all()
    torch.testing.assert_close(twice.offset[:, 1], once.offset[:, 1])
    torch.testing.assert_close(twice.log_spread, once.log_spread)


def test_the_wrong_number_of_silhouettes_is_refused(told):
    with pytest.raises(ValueError, match="2 bodies but 1 silhouettes"):
        one = replace(PHOTO, silhouettes=PHOTO.silhouettes[:1], silhouette_boxes=PHOTO.silhouette_boxes[:1])
        told(1.0)(one, see(BODY, TRUTH), TRUTH)


def test_every_third_seen_keypoint_is_withheld_unless_there_are_few():
    seen = see(BODY, TRUTH)
    seen = replace(seen, confidence=seen.confidence.clone())
    seen.confidence[0, :4] = 0.0
    seen.confidence[1, :12] = 0.0
    kept = withhold(seen, 3)
    hidden = (seen.confidence > 0) & (kept.confidence == 0)
    assert hidden[0].nonzero()[:, 0].tolist() == [4, 7, 10, 13, 16] and not hidden[1].any()


def test_the_results_file_tells_verdict_and_both_bodies(told):
    fitted = disturbed(TRUTH, 0.06)
    numbers = torch.arange(2)
    status = torch.tensor([int(Status.CONVERGED), int(Status.NOT_ENOUGH_EVIDENCE)])
    seen = replace(see(BODY, TRUTH), silhouettes=PHOTO.silhouettes, silhouette_boxes=PHOTO.silhouette_boxes)
    people = People("a.jpg", BODY, seen, fitted, Fit(fitted, numbers.float(), status, numbers, numbers))
    image = Image(PHOTO.pixels.numpy(), camera_of(SIZE[1], SIZE[0]), "a.jpg")
    people = refine_people(told(1.0), image, people)
    arrays = people.to_arrays()
    assert arrays["refined_reason"].tolist() == ["better", "not_fitted"]
    assert arrays["refined_accepted"].tolist() == [True, False]
    assert not np.allclose(arrays["refined_transl"][0], arrays["transl"][0])
    np.testing.assert_array_equal(arrays["refined_transl"][1], arrays["transl"][1])
    assert [name for name, _ in people.stages()] == ["regressed", "fitted", "refined"]
    flow = draw_flow(image.pixels, 1.0, people.refined.flow)
    assert flow.shape == image.pixels.shape and flow.std() > 10


def test_people_without_silhouettes_get_those_of_the_detector_unless_they_are_somebody_else_s():
    class Segmenter(MediapipeDetector):
        def __init__(self, rows):
            self.rows = rows

        def in_boxes(self, image, boxes):
            seen = see(BODY, TRUTH)
            return replace(
                seen, silhouettes=PHOTO.silhouettes[self.rows], silhouette_boxes=PHOTO.silhouette_boxes[self.rows]
            )

    image = Image(PHOTO.pixels.numpy(), camera_of(SIZE[1], SIZE[0]), "both.png")
    people = People("both.png", BODY, see(BODY, TRUTH), TRUTH, None)
    right, mixed = (with_silhouettes(Segmenter(rows), image, people) for rows in ([0, 1], [0, 0]))
    torch.testing.assert_close(right.detections.silhouettes, PHOTO.silhouettes)
    assert mixed.detections.silhouettes[0].any() and not mixed.detections.silhouettes[1].any()
    assert with_silhouettes(Segmenter([1, 0]), image, right) is right


def test_bodies_are_drawn_by_the_rasterizer_that_is_given_to_refiner_and_dresser():
    class Counting(NumbaRasterizer):
        calls = 0

        def __call__(self, *arguments):
            self.calls += 1
            return super().__call__(*arguments)

    rasterizer = Counting()
    refined = make_refiner(BODY, network=NETWORK, rasterizer=rasterizer)(PHOTO, see(BODY, TRUTH), TRUTH)  # pyright: ignore[reportArgumentType]
    assert rasterizer.calls == 3, "before, in the second round, and for the gate"
    find_offsets(BODY, PHOTO, refined.estimate, Dresser(BODY, rasterizer=rasterizer)._rasterizer)  # pyright: ignore[reportArgumentType]
    assert rasterizer.calls > 3


def test_the_option_chooses_the_rasterizer_of_all_that_refinement_draws():
    stage = RefinementStage(BODY, StagesConfig(refine=True, offsets=True, rasterizer="torch"))
    assert {drawing.name for drawing in (stage.rasterizer, stage.refiner.rasterizer, stage.dresser.rasterizer)} == {
        "torch"
    }
    assert RefinementStage(BODY, StagesConfig(refine=True)).rasterizer.name == "numba"
    with pytest.raises(ValueError, match="--rasterizer would be ignored: .* so leave out --no-refine"):
        StagesConfig(rasterizer="torch", refine=False)


@pytest.mark.parametrize("rounds", [1, 3])
def test_each_round_asks_the_network_once_and_the_first_look_is_kept(rounds):
    class Counting(Refiner):
        looks = ()

        def see(self, look, texture, twice):
            self.looks += (look,)
            return super().see(look, texture, twice)

    refiner = Counting(BODY, make_refiner(BODY, network=NETWORK).fit, RefineConfig(rounds=rounds), NETWORK)
    refined = refiner(PHOTO, see(BODY, TRUTH), disturbed(TRUTH, 0.06))
    assert len(refiner.looks) == rounds
    first = refiner.looks[0]  # pyright: ignore[reportGeneralTypeIssues]
    assert torch.equal(refined.look.drawn.vertices, first.drawn.vertices)
    assert set(refiner.seconds) == {"drawing", "network", "evidence", "fit", "gate"}


def test_several_photos_together_give_what_each_gives_alone():
    fitted, seen = disturbed(TRUTH, 0.06), see(BODY, TRUTH)
    photos = [
        Photo(PHOTO.pixels, PHOTO.silhouettes[row : row + 1], PHOTO.silhouette_boxes[row : row + 1]) for row in (0, 1)
    ]
    crowd = [Subjects(photos[row], seen[row : row + 1], fitted[row : row + 1]) for row in (0, 1)]
    refiner = make_refiner(BODY)
    for one, found in zip(crowd, refiner.together(iter(crowd)), strict=True):
        alone = refiner(one.photo, one.detections, one.fitted)
        assert found.reason.shape == (1,)
        apart = BODY(found.proposal.params).vertices - BODY(alone.proposal.params).vertices
        assert apart.abs().max() < 5e-3


def test_photos_are_opened_one_by_one_and_their_people_refined_together():
    def people(name, row):
        fitted = disturbed(TRUTH, 0.06)[row : row + 1]
        numbers = torch.zeros(1).long()
        fit = Fit(fitted, numbers.float(), numbers, numbers, numbers)
        found = replace(
            see(BODY, TRUTH)[row : row + 1],
            silhouettes=PHOTO.silhouettes[row : row + 1],
            silhouette_boxes=PHOTO.silhouette_boxes[row : row + 1],
        )
        return People(name, BODY, found, fitted, fit)

    opened = []

    def open_image(people):
        opened.append(people.name)
        return Image(PHOTO.pixels.numpy(), camera_of(SIZE[1], SIZE[0]), people.name)

    first, second = people("a.jpg", 0), people("b.jpg", 1)
    nobody, unfitted = first_rows(first, 0), replace(second, fitted=None)
    stage = RefinementStage(BODY, StagesConfig())
    crowd = stage.together([first, nobody, unfitted, second], open_image)
    assert opened == ["a.jpg", "b.jpg"]
    assert [one.refined is not None for one in crowd] == [True, False, False, True]
    assert [one.name for one in crowd] == ["a.jpg", "a.jpg", "b.jpg", "b.jpg"]


def test_own_keypoints_are_refined_without_silhouettes_where_the_networks_are_missing(monkeypatch):
    def missing():
        raise NetworksMissing("no network")

    monkeypatch.setattr(refining, "fetch_networks", missing)
    fitted, numbers = disturbed(TRUTH, 0.06), torch.zeros(2).long()
    people = People("a.jpg", BODY, see(BODY, TRUTH), fitted, Fit(fitted, numbers.float(), numbers, numbers, numbers))
    image = Image(PHOTO.pixels.numpy(), camera_of(SIZE[1], SIZE[0]), "a.jpg")
    refined = RefinementStage(BODY, StagesConfig())(image, people)
    assert refined.refined is not None and "sees no silhouettes" in refined.notices[0]


def first_rows(people, count):
    parts = {name: getattr(people, name)[:count] for name in ("detections", "regressed", "fitted")}
    return replace(people, **parts)


def test_without_a_fit_nothing_is_refined():
    assert StagesConfig().refines and not StagesConfig(fit=False).refines and not StagesConfig(refine=False).refines
    with pytest.raises(ValueError, match="rounds must be"):
        RefineConfig(rounds=0)


def test_rounds_hold_on_to_a_sure_guess_and_where_it_says_nothing_to_the_fitted_body():
    seen, fitted = see(BODY, TRUTH), disturbed(TRUTH, 0.1)
    asked: list[BodyEstimate] = []
    plain = dense_fit()

    def spying(body, detections, start, surface):
        asked.append(start)
        return plain(body, detections, start, surface)

    sure = Uncertainty(torch.full((2, 24), 0.1), torch.full((2,), 0.3))
    told, silent = replace(TRUTH, uncertainty=sure), TRUTH
    for guess in (told, silent, None):
        Refiner(BODY, spying, RefineConfig(), NETWORK)(PHOTO, seen, fitted, guess=guess)
    starts = [one.params.body_pose[:2] for one in asked]
    for number in (0, 1):
        torch.testing.assert_close(starts[number], TRUTH.params.body_pose)
    for number in (2, 4):
        torch.testing.assert_close(starts[number], fitted.params.body_pose)
    assert asked[0].uncertainty is not None and asked[2].uncertainty is None
    # The last call holds three fits, one of which the gate compares with: from the guess, which read no pixels.
    assert len(asked[1].params.betas) == 6
