import numpy as np
import pytest
import torch

from fitloop.body.params import JOINT_NAMES
from fitloop.data.mocap import Mocap, full_pose, is_held_out, load_mocap, mirror_pose


@pytest.fixture
def mocap_file(tmp_path):
    generator = np.random.default_rng(0)
    lengths = np.array([30, 10, 20])
    path = tmp_path / "poses.npz"
    np.savez(
        path,
        pose=generator.normal(size=(60, 22, 3)).astype(np.float16),
        clip_start=np.array([0, 30, 40]),
        clip_len=lengths,
        clip_id=np.array(["a", "b", "c"]),
        clip_subject=np.array(["Subject #1 (walk)", "Subject #2 (run)", ""]),
        clip_source=np.array(["x", "x", "y"]),
        clip_quality=np.array(["asf", "asf", "bvh"]),
        distinct=np.arange(60) % 2 == 0,
    )
    return path


def test_frames_know_their_clip_and_group(mocap_file):
    mocap = load_mocap(mocap_file)
    assert len(mocap) == 30
    assert np.bincount(mocap.clip).tolist() == [15, 5, 10]
    assert mocap.clip_groups == ("Subject #1", "Subject #2", "y")
    assert len(load_mocap(mocap_file, distinct=False)) == 60


def test_training_and_held_out_share_no_subject_and_lose_no_frame():
    groups = tuple(f"Subject #{n}" for n in range(60))
    mocap = Mocap(np.zeros((120, 22, 3), np.float32), np.arange(120) % 60, groups, groups, ("asf",) * 60)
    training, held_out = mocap.training(), mocap.held_out()
    assert len(training) + len(held_out) == 120
    assert not set(training.clip) & set(held_out.clip)
    assert 0 < len(set(held_out.clip)) < 30
    assert is_held_out("Subject #8")
    assert not is_held_out("Subject #1")


def test_mirroring_twice_changes_nothing_and_swaps_sides():
    pose = np.random.default_rng(1).normal(size=(4, 22, 3)).astype(np.float32)
    np.testing.assert_array_equal(mirror_pose(mirror_pose(pose)), pose)
    left, right = JOINT_NAMES.index("left_elbow"), JOINT_NAMES.index("right_elbow")
    np.testing.assert_array_equal(mirror_pose(pose)[:, left], pose[:, right] * [1, -1, -1])


def test_samples_are_balanced_by_clip_and_repeatable(mocap_file):
    mocap = load_mocap(mocap_file)
    first = mocap.sample(3000, torch.Generator().manual_seed(3))
    np.testing.assert_array_equal(first, mocap.sample(3000, torch.Generator().manual_seed(3)))
    short = {p.tobytes() for p in mocap.pose[mocap.clip == 1]} | {
        p.tobytes() for p in mirror_pose(mocap.pose[mocap.clip == 1])
    }
    share = np.mean([p.tobytes() in short for p in first])
    assert 0.28 < share < 0.39


def test_hands_are_at_rest():
    pose = full_pose(np.ones((2, 22, 3), np.float32))
    assert pose.shape == (2, 24, 3)
    assert (pose[:, 22:] == 0).all()
    assert (pose[:, :22] == 1).all()


def test_files_that_are_no_mocap_are_refused(tmp_path):
    with pytest.raises(FileNotFoundError, match="absent"):
        load_mocap(tmp_path / "absent.npz")
    np.savez(tmp_path / "other.npz", pose=np.zeros((1, 22, 3)))
    with pytest.raises(ValueError, match="has no clip_start, clip_len, clip_id"):
        load_mocap(tmp_path / "other.npz")


@pytest.mark.parametrize("content", [b"# A page of text\n", b"", b"\x93NUMPY\x01\x00", b"PK\x03\x04 cut off"])
def test_another_file_is_refused_in_words_of_our_own(tmp_path, content):
    path = tmp_path / "README.md"
    path.write_bytes(content)
    with pytest.raises(ValueError, match="README.md is no file of motion capture such as cmu_poses.npz") as raised:
        load_mocap(path)
    assert "pickle" not in str(raised.value)


def test_poses_of_another_shape_are_refused(mocap_file):
    with np.load(mocap_file) as file:
        arrays = dict(file)
    np.savez(mocap_file, **{**arrays, "pose": np.zeros((60, 72))})
    with pytest.raises(ValueError, match=r"pose is \(60, 72\), expected \(frames, 22, 3\)"):
        load_mocap(mocap_file)
