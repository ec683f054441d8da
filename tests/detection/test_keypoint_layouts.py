"""Layouts, categories and names of keypoints that files of the field have."""

import gzip
import json

import numpy as np
import pytest
from keypoint_documents import coco, flat, openpose, photo, points, result, write

from fitloop.body.keypoints import COCO_17, CONVENTIONS
from fitloop.detection import BadKeypoints, KeypointFile

BODY = points(17, 3)
H36M = (
    "Hip RHip RKnee RFoot LHip LKnee LFoot Spine Thorax Neck/Nose Head LShoulder LElbow LWrist RShoulder RElbow RWrist"
)


def report_of(path, content, name: str = "a.jpg"):
    return KeypointFile(write(path, content)).detect_with_notices(photo(name))


def instance(count: int = 17, seed: int = 0, **fields) -> dict:
    values = points(count, seed)
    return {"keypoints": values[:, :2].tolist(), "keypoint_scores": values[:, 2].tolist(), **fields}


# Layouts.


@pytest.mark.parametrize(
    ("count", "convention"),
    [(17, "coco17"), (18, "coco18"), (25, "body25"), (26, "halpe26"), (133, "wholebody133"), (136, "halpe136")],
)
def test_the_number_of_points_in_openposes_layout_says_which_they_are(tmp_path, count, convention):
    found = report_of(tmp_path / "a.json", openpose(points(count))).detections
    assert found.convention == convention
    assert np.allclose(found.keypoints[0].numpy(), points(count)[:, :2], atol=1e-4)


@pytest.mark.parametrize(
    ("count", "convention"), [(17, "coco17"), (26, "halpe26"), (133, "wholebody133"), (136, "halpe136")]
)
def test_the_number_of_points_in_results_says_which_they_are(tmp_path, count, convention):
    rows = [result("a.jpg", count, box=[1, 2, 3, 4], idx=[0.0])]
    assert report_of(tmp_path / "r.json", rows).detections.convention == convention


def test_halpe_has_a_head_a_pelvis_and_feet():
    halpe, whole = CONVENTIONS["halpe26"], CONVENTIONS["wholebody133"]
    assert dict(zip(halpe.keypoints[17:20], halpe.landmarks[17:20], strict=True)) == {
        **{"head_top": "head_top", "neck": "neck_lsp", "mid_hip": "mid_hip"}
    }
    assert halpe.keypoints[20:] == tuple(
        f"{s}_{p}" for p in ("big_toe", "small_toe", "heel") for s in ("left", "right")
    )
    assert whole.keypoints[17:20] == ("left_big_toe", "left_small_toe", "left_heel")
    assert set(CONVENTIONS["halpe136"].landmarks[26:]) == set(whole.landmarks[23:]) == {None}


@pytest.mark.parametrize(
    "content",
    [
        [instance(bbox=[[5, 5, 40, 45]], bbox_score=0.9)],
        {"meta_info": {"dataset_name": "coco"}, "instance_info": [instance()]},
        {"meta_info": {}, "instance_info": [{"frame_id": 1, "instances": [instance()]}]},
        {"frame_id": 0, "instances": [instance()]},
        {"predictions": [[instance()]]},
        [{"frame_id": 0, "instances": [instance()]}],
    ],
)
@pytest.mark.parametrize("name", ["a.json", "results_a.json"])
def test_predictions_of_mmpose_belong_to_the_photo_they_are_named_after(tmp_path, content, name):
    found = report_of(tmp_path / name, content).detections
    assert found.convention == "coco17"
    assert np.allclose(found.confidence[0].numpy(), points(17)[:, 2], atol=1e-6)
    assert len(KeypointFile(write(tmp_path / "folder" / name, content).parent)(photo()).boxes) == 1


def test_frames_of_mmpose_belong_to_photos_by_number(tmp_path):
    content = {"instance_info": [{"frame_id": n, "instances": [instance(seed=n)]} for n in (1, 2)]}
    found = report_of(tmp_path / "results_video.json", content, "frame_0002.jpg").detections
    assert np.allclose(found.keypoints[0].numpy(), points(17, 2)[:, :2], atol=1e-4)


def test_names_of_mmpose_say_what_the_keypoints_are(tmp_path):
    meta = {"dataset_name": "mine", "keypoint_id2name": {str(i): n for i, n in enumerate(H36M.split())}}
    content = {"meta_info": meta, "instance_info": [instance()]}
    assert report_of(tmp_path / "a.json", content).detections.convention == "h36m17"
    with pytest.raises(BadKeypoints, match="'mine', which is not known; known are coco"):
        report_of(tmp_path / "b.json", {**content, "meta_info": {"dataset_name": "mine"}})


@pytest.mark.parametrize(
    "content",
    [
        {"a.jpg": {"version": "AlphaPose v0.3", "bodies": [{"joints": flat(18)}]}},
        {"a.jpg": openpose(points(18))},
        [{"image_id": "a.jpg", **openpose(points(18))}, {"image_id": "b.jpg", "people": []}],
    ],
)
def test_alphapose_puts_many_photos_of_openpose_into_one_file(tmp_path, content):
    found = report_of(tmp_path / "alphapose-results.json", content).detections
    assert found.convention == "coco18" and len(found.boxes) == 1


ROWS = [result("a.jpg"), result("b.jpg", seed=1)]


@pytest.mark.parametrize("ending", ["", "\n", "\n\nnot a record\n"])
@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("name", ["r.ndjson", "r.jsonl", "r.json"])
def test_one_record_a_line_and_gzip_are_read(tmp_path, ending, packed, name):
    text = "\n".join(json.dumps(row) for row in ROWS) + ending
    path = tmp_path / (name + ".gz" * packed)
    path.write_bytes(gzip.compress(text.encode()) if packed else text.encode())
    source = KeypointFile(path)
    assert len(source(photo("b.jpg")).boxes) == 1
    assert any("entry 2 is no result" in notice for notice in source.notices) == ("record" in ending)


def test_a_folder_of_packed_files_is_found(tmp_path):
    path = tmp_path / "x" / "a_keypoints.json.gz"
    path.parent.mkdir()
    path.write_bytes(gzip.compress(json.dumps(openpose(points(25))).encode()))
    assert len(KeypointFile(tmp_path)(photo("x/a.jpg")).boxes) == 1


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"\x1f\x8b\x08\x00broken", "gzip"),
        (gzip.compress(b"{}", mtime=0)[:-6], "gzip"),
        ('{"a": "\xe9"}'.encode("latin-1"), "no UTF-8 text.*Save it as UTF-8"),
    ],
)
def test_a_file_that_is_no_text_says_so(tmp_path, content, words):
    (tmp_path / "r.json").write_bytes(content)
    with pytest.raises(BadKeypoints, match=words):
        KeypointFile(tmp_path / "r.json")


def test_feet_of_coco_wholebody_annotations_are_read(tmp_path):
    row = {"keypoints": flat(17), "foot_kpts": flat(6, 1), "face_kpts": [0] * 204}
    found = report_of(tmp_path / "c.json", coco(row)).detections
    assert found.convention == "wholebody133"
    assert np.allclose(found.keypoints[0, 17:23].numpy(), points(6, 1)[:, :2], atol=1e-4)
    assert (found.confidence[0, 23:] == 0).all()


# Who is a person.


@pytest.mark.parametrize(
    "category",
    [
        *({"id": 1, "name": name} for name in ("person", "Person", "human", "PLAYER", "Läufer", "", None, "1")),
        *({"id": one} for one in (0, 1, "1", 1.0, "0")),
    ],
)
@pytest.mark.parametrize("kind", ["keypoints", "bbox"])
def test_whoever_has_keypoints_is_a_person_whatever_the_category(tmp_path, category, kind):
    row = {"keypoints": flat(17)} if kind == "keypoints" else {"bbox": [5, 5, 30, 40]}
    content = {**coco({**row, "category_id": category["id"]}), "categories": [category]}
    if kind == "bbox" and category.get("name") == "Läufer":
        with pytest.raises(
            BadKeypoints, match="'Läufer'.*left out, and none is of a person: call the category 'person'"
        ):
            report_of(tmp_path / "c.json", content)
    else:
        assert len(KeypointFile(write(tmp_path / "c.json", content)).boxes_with_notices(photo())[0]) == 1


@pytest.mark.parametrize("category", [0, 1, "1", "person", None, 7])
def test_results_with_keypoints_are_people_whatever_their_category(tmp_path, category):
    assert len(report_of(tmp_path / "r.json", [result("a.jpg", category_id=category)]).detections.boxes) == 1


def test_things_that_are_no_people_and_groups_are_counted(tmp_path):
    content = coco(
        {"keypoints": flat(17)}, *[{"bbox": [1, 2, 3, 4], "category_id": 3}] * 2, {"bbox": [1] * 4, "iscrowd": 1}
    )
    content["categories"].append({"id": 3, "name": "car"})
    report = report_of(tmp_path / "c.json", content)
    assert len(report.detections.boxes) == 1
    assert "1 groups of people" in report.notices[0]
    assert "2 annotations of other categories ('car') were left out" in report.notices[1]


def test_an_animal_beside_people_is_left_out_and_told(tmp_path):
    names = ["L_Eye", "R_Eye", "Nose", "Neck", "Root_of_tail", *COCO_17.keypoints[5:12], "L_F_Paw", "R_F_Paw"]
    content = coco({"keypoints": flat(17)}, {"keypoints": flat(14), "category_id": 2})
    content["categories"].append({"id": 2, "name": "dog", "keypoints": names})
    report = report_of(tmp_path / "c.json", content)
    assert len(report.detections.boxes) == 1 and "animal" in " ".join(report.notices)


# What keypoints are called.


@pytest.mark.parametrize(
    "write_name",
    [
        str,
        str.upper,
        lambda name: name.replace("_", " ").title(),
        lambda n: n.replace("left_", "L").replace("right_", "R"),
    ],
)
def test_keypoints_in_another_order_are_brought_into_ours(tmp_path, write_name):
    order = np.random.default_rng(1).permutation(17)
    content = coco({"keypoints": BODY[order].ravel().tolist()})
    content["categories"][0]["keypoints"] = [write_name(COCO_17.keypoints[index]) for index in order]
    report = report_of(tmp_path / "c.json", content)
    assert np.allclose(report.detections.keypoints[0].numpy(), BODY[:, :2], atol=1e-4)
    assert "brought into coco17 by name" in report.notices[0]


def test_names_of_human36m_make_a_body_of_human36m(tmp_path):
    content = coco({"keypoints": BODY.ravel().tolist()})
    content["categories"][0]["keypoints"] = H36M.split()
    found = report_of(tmp_path / "c.json", content).detections
    assert found.convention == "h36m17" and np.allclose(found.keypoints[0].numpy(), BODY[:, :2], atol=1e-4)


def test_fewer_names_than_keypoints_must_agree_with_the_order_that_the_count_says(tmp_path):
    content = coco({"keypoints": BODY.ravel().tolist()})
    content["categories"][0]["keypoints"] = list(COCO_17.keypoints[:16])
    assert "names 16 keypoints" in report_of(tmp_path / "c.json", content).notices[0]
    content["categories"][0]["keypoints"] = list(COCO_17.keypoints[::-1][:16])
    with pytest.raises(BadKeypoints, match="in another order than coco17: name them all"):
        report_of(tmp_path / "c.json", content)


def test_annotations_without_a_list_of_photos_are_read_by_the_photos_they_name(tmp_path):
    content = {"annotations": [result("a.jpg")], "categories": coco()["categories"]}
    assert len(report_of(tmp_path / "c.json", content).detections.boxes) == 1
    rows = [{"file_name": "a.jpg", "keypoints": flat(17)}]
    assert len(report_of(tmp_path / "r.json", rows).detections.boxes) == 1


def test_unknown_names_are_left_out_and_told(tmp_path):
    content = coco({"keypoints": BODY.ravel().tolist()})
    content["categories"][0]["keypoints"] = [*COCO_17.keypoints[:16], "backpack"]
    report = report_of(tmp_path / "c.json", content)
    assert report.detections.confidence[0, 16] == 0 and (report.detections.confidence[0, :16] > 0).all()
    assert "backpack" in " ".join(report.notices)


def test_names_of_something_else_are_refused_and_both_are_named(tmp_path):
    content = coco({"keypoints": flat(4)})
    content["categories"][0]["keypoints"] = ["front_left", "front_right", "rear_left", "rear_right"]
    with pytest.raises(BadKeypoints, match=r"called front_left, front_right.*coco17.*name them as nose"):
        report_of(tmp_path / "c.json", content)


def test_keypoints_that_are_only_numbered_are_read_in_cocos_order_and_this_is_told(tmp_path):
    content = coco({"keypoints": BODY.ravel().tolist()})
    content["categories"][0]["keypoints"] = [str(index) for index in range(17)]
    report = report_of(tmp_path / "c.json", content)
    assert "numbers its keypoints instead of naming them: read in the order of coco17" in report.notices[0]


def test_two_categories_in_two_orders_are_brought_together(tmp_path):
    mirrored = [COCO_17.index(name) for name in COCO_17.keypoints][::-1]
    content = coco(
        {"keypoints": BODY.ravel().tolist()}, {"keypoints": BODY[mirrored].ravel().tolist(), "category_id": 2}
    )
    content["categories"].append({"id": 2, "name": "player", "keypoints": [COCO_17.keypoints[i] for i in mirrored]})
    found = report_of(tmp_path / "c.json", content).detections
    assert np.allclose(found.keypoints.numpy(), BODY[None, :, :2], atol=1e-4)


# One bad entry.


@pytest.mark.parametrize(
    ("bad", "people", "words"),
    [
        ({"keypoints": flat(17, 1), "bbox": [0, 0, 0, 0]}, 2, "the box was left out"),
        ({"keypoints": flat(17, 1), "bbox": []}, 2, "the box was left out"),
        ({"keypoints": flat(17, 1), "bbox": "none"}, 2, "the box was left out"),
        ({"keypoints": [0] * 51, "bbox": [5, 5, 10, 0]}, 1, "no observed keypoint and was left out"),
        ({"bbox": [float("nan")] * 4}, 1, "must be a box of pixels"),
        ({"keypoints": flat(14, 1)}, 1, "has 14 keypoints where 17 .coco17. were expected"),
        ({"keypoints": ["x"] * 51}, 1, "must be a list of numbers"),
        ({"keypoints": [10**400] * 51}, 1, "must be a list of numbers"),
        ({"keypoints": flat(17, 1), "image_id": 77}, 1, "annotation 1 is of photo 77, not listed"),
        ({"keypoints": flat(17, 1), "image_id": [7]}, 1, "not listed"),
        ({}, 1, "neither keypoints nor bbox"),
    ],
)
def test_one_bad_annotation_is_left_out_and_told(tmp_path, bad, people, words):
    report = report_of(tmp_path / "c.json", coco({"keypoints": flat(17)}, bad))
    assert len(report.detections.boxes) == people
    assert words.split(".coco17.")[0] in " ".join(report.notices)


def test_what_is_wrong_with_the_whole_file_is_told_with_the_first_photo_only(tmp_path):
    content = coco({"keypoints": flat(17)}, {"keypoints": flat(17), "image_id": 77})
    content["images"].append({"id": 8, "file_name": "b.jpg"})
    source = KeypointFile(write(tmp_path / "c.json", content))
    told = [source.detect_with_notices(photo(name)).notices for name in ("b.jpg", "a.jpg")]
    assert "photo 77" in told[0][0] and told[1] == () and source.notices == told[0]


def test_hands_alone_are_no_person(tmp_path):
    hands = {"pose_keypoints_2d": [], "hand_left_keypoints_2d": flat(21)}
    content = openpose(points(25))
    content["people"].append(hands)
    report = report_of(tmp_path / "a.json", content)
    assert len(report.detections.boxes) == 1 and "a hand or face alone" in report.notices[0]
    assert len(report_of(tmp_path / "a.json", {"people": [hands]}).detections.boxes) == 0


def test_one_person_with_other_keypoints_is_left_out_and_told(tmp_path):
    report = report_of(tmp_path / "a.json", openpose(points(25), points(25, 1), points(18)))
    assert len(report.detections.boxes) == 2 and "18 keypoints where 25 (body25) were expected" in report.notices[0]


def test_one_bad_box_is_left_out_and_told(tmp_path):
    content = {"a.jpg": [[5, 5, 30, 40], [1, 2, 3, 0]]}
    boxes, notices = KeypointFile(write(tmp_path / "b.json", content)).boxes_with_notices(photo())
    assert len(boxes) == 1 and "box 1" in notices[0]


def test_many_faults_of_one_photo_are_counted(tmp_path):
    report = report_of(tmp_path / "c.json", coco({"keypoints": flat(17)}, *[{"bbox": [1, 2, 0, 0]}] * 9))
    assert "and 6 more like these" in report.notices[0]


def test_a_file_in_no_known_layout_says_what_it_holds(tmp_path):
    with pytest.raises(BadKeypoints, match=r"a record of 'poses'\. Give OpenPose, AlphaPose"):
        report_of(tmp_path / "a.json", {"poses": 3})
