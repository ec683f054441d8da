"""The correction network: what it is given, what it may change, and that it can learn."""

import json
from dataclasses import replace

import pytest
import torch
from refinement_scenes import BODY, disturbed, look, photograph, standing
from safetensors import safe_open
from safetensors.torch import save_file

from fitloop.body.spreads import spread_loss
from fitloop.geometry import Camera, rotvec_to_rotmat
from fitloop.refinement import DisplacementNet
from fitloop.refinement.clues import clues_of as read_from
from fitloop.refinement.clues import mirrored_estimate, read_clues
from fitloop.refinement.correction import (
    Correction,
    CorrectionConfig,
    CorrectionInput,
    CorrectionNet,
    corrected,
    correction_input,
    mean_correction,
    widen,
)
from fitloop.refinement.look import see
from fitloop.refinement.network import NetworkConfig, made_quick
from fitloop.refinement.weights import fingerprint, load_correction, save_correction

TRUTH = standing((-0.5, 0.1, 3.0), (0.6, 0.1, 3.4))
TINY = NetworkConfig((8, 8, 8), (1, 1, 1))
SMALL = CorrectionConfig(joint_numbers=5, whole_numbers=7, width=16, layers=1, heads=2, uncertainty=0)


def network() -> DisplacementNet:
    torch.manual_seed(0)
    network = DisplacementNet(TINY).eval()
    with torch.no_grad():
        network.head.weight.normal_(0.0, 0.1)
    return network


def clues_of(estimate, scale: int = 1):
    """Clues in a photo whose pixels are repeated."""
    photo = photograph(TRUTH)
    pixels = photo.pixels.repeat_interleave(scale, 0).repeat_interleave(scale, 1)
    assert photo.silhouettes is not None and photo.silhouette_boxes is not None
    photo = replace(photo, pixels=pixels, silhouette_boxes=photo.silhouette_boxes * scale)
    camera = Camera(estimate.camera.focal * scale, estimate.camera.principal_point * scale)
    estimate = replace(estimate, camera=camera)
    return estimate, read_clues(BODY, network(), look(estimate, photo), estimate)


def seen(people: int, generator: torch.Generator) -> CorrectionInput:
    return CorrectionInput(torch.randn(people, 24, 5, generator=generator), torch.randn(people, 7, generator=generator))


def test_a_fresh_network_changes_nothing():
    correction = CorrectionNet(SMALL)(seen(2, torch.Generator().manual_seed(0)))
    again = corrected(BODY, TRUTH, correction)
    torch.testing.assert_close(again.params.rotations, TRUTH.params.rotations)
    torch.testing.assert_close(again.params.betas, TRUTH.params.betas)


def test_clues_are_the_same_in_a_photo_of_twice_the_size():
    estimate = disturbed(TRUTH, 0.1)
    plain = correction_input(BODY, *clues_of(estimate))
    large = correction_input(BODY, *clues_of(estimate, 2))
    torch.testing.assert_close(large.whole[:, :17], plain.whole[:, :17], atol=1e-3, rtol=1e-3)
    torch.testing.assert_close(large.joints[..., :20], plain.joints[..., :20], atol=1e-3, rtol=1e-3)
    # Features of pictures that were shrunk by another factor are alike, not equal.
    assert (large.joints - plain.joints).abs().mean() < 0.1 * plain.joints.abs().mean()


def test_clues_tell_how_far_points_were_seen_from_where_they_were_drawn():
    estimate, clues = clues_of(disturbed(TRUTH, 0.1))
    assert clues.features.shape == (2, 24, 24) and clues.moved.shape == (2, 400, 2)
    seen = clues.confidence > 0
    assert (clues.moved[~seen] == 0).all() and (clues.moved[seen].abs().sum(-1) > 0).all()
    assert clues.silhouette[:, 0].tolist() == [1.0, 1.0] and (clues.silhouette[:, 1] > 0.4).all()


def test_the_blind_see_the_body_and_nothing_of_the_photo():
    estimate, clues = clues_of(disturbed(TRUTH, 0.1))
    blind, open_eyed = (correction_input(BODY, estimate, clues, blind=blind) for blind in (True, False))
    assert (blind.joints[..., 20:] == 0).all() and (blind.whole[:, 17:] == 0).all()
    torch.testing.assert_close(blind.joints[..., :20], open_eyed.joints[..., :20])
    assert (open_eyed.joints[..., 20:] != 0).any()


def test_a_correction_turns_joints_and_leaves_the_pelvis_where_it_is():
    turns = torch.zeros(2, 24, 3)
    turns[:, 0, 1] = 0.3
    turns[:, 4] = torch.tensor([0.2, 0.0, 0.0])
    betas = torch.zeros(2, BODY.num_betas)
    betas[:, 0] = 1.0
    again = corrected(BODY, TRUTH, Correction(turns, betas))
    expected = TRUTH.params.rotations @ rotvec_to_rotmat(turns)
    torch.testing.assert_close(again.params.rotations, expected)
    before, after = (BODY(one.params).joints for one in (TRUTH, again))
    torch.testing.assert_close(after[:, 0], before[:, 0])
    assert ((after - before)[:, 1:].norm(dim=-1).amax(-1) > 0.02).all()


def test_a_network_learns_which_joint_is_turned():
    torch.manual_seed(0)
    generator = torch.Generator().manual_seed(1)
    network, given = CorrectionNet(SMALL), seen(64, generator)
    truth = torch.zeros(64, 24, 3)
    truth[:, 7] = 0.3 * given.joints[:, 7, :3]
    network.even_out(given)
    optimizer = torch.optim.Adam(network.parameters(), 3e-3)
    for _ in range(150):
        loss = (network(given).turns - truth).square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert loss < 0.3 * truth.square().mean()


def test_weights_come_back_and_read_only_the_network_they_learned_to_read(tmp_path):
    torch.manual_seed(0)
    displacement, written = network(), CorrectionNet(SMALL).eval()
    with torch.no_grad():
        written.turn.weight.normal_()
    path = tmp_path / "correction.safetensors"
    save_correction(path, written, fingerprint(displacement))
    given = seen(3, torch.Generator().manual_seed(0))
    read = load_correction(displacement, path)
    torch.testing.assert_close(read(given).turns, written(given).turns, atol=0.02, rtol=0.02)
    with torch.no_grad():
        displacement.head.weight.add_(0.5)
    with pytest.raises(ValueError, match="another displacement network"):
        load_correction(displacement, path)
    with pytest.raises(FileNotFoundError, match="train-correction"):
        load_correction(displacement, tmp_path / "none.safetensors")


def test_older_weights_that_do_not_say_how_sure_they_are_keep_working(tmp_path):
    torch.manual_seed(0)
    displacement, written, path = network(), CorrectionNet(SMALL).eval(), tmp_path / "correction.safetensors"
    save_correction(path, written, fingerprint(displacement))
    with safe_open(path, framework="pt") as file:
        about = file.metadata()
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    config = {key: value for key, value in json.loads(about["config"]).items() if key != "uncertainty"}
    save_file(tensors, path, {**about, "config": json.dumps(config)})
    read = load_correction(displacement, path)
    assert read.config == SMALL and read(seen(2, torch.Generator().manual_seed(0))).log_spread is None


def test_clues_in_a_mirror_are_those_of_the_mirrored_photo():
    photo, estimate = photograph(TRUTH), disturbed(TRUTH, 0.1)
    assert photo.silhouettes is not None
    flipped = replace(photo, pixels=photo.pixels.flip(1), silhouettes=photo.silhouettes.flip(-1))
    width = float(photo.pixels.shape[1])
    other = mirrored_estimate(BODY, estimate)
    middle = other.camera.principal_point + torch.tensor([width, 0.0])
    other = replace(other, camera=replace(other.camera, principal_point=middle))
    expected = correction_input(BODY, other, read_clues(BODY, network(), look(other, flipped), other))
    seen = look(estimate, photo)
    sight = see(BODY, network(), seen)
    assert sight.mirrored is not None
    clues = read_from(BODY, seen, estimate, sight.mirrored, mirrored=True)
    found = correction_input(BODY, mirrored_estimate(BODY, estimate), clues)
    torch.testing.assert_close(found.whole[:, :17], expected.whole[:, :17], atol=1e-3, rtol=1e-3)
    torch.testing.assert_close(found.joints[..., :20], expected.joints[..., :20], atol=1e-3, rtol=1e-3)
    # Edges fall between other pixels in a mirror, and the usual colours are of other vertices.
    straight = correction_input(BODY, estimate, read_from(BODY, seen, estimate, sight.straight))
    for one, two, three in (
        (found.joints, expected.joints, straight.joints),
        (found.whole, expected.whole, straight.whole),
    ):
        assert (one - two).abs().mean() < 0.3 * (three - two).abs().mean()


def test_what_two_looks_say_alike_is_kept_and_what_changes_sides_cancels():
    turns = torch.zeros(1, 24, 3)
    left, right = (BODY.joint_names.index(f"{side}_knee") for side in ("left", "right"))
    turns[:, left] = torch.tensor([0.3, 0.2, 0.1])
    mirrored = torch.zeros(1, 24, 3)
    mirrored[:, right] = torch.tensor([0.3, -0.2, -0.1])
    betas = torch.ones(1, 10)
    both = mean_correction(Correction(turns, betas), Correction(mirrored, betas))
    torch.testing.assert_close(both.turns, turns)
    assert (mean_correction(Correction(turns, betas), Correction(turns, betas)).turns[:, left] < 0.2).all()


def test_a_network_goes_on_from_one_that_reads_fewer_numbers():
    torch.manual_seed(0)
    generator = torch.Generator().manual_seed(0)
    given, start = seen(3, generator), CorrectionNet(SMALL).eval()
    with torch.no_grad():
        start.turn.weight.normal_()
        start.shape.weight.normal_()
    more = CorrectionInput(
        torch.cat([given.joints, torch.randn(3, 24, 2, generator=generator)], -1),
        torch.cat([given.whole, torch.randn(3, 4, generator=generator)], -1),
    )
    wide = CorrectionNet(replace(SMALL, joint_numbers=7, whole_numbers=11, uncertainty=4)).eval()
    wide.even_out(more)
    widen(wide, start)
    found = wide(more)
    torch.testing.assert_close(found.turns, start(given).turns)
    torch.testing.assert_close(
        found.betas, start(more).betas, msg="a network reads the first numbers of those there are"
    )
    with pytest.raises(ValueError, match="another size"):
        widen(start, wide)


def test_a_network_learns_of_which_joints_it_cannot_be_sure():
    torch.manual_seed(0)
    generator = torch.Generator().manual_seed(1)
    network = CorrectionNet(replace(SMALL, uncertainty=8))
    optimizer = torch.optim.Adam(network.parameters(), 1e-2)
    for _ in range(150):
        missed = torch.full((32, 25), 0.05)
        missed[:, 7] = 0.8 * torch.randn(32, generator=generator).abs()
        told = network(seen(32, generator)).log_spread
        loss = spread_loss(missed, told, torch.ones(32), 10)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    told = network(seen(32, generator)).log_spread.mean(0)
    assert told[7] > told[:7].max() + 0.5
    again = corrected(BODY, TRUTH, network(seen(2, generator)))
    assert again.uncertainty is not None and again.uncertainty.rotations.shape == (2, 24)
    assert (again.uncertainty.rotations[:, 7] > 2 * again.uncertainty.rotations[:, 3]).all()


def test_two_looks_join_what_they_say_of_the_same_joint():
    turns, betas = torch.zeros(1, 24, 3), torch.zeros(1, 10)
    left, right = (BODY.joint_names.index(f"{side}_knee") for side in ("left", "right"))
    straight, mirrored = torch.zeros(1, 25), torch.zeros(1, 25)
    straight[:, left], mirrored[:, right] = 1.0, 1.0
    told = mean_correction(Correction(turns, betas, straight), Correction(turns, betas, mirrored)).log_spread
    assert told is not None and told[0, left] == 1.0 and told[0, right] == 0.0


@pytest.mark.parametrize(("half", "near"), [(False, 1e-4), (True, 0.05)])
def test_a_network_made_quick_says_the_same(half, near):
    slow, inputs = network(), torch.randn(2, 17, 64, 64, generator=torch.Generator().manual_seed(0))
    for module in slow.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.running_mean.normal_(0.0, 0.1)  # pyright: ignore[reportOptionalMemberAccess]
    quick = made_quick(slow, half)
    expected, found = (one.read(one.levels(inputs)[-1].float()).offset for one in (slow, quick))
    assert (found - expected).abs().max() < near * expected.abs().max()
    assert any(isinstance(module, torch.nn.BatchNorm2d) for module in slow.modules())
