import numpy as np
import pytest
from converter_files import RNG, joint
from scipy.io import savemat

from fitloop.body.keypoints import MPII_16
from fitloop.data import converters


def structs(entries, fields):
    table = np.zeros((1, len(entries)), dtype=[(field, object) for field in fields])
    for column, entry in enumerate(entries):
        for field in fields:
            table[field][0, column] = entry.get(field, np.zeros((0, 0)))
    return table


@pytest.fixture
def mpii(tmp_path):
    """A complete person, one with a joint missing and one without any, a photo without people, a test photo."""
    points = RNG.integers(50, 400, (16, 2)).astype(float)

    def annotation(rows):
        return structs([{"x": x, "y": y, "id": float(n), "is_visible": 1.0} for n, x, y in rows], ["x", "y", "id"])

    everything = [(number, *points[number]) for number in reversed(range(16))]
    people = structs(
        [
            {"scale": 2.0, "objpos": {"x": 100.0, "y": 120.0}, "annopoints": {"point": annotation(everything)}},
            {"scale": 1.0, "objpos": {"x": 50.0, "y": 60.0}, "annopoints": {"point": annotation(everything[1:])}},
            {"x1": 4.0},
        ],
        ["scale", "objpos", "annopoints", "x1"],
    )
    alone = structs([{"scale": 1.0, "objpos": {"x": 9.0, "y": 9.0}, "annopoints": {"point": annotation(everything)}}],
                    ["scale", "objpos", "annopoints"])  # fmt: skip
    photos = structs(
        [
            {"image": {"name": "crowd.jpg"}, "annorect": people},
            {"image": {"name": "nobody.jpg"}},
            {"image": {"name": "test.jpg"}, "annorect": alone},
        ],
        ["image", "annorect"],
    )
    release = {"annolist": photos, "img_train": np.array([[1, 1, 0]])}
    savemat(tmp_path / "mpii_human_pose_v1_u12_1.mat", {"RELEASE": release})
    return tmp_path, points


def test_mpii_keeps_complete_training_people_with_the_hourglass_box(mpii):
    folder, points = mpii
    dataset = converters.convert_mpii(folder)
    assert dataset.image_names == ("images/crowd.jpg",)
    assert dataset.scales.tolist() == [2.5] and dataset.centers.tolist() == [[100.0, 150.0]]
    assert joint(dataset, 0, "pelvis") == [*points[MPII_16.index("pelvis")], 1.0]
    assert joint(dataset, 0, "thorax") == [*points[MPII_16.index("thorax")], 1.0]
    assert joint(dataset, 0, "neck") == [*points[MPII_16.index("upper_neck")], 1.0]
    assert joint(dataset, 0, "right_wrist") == [*points[MPII_16.index("right_wrist")], 1.0]
    assert dataset.keypoints[0, :, 2].sum() == 16


def test_mpii_of_the_hourglass_networks_is_read_as_it_is(tmp_path):
    h5py = pytest.importorskip("h5py")
    part = RNG.integers(5, 300, (2, 16, 2)).astype(float)
    part[1, 3] = 0
    with h5py.File(tmp_path / "train.h5", "w") as file:
        file["imgname"] = np.array([b"a.jpg", b"b.jpg"])
        file["center"], file["scale"], file["part"] = np.ones((2, 2)), np.array([2.0, 3.0]), part
    dataset = converters.convert_mpii(tmp_path)
    assert dataset.image_names == ("images/a.jpg",) and dataset.scales.tolist() == [2.0]
    assert joint(dataset, 0, "left_knee") == [*part[0, MPII_16.index("left_knee")], 1.0]
