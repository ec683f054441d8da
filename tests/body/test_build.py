"""The program that rebuilds the open body."""

import numpy as np
import pytest

from fitloop.body.assets import ASSETS
from fitloop.body.build.landmarks import Regressor
from fitloop.body.build.shapes import principal_components, sample_people
from fitloop.body.build.skeleton import cube_of_joint, joint_of_bone, mirrored_joints, sparse_weights
from fitloop.body.build.source import interpolation_weights
from fitloop.body.build.tpose import pose_transforms, tpose_rotations, unpose
from fitloop.body.params import JOINT_NAMES

J = {name: index for index, name in enumerate(JOINT_NAMES)}


@pytest.fixture
def half_lowered():
    """Joints (24, 3) of a person with arms half down and elbows bent forward, and the knuckles of both sides."""
    joints = np.zeros((24, 3))
    spine = ("pelvis", "spine1", "spine2", "spine3", "neck", "head")
    for name, y in zip(spine, (0.0, 0.1, 0.2, 0.3, 0.5, 0.6), strict=True):
        joints[J[name]] = (0, y, 0)
    left = {
        **{"hip": (0.1, -0.1, 0), "knee": (0.14, -0.5, 0.02), "ankle": (0.2, -0.9, 0), "foot": (0.22, -0.96, 0.12)},
        **{"collar": (0.03, 0.4, 0.05), "shoulder": (0.17, 0.38, 0), "elbow": (0.35, 0.2, 0)},
        **{"wrist": (0.48, 0.08, 0.15), "hand": (0.53, 0.03, 0.21)},
    }
    for name, point in left.items():
        joints[J[f"left_{name}"]] = point
        joints[J[f"right_{name}"]] = np.multiply(point, (-1, 1, 1))
    index, pinky = np.array([0.51, 0.04, 0.23]), np.array([0.54, 0.01, 0.18])
    mirror = np.array([-1, 1, 1])
    return joints, np.stack([index, index * mirror]), np.stack([pinky, pinky * mirror])


def test_t_pose_has_straight_limbs_and_palms_down(half_lowered):
    joints, index, pinky = half_lowered
    rotations = tpose_rotations(joints, index, pinky)
    posed, _ = pose_transforms(joints, rotations)
    arm = posed[[J["left_elbow"], J["left_wrist"], J["left_hand"]]] - posed[J["left_shoulder"]]
    np.testing.assert_allclose(arm[:, 1:], 0, atol=1e-12)
    leg = posed[[J["left_knee"], J["left_ankle"]]] - posed[J["left_hip"]]
    np.testing.assert_allclose(leg[:, [0, 2]], 0, atol=1e-12)
    across = rotations[J["left_wrist"]] @ (index[0] - pinky[0])
    assert abs(across[1]) < 1e-12 < across[2]
    np.testing.assert_allclose(np.linalg.det(rotations), 1)
    np.testing.assert_allclose(posed[mirrored_joints()] * [-1, 1, 1], posed, atol=1e-12)


def test_bent_elbow_opens_in_the_horizontal_plane(half_lowered):
    rotations = tpose_rotations(*half_lowered)
    joints = half_lowered[0]
    bent = rotations[J["left_shoulder"]] @ (joints[J["left_wrist"]] - joints[J["left_elbow"]])
    assert abs(bent[1]) < 1e-12 < bent[2]


def test_skinning_an_unposed_body_gives_the_body_back(half_lowered):
    rng = np.random.default_rng(0)
    rotations = tpose_rotations(*half_lowered)
    _, translations = pose_transforms(half_lowered[0], rotations)
    weights = rng.dirichlet(np.full(24, 0.05), 200)
    vertices = rng.normal(size=(200, 3))
    rest = unpose(vertices, weights, rotations, translations)
    back = np.swapaxes(rotations, 1, 2)
    moved = np.einsum("jab,vjb->vja", back, rest[:, None] - translations[None])
    np.testing.assert_allclose((weights[..., None] * moved).sum(1), vertices, atol=1e-9)


def test_every_joint_has_a_cube_and_bones_on_its_own_side():
    assert len({cube_of_joint(name) for name in JOINT_NAMES}) == 24
    assert joint_of_bone("lowerarm02.L") == "left_elbow"
    assert joint_of_bone("finger3-2.R") == "right_hand"
    assert joint_of_bone("finger1-2.R") == "right_wrist"
    assert joint_of_bone("levator02.L") == "head"
    assert joint_of_bone("breast.R") == "spine2"


def test_interpolation_weights_are_a_partition():
    value = np.linspace(0, 1, 11)
    weights = interpolation_weights(value, ("thin", "middle", "heavy"))
    np.testing.assert_allclose(sum(weights.values()), 1)
    np.testing.assert_allclose(weights["middle"][[0, 5, 10]], [0, 1, 0], atol=1e-12)


def test_principal_components_rebuild_shapes_of_low_rank():
    rng = np.random.default_rng(0)
    samples = rng.normal(size=(40, 6)) @ rng.normal(size=(6, 50 * 3))
    samples = samples.reshape(40, 50, 3) + rng.normal(size=(50, 3))
    importance = np.concatenate([rng.uniform(0.5, 1, 45), np.zeros(5)])
    space = principal_components(samples, importance)
    rebuilt = space.template + np.einsum("vxk,nk->nvx", space.directions[..., :6], space.scores[:, :6])
    np.testing.assert_allclose(rebuilt, samples, atol=1e-6)
    np.testing.assert_allclose(space.scores[:, :6].std(0), 1, atol=1e-9)
    assert space.explained == pytest.approx(1)


def test_sampled_people_repeat_with_the_seed_and_differ_without():
    one, same, other = sample_people(50, 3), sample_people(50, 3), sample_people(50, 4)
    np.testing.assert_array_equal(one.stature, same.stature)
    assert np.abs(one.stature - other.stature).max() > 0.01


def test_sparse_rows_keep_what_they_stand_for():
    weights = np.random.default_rng(0).dirichlet(np.ones(4), 30)
    full = np.zeros((30, 24))
    full[:, [3, 7, 11, 20]] = weights
    indices, values = sparse_weights(full)
    back = np.zeros((30, 24))
    np.add.at(back, (np.arange(30)[:, None], indices.astype(int)), values)
    np.testing.assert_allclose(back, full, atol=1e-6)
    np.testing.assert_allclose(Regressor.from_dense(2 * full).dense(30, 24), full, atol=1e-6)


@pytest.mark.slow
def test_rebuilding_gives_the_shipped_files(tmp_path):
    pytest.importorskip("anny", reason="rebuilding the body needs fitloop[build]")
    from fitloop.body.build.__main__ import BuildConfig, main

    main(BuildConfig(tmp_path))
    for name in ("open_body.npz", "wardrobe.npz"):
        with np.load(tmp_path / name) as built, np.load(ASSETS / name) as shipped:
            assert built.files == shipped.files
            for key in built.files:
                if built[key].dtype.kind == "f":
                    np.testing.assert_allclose(built[key], shipped[key], atol=2e-6)
                else:
                    np.testing.assert_array_equal(built[key], shipped[key])
