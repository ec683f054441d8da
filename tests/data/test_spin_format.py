import dataclasses

import numpy as np
import pytest
from PIL import Image

from fitloop.body.keypoints import SPIN_24, SPIN_49
from fitloop.data.spin_format import SpinDataset, read_spin, write_spin
from fitloop.data.spin_images import photo_sizes, within_photos


def people(count=3, seed=0):
    rng = np.random.default_rng(seed)
    keypoints = np.concatenate([rng.uniform(10, 90, (count, 24, 2)), rng.integers(0, 2, (count, 24, 1))], -1)
    return {
        "imgname": np.array([f"images/{row:02d}.jpg" for row in range(count)]),
        "center": rng.uniform(40, 60, (count, 2)),
        "scale": rng.uniform(0.4, 0.6, count),
        "part": keypoints,
    }


def save(path, **arrays):
    np.savez(path, **arrays)
    return path


def test_a_file_of_spin_is_read_key_by_key(tmp_path):
    arrays = people()
    arrays |= {"openpose": np.full((3, 25, 3), 0.5), "S": np.ones((3, 24, 4)), "gender": np.array(["m", "f", "m"])}
    arrays |= {"pose": np.full((3, 72), 0.1), "shape": np.zeros((3, 10)), "has_smpl": np.array([1.0, 0.0, 1.0])}
    dataset = read_spin(save(tmp_path / "toy.npz", **arrays))
    assert dataset.name == "toy" and dataset.image_names[2] == "images/02.jpg"
    np.testing.assert_allclose(dataset.keypoints, arrays["part"].astype(np.float32))
    assert dataset.has_params.tolist() == [True, False, True]
    assert dataset.genders == ("m", "f", "m")
    assert dataset.joints_3d.shape == (3, 24, 4)


def test_what_is_written_is_read_again(tmp_path):
    dataset = read_spin(save(tmp_path / "toy.npz", **people(), pose=np.ones((3, 72)), shape=np.ones((3, 10))))
    write_spin(dataset, tmp_path / "again" / "toy.npz")
    again = read_spin(tmp_path / "again" / "toy.npz")
    assert again.body == "smpl"
    for field in dataclasses.fields(SpinDataset):
        first, second = getattr(dataset, field.name), getattr(again, field.name)
        assert np.array_equal(first, second) if isinstance(first, np.ndarray) else first == second


def test_without_has_smpl_everybody_with_a_pose_is_known(tmp_path):
    dataset = read_spin(save(tmp_path / "toy.npz", **people(), pose=np.ones((3, 72)), shape=np.ones((3, 10))))
    assert dataset.has_params.all()


def test_a_file_without_poses_knows_nobodys(tmp_path):
    dataset = read_spin(save(tmp_path / "toy.npz", **people(), has_smpl=np.ones(3)))
    assert dataset.has_params is None and dataset.pose is None


def test_the_49_keypoints_are_openpose_then_annotated(tmp_path):
    arrays = people()
    detections = read_spin(save(tmp_path / "toy.npz", **arrays)).detections()
    assert detections.convention == SPIN_49.name
    assert (detections.confidence[:, :25] == 0).all()
    knee = SPIN_24.index("left_knee")
    np.testing.assert_allclose(detections.keypoints[:, 25 + knee].numpy(), arrays["part"][:, knee, :2], rtol=1e-6)


def test_boxes_lack_the_margin_of_the_crop(tmp_path):
    arrays = people(1)
    box = read_spin(save(tmp_path / "toy.npz", **arrays)).boxes[0]
    assert box[2] - box[0] == pytest.approx(200 * arrays["scale"][0] / 1.2, rel=1e-5)
    np.testing.assert_allclose((box[:2] + box[2:]) / 2, arrays["center"][0], rtol=1e-5)


def test_taking_rows_keeps_every_field_in_step(tmp_path):
    arrays = people() | {"gender": np.array(["m", "f", "m"])}
    kept = read_spin(save(tmp_path / "toy.npz", **arrays)).take(np.array([False, True, True]))
    assert kept.image_names == ("images/01.jpg", "images/02.jpg") and kept.genders == ("f", "m")
    np.testing.assert_allclose(kept.centers, arrays["center"][1:], rtol=1e-6)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"part": np.zeros((3, 17, 3))}, r"part has shape \(3, 17, 3\), expected \(3, 24, 3\)"),
        ({"scale": np.array([1.0, -0.5, 1.0])}, "scale of row 1 is -0.5"),
        ({"center": np.full((3, 2), np.nan)}, "center of row 0 holds numbers that are not finite"),
        ({"part": np.full((3, 24, 3), 1e9)}, "pixels off the photo"),
        ({"part": np.full((3, 24, 3), -1.0)}, "confidence of part is negative"),
        ({"gender": np.array(["m", "x", "m"])}, "gender must be 'm' or 'f'"),
        ({"imgname": np.array([])}, "is empty"),
        ({"scale": np.array(["a", "b", "c"])}, "instead of numbers"),
        ({"pose": np.zeros((2, 72)), "shape": np.zeros((3, 10))}, r"pose has shape \(2, 72\)"),
    ],
)
def test_impossible_contents_are_refused_with_the_key_and_the_row(tmp_path, change, words):
    with pytest.raises(ValueError, match=words):
        read_spin(save(tmp_path / "toy.npz", **(people() | change)))


def test_a_person_in_the_file_twice_is_refused_unless_allowed(tmp_path, caplog):
    arrays = {key: np.concatenate([value, value[:1]]) for key, value in people().items()}
    path = save(tmp_path / "toy.npz", **arrays)
    with pytest.raises(ValueError, match="rows 0 and 3 are the same person of 'images/00.jpg'"):
        read_spin(path)
    assert len(read_spin(path, allow_duplicates=True)) == 4
    assert "rows 0 and 3" in caplog.text


def test_two_people_of_one_photo_are_no_duplicates(tmp_path):
    arrays = people()
    arrays["imgname"] = np.array(["a.jpg"] * 3)
    assert len(read_spin(save(tmp_path / "toy.npz", **arrays))) == 3


@pytest.mark.parametrize("share", [0.0, 0.5, 0.95])
def test_a_half_written_file_is_refused(tmp_path, share):
    content = save(tmp_path / "toy.npz", **people(20)).read_bytes()
    (tmp_path / "half.npz").write_bytes(content[: int(share * len(content))])
    with pytest.raises(ValueError, match="half.npz cannot be read as SPIN's format"):
        read_spin(tmp_path / "half.npz")


def test_objects_in_the_file_are_never_loaded(tmp_path):
    np.savez(tmp_path / "toy.npz", imgname=np.array([{"a": 1}], dtype=object))
    with pytest.raises(ValueError, match="cannot be read"):
        read_spin(tmp_path / "toy.npz")


def test_missing_keys_and_files_are_named(tmp_path):
    with pytest.raises(ValueError, match="has no center, scale"):
        read_spin(save(tmp_path / "toy.npz", imgname=np.array(["a"])))
    with pytest.raises(FileNotFoundError, match="fitloop prepare"):
        read_spin(tmp_path / "none.npz")


@pytest.fixture
def photos(tmp_path):
    (tmp_path / "images").mkdir()
    for row in range(3):
        Image.new("RGB", (100, 80 + row)).save(tmp_path / "images" / f"{row:02d}.jpg")
    return tmp_path


def test_sizes_come_from_the_photos(photos):
    dataset = read_spin(save(photos / "toy.npz", **people()))
    assert photo_sizes(dataset, photos).tolist() == [[100, 80], [100, 81], [100, 82]]


def test_missing_photos_are_counted_and_named(photos):
    (photos / "images" / "01.jpg").unlink()
    dataset = read_spin(save(photos / "toy.npz", **people()))
    with pytest.raises(ValueError, match="1 of 3 photos are not in .* the first is 'images/01.jpg'"):
        photo_sizes(dataset, photos)


def test_keypoints_outside_the_photo_count_as_not_observed(photos, caplog):
    arrays = people()
    arrays["part"][..., 2] = 1.0
    arrays["part"][1, 4, :2] = 500.0, 20.0
    dataset = read_spin(save(photos / "toy.npz", **arrays))
    kept = within_photos(dataset, photo_sizes(dataset, photos))
    assert kept.keypoints[1, 4, 2] == 0 and kept.keypoints[..., 2].sum() == 3 * 24 - 1
    assert "1 keypoints outside their photos" in caplog.text
    assert dataset.keypoints[1, 4, 2] == 1


def test_keypoints_that_are_no_pixels_of_these_photos_are_refused(photos):
    arrays = people()
    arrays["part"] += 1000.0
    dataset = read_spin(save(photos / "toy.npz", **arrays))
    with pytest.raises(ValueError, match="lie outside their photos"):
        within_photos(dataset, photo_sizes(dataset, photos))
