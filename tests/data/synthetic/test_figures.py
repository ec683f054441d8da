from dataclasses import replace

import numpy as np
import pytest
import torch

from fitloop.body import BodyParams, load_body
from fitloop.data.synthetic.figures import Layer, make_dressmaker
from fitloop.data.synthetic.garments import Garment, kind_of
from fitloop.data.synthetic.outfits import choose_outfit, hue_rotation, wardrobe
from fitloop.geometry import rotvec_to_rotmat
from tests.toy import stick_body

PLAIN = Layer("none", np.zeros((3, 5), np.float32), 0.0)


@pytest.fixture
def params():
    generator = torch.Generator().manual_seed(0)
    turns = rotvec_to_rotmat(0.4 * torch.randn(24, 3, generator=generator))
    return BodyParams(turns[0], turns[1:], torch.randn(10, generator=generator), torch.tensor([0.1, 0.2, 3.0]))


def test_the_bare_figure_is_the_body_model(assets, params):
    expected = load_body("open")(params).vertices.numpy()
    np.testing.assert_allclose(assets.dressmaker.bare(params), expected, atol=2e-4)
    figure = assets.dressmaker.dress(params, [], PLAIN, PLAIN)
    np.testing.assert_allclose(figure.vertices, expected, atol=2e-4)
    assert len(figure.faces) == len(load_body("open").faces)


def test_a_garment_bound_to_single_vertices_lies_beside_them(assets, params):
    garment = assets.training.garments["male suit"][0]
    figure = assets.dressmaker.dress(params, [(garment, PLAIN)], PLAIN, PLAIN)
    body = load_body("open")
    posed = body(params).vertices.numpy()
    rows = {base: row for row, base in enumerate(assets.dressmaker.body_rows.tolist())}
    anchors = posed[[rows[base] for base in garment.refs[:, 0].tolist()]]
    gaps = np.linalg.norm(figure.vertices[len(posed) :] - anchors, axis=-1)
    # Made 5 mm away; blending rotations shrinks a little.
    assert np.median(gaps) == pytest.approx(0.005, rel=0.05) and gaps.max() < 0.006


def test_body_faces_under_a_garment_are_left_out_and_all_others_stay(assets, params):
    garment = assets.training.garments["male suit"][0]
    figure = assets.dressmaker.dress(params, [(garment, PLAIN)], PLAIN, PLAIN)
    body = load_body("open")
    under = np.isin(assets.dressmaker.body_rows, garment.hides)[body.faces.numpy()].any(1)
    assert under.any()
    assert (figure.slots < 2).sum() == (~under).sum()
    assert (figure.slots == 2).sum() == len(garment.faces)


def test_a_coat_takes_away_what_is_worn_under_it(assets, params):
    suit, coat = assets.training.garments["male suit"][0], assets.training.garments["coat"][0]
    figure = assets.dressmaker.dress(params, [(suit, PLAIN), (coat, PLAIN)], PLAIN, PLAIN)
    assert (figure.slots == 2).sum() < len(suit.faces)
    assert (figure.slots == 3).sum() == len(coat.faces)


def test_offsets_grow_with_the_body_they_are_measured_on():
    base = np.array([[0.0, 0, 0], [2.0, 0, 0], [0, 1.0, 0]], np.float32)
    garment = Garment(
        name="strip",
        kind="top",
        licence="CC0",
        author="nobody",
        texture="none",
        refs=np.array([[0, 1, 2]]),
        weights=np.array([[0.5, 0.5, 0.0]], np.float32),
        offsets=np.array([[0.0, 0.0, 0.1]], np.float32),
        scale_refs=np.array([[0, 1], [0, 1], [0, 1]]),
        scale_lengths=np.array([1.0, 0.0, 1.0], np.float32),
        skinning=np.ones((1, 1), np.float32),
        faces=np.array([[0, 0, 0]]),
        corner_uv=np.zeros((1, 3, 2), np.float32),
        parts=np.array([0]),
        hides=np.array([0]),
        nearest=np.array([0]),
    )
    np.testing.assert_allclose(garment.rest(base), [[1.0, 0.0, 0.2]], atol=1e-6)
    np.testing.assert_allclose(garment.rest(0.5 * base), [[0.5, 0.0, 0.1]], atol=1e-6)


def test_another_body_cannot_be_dressed():
    with pytest.raises(ValueError, match="use the open body"):
        make_dressmaker(stick_body())


def test_an_unknown_garment_is_named():
    with pytest.raises(ValueError, match="'toga' is of no known kind"):
        kind_of("toga")


def test_every_outfit_covers_the_body_and_loose_ones_are_loose(assets):
    rng = np.random.default_rng(0)
    for feminine in (True, False):
        for loose in (True, False):
            for _ in range(20):
                kinds = [garment.kind for garment, _ in choose_outfit(assets.training.garments, feminine, loose, rng)]
                assert kinds[0] in ("male suit", "female suit", "dress", "swimwear", "trousers", "skirt")
                assert not loose or {"dress", "coat"} & set(kinds)
                assert not ({"hat", "hair"} <= set(kinds))


def test_turning_the_hue_keeps_greys_and_a_full_turn_keeps_everything():
    np.testing.assert_allclose(hue_rotation(1.0) @ np.ones(3), np.ones(3), atol=1e-12)
    np.testing.assert_allclose(hue_rotation(2.0 * np.pi), np.eye(3), atol=1e-12)
    np.testing.assert_allclose(hue_rotation(2.0 * np.pi / 3.0) @ [1, 0, 0], [0, 1, 0], atol=1e-12)


def test_wide_hips_count_as_feminine(assets):
    body = load_body("open")
    names = body.joint_names
    changes = np.eye(10, dtype=np.float32)[1] * 2.0
    widths = []
    for betas in (changes, -changes):
        joints = body.rest_joints(torch.from_numpy(betas))
        shoulders = float((joints[names.index("left_shoulder")] - joints[names.index("right_shoulder")]).norm())
        base = assets.dressmaker.shaped(betas)
        left, right = assets.dressmaker.hip_ends
        widths.append(float(np.linalg.norm(base[left] - base[right])) / shoulders)
    wide = changes if widths[0] > widths[1] else -changes
    assert abs(widths[0] - widths[1]) > 0.05
    assert assets.dressmaker.is_feminine(wide) and not assets.dressmaker.is_feminine(-wide)


def test_only_garments_in_the_public_domain_are_worn_if_asked(assets):
    bought = [replace(garment, licence="CC BY") for garment in assets.training.garments["coat"]]
    side = replace(assets.training, garments={**assets.training.garments, "coat": bought})
    assert "coat" in wardrobe(side, cc0_only=False) and "coat" not in wardrobe(side, cc0_only=True)
    rng = np.random.default_rng(0)
    for _ in range(10):
        outfit = choose_outfit(wardrobe(side, cc0_only=True), False, True, rng)
        assert outfit[0][0].kind == "male suit" and all(garment.licence == "CC0" for garment, _ in outfit)
