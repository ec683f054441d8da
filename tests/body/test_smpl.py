"""SMPL files, and `smplx` as the oracle of our own skinning."""

import pickle

import numpy as np
import pytest
import torch
from scipy.sparse import csr_matrix
from toy import random_params, stick_body

from fitloop.body.kinematics import KeypointKinematics
from fitloop.body.load import load_body
from fitloop.body.model import Body
from fitloop.body.params import JOINT_NAMES, JOINT_PARENTS
from fitloop.body.smpl import SmplBody, load_smpl, smplx_layer


def _file_arrays(body: Body) -> dict[str, np.ndarray]:
    return {
        "v_template": body.template.numpy().astype(np.float64),
        "shapedirs": body.shapedirs.numpy().astype(np.float64),
        "posedirs": (torch.zeros(len(body.template), 3, 207) if body.posedirs is None else body.posedirs).numpy(),
        "J_regressor": body.joint_regressor.numpy(),
        "weights": body.lbs_weights.numpy(),
        "f": body.faces.numpy().astype(np.uint32),
        "kintree_table": np.array([[4294967295, *JOINT_PARENTS[1:]], range(24)], dtype=np.uint32),
    }


@pytest.fixture
def smpl_file(tmp_path):
    def write(suffix: str = ".npz", **changed) -> object:
        arrays = _file_arrays(stick_body(pose_correctives=True)) | changed
        arrays = {key: value for key, value in arrays.items() if value is not None}
        path = tmp_path / f"SMPL_NEUTRAL{suffix}"
        if suffix == ".npz":
            np.savez(path, **arrays)  # pyright: ignore[reportArgumentType]
        else:
            path.write_bytes(pickle.dumps(arrays, protocol=2))
        return path

    return write


@pytest.mark.parametrize("batch", [(), (1,), (2, 3)])
@pytest.mark.parametrize(
    "make", [stick_body, lambda: stick_body(True), load_body], ids=["stick", "correctives", "open"]
)
def test_skinning_is_that_of_smplx(make, batch):
    body = make()
    params = random_params(*batch, seed=3)
    ours = body(params)
    rows = params.map(lambda value: value.reshape(-1, *value.shape[len(batch) :]))
    oracle = smplx_layer(body)(
        betas=rows.betas,
        body_pose=rows.body_pose,
        global_orient=rows.global_orient[:, None],
        transl=rows.transl,
        pose2rot=False,
    )
    torch.testing.assert_close(ours.vertices.reshape(oracle.vertices.shape), oracle.vertices, atol=2e-5, rtol=0)
    torch.testing.assert_close(ours.joints.reshape(-1, 24, 3), oracle.joints[:, :24], atol=2e-5, rtol=0)


@pytest.mark.parametrize("suffix", [".npz", ".pkl"])
def test_a_smpl_file_gives_the_body_it_holds(smpl_file, suffix):
    body = load_body(smpl_file(suffix))
    assert isinstance(body, SmplBody) and body.name.startswith("smpl-")
    params = random_params(2, seed=4)
    expected = stick_body(pose_correctives=True)(params)
    torch.testing.assert_close(body(params).vertices, expected.vertices, atol=2e-5, rtol=0)
    fast = KeypointKinematics(body, JOINT_NAMES)(params)
    torch.testing.assert_close(fast, expected.joints, atol=2e-5, rtol=0)


def test_a_cleaned_file_gives_the_same_body_however_it_was_saved(smpl_file):
    plain = load_smpl(smpl_file())
    arrays = _file_arrays(stick_body(pose_correctives=True))
    tensors = {
        key: torch.from_numpy(value.astype(np.int64) if value.dtype.kind == "u" else value)
        for key, value in arrays.items()
    }
    path = smpl_file(".pkl")
    for saved in (
        pickle.dumps(arrays, protocol=5),
        pickle.dumps(tensors),
        pickle.dumps({k.encode(): v for k, v in arrays.items()}),
    ):
        path.write_bytes(saved)
        assert load_smpl(path).name == plain.name
    assert load_smpl(smpl_file(J_regressor=csr_matrix(arrays["J_regressor"]))).name == plain.name


def test_a_body_of_another_file_has_another_name(smpl_file):
    first = load_smpl(smpl_file()).name
    assert load_smpl(smpl_file(v_template=stick_body().template.numpy() * 1.01)).name != first
    assert load_smpl(smpl_file()).name == first


def test_an_extra_regressor_beside_the_file_adds_landmarks(smpl_file):
    path = smpl_file()
    table = np.full((9, 216), 1 / 216)
    np.save(path.parent / "J_regressor_extra.npy", table)
    assert "left_hip_lsp" in load_smpl(path).landmark_names
    np.save(path.parent / "J_regressor_extra.npy", table[:5])
    with pytest.raises(ValueError, match=r"shape \(5, 216\), expected \(9, 216\)"):
        load_smpl(path)


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"weights": None}, "it lacks weights"),
        ({"weights": np.zeros((216, 55))}, "SMPL-X files have more joints"),
        ({"posedirs": np.zeros((216, 3, 486))}, "posedirs has shape"),
        ({"J_regressor": np.zeros((24, 100))}, "J_regressor has shape"),
        ({"kintree_table": np.zeros((2, 24))}, "another joint tree"),
        ({"shapedirs": np.zeros((216, 3, 4))}, "4 shape coefficients"),
        ({"v_template": np.full((216, 3), np.nan)}, "damaged: v_template"),
        ({"f": np.full((4, 3), 999)}, "out of range"),
    ],
)
def test_a_file_of_another_kind_is_refused_in_words(smpl_file, changed, words):
    with pytest.raises(ValueError, match=words):
        load_smpl(smpl_file(**changed))


@pytest.mark.parametrize("suffix", [".npz", ".pkl"])
def test_a_truncated_file_is_refused(smpl_file, suffix):
    path = smpl_file(suffix)
    path.write_bytes(path.read_bytes()[:1000])
    with pytest.raises(ValueError, match=r"SMPL_NEUTRAL"):
        load_smpl(path)


def test_an_object_array_in_an_npz_runs_nothing(tmp_path):
    class Hostile:
        def __reduce__(self):
            return (open, (str(tmp_path / "proof"), "w"))

    path = tmp_path / "hostile.npz"
    np.savez(path, v_template=np.array([Hostile()], dtype=object))
    with pytest.raises(ValueError, match="plain arrays"):
        load_smpl(path)
    assert not (tmp_path / "proof").exists()


def test_a_missing_file_says_what_to_give(tmp_path):
    with pytest.raises(FileNotFoundError, match="SMPL .pkl or .npz file, or 'open'"):
        load_body(tmp_path / "nothing.pkl")


def test_parameters_of_another_size_are_refused_with_both_sides():
    params = random_params(seed=0)
    short = params.__class__(params.global_orient, params.body_pose[:20], params.betas, params.transl)
    with pytest.raises(ValueError, match="has 23 body joints and 10 betas, the parameters have 20 and 10"):
        stick_body()(short)
