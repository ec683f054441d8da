"""What a fitted body rests on: keypoints beside it, and the guess that the fit moved away from."""

from dataclasses import replace

import pytest
import torch
from fitting_scenes import see
from refinement_scenes import BODY, disturbed, standing

from fitloop.body.records import Uncertainty
from fitloop.geometry import rotvec_to_rotmat
from fitloop.refinement.clues import mirrored_estimate
from fitloop.refinement.grounds import grounds_of, mirrored_grounds, no_grounds, place_keypoints

TRUTH = standing((-0.5, 0.1, 3.0), (0.6, 0.1, 3.4))
SEEN = see(BODY, TRUTH)
SURE = Uncertainty(torch.full((2, 24), 0.2), torch.full((2,), 0.5))


def joint(name: str) -> int:
    return BODY.joint_names.index(name)


def test_a_body_on_its_keypoints_has_no_misfit_and_all_its_confidence():
    found = grounds_of(BODY, TRUTH, SEEN)
    assert found.misfit[..., :3].abs().max() < 1e-4
    placed = place_keypoints(BODY, SEEN.convention)
    torch.testing.assert_close(found.misfit[..., 3].sum(-1), SEEN.confidence[:, placed.columns].sum(-1))
    assert found.known.tolist() == [[1, 0, 0], [1, 0, 0]]


def test_a_moved_keypoint_is_told_of_its_joint_alone_and_in_shares_of_the_body():
    placed = place_keypoints(BODY, SEEN.convention)
    column = placed.columns[placed.nearest.tolist().index(joint("left_knee"))]
    moved = SEEN.keypoints.clone()
    moved[0, column, 0] += 12.0
    found = grounds_of(BODY, TRUTH, replace(SEEN, keypoints=moved)).misfit[0]
    assert 0.02 < float(found[joint("left_knee"), 0]) < 0.3 and float(found[joint("right_knee"), 0]) < 1e-4
    twice = replace(TRUTH, camera=replace(TRUTH.camera, focal=2.0 * TRUTH.camera.focal))
    middle = TRUTH.camera.principal_point[:, None]
    larger = replace(SEEN, keypoints=middle + 2.0 * (moved - middle))
    torch.testing.assert_close(grounds_of(BODY, twice, larger).misfit[0], found, atol=1e-4, rtol=1e-3)


def test_every_keypoint_belongs_to_the_joint_that_bears_its_name():
    placed = place_keypoints(BODY, "coco17")
    named = dict(zip(placed.kinematics.landmarks, placed.nearest.tolist(), strict=True))
    for name in ("left_knee", "right_elbow", "left_ankle", "right_wrist", "left_hip"):
        assert named[name] == joint(name)
    assert named["nose"] == joint("head")


def test_it_tells_how_far_the_fit_turned_away_from_the_guess_and_how_sure_that_was():
    turn = torch.zeros(2, 24, 3)
    turn[:, 5, 0] = 0.4
    rotations = TRUTH.params.rotations @ rotvec_to_rotmat(turn)
    params = replace(TRUTH.params, global_orient=rotations[:, 0], body_pose=rotations[:, 1:])
    found = grounds_of(BODY, replace(TRUTH, params=params), SEEN, replace(TRUTH, uncertainty=SURE))
    torch.testing.assert_close(found.turned, turn, atol=1e-5, rtol=1e-4)
    torch.testing.assert_close(found.unsure[:, :24], torch.full((2, 24), 0.2).log())
    assert found.known.tolist() == [[1, 1, 1], [1, 1, 1]] and (found.reshaped == 0).all()


@pytest.mark.parametrize("wrong", [float("nan"), 0.0, -1.0])
def test_an_uncertainty_that_is_no_positive_number_counts_as_unknown(wrong):
    told = Uncertainty(SURE.rotations.clone(), SURE.betas)
    told.rotations[1, 3] = wrong
    found = grounds_of(BODY, TRUTH, SEEN, replace(TRUTH, uncertainty=told))
    assert found.known[:, 2].tolist() == [1, 0] and (found.unsure[1] == 0).all() and torch.isfinite(found.unsure).all()


def test_keypoints_that_are_no_numbers_or_not_seen_count_for_nothing():
    keypoints, confidence = SEEN.keypoints.clone(), SEEN.confidence.clone()
    keypoints[0, 5], confidence[1] = torch.nan, 0.0
    found = grounds_of(BODY, TRUTH, replace(SEEN, keypoints=keypoints, confidence=confidence))
    assert torch.isfinite(found.misfit).all() and found.known[:, 0].tolist() == [1, 0]


def test_of_bodies_from_nowhere_nothing_is_known():
    found, nothing = grounds_of(BODY, TRUTH), no_grounds(BODY, 2)
    for name in ("misfit", "turned", "unsure", "reshaped", "known"):
        torch.testing.assert_close(getattr(found, name), getattr(nothing, name))


def test_grounds_in_a_mirror_are_those_of_the_mirrored_body():
    fitted = disturbed(TRUTH, 0.1)
    straight = grounds_of(BODY, fitted, SEEN, replace(TRUTH, uncertainty=SURE))
    guess = replace(mirrored_estimate(BODY, TRUTH), uncertainty=SURE)
    other = mirrored_estimate(BODY, fitted)
    placed = place_keypoints(BODY, SEEN.convention)
    names = [
        name.replace("left", "*").replace("right", "left").replace("*", "right") for name in placed.kinematics.landmarks
    ]
    keypoints, confidence = SEEN.keypoints.clone(), SEEN.confidence.clone()
    for column, name in zip(placed.columns, names, strict=True):
        twin = placed.columns[placed.kinematics.landmarks.index(name)]
        keypoints[:, column] = SEEN.keypoints[:, twin] * torch.tensor([-1.0, 1.0])
        confidence[:, column] = SEEN.confidence[:, twin]
    expected = grounds_of(BODY, other, replace(SEEN, keypoints=keypoints, confidence=confidence), guess)
    found = mirrored_grounds(straight)
    torch.testing.assert_close(found.misfit, expected.misfit, atol=2e-3, rtol=0)
    torch.testing.assert_close(found.turned, expected.turned, atol=1e-4, rtol=1e-4)
