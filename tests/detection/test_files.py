import numpy as np
import pytest
import torch
from keypoint_documents import HEIGHT, coco, openpose, photo, points, write

from fitloop.body.keypoints import BODY_25, COCO_17, COCO_18, MEDIAPIPE_33
from fitloop.detection import BadKeypoints, KeypointFile
from fitloop.detection import files as program
from fitloop.detection.layouts import read_file

# OpenPose.


@pytest.mark.parametrize("convention", [BODY_25, COCO_18])
def test_openpose_files_are_read_for_several_people_and_name_their_convention(tmp_path, convention):
    people = [points(len(convention), seed) for seed in range(3)]
    source = KeypointFile(write(tmp_path / "a_keypoints.json", openpose(*people)))
    found, notices = source(photo()), source.detect_with_notices(photo()).notices
    assert source.convention == found.convention == convention.name
    assert torch.allclose(found.keypoints, torch.tensor(np.stack(people)[..., :2], dtype=torch.float32))
    assert torch.allclose(found.confidence, torch.tensor(np.stack(people)[..., 2], dtype=torch.float32))
    assert notices == ()
    assert found.landmarks is None and found.silhouettes is None


def test_boxes_of_keypoints_contain_the_observed_ones(tmp_path):
    person = points(25)
    person[3] = 0.0
    found = KeypointFile(write(tmp_path / "a.json", openpose(person)))(photo())
    low, high = found.boxes[0, :2].numpy(), found.boxes[0, 2:].numpy()
    seen = person[person[:, 2] > 0, :2]
    assert (low <= seen.min(0)).all() and (high >= seen.max(0)).all() and (low > 0).any()


def test_a_folder_of_openpose_files_mirrors_the_folder_of_photos(tmp_path):
    first, second = points(25, 1), points(25, 2)
    write(tmp_path / "x/a_keypoints.json", openpose(first))
    write(tmp_path / "y/a_keypoints.json", openpose(second))
    source = KeypointFile(tmp_path)
    for name, person in (("x/a.jpg", first), ("y/a.png", second)):
        assert np.allclose(source(photo(name)).keypoints[0].numpy(), person[:, :2], atol=1e-4)


def test_a_photo_without_people_or_not_listed_has_none(tmp_path):
    write(tmp_path / "a_keypoints.json", {"people": []})
    write(tmp_path / "b_keypoints.json", openpose(points(18)))
    source = KeypointFile(tmp_path)
    assert source.convention == "coco18"
    assert source.detect_with_notices(photo("a.jpg")).notices == ()
    assert source(photo("a.jpg")).keypoints.shape == (0, 25, 2)
    report = source.detect_with_notices(photo("c.jpg"))
    assert report.detections.keypoints.shape == (0, 18, 2)
    assert "c.jpg" in report.notices[0]


# Odd values.


@pytest.mark.parametrize("value", [float("nan"), float("inf"), 1e30, -1e9])
def test_values_that_are_nan_or_huge_become_unobserved_and_are_told(tmp_path, value):
    person = points(25)
    person[4, 0] = value
    report = KeypointFile(write(tmp_path / "a.json", openpose(person))).detect_with_notices(photo())
    found = report.detections
    assert found.confidence[0, 4] == 0.0 and (found.confidence[0] > 0).sum() == 24
    assert torch.isfinite(found.keypoints).all() and torch.isfinite(found.boxes).all()
    assert "1 keypoints in 'a.jpg' are NaN or huge" in report.notices[0]


def test_a_person_without_an_observed_keypoint_is_left_out_and_told(tmp_path):
    nobody = points(25) * (1.0, 1.0, 0.0)
    report = KeypointFile(write(tmp_path / "a.json", openpose(nobody, points(25)))).detect_with_notices(photo())
    assert len(report.detections.boxes) == 1
    assert "no observed keypoint" in report.notices[0]


def test_confidence_above_one_is_one(tmp_path):
    person = points(25)
    person[0, 2] = 1.07
    assert KeypointFile(write(tmp_path / "a.json", openpose(person)))(photo()).confidence[0, 0] == 1.0


def test_points_outside_the_photo_are_kept_and_told(tmp_path):
    person = points(25)
    person[4, :2] = (10.0, HEIGHT + 5.0)
    report = KeypointFile(write(tmp_path / "a.json", openpose(person))).detect_with_notices(photo())
    assert report.detections.keypoints[0, 4].tolist() == [10.0, HEIGHT + 5.0]
    assert report.detections.confidence[0, 4] > 0
    assert "1 of 25 points lie outside 'a.jpg' (64 x 48)" in report.notices[0]


def test_mostly_outside_means_a_photo_of_another_size(tmp_path):
    person = points(25) * (10.0, 10.0, 1.0)
    with pytest.raises(BadKeypoints, match="another size"):
        KeypointFile(write(tmp_path / "a.json", openpose(person)))(photo())


def test_shares_instead_of_pixels_are_refused(tmp_path):
    person = points(25) / (64.0, 64.0, 1.0)
    with pytest.raises(BadKeypoints, match="give pixels"):
        KeypointFile(write(tmp_path / "a.json", openpose(person)))(photo())


# COCO.


def test_coco_annotations_give_flags_as_confidence_and_their_own_box(tmp_path):
    keypoints = points(17)
    keypoints[:, 2] = [0, 1, 2] * 5 + [2, 2]
    annotation = {"keypoints": keypoints.ravel().tolist(), "bbox": [1.0, 2.0, 30.0, 40.0]}
    source = KeypointFile(write(tmp_path / "anything.json", coco(annotation, {**annotation, "iscrowd": 1})))
    found = source(photo("below/a.jpg"))
    assert found.convention == "coco17"
    assert found.confidence[0].tolist() == [0, 1, 1] * 5 + [1, 1]
    assert found.boxes.tolist() == [[1.0, 2.0, 31.0, 42.0]]
    assert len(found.boxes) == 1


def test_things_that_are_no_people_are_left_out(tmp_path):
    content = coco({"keypoints": points(17).ravel().tolist()}, {"category_id": 3, "bbox": [0, 0, 9, 9]})
    content["categories"].append({"id": 3, "name": "car"})
    assert len(KeypointFile(write(tmp_path / "c.json", content))(photo()).boxes) == 1


def test_coco_of_another_photo_size_is_refused(tmp_path):
    content = coco({"keypoints": points(17).ravel().tolist()}, width=128)
    with pytest.raises(BadKeypoints, match="made for a photo of 128 x 48 pixels, but 'a.jpg' has 64 x 48"):
        KeypointFile(write(tmp_path / "c.json", content))(photo())


@pytest.mark.parametrize("image_id", ["a.jpg", "a"])
def test_coco_results_keep_their_scores(tmp_path, image_id):
    people = [points(17, seed) for seed in range(2)]
    rows = [{"image_id": image_id, "category_id": 1, "keypoints": p.ravel().tolist(), "score": 0.9} for p in people]
    found = KeypointFile(write(tmp_path / "r.json", rows))(photo())
    assert np.allclose(found.confidence.numpy(), np.stack(people)[..., 2])


def test_coco_results_by_number_belong_to_the_photo_that_ends_in_it(tmp_path):
    rows = [{"image_id": 36, "category_id": 1, "keypoints": points(17).ravel().tolist(), "score": 0.9}]
    source = KeypointFile(write(tmp_path / "r.json", rows))
    assert len(source(photo("val/000000000036.jpg")).boxes) == 1
    assert len(source(photo("val/000000000136.jpg")).boxes) == 0


def test_the_category_names_the_convention(tmp_path):
    content = coco({"keypoints": points(25).ravel().tolist()})
    content["categories"][0]["keypoints"] = list(BODY_25.keypoints)
    assert KeypointFile(write(tmp_path / "c.json", content)).convention == "body25"


# Boxes.


@pytest.mark.parametrize(
    ("file", "content", "count"),
    [
        ("boxes.json", {"a.jpg": [[5, 5, 30, 40], [20, 2, 30, 40]], "b.jpg": []}, 2),
        ("a_bbox.json", {"bbox": [5, 5, 30, 40]}, 1),
        ("coco.json", coco({"bbox": [5, 5, 30, 40]}, {"bbox": [9, 5, 30, 40]}), 2),
    ],
)
def test_every_box_gives_a_person_in_order(tmp_path, file, content, count):
    source = KeypointFile(write(tmp_path / file, content))
    found = source(photo())
    assert source.convention == found.convention == "mediapipe33"
    assert found.keypoints.shape == (count, 33, 2)
    assert found.boxes[0, 1:].tolist() == [5, *found.boxes[0, 2:].tolist()]
    assert found.landmarks is not None and found.silhouettes is not None
    assert len(source(photo("b.jpg")).boxes) == 0


def test_people_with_a_box_only_join_the_convention_of_the_others(tmp_path):
    keypoints = points(17)
    content = coco({"keypoints": keypoints.ravel().tolist()}, {"bbox": [5, 5, 30, 40], "keypoints": [0] * 51})
    found = KeypointFile(write(tmp_path / "c.json", content))(photo())
    alone = KeypointFile(write(tmp_path / "a_bbox.json", {"bbox": [5, 5, 30, 40]}))(photo())
    assert found.convention == "coco17" and len(found.boxes) == 2
    for name in ("left_hip", "right_ankle"):
        index = COCO_17.index(name), MEDIAPIPE_33.index(name)
        assert torch.equal(found.keypoints[1, index[0]], alone.keypoints[0, index[1]])
    assert found.landmark_confidence is not None
    assert (found.landmark_confidence[0] == 0).all() and (found.landmark_confidence[1] > 0).any()


# Our own results.


def test_own_results_are_read_again(tmp_path):
    keypoints = np.stack([points(17, seed) for seed in range(2)])
    np.savez(tmp_path / "a.jpg.npz", keypoints=keypoints, convention="coco17", boxes=np.array([[1.0, 2, 3, 4]] * 2))
    for place in (tmp_path, tmp_path / "a.jpg.npz"):
        found = KeypointFile(place)(photo())
        assert np.allclose(found.keypoints.numpy(), keypoints[..., :2])
        assert found.boxes.tolist() == [[1.0, 2.0, 3.0, 4.0]] * 2


# Broken files.


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("", "not valid JSON"),
        ('{"people": [', "not valid JSON"),
        ("[" * 100_000, "not valid JSON"),
        ('{"people": 3}', "must be a list, got int"),
        ('{"people": [{}]}', "pose_keypoints_2d of person 0 is missing"),
        ('{"people": [{"pose_keypoints_2d": ["x"]}]}', "must be a list of numbers"),
        ('{"people": [{"pose_keypoints_2d": [1, 2]}]}', "flat list of x, y, confidence"),
        (openpose(points(15)), "15 keypoints per person .* known are 17 .coco17., 18"),
        (openpose(points(25), points(18)), "18 and 25 keypoints per person"),
        ("3", "no known format"),
        ('{"a": 3}', "no known format"),
        ('{"bbox": [1, 2, 3]}', "x, y, width, height"),
        ('{"a.jpg": [[1, 2, 3, -4]]}', "a.jpg.*box 0.*positive size"),
        ('{"a.jpg": [[1, 2, NaN, 4]]}', "must be a box of pixels"),
        ({**coco({}), "images": [{"id": 7}]}, "file_name"),
        (coco({}), "annotation 0 has neither keypoints nor bbox"),
        (coco({"image_id": 8, "bbox": [1, 2, 3, 4]}), "annotation 0 is of photo 8, not listed"),
        ([{"image_id": 1, "keypoints": [1.0] * 27}], "9 keypoints per person"),
    ],
)
def test_a_broken_file_says_what_is_wrong(tmp_path, content, words):
    path = write(tmp_path / "a_keypoints.json", content)
    with pytest.raises(BadKeypoints, match=words) as raised:
        KeypointFile(path)
    assert "a_keypoints.json" in str(raised.value)


def test_a_broken_file_in_a_folder_stops_only_its_own_photo(tmp_path):
    write(tmp_path / "a_keypoints.json", "{")
    write(tmp_path / "b_keypoints.json", openpose(points(25)))
    source = KeypointFile(tmp_path)
    with pytest.raises(BadKeypoints, match="a_keypoints.json is not valid JSON"):
        source(photo("a.jpg"))
    assert len(source(photo("b.jpg")).boxes) == 1


@pytest.mark.parametrize(
    ("arrays", "words"),
    [
        ({"poses": np.zeros(3)}, "no result of this program"),
        ({"keypoints": np.zeros((1, 17, 3)), "convention": "mine"}, "unknown convention 'mine'"),
        ({"keypoints": np.zeros((1, 9, 3)), "convention": "coco17"}, r"must be \(people, 17, 3\)"),
        ({"keypoints": np.array([None]), "convention": "coco17"}, "damaged"),
    ],
)
def test_wrong_results_say_what_is_wrong(tmp_path, arrays, words):
    np.savez(tmp_path / "a.npz", **arrays)
    with pytest.raises(BadKeypoints, match=words):
        KeypointFile(tmp_path / "a.npz")


def test_a_truncated_result_says_so(tmp_path):
    np.savez(tmp_path / "a.npz", keypoints=points(17)[None], convention="coco17")
    (tmp_path / "a.npz").write_bytes((tmp_path / "a.npz").read_bytes()[:200])
    with pytest.raises(BadKeypoints, match="damaged"):
        KeypointFile(tmp_path / "a.npz")


def test_nothing_to_read_is_an_error(tmp_path):
    with pytest.raises(BadKeypoints, match="no keypoint file"):
        KeypointFile(tmp_path / "none.json")
    with pytest.raises(BadKeypoints, match="holds no"):
        KeypointFile(tmp_path)


def test_a_file_is_read_once_for_all_photos(tmp_path, monkeypatch):
    read = []
    monkeypatch.setattr(program, "read_file", lambda path: read.append(path) or read_file(path))
    rows = [{"image_id": f"{n}.jpg", "category_id": 1, "keypoints": points(17, n).ravel().tolist()} for n in range(5)]
    source = KeypointFile(write(tmp_path / "r.json", rows))
    source.expect([f"{n}.jpg" for n in range(5)])
    assert [len(source(photo(f"{n}.jpg")).boxes) for n in range(5)] == [1] * 5 and len(read) == 1
