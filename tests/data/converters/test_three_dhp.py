import numpy as np
import pytest
from converter_files import RNG, joint
from PIL import Image
from scipy.io import savemat

from fitloop.body.keypoints import SPIN_24
from fitloop.data import converters


@pytest.fixture
def three_dhp_train(tmp_path):
    """Camera 4 of one sequence: four annotated frames, of which 1, 2 and 4 were extracted; in 2 a joint is outside."""
    place = tmp_path / "S1" / "Seq1"
    flat = RNG.uniform(100, 1900, (4, 28, 2))
    flat[1, 10] = 3000.0
    solid = RNG.uniform(-900, 900, (4, 28, 3))
    cells_2d, cells_3d = (np.empty((14, 1), object) for _ in range(2))
    for camera in range(14):
        cells_2d[camera, 0], cells_3d[camera, 0] = np.zeros((4, 56)), np.zeros((4, 84))
    cells_2d[4, 0], cells_3d[4, 0] = flat.reshape(4, 56), solid.reshape(4, 84)
    frames = place / "imageFrames" / "video_4"
    frames.mkdir(parents=True)
    for number in (1, 2, 4):
        (frames / f"frame_{number:06d}.jpg").touch()
    savemat(place / "annot.mat", {"annot2": cells_2d, "annot3": cells_3d})
    return tmp_path, flat, solid


def test_3dhp_training_frames_are_matched_by_number_and_complete(three_dhp_train):
    folder, flat, solid = three_dhp_train
    dataset = converters.convert_3dhp_train(folder, stride=1)
    names = [f"S1/Seq1/imageFrames/video_4/frame_{number:06d}.jpg" for number in (1, 4)]
    assert dataset.image_names == tuple(names)
    np.testing.assert_allclose(joint(dataset, 1, "left_shoulder"), [*flat[3, 9], 1.0], rtol=1e-6)
    np.testing.assert_allclose(joint(dataset, 1, "right_ankle"), [*flat[3, 25], 1.0], rtol=1e-6)
    np.testing.assert_allclose(joint(dataset, 1, "head"), [*flat[3, 7], 1.0], rtol=1e-6)
    neck = dataset.joints_3d[0, SPIN_24.index("neck")]
    np.testing.assert_allclose(neck, [*(solid[0, 5] - solid[0, 4]) / 1000.0, 1.0], atol=1e-6)
    assert (dataset.joints_3d[:, SPIN_24.index("pelvis"), :3] == 0).all()
    assert (dataset.keypoints[..., 2].sum(1) == 17).all()


def test_3dhp_training_keeps_every_tenth(three_dhp_train):
    assert len(converters.convert_3dhp_train(three_dhp_train[0])) == 1


def test_3dhp_frames_beyond_the_annotation_are_refused(three_dhp_train):
    (three_dhp_train[0] / "S1/Seq1/imageFrames/video_4/frame_000009.jpg").touch()
    with pytest.raises(ValueError, match="frame_000009.jpg has no annotation"):
        converters.convert_3dhp_train(three_dhp_train[0])


def test_3dhp_test_frames_are_the_valid_ones(tmp_path):
    h5py = pytest.importorskip("h5py")
    place = tmp_path / "mpi_inf_3dhp_test_set" / "TS1"
    (place / "imageSequence").mkdir(parents=True)
    flat, solid = RNG.uniform(1, 60, (3, 1, 17, 2)), RNG.uniform(-900, 900, (3, 1, 17, 3))
    flat[2, 0, 3] = 200.0
    for number in (2, 3):
        Image.new("RGB", (64, 64)).save(place / "imageSequence" / f"img_{number:06d}.jpg")
    with h5py.File(place / "annot_data.mat", "w") as file:
        file["annot2"], file["univ_annot3"], file["valid_frame"] = flat, solid, np.array([[0], [1], [1]])
    dataset = converters.convert_3dhp_test(tmp_path)
    assert dataset.image_names == ("mpi_inf_3dhp_test_set/TS1/imageSequence/img_000002.jpg",)
    np.testing.assert_allclose(joint(dataset, 0, "right_wrist"), [*flat[1, 0, 4], 1.0], rtol=1e-6)
    np.testing.assert_allclose(joint(dataset, 0, "head"), [*flat[1, 0, 0], 1.0], rtol=1e-6)
    spine = dataset.joints_3d[0, SPIN_24.index("spine"), :3]
    np.testing.assert_allclose(spine, (solid[1, 0, 15] - solid[1, 0, 14]) / 1000.0, atol=1e-6)


@pytest.mark.parametrize(
    "name",
    [
        "S1/Seq1/imageSequence/img_S1_Seq1_video_4_{0:06d}.png",
        "S1/Seq1/imageFrames/video_4/frame_{0:06d}.png",
        "S1/Seq1/imageSequence/video_4/img_{0:05d}.jpg",
        "images/S1_Seq1_Cam4_{0:06d}.jpeg",
        "images/S1/Seq1/Camera_4/{0}.JPG",
    ],
)
def test_3dhp_frames_are_found_under_the_names_that_tools_give_them(three_dhp_train, name):
    folder, flat, _ = three_dhp_train
    for number in (1, 2, 4):
        (folder / "S1/Seq1/imageFrames/video_4" / f"frame_{number:06d}.jpg").unlink()
        path = folder / name.format(number)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    dataset = converters.convert_3dhp_train(folder, stride=1)
    assert dataset.image_names == (name.format(1), name.format(4))
    np.testing.assert_allclose(joint(dataset, 1, "left_shoulder"), [*flat[3, 9], 1.0], rtol=1e-6)


def test_3dhp_without_frames_says_what_was_looked_for(three_dhp_train):
    for path in three_dhp_train[0].rglob("*.jpg"):
        path.unlink()
    with pytest.raises(FileNotFoundError, match=r"no frames. Looked for S1/Seq1/imageFrames/video_0/frame_000001.jpg"):
        converters.convert_3dhp_train(three_dhp_train[0])


def test_3dhp_annotations_of_another_shape_are_refused(three_dhp_train):
    savemat(three_dhp_train[0] / "S1/Seq1/annot.mat", {"annot2": 3.0, "annot3": 4.0})
    with pytest.raises(ValueError, match=r"annot2 of camera 4 is not \(frames, 56\)"):
        converters.convert_3dhp_train(three_dhp_train[0])
