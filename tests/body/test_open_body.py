"""The shipped open body is what docs/body.md says it is."""

import numpy as np
import pytest
import torch
from scipy.spatial import KDTree

from fitloop.body.assets import ASSETS, verify_assets
from fitloop.body.keypoints import SURFACE_LANDMARKS, mirrored
from fitloop.body.load import load_body
from fitloop.body.params import JOINT_NAMES, JOINT_PARENTS, BodyParams, upright

J = {name: index for index, name in enumerate(JOINT_NAMES)}
EXTREMES = [np.zeros(10), *(sign * 2.0 * np.eye(10)[axis] for axis in range(4) for sign in (-1, 1))]


@pytest.fixture(scope="module")
def arrays():
    with np.load(ASSETS / "open_body.npz", allow_pickle=False) as file:
        return {key: file[key] for key in file.files}


@pytest.fixture(scope="module")
def regressor(arrays):
    table = np.zeros((24, len(arrays["template"])))
    table[arrays["joint_regressor_rows"], arrays["joint_regressor_cols"]] = arrays["joint_regressor_values"]
    return table


@pytest.fixture(scope="module")
def landmarks(arrays):
    table = np.zeros((len(arrays["keypoint_names"]), len(arrays["template"])))
    table[arrays["keypoint_rows"], arrays["keypoint_cols"]] = arrays["keypoint_values"]
    return dict(zip(arrays["keypoint_names"].tolist(), table @ arrays["template"], strict=True))


def shaped(arrays, betas):
    return arrays["template"] + arrays["shapedirs"] @ betas


def winding_numbers(points, vertices, faces):
    """How often a closed surface goes around each point: 1 inside, 0 outside (van Oosterom and Strackee 1983)."""
    corners = vertices[faces][None] - points[:, None, None]
    length = np.linalg.norm(corners, axis=-1)
    a, b, c = corners[:, :, 0], corners[:, :, 1], corners[:, :, 2]
    numerator = np.einsum("pfx,pfx->pf", a, np.cross(b, c))
    denominator = length.prod(-1)
    for first, second, third in ((0, 1, 2), (1, 2, 0), (2, 0, 1)):
        dot = np.einsum("pfx,pfx->pf", corners[:, :, first], corners[:, :, second])
        denominator = denominator + dot * length[:, :, third]
    return 2 * np.arctan2(numerator, denominator).sum(1) / (4 * np.pi)


def posed(**rotations):
    """Open body with some joints turned by rotation vectors, body axes, pelvis at its rest position."""
    body = load_body("open")
    params = upright()
    pose = params.body_pose.clone()
    for name, vector in rotations.items():
        axis = torch.tensor(vector)
        skew = torch.zeros(3, 3)
        skew[2, 1], skew[0, 2], skew[1, 0] = axis
        pose[J[name] - 1] = torch.linalg.matrix_exp(skew - skew.T)
    return body, BodyParams(torch.eye(3), pose, params.betas, params.transl)


def test_files_are_those_of_the_manifest():
    assert verify_assets(ASSETS) == []


def test_files_are_small_enough_to_ship():
    assert (ASSETS / "open_body.npz").stat().st_size < 3e6
    assert (ASSETS / "wardrobe.npz").stat().st_size < 3e6


def test_tree_and_names_are_smpls(arrays):
    assert tuple(arrays["joint_names"].tolist()) == JOINT_NAMES
    assert tuple(arrays["parents"].tolist()) == JOINT_PARENTS
    assert tuple(arrays["keypoint_names"].tolist()) == SURFACE_LANDMARKS
    assert str(arrays["name"]) == "open-1"


def test_skinning_weights_sum_to_one(arrays):
    np.testing.assert_allclose(arrays["lbs_weights"].sum(1), 1, atol=1e-6)
    assert (arrays["lbs_weights"] >= 0).all()


def test_regressors_are_averages(arrays):
    for prefix, rows in (("joint_regressor", 24), ("keypoint", len(SURFACE_LANDMARKS))):
        values = arrays[f"{prefix}_values"]
        assert (values > 0).all()
        np.testing.assert_allclose(np.bincount(arrays[f"{prefix}_rows"], values, minlength=rows), 1, atol=1e-6)


def test_template_is_symmetric(arrays):
    mirror_image = arrays["template"] * [-1, 1, 1]
    distance, _ = KDTree(arrays["template"]).query(mirror_image)
    assert distance.max() < 1e-5


def test_surface_is_closed_consistent_and_faces_outward(arrays):
    faces = arrays["faces"]
    edges = np.concatenate([faces[:, [0, 1]], faces[:, [1, 2]], faces[:, [2, 0]]])
    directed = {(a, b) for a, b in edges.tolist()}
    assert len(directed) == len(edges)
    unpaired = [edge for edge in directed if (edge[1], edge[0]) not in directed]
    assert not unpaired
    corners = arrays["template"][faces].astype(float)
    volume = np.einsum("fx,fx->f", corners[:, 0], np.cross(corners[:, 1], corners[:, 2])).sum() / 6
    assert 0.04 < volume < 0.09


def test_every_vertex_and_texture_coordinate_is_used(arrays):
    assert len(np.unique(arrays["faces"])) == len(arrays["template"])
    assert len(np.unique(arrays["uv_faces"])) == len(arrays["uv"])
    assert arrays["uv"].min() >= 0
    assert arrays["uv"].max() <= 1


def test_parts_are_the_heaviest_joint(arrays):
    heaviest = np.take_along_axis(arrays["lbs_indices"], arrays["lbs_weights"].argmax(1)[:, None], axis=1)[:, 0]
    assert np.array_equal(arrays["vertex_parts"], heaviest)
    assert set(np.unique(arrays["face_parts"])) == set(range(24))


def test_adults_are_between_one_and_a_half_and_two_metres_tall(arrays):
    rng = np.random.default_rng(0)
    stature = [np.ptp(shaped(arrays, betas)[:, 1]) for betas in rng.normal(size=(60, 10))]
    assert 1.5 < np.mean(stature) - 2 * np.std(stature)
    assert np.mean(stature) + 2 * np.std(stature) < 2.0
    assert np.std(stature) > 0.06


def test_first_coefficient_makes_taller(arrays):
    assert np.ptp(shaped(arrays, 2 * np.eye(10)[0])[:, 1]) > np.ptp(shaped(arrays, -2 * np.eye(10)[0])[:, 1]) + 0.2


@pytest.mark.parametrize("betas", EXTREMES, ids=lambda b: f"{int(np.abs(b).argmax())}:{b.sum():+.0f}")
def test_every_shape_stands_in_the_same_t_pose(arrays, regressor, betas):
    joints = regressor @ shaped(arrays, betas)
    for side, sign in (("left", 1), ("right", -1)):
        for upper, lower, axis in (
            (f"{side}_hip", f"{side}_knee", [0, -1, 0]),
            (f"{side}_knee", f"{side}_ankle", [0, -1, 0]),
            (f"{side}_shoulder", f"{side}_elbow", [sign, 0, 0]),
            (f"{side}_elbow", f"{side}_wrist", [sign, 0, 0]),
            (f"{side}_wrist", f"{side}_hand", [sign, 0, 0]),
        ):
            bone = joints[J[lower]] - joints[J[upper]]
            assert bone @ axis / np.linalg.norm(bone) > np.cos(np.radians(1.5))
        heading = joints[J[f"{side}_foot"]] - joints[J[f"{side}_ankle"]]
        assert abs(heading[0]) < 0.01 < heading[2]
    np.testing.assert_allclose(joints[J["pelvis"]], 0, atol=1e-3)


@pytest.mark.parametrize("betas", EXTREMES, ids=lambda b: f"{int(np.abs(b).argmax())}:{b.sum():+.0f}")
def test_joints_lie_inside_every_shape(arrays, regressor, betas):
    vertices = shaped(arrays, betas)
    numbers = winding_numbers(regressor @ vertices, vertices, arrays["faces"])
    np.testing.assert_allclose(numbers, 1, atol=0.02)


@pytest.mark.parametrize("joint", ["left_knee", "right_knee", "left_elbow", "right_elbow"])
def test_knees_and_elbows_stay_in_the_middle_of_the_limb(arrays, regressor, joint):
    weights = np.zeros((len(arrays["template"]), 24))
    np.add.at(weights, (np.arange(len(weights))[:, None], arrays["lbs_indices"].astype(int)), arrays["lbs_weights"])
    ring = np.abs(weights[:, J[joint]] - 0.5) < 0.15
    ring &= np.linalg.norm(arrays["template"] - regressor[J[joint]] @ arrays["template"], axis=1) < 0.12
    for betas in EXTREMES:
        vertices = shaped(arrays, betas)
        assert np.linalg.norm(regressor[J[joint]] @ vertices - vertices[ring].mean(0)) < 0.03


def test_left_is_left_and_sides_mirror_each_other(landmarks):
    for name, point in landmarks.items():
        if name.startswith("left_"):
            assert point[0] > 0.01
        np.testing.assert_allclose(landmarks[mirrored(name)], point * [-1, 1, 1], atol=2e-6)


def test_landmarks_are_where_they_are_on_people(landmarks, arrays):
    assert landmarks["nose"][2] > landmarks["left_eye"][2] > landmarks["left_ear"][2]
    assert landmarks["head_top"][1] > landmarks["left_eye"][1] > landmarks["nose"][1] > landmarks["left_mouth"][1]
    assert landmarks["left_eye_outer"][0] > landmarks["left_eye"][0] > landmarks["left_eye_inner"][0]
    assert landmarks["left_big_toe"][0] < landmarks["left_small_toe"][0]
    assert landmarks["left_heel"][2] < landmarks["left_small_toe"][2] < landmarks["left_big_toe"][2]
    assert landmarks["left_index"][2] > landmarks["left_pinky"][2]
    assert landmarks["left_middle_tip"][0] > landmarks["left_thumb_tip"][0]
    assert arrays["template"][:, 1].max() - landmarks["head_top"][1] < 0.003


def test_annotators_hips_are_wider_and_higher_than_the_joints(landmarks, regressor, arrays):
    joint = regressor[J["left_hip"]] @ arrays["template"]
    assert landmarks["left_hip_lsp"][0] > joint[0] + 0.005
    assert landmarks["left_hip_lsp"][1] > joint[1] + 0.005


def test_limbs_bend_the_right_way():
    body, straight = posed()
    _, bent = posed(left_knee=(1.5, 0.0, 0.0), left_elbow=(0.0, -1.5, 0.0))
    before, after = body(straight).vertices, body(bent).vertices
    shin, forearm = body.vertex_parts == J["left_ankle"], body.vertex_parts == J["left_wrist"]
    assert (after[shin, 2] < before[shin, 2] - 0.2).all()
    assert (after[forearm, 2] > before[forearm, 2] + 0.1).all()
    others = (body.lbs_weights[:, [J[n] for n in ("left_knee", "left_ankle", "left_foot")]].sum(1) == 0) & (
        body.lbs_weights[:, [J[n] for n in ("left_elbow", "left_wrist", "left_hand")]].sum(1) == 0
    )
    torch.testing.assert_close(after[others], before[others])


def test_wardrobe_is_the_same_body_with_helpers(arrays):
    with np.load(ASSETS / "wardrobe.npz", allow_pickle=False) as wardrobe:
        base = arrays["base_vertices"]
        assert wardrobe["template"].shape == (19158, 3)
        assert str(wardrobe["name"]) == str(arrays["name"])
        np.testing.assert_array_equal(wardrobe["template"][base], arrays["template"])
        np.testing.assert_allclose(wardrobe["shapedirs"][base], arrays["shapedirs"], atol=1e-4)
        np.testing.assert_allclose(wardrobe["lbs_weights"].sum(1), 1, atol=1e-6)
        rotations = wardrobe["offset_rotations"]
        np.testing.assert_allclose(rotations @ rotations.swapaxes(1, 2), np.tile(np.eye(3), (24, 1, 1)), atol=1e-5)
