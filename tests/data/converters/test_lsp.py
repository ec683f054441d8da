import numpy as np
import pytest
from converter_files import RNG, joint
from scipy.io import savemat

from fitloop.body.keypoints import LSP_14
from fitloop.data import converters


def test_lsp_splits_in_the_middle_and_keeps_occluded_joints(lsp):
    folder, joints = lsp
    train, test = converters.convert_lsp(folder), converters.convert_lsp(folder, "test")
    assert train.image_names == ("images/im0001.jpg", "images/im0002.jpg")
    assert test.image_names == ("images/im0003.jpg", "images/im0004.jpg")
    assert joint(train, 1, "left_wrist") == [*joints[:2, LSP_14.index("left_wrist"), 1], 1.0]
    assert test.mask_names[0] == "data/lsp/im0003_segmentation.png"
    assert test.part_names[1] == "data/lsp/im0004_part_segmentation.png"
    assert (train.keypoints[:, 14:, 2] == 0).all() and (train.keypoints[:, :14, 2] == 1).all()


def test_the_crop_is_a_fifth_larger_than_the_box(lsp):
    folder, joints = lsp
    train = converters.convert_lsp(folder)
    points = joints[:2, :, 0].T
    assert train.scales[0] == pytest.approx(1.2 * np.ptp(points, axis=0).max() / 200)
    np.testing.assert_allclose(train.centers[0], (points.min(0) + points.max(0)) / 2)


@pytest.fixture
def lspet(tmp_path):
    joints = np.zeros((14, 3, 2))
    joints[:, :2] = RNG.integers(20, 200, (14, 2, 2))
    joints[:, 2] = 1
    joints[LSP_14.index("left_ankle"), :, 0] = -500.0, -500.0, 0.0
    savemat(tmp_path / "joints.mat", {"joints": joints})
    for number in (1, 2):
        (tmp_path / f"im{number:05d}.png").touch()
    return tmp_path, joints


def test_lspet_leaves_unannotated_joints_out_of_box_and_evidence(lspet):
    dataset = converters.convert_lspet(lspet[0])
    assert dataset.image_names == ("im00001.png", "im00002.png")
    assert joint(dataset, 0, "left_ankle") == [0.0, 0.0, 0.0]
    assert dataset.scales[0] < 1.2 * 180 / 200


def test_lspet_as_spin_converts_it_takes_them_for_observed(lspet):
    dataset = converters.convert_lspet(lspet[0], spin_compat=True)
    assert joint(dataset, 0, "left_ankle") == [-500.0, -500.0, 1.0]
    assert dataset.scales[0] > 1.2 * 500 / 200


def test_lsp_and_lspet_are_not_mistaken_for_each_other(lsp, tmp_path):
    with pytest.raises(ValueError, match=r"expected \(14, 3, photos\)"):
        converters.convert_lspet(lsp[0])
    savemat(tmp_path / "joints.mat", {"joints": np.zeros((14, 3, 10))})
    with pytest.raises(ValueError, match="prepare lspet"):
        converters.convert_lsp(tmp_path)


def test_lspet_needs_a_photo_per_annotation(lspet):
    (lspet[0] / "im00003.png").touch()
    with pytest.raises(ValueError, match="3 photos for 2 annotations"):
        converters.convert_lspet(lspet[0])


def test_lspet_dev_is_read_by_its_named_joints(tmp_path):
    joints = RNG.uniform(0, 100, (2, 14, 3)).astype(np.float32)
    joints[..., 2] = 1
    joints[0, 0] = 0
    order = np.array(LSP_14.keypoints)
    np.savez(tmp_path / "joints.npz", names=np.array(["a.jpg", "b.jpg"]), joints=joints, order=order)
    dataset = converters.convert_lspet_dev(tmp_path)
    assert dataset.image_names == ("images/a.jpg", "images/b.jpg")
    assert joint(dataset, 0, "right_ankle") == [0, 0, 0]
    assert joint(dataset, 1, "head_top") == joints[1, 13].tolist()
    np.savez(tmp_path / "joints.npz", names=np.array(["a.jpg", "b.jpg"]), joints=joints, order=order[::-1])
    with pytest.raises(ValueError, match="expected .* named right_ankle"):
        converters.convert_lspet_dev(tmp_path)


def test_a_truncated_matlab_file_is_refused(lsp):
    path = lsp[0] / "joints.mat"
    path.write_bytes(path.read_bytes()[:200])
    with pytest.raises(ValueError, match="cannot be read as a MATLAB file"):
        converters.convert_lsp(lsp[0])
