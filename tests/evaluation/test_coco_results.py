import json

import pytest
import torch

from fitloop.evaluation.coco_results import read_coco_results
from fitloop.evaluation.people import ScoredPeople

TRUTH = ScoredPeople(("a.jpg", "b.jpg"), count=2, labels={"image_id": ("1", "2")})


def row(photo=1, count=17, **more):
    return {"image_id": photo, "keypoints": [5.0] * 3 * count, "bbox": [1, 2, 3, 4], "score": 0.9} | more


def read(folder, content, convention=None, name="results.json"):
    (folder / name).write_text(content if isinstance(content, str) else json.dumps(content))
    return read_coco_results(folder / name, TRUTH, convention)


@pytest.mark.parametrize("key", ["annotations", "results", "predictions"])
def test_a_list_in_a_record_is_read(tmp_path, key):
    assert len(read(tmp_path, {key: [row()]})) == 1


def test_one_row_a_line_is_read(tmp_path):
    lines = "\n".join(json.dumps(row(number)) for number in (1, 2))
    assert read(tmp_path, lines, name="results.ndjson").photos == ("a.jpg", "b.jpg")
    assert read(tmp_path, json.dumps(row(2)), name="results.ndjson").photos == ("b.jpg",)


def test_a_broken_line_is_left_out_and_told(tmp_path):
    found = read(tmp_path, "\n".join([json.dumps(row(1)), "{", json.dumps(row(2))]), name="results.ndjson")
    assert found.photos == ("a.jpg", "b.jpg") and any("result 1" in notice for notice in found.notices)


@pytest.mark.parametrize("photo", [1, 1.0, "1", "a.jpg", "photos\\a.jpg", "A.JPG"])
def test_a_photo_is_found_by_its_number_or_its_name(tmp_path, photo):
    assert read(tmp_path, [row(photo), row(2)]).notices == ()


@pytest.mark.parametrize("count", [26, 133, 136])
def test_layouts_that_begin_with_cocos_keypoints_are_read(tmp_path, count):
    people = read(tmp_path, [row(count=count)])
    assert people.keypoints.points.shape == (1, 17, 2) and people.keypoints.convention == "coco17"


def test_other_keypoints_are_read_by_the_convention_that_the_user_names(tmp_path):
    assert read(tmp_path, [row(count=25)], "body25").keypoints.convention == "body25"
    with pytest.raises(ValueError, match=r"expected 75 numbers per person \(25 keypoints\), found \[51\]"):
        read(tmp_path, [row()], "body25")


def test_rows_that_cannot_be_used_are_counted(tmp_path):
    bad = [row(count=5), row(99), {"score": 1.0}, {"image_id": 1}, "x"]
    people = read(tmp_path, [row(), *bad])
    assert people.photos == ("a.jpg", "99")
    told = "; ".join(people.notices)
    for words in ("(first: result 1, 15 numbers)", "photos that the truth does not have", "name no photo"):
        assert words in told
    assert "1 results have no keypoints (first: result 4)" in told


def test_null_coordinates_are_not_observed_and_null_boxes_fall_back_on_keypoints(tmp_path):
    people = read(tmp_path, [row(keypoints=[None, 3.0, 1.0] * 17), row(bbox=None)])
    assert people.keypoints.confidence.sum(1).tolist() == [0.0, 85.0]
    assert people.boxes is None and "1 results have no box" in people.notices[0]
    assert torch.equal(read(tmp_path, [row()]).boxes, torch.tensor([[1.0, 2.0, 4.0, 6.0]]))  # pyright: ignore[reportArgumentType]
