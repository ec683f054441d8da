import numpy as np
import pytest
import torch

from fitloop.evaluation.matching import box_overlaps, match_people, resolve_photos, told_of_spelling
from fitloop.evaluation.people import ScoredPeople


def people(photos, boxes=None, persons=None):
    tensor = None if boxes is None else torch.tensor(boxes, dtype=torch.float32)
    return ScoredPeople(tuple(photos), persons, len(photos), boxes=tensor)


def test_overlap_by_hand():
    overlaps = box_overlaps(np.array([[0.0, 0, 10, 10]]), np.array([[5.0, 0, 15, 10], [20, 20, 30, 30], [np.nan] * 4]))
    np.testing.assert_allclose(overlaps, [[1 / 3, 0.0, 0.0]])


def test_each_result_belongs_to_one_person_and_the_total_overlap_decides():
    truth = people("aa", [[0, 0, 10, 10], [4, 0, 14, 10]])
    results = people("aa", [[3, 0, 13, 10], [5, 0, 15, 10]])
    assert match_people(truth, results).rows.tolist() == [0, 1]


def test_a_result_that_touches_nobody_is_extra_and_its_person_missing():
    truth = people("ab", [[0, 0, 10, 10], [0, 0, 10, 10]])
    results = people("aab", [[0, 0, 10, 9], [50, 50, 60, 60], [9, 9, 20, 20]])
    match = match_people(truth, results)
    assert match.rows.tolist() == [0, -1] and match.extra == 2


def test_several_results_without_boxes_in_one_photo_are_refused():
    with pytest.raises(ValueError, match="'a' has 2 results without boxes for 1 people"):
        match_people(people("a", [[0, 0, 1, 1]]), people("aa"))


def test_one_result_without_a_box_belongs_to_the_photos_one_person():
    assert match_people(people("ab", [[0, 0, 1, 1]] * 2), people("b")).rows.tolist() == [-1, 0]


def test_named_persons_need_no_boxes():
    truth = people("aa", [[0, 0, 1, 1]] * 2, ("x", "y"))
    assert match_people(truth, people("aa", None, ("y", "x"))).rows.tolist() == [1, 0]


def test_photos_are_found_by_path_then_by_file_name_then_by_stem_if_unique():
    assert resolve_photos(("a/x.jpg", "b/y.jpg"), ("b/y.jpg", "x.jpg")) == {"a/x.jpg": "x.jpg", "b/y.jpg": "b/y.jpg"}
    assert resolve_photos(("a/x.jpg",), ("x.png",)) == {"a/x.jpg": "x.png"}
    assert resolve_photos(("a/x.jpg", "b/x.jpg"), ("x.jpg",)) == {}


@pytest.mark.parametrize("offered", ["A/B.JPG", "a%2Fb.jpg", "a\\b.jpg", "./a/b.jpg", "other/B.JPG", "B.png"])
def test_photos_are_found_under_another_spelling(offered):
    assert resolve_photos(("a/b.jpg", "c.jpg"), (offered, "c.jpg")) == {"a/b.jpg": offered, "c.jpg": "c.jpg"}


def test_two_photos_that_fit_equally_well_are_neither():
    assert resolve_photos(("a.jpg",), ("A.jpg", "A.JPG")) == {}
    assert resolve_photos(("a.jpg", "A.jpg"), ("A.JPG", "A.png")) == {}


def test_composed_and_decomposed_letters_are_one_name_and_that_is_told():
    found = resolve_photos(("Jose\u0301.jpg",), ("Jos\u00e9.jpg",))
    assert found == {"Jose\u0301.jpg": "Jos\u00e9.jpg"} and "another spelling" in told_of_spelling(found)[0]
    assert told_of_spelling({"x/a.jpg": "a.png"}) == ()
