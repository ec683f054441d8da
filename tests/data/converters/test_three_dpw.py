import pickle

import numpy as np
import pytest
from converter_files import RNG

from fitloop.data import converters


@pytest.fixture
def three_dpw(tmp_path):
    """Two people, three frames, a camera turned by 90 degrees about z; the second person's last frame is invalid."""
    turn = np.eye(4)
    turn[:2, :2] = [[0.0, -1.0], [1.0, 0.0]]
    poses = [np.zeros((3, 72)) + person for person in (0.0, 0.01)]
    poses2d = [np.concatenate([RNG.uniform(100, 500, (3, 2, 18)), np.ones((3, 1, 18))], 1) for _ in range(2)]
    poses2d[0][1, 2] = 0.0
    content = {
        **{"sequence": "downtown_toy_00", "poses": poses, "betas": [np.arange(10.0), np.arange(300.0)]},
        **{"genders": ["m", "f"], "cam_poses": np.stack([turn] * 3), "poses2d": poses2d},
        **{"campose_valid": [np.array([1, 1, 1]), np.array([1, 1, 0])], "texture_maps": [np.zeros(2)]},
        **{"img_frame_ids": np.arange(3), "cam_intrinsics": np.eye(3)},
    }
    place = tmp_path / "sequenceFiles" / "test"
    place.mkdir(parents=True)
    (place / "downtown_toy_00.pkl").write_bytes(pickle.dumps(content, protocol=2))
    return tmp_path, poses2d


def test_3dpw_turns_the_root_into_the_camera(three_dpw):
    folder, poses2d = three_dpw
    dataset = converters.convert_3dpw(folder)
    frames = [(0, "m"), (2, "m"), (0, "f"), (1, "f")]
    assert dataset.image_names == tuple(f"imageFiles/downtown_toy_00/image_{n:05d}.jpg" for n, _ in frames)
    assert dataset.genders == tuple(gender for _, gender in frames)
    np.testing.assert_allclose(dataset.pose[0, :3], [0.0, 0.0, np.pi / 2], atol=1e-6)
    np.testing.assert_allclose(dataset.pose[2, 3:], 0.01, atol=1e-6)
    assert dataset.betas[3].tolist() == list(range(10))
    assert dataset.has_params.all() and (dataset.keypoints == 0).all()
    seen = poses2d[1][1, :2].T
    np.testing.assert_allclose(dataset.centers[3], (seen.min(0) + seen.max(0)) / 2, rtol=1e-5)


class Bomb:
    def __reduce__(self):
        return print, ("boom",)


def test_a_hostile_3dpw_file_runs_nothing(three_dpw, capsys):
    (three_dpw[0] / "sequenceFiles" / "test" / "downtown_toy_00.pkl").write_bytes(pickle.dumps({"poses": Bomb()}))
    with pytest.raises(ValueError, match="is no usable file of arrays"):
        converters.convert_3dpw(three_dpw[0])
    assert capsys.readouterr().out == ""
