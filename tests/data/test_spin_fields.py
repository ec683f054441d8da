import numpy as np
import pytest
import torch

from fitloop.body.keypoints import SPIN_24
from fitloop.data.spin_format import read_spin, write_spin
from fitloop.geometry import rotvec_to_rotmat

COUNT = 4


def spin_file(path, **changed):
    """People whose arms and legs have the length that people's have."""
    rng = np.random.default_rng(0)
    joints = np.concatenate([rng.normal(0, 0.15, (COUNT, 24, 3)), np.ones((COUNT, 24, 1))], -1)
    arrays = {
        "imgname": np.array([f"images/{row}.jpg" for row in range(COUNT)]),
        **{"center": np.full((COUNT, 2), 100.0), "scale": np.full(COUNT, 1.0), "S": joints},
        "part": np.concatenate([rng.uniform(20, 180, (COUNT, 24, 2)), np.ones((COUNT, 24, 1))], -1),
        **{"pose": rng.normal(0, 0.3, (COUNT, 72)), "shape": rng.normal(0, 1, (COUNT, 10))},
    }
    np.savez(path, **{key: value for key, value in (arrays | changed).items() if value is not None})
    return path, arrays


def read(folder, **changed):
    return read_spin(spin_file(folder / "toy.npz", **changed)[0])


@pytest.mark.parametrize("names", [[b"images/0.jpg"] * 4, ["b'images/0.jpg'"] * 4, ["images\\0.jpg"] * 4])
def test_names_of_bytes_and_of_windows_are_paths(tmp_path, names):
    names = [name.replace(b"0", b"%d" % row) if isinstance(name, bytes) else name.replace("0", str(row))
             for row, name in enumerate(names)]  # fmt: skip
    assert read(tmp_path, imgname=np.array(names)).image_names[3] == "images/3.jpg"


@pytest.mark.parametrize(
    "genders", [["m", "f"], ["male", "female"], ["Male", "FEMALE"], [b"m", b"f"], [0, 1], [0.0, 1.0], ["b'm'", "b'f'"]]
)
def test_genders_are_letters_words_numbers_or_bytes(tmp_path, genders):
    assert read(tmp_path, gender=np.array(genders * 2)).genders == ("m", "f", "m", "f")


def test_a_person_without_a_gender_is_neutral_and_a_file_of_them_has_none(tmp_path):
    dataset = read(tmp_path, gender=np.array(["m", "neutral", "f", "-1"]))
    assert dataset.genders == ("m", "n", "f", "n")
    write_spin(dataset, tmp_path / "again.npz")
    assert read_spin(tmp_path / "again.npz").genders == dataset.genders
    assert read(tmp_path, gender=np.full(4, -1)).genders is None


def test_rotation_matrices_become_the_axis_angles_they_are_of(tmp_path):
    path, arrays = spin_file(tmp_path / "toy.npz")
    matrices = rotvec_to_rotmat(torch.from_numpy(arrays["pose"].reshape(COUNT, 24, 3))).numpy()
    for shape in ((COUNT, 24, 3, 3), (COUNT, 216)):
        np.testing.assert_allclose(read(tmp_path, pose=matrices.reshape(shape)).pose, arrays["pose"], atol=1e-5)  # pyright: ignore[reportArgumentType, reportCallIssue]
    np.testing.assert_allclose(read(tmp_path, pose=arrays["pose"].reshape(COUNT, 24, 3)).pose, read_spin(path).pose)  # pyright: ignore[reportArgumentType, reportCallIssue]


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"pose": np.ones((COUNT, 24, 3, 3))}, "no rotation matrices"),
        ({"pose": np.ones((COUNT, 144))}, "6D rotations, whose two layouts cannot be told apart"),
        ({"pose": np.ones((COUNT, 165))}, "SMPL-X: keep the first 66"),
        ({"pose": np.full((COUNT, 72), 30.0)}, "pose is not what it should be.*np.deg2rad"),
        ({"shape": np.full((COUNT, 10), 90.0)}, "shape is not what it should be.*another body or scale"),
        ({"scale": np.full(COUNT, 200.0)}, "scale is not what it should be.*divide it by 200"),
        ({"gender": np.array(["m", "f", "q", "m"])}, "gender must be 'm' or 'f'.*q.*male"),
        ({"imgname": np.array(["a", "b", "c", "d"], object)}, "imgname holds Python objects.*dtype=str"),
    ],
)
def test_what_means_something_else_is_refused_with_a_way_on(tmp_path, changed, words):
    with pytest.raises(ValueError, match=words):
        read(tmp_path, **changed)


@pytest.mark.parametrize(("factor", "unit"), [(1000.0, "millimetres"), (100.0, "centimetres")])
def test_joints_in_another_unit_are_refused(tmp_path, factor, unit):
    joints = spin_file(tmp_path / "toy.npz")[1]["S"] * np.array([factor, factor, factor, 1.0])
    with pytest.raises(ValueError, match=f"S is not what it should be.*{unit}"):
        read(tmp_path, S=joints)


def test_one_person_out_of_range_counts_as_not_known(tmp_path, caplog):
    _, arrays = spin_file(tmp_path / "toy.npz")
    joints, pose = arrays["S"].copy(), arrays["pose"].copy()
    joints[1, :, :3] *= 1000.0
    pose[2] *= 60.0
    dataset = read(tmp_path, S=joints, pose=pose)
    assert dataset.joints_3d[..., 3].any(1).tolist() == [True, False, True, True]
    assert dataset.has_params.tolist() == [True, True, False, True]
    assert "1 people have in S limbs of impossible length" in caplog.text and "The first is row 2" in caplog.text


def test_objects_that_nobody_reads_do_no_harm(tmp_path):
    assert len(read(tmp_path, extra=np.array([{"a": 1}], object))) == COUNT


def test_longer_shapes_are_cut_and_told(tmp_path, caplog):
    long = np.concatenate([np.ones((COUNT, 10)), np.full((COUNT, 1), 0.5)], 1)
    assert read(tmp_path, shape=long).betas.shape == (COUNT, 10)
    assert "shape has 11 coefficients, of which the first 10 are read; the others are not 0 for 4 people" in caplog.text


def test_joints_without_a_confidence_are_known(tmp_path):
    joints = spin_file(tmp_path / "toy.npz")[1]["S"][..., :3]
    joints[0, SPIN_24.index("nose")] = np.nan
    dataset = read(tmp_path, S=joints)
    assert dataset.joints_3d[0, SPIN_24.index("nose"), 3] == 0 and dataset.joints_3d[..., 3].sum() == COUNT * 24 - 1
