"""Refinement that corrects pose and shape first, by a network that knows by how much."""

from dataclasses import replace

import pytest
import torch
from fitting_scenes import see
from refinement_scenes import BODY, disturbed, look, photograph, standing
from torch import nn

from fitloop.body import convention_named
from fitloop.body.mirror import MIRRORED_JOINTS
from fitloop.geometry import rotmat_to_rotvec
from fitloop.pipelines.chain.refining import make_refiner
from fitloop.refinement import DisplacementNet, Reason, load_network
from fitloop.refinement.correction import Correction, CorrectionConfig, CorrectionNet
from fitloop.refinement.gate import overlap
from fitloop.refinement.network import NetworkConfig
from fitloop.refinement.refiner import RefineConfig
from fitloop.refinement.weights import load_correction

TRUTH = standing((-0.5, 0.1, 3.0), (0.6, 0.1, 3.4))
PHOTO = photograph(TRUTH)
FITTED = disturbed(TRUTH, 0.12)
NETWORK = DisplacementNet(NetworkConfig((8, 8, 8), (1, 1, 1))).eval()


class Knowing(CorrectionNet):
    """Says what would make the bodies of `FITTED` true."""

    def __init__(self) -> None:
        nn.Module.__init__(self)
        self.config = CorrectionConfig()
        self.asked = 0

    def forward(self, seen):
        self.asked += 1
        turns = rotmat_to_rotvec(FITTED.params.rotations.mT @ TRUTH.params.rotations)
        betas = TRUTH.params.betas - FITTED.params.betas
        back = turns[:, MIRRORED_JOINTS] * torch.tensor([1.0, -1.0, -1.0])
        people = len(seen.joints)
        return Correction(torch.cat([turns, back])[:people], torch.cat([betas, betas])[:people])


def turned(estimate) -> torch.Tensor:
    """Mean angle between a body's joints and the true ones, degrees."""
    apart = rotmat_to_rotvec(estimate.params.rotations.mT @ TRUTH.params.rotations)
    return torch.rad2deg(apart.norm(dim=-1).mean(-1))


CORRECTED = RefineConfig(corrected=True)


def refine(config: RefineConfig = CORRECTED, fitted=FITTED):
    knowing = Knowing()
    seen = see(BODY, TRUTH)
    return make_refiner(BODY, config, NETWORK, knowing)(PHOTO, seen, fitted), knowing.asked


def test_a_right_correction_stays_through_the_rounds_that_follow():
    refined, asked = refine()
    without, silent = refine(RefineConfig())
    assert asked == 1 and silent == 0
    assert (turned(refined.proposal) < 0.5 * turned(FITTED)).all()
    assert (turned(refined.proposal) < 0.6 * turned(without.proposal)).all()


class Doubting(Knowing):
    """Says the same, but is not sure of the left arm."""

    unsure = (16, 18, 20)

    def forward(self, seen):
        found = super().forward(seen)
        told = torch.full((len(found.turns), 25), -3.0)
        told[:, list(self.unsure)] = 1.5
        # Of the mirrored person it is the right arm.
        told[2:, list(self.unsure)], told[2:, [17, 19, 21]] = -3.0, 1.5
        return replace(found, log_spread=told)


def test_the_rounds_hold_on_to_what_the_correction_is_sure_of_and_let_the_rest_go():
    seen = see(BODY, TRUTH)
    # Keypoints that pull both wrists up; the correction knows better, and says so of one side.
    pulled = seen.keypoints.clone()
    names = convention_named(seen.convention).keypoints
    for name in ("left_wrist", "right_wrist", "left_elbow", "right_elbow"):
        pulled[:, names.index(name), 1] -= 15.0
    seen = replace(seen, keypoints=pulled)
    held, loose = (
        make_refiner(BODY, replace(CORRECTED, held=held), NETWORK, Doubting())(PHOTO, seen, FITTED).proposal
        for held in (True, False)
    )
    apart = [rotmat_to_rotvec(one.params.rotations.mT @ TRUTH.params.rotations).norm(dim=-1) for one in (held, loose)]
    left, right = (16, 18), (17, 19)
    assert apart[0][:, right].mean() < 0.8 * apart[1][:, right].mean()
    assert apart[0][:, left].mean() > apart[1][:, left].mean()
    assert held.params.betas.isfinite().all()


def test_the_gate_compares_with_the_fitted_body_and_not_with_the_corrected_one():
    refined, _ = refine()
    seen = look(FITTED, PHOTO)
    before = overlap(seen.drawn.fragments.covered & seen.inside, seen.silhouette)
    torch.testing.assert_close(refined.outcome.overlap_before, before)
    assert (refined.outcome.overlap_after > before).all()


def test_who_is_not_in_the_photo_is_not_corrected():
    away = torch.stack([FITTED.params.transl[0], torch.tensor([0.0, 0.0, -4.0])])
    refined, _ = refine(fitted=replace(FITTED, params=replace(FITTED.params, transl=away)))
    assert refined.reason[1] == int(Reason.NOT_SEEN)
    torch.testing.assert_close(refined.estimate.params.body_pose[1], FITTED.params.body_pose[1])


def test_bodies_that_it_does_not_know_are_not_corrected():
    knowing = Knowing()
    knowing.config = CorrectionConfig("another")
    make_refiner(BODY, CORRECTED, NETWORK, knowing)(PHOTO, see(BODY, TRUTH), FITTED)
    assert knowing.asked == 0


def test_a_network_of_ones_own_is_not_joined_by_the_shipped_correction():
    refined = make_refiner(BODY, CORRECTED, NETWORK)(PHOTO, see(BODY, TRUTH), FITTED)
    plain = make_refiner(BODY, RefineConfig(), NETWORK)(PHOTO, see(BODY, TRUTH), FITTED)
    torch.testing.assert_close(refined.proposal.params.body_pose, plain.proposal.params.body_pose)


def test_the_shipped_correction_reads_the_shipped_network_and_no_other():
    assert load_correction(load_network()).config == CorrectionConfig()
    with pytest.raises(ValueError, match="another displacement network"):
        load_correction(NETWORK)
