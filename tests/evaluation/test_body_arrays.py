import numpy as np
import pytest
import torch
from toy import random_params, toy_camera
from toy_bench import estimate_arrays, make_truth

from fitloop.body import JOINT_NAMES
from fitloop.evaluation.body_arrays import bodies_of, check_bodies, params_of_smpl
from fitloop.evaluation.checks import suspect_bodies
from fitloop.evaluation.people import ScoredPeople
from fitloop.evaluation.truth import read_bench_truth, read_spin_truth
from fitloop.geometry import rotmat_to_rotvec

PARAMS, CAMERA = random_params(3, seed=0), toy_camera(3)
ARRAYS = estimate_arrays(PARAMS, CAMERA, "")


def test_bodies_go_to_arrays_and_back():
    params, camera = bodies_of(estimate_arrays(PARAMS, CAMERA, "regressed_"), "regressed_")
    assert torch.equal(params.body_pose, PARAMS.body_pose) and torch.equal(camera.focal, CAMERA.focal)
    check_bodies("toy.npz", ARRAYS)


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        (
            {"body_pose": np.zeros((3, 69))},
            r"body_pose .* of shape \(3, 69\).*rotation matrices, not axis-angle",
        ),
        ({"global_orient": np.zeros((3, 3))}, "rotation matrices, not axis-angle"),
        ({"global_orient": np.zeros((3, 3, 3))}, "no rotations"),
        ({"transl": np.zeros((3, 2))}, r"transl is float64 of shape \(3, 2\), expected numbers of \(people, 3\)"),
        ({"focal": np.array(["a", "b", "c"])}, "focal is <U1"),
    ],
)
def test_arrays_that_are_no_bodies_are_refused_by_name(changed, words):
    with pytest.raises(ValueError, match=words):
        check_bodies("toy.npz", ARRAYS | changed)


def test_smpl_in_degrees_or_of_other_shapes_is_refused(tmp_path):
    pose = rotmat_to_rotvec(PARAMS.rotations).reshape(3, 3 * len(JOINT_NAMES)).numpy()
    params, notices = params_of_smpl(tmp_path, pose, PARAMS.betas.numpy())
    torch.testing.assert_close(params.rotations, PARAMS.rotations, atol=1e-5, rtol=0)
    assert notices == ()
    with pytest.raises(ValueError, match="np.deg2rad"):
        params_of_smpl(tmp_path, np.rad2deg(pose), PARAMS.betas.numpy())
    with pytest.raises(ValueError, match=r"shapes \(3, 72\) and \(2, 10\)"):
        params_of_smpl(tmp_path, pose, PARAMS.betas.numpy()[:2])


def test_a_truth_with_a_focal_length_in_millimetres_is_refused(tmp_path):
    np.savez(tmp_path / "truth.npz", **(make_truth(3) | {"focal": np.full(3, 26.0, np.float32)}))  # pyright: ignore[reportArgumentType]
    with pytest.raises(ValueError, match="focal lengths are 0.04.*millimetres"):
        read_bench_truth(tmp_path / "truth.npz")


def test_results_with_such_cameras_are_scored_and_told():
    people = ScoredPeople(None, count=3, params=PARAMS, camera=type(CAMERA)(CAMERA.focal / 30, CAMERA.principal_point))
    assert [suspicion.kind for suspicion in suspect_bodies(people)] == ["body"]
    assert suspect_bodies(ScoredPeople(None, count=3, params=PARAMS, camera=CAMERA)) == []


def test_a_spin_truth_in_another_unit_is_refused_and_neutral_people_are_not(tmp_path):
    joints = np.concatenate([np.random.default_rng(0).normal(0, 150.0, (3, 24, 3)), np.ones((3, 24, 1))], -1)
    arrays = {"imgname": np.array(["a", "b", "c"]), "center": np.zeros((3, 2)), "scale": np.ones(3)}
    np.savez(tmp_path / "h36m.npz", S=joints, **arrays)
    with pytest.raises(ValueError, match="S is not what it should be.*millimetres"):
        read_spin_truth(tmp_path / "h36m.npz")
    genders = np.array(["male", b"f".decode(), "neutral"])
    np.savez(tmp_path / "genders.npz", gender=genders, **arrays)
    assert read_spin_truth(tmp_path / "genders.npz").labels["gender"] == ("male", "female", "neutral")
    part = np.concatenate([np.random.default_rng(0).uniform(0, 150, (3, 24, 2)), np.ones((3, 24, 1))], -1)
    np.savez(tmp_path / "pixels.npz", part=part, **(arrays | {"scale": np.full(3, 180.0)}))  # pyright: ignore[reportArgumentType]
    with pytest.raises(ValueError, match="scale is not what it should be.*divide it by 200"):
        read_spin_truth(tmp_path / "pixels.npz")
