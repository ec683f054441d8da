import json

import numpy as np
import pytest

from fitloop.body.keypoints import COCO_17, H36M_17
from fitloop.data.coco_people import id_of, read_coco_people

POINTS = np.column_stack([np.arange(17) + 10.0, 5.0 * np.arange(17) + 20.0, np.full(17, 2.0)])


def tree(names=COCO_17.keypoints, points=POINTS, **changed):
    row = {"id": 1, "image_id": 7, "category_id": 1, "bbox": [1, 2, 30, 40], "keypoints": np.ravel(points).tolist()}
    return {
        "images": [{"id": 7, "file_name": "a.jpg", "width": 90, "height": 120}],
        "annotations": [row | changed],
        "categories": [{"id": 1, "name": "person", "keypoints": list(names)}],
    }


def read(folder, content, name="coco.json"):
    (folder / name).write_text(json.dumps(content))
    return read_coco_people(folder / name)


def told(file):
    return "; ".join(file.notices)


RIGHT_FIRST = [
    {"left": name.replace("left", "right"), "right": name.replace("right", "left")}.get(name.split("_")[0], name)
    for name in COCO_17.keypoints
]


@pytest.mark.parametrize("spell", [str, str.upper, lambda name: name.replace("_", " ").title()])
def test_keypoints_are_put_into_cocos_order_by_their_names(tmp_path, spell):
    file = read(tmp_path, tree([spell(name) for name in RIGHT_FIRST]))
    found = file.people[0].keypoints
    for row, name in enumerate(COCO_17.keypoints):
        np.testing.assert_array_equal(found[row], POINTS[RIGHT_FIRST.index(name)])
    assert "another order than COCO's" in told(file)


def test_cocos_own_order_is_read_without_a_word(tmp_path):
    file = read(tmp_path, tree())
    np.testing.assert_array_equal(file.people[0].keypoints, POINTS)
    assert file.notices == ()


def test_human36ms_names_give_the_limbs_and_no_face(tmp_path):
    found = read(tmp_path, tree(["Hip", "RHip", "RKnee", "RFoot", "LHip", "LKnee", "LFoot", *H36M_17.keypoints[7:]]))
    points = found.people[0].keypoints
    assert (points[:5] == 0).all()
    np.testing.assert_array_equal(points[COCO_17.index("right_hip")], POINTS[1])
    np.testing.assert_array_equal(points[COCO_17.index("left_ankle")], POINTS[6])


def test_names_that_are_nobodys_are_refused_with_both(tmp_path):
    with pytest.raises(ValueError, match=r"no keypoints can be used: annotation 1 has 17 keypoints.*petal0"):
        read(tmp_path, tree([f"petal{number}x" for number in range(17)]))


@pytest.mark.parametrize("count", [26, 133, 136])
def test_layouts_that_begin_with_cocos_17_need_no_names(tmp_path, count):
    file = read(tmp_path, tree((), np.resize(POINTS, (count, 3))))
    np.testing.assert_array_equal(file.people[0].keypoints, POINTS)


@pytest.mark.parametrize("category", [{"name": "Person"}, {"name": "player"}, {}, {"name": "dog"}])
def test_whoever_has_keypoints_is_a_person(tmp_path, category):
    content = tree()
    content["categories"] = [{"id": 1, **category}]
    assert len(read(tmp_path, content).people) == 1


@pytest.mark.parametrize("number", [0, "1", None])
def test_any_category_number_will_do(tmp_path, number):
    assert len(read(tmp_path, tree(category_id=number)).people) == 1


def test_a_dog_with_a_mask_is_left_out_and_counted(tmp_path):
    content = tree()
    content["categories"].append({"id": 18, "name": "dog"})
    content["annotations"].append({"id": 9, "image_id": 7, "category_id": 18, "segmentation": [[1, 1, 9, 1, 9, 9]]})
    file = read(tmp_path, content)
    assert len(file.people) == 1
    assert told(file) == "1 annotations are of other things than people (first: annotation 9, dog)"


@pytest.mark.parametrize("box", [None, [0, 0, 0, 0], [1, 2, -3, 4], "1 2 3 4", [1, 2]])
def test_without_a_box_the_keypoints_give_one(tmp_path, box):
    file = read(tmp_path, tree(bbox=box))
    assert file.people[0].box.tolist() == [10.0, 20.0, 26.0, 100.0]
    assert "people have no box of their own" in told(file)


@pytest.mark.parametrize("ids", [("1", 1), (1, "1"), (1.0, 1), ("1.0", 1)])
def test_ids_are_the_same_as_numbers_and_text(tmp_path, ids):
    content = tree(image_id=ids[0])
    content["images"][0]["id"] = ids[1]
    assert read(tmp_path, content).people[0].photo == "a.jpg"


def test_an_id_that_stands_for_two_photos_is_refused_with_the_pair(tmp_path):
    content = tree()
    content["images"].append({"id": "7", "file_name": "b.jpg"})
    with pytest.raises(ValueError, match="id 7 stands for two photos, 'a.jpg' and 'b.jpg'"):
        read(tmp_path, content)


def test_one_bad_entry_costs_itself_alone(tmp_path):
    content = tree()
    content["annotations"] += [{**content["annotations"][0], "id": 2, "image_id": 99}, 5]
    content["annotations"].append({**content["annotations"][0], "id": 4, "keypoints": [1.0, 2.0, 2.0] * 5})
    content["images"].append({"id": 8})
    file = read(tmp_path, content)
    assert [person.name for person in file.people] == ["1"]
    for words in ("photo that is not listed", "are no records", "cannot be named", "images have no id and file_name"):
        assert words in told(file)


def test_outlines_of_two_numbers_are_no_mask(tmp_path):
    file = read(tmp_path, tree(segmentation=[[1, 2], [1, 2, 3, 4, 5, 6]]))
    assert len(file.people[0].outlines) == 1 and "no polygons of three corners" in told(file)


def test_ids_of_other_kinds_are_text():
    assert id_of(7) == id_of(7.0) == id_of("7") == id_of("7.0") == "7" and id_of("a.jpg") == "a.jpg"
