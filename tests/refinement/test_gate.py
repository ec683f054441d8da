from dataclasses import replace

import pytest
import torch
from refinement_scenes import disturbed, standing

from fitloop.geometry import rotvec_to_rotmat
from fitloop.refinement import GateConfig, Outcome, Reason
from fitloop.refinement.gate import judge, overlap

FITTED = standing((0.0, 0.1, 3.0))
REFINED = disturbed(FITTED, 0.02)
NAN = float("nan")


def outcome(keypoints=(0.03, 0.02), silhouettes=(0.7, 0.8), seen=True) -> Outcome:
    return Outcome(*(torch.tensor([value]) for value in (*keypoints, *silhouettes)), torch.tensor([seen]))  # pyright: ignore[reportCallIssue]


def verdict(found: Outcome, refined=REFINED) -> Reason:
    return Reason(int(judge(FITTED, refined, found)[0]))


@pytest.mark.parametrize(
    ("found", "reason"),
    [
        (outcome(), Reason.BETTER),
        (outcome(keypoints=(0.03, 0.038)), Reason.BETTER),
        (outcome(keypoints=(0.03, 0.04)), Reason.WITHHELD_KEYPOINTS),
        (outcome(silhouettes=(0.8, 0.7)), Reason.SILHOUETTE),
        (outcome(keypoints=(0.03, 0.0305), silhouettes=(0.8, 0.795)), Reason.NO_GAIN),
        (outcome(seen=False), Reason.NOT_SEEN),
        (outcome(keypoints=(NAN, NAN), silhouettes=(NAN, NAN)), Reason.NO_EVIDENCE),
        (outcome(silhouettes=(NAN, NAN)), Reason.BETTER),
        (outcome(keypoints=(NAN, NAN)), Reason.BETTER),
    ],
)
def test_evidence_decides(found, reason):
    assert verdict(found) == reason


def test_bodies_that_changed_too_much_are_implausible():
    params = FITTED.params
    pose = params.body_pose.clone()
    pose[:, 3] = pose[:, 3] @ rotvec_to_rotmat(torch.tensor((1.5, 0.0, 0.0)))
    changed = (
        replace(params, body_pose=pose),
        replace(params, betas=params.betas + 4.0),
        replace(params, transl=params.transl * 2.0),
        replace(params, transl=params.transl * NAN),
    )
    for other in changed:
        assert verdict(outcome(), replace(FITTED, params=other)) == Reason.IMPLAUSIBLE


def test_overlap_is_that_of_the_silhouette_and_unknown_without_one():
    covered = torch.zeros(2, 10, 10, dtype=torch.bool)
    covered[:, :5] = True
    silhouette = torch.zeros(2, 10, 10)
    silhouette[0, :, :5] = 0.9
    found = overlap(covered, silhouette)
    torch.testing.assert_close(found[0], torch.tensor(1.0 / 3.0))
    assert found[1].isnan()


def test_a_gate_without_tolerance_for_plausible_changes_is_refused():
    with pytest.raises(ValueError, match="positive"):
        GateConfig(turn=0.0)
