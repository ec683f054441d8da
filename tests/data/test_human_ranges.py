import numpy as np
import pytest
from toy import random_params, stick_body

from fitloop.body import KeypointKinematics
from fitloop.body.keypoints import SPIN_24
from fitloop.data.human_ranges import (
    doubt_betas,
    doubt_centre,
    doubt_crops,
    doubt_focal,
    doubt_joints,
    doubt_pose,
)
from fitloop.geometry import rotmat_to_rotvec

NAMES = SPIN_24.keypoints
EVERYTHING = np.ones((20, 24), bool)


def bodies(count=20):
    params = random_params(count, seed=1, spread=0.3)
    points = KeypointKinematics(stick_body(), tuple(filter(None, SPIN_24.landmarks)))(params)
    hips = points[:, [NAMES.index("left_hip"), NAMES.index("right_hip")]].mean(1, keepdim=True)
    return (points - hips).numpy(), rotmat_to_rotvec(params.rotations).reshape(count, 72).numpy(), params.betas.numpy()


def test_people_as_they_are_raise_no_doubt():
    points, pose, betas = bodies()
    assert doubt_joints(points, EVERYTHING, NAMES) is None and doubt_centre(points, EVERYTHING, NAMES) is None
    assert doubt_pose(pose) is None and doubt_betas(betas) is None
    assert doubt_crops(np.full(20, 300.0), 100.0 * points[..., :2], EVERYTHING) is None
    assert doubt_focal(np.full(20, 800.0), np.full(20, 640.0)) is None


@pytest.mark.parametrize(("factor", "unit"), [(1000.0, "millimetres"), (100.0, "centimetres"), (0.001, "kilometres")])
def test_another_unit_of_joints_is_named(factor, unit):
    doubt = doubt_joints(factor * bodies()[0], EVERYTHING, NAMES)
    assert doubt.grave and f"they are in {unit}" in doubt.sentence


def test_one_broken_person_is_told_alone():
    points = bodies()[0].copy()
    points[7] *= 1000.0
    doubt = doubt_joints(points, EVERYTHING, NAMES)
    assert not doubt.grave and np.flatnonzero(doubt.rows).tolist() == [7]


def test_joints_of_the_camera_are_not_relative_to_the_pelvis():
    doubt = doubt_centre(bodies()[0] + np.array([0.0, 0.0, 5.0]), EVERYTHING, NAMES)
    assert doubt.grave and "subtract each person's pelvis" in doubt.sentence


def test_degrees_are_no_radians():
    doubt = doubt_pose(np.rad2deg(bodies()[1]))
    assert doubt.grave and "np.deg2rad" in doubt.sentence


def test_shapes_that_nobody_has_are_refused():
    assert doubt_betas(np.full((20, 10), 40.0)).grave
    wild = np.zeros((20, 10))
    wild[3, 0] = 80.0
    assert not doubt_betas(wild).grave and doubt_betas(wild).rows[3]


def test_a_scale_in_pixels_is_told_from_keypoints_that_are_shares_of_a_crop():
    points = 100.0 * bodies()[0][..., :2]
    assert "divide it by 200" in doubt_crops(np.full(20, 200.0 * 300.0), points, EVERYTHING).sentence
    assert "shares of a crop" in doubt_crops(np.full(20, 300.0), points / 150.0, EVERYTHING).sentence
    nothing = np.zeros_like(EVERYTHING)
    assert doubt_crops(np.full(20, 60_000.0), points, nothing).grave
    assert doubt_crops(np.full(20, 600.0), points, nothing) is None


def test_a_focal_length_in_millimetres_is_no_lens_in_pixels():
    assert "millimetres" in doubt_focal(np.full(5, 26.0), np.full(5, 4000.0)).sentence
    assert doubt_focal(np.full(5, 1e9), np.full(5, 4000.0)).grave
    assert doubt_focal(np.full(5, 26.0), np.zeros(5)) is None


def test_a_set_without_limbs_or_people_says_nothing():
    assert doubt_joints(np.zeros((2, 3, 3)), np.ones((2, 3), bool), ("nose", "left_eye", "right_eye")) is None
    assert doubt_joints(np.ones((2, 24, 3)), np.ones((2, 24), bool), NAMES) is None
    assert doubt_pose(np.zeros((0, 72))) is None
