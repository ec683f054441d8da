import numpy as np
import pytest
import torch
from PIL import Image
from toy import stick_body, toy_camera
from toy_bench import bodies, make_truth, params_of

from fitloop.evaluation.masks import PART_NAMES
from fitloop.evaluation.people import ScoredPeople
from fitloop.evaluation.silhouettes import MaskSource, drawn_parts, person_mask, score_masks
from fitloop.rendering import load_rasterizer


def drawn(count=1, shift=0.0):
    params = params_of(make_truth(count))
    params.transl[:, 0] += shift
    return ScoredPeople(tuple("ab"[:count]), count=count, body="stick-1", params=params, camera=toy_camera(count))


def labels_of(people, row=0):
    return drawn_parts(people, row, bodies(), load_rasterizer(), (480, 640))


def truth_with_files(folder, people):
    labels = labels_of(people).numpy().astype(np.uint8)
    Image.fromarray((labels > 0).astype(np.uint8) * 255).save(folder / "mask.png")
    Image.fromarray(labels).save(folder / "parts.png")
    return ScoredPeople(("a",), count=1, labels={"mask": ("mask.png",), "parts": ("parts.png",)})


def test_a_body_against_its_own_mask_is_perfect(tmp_path):
    people = drawn()
    column, totals = score_masks(truth_with_files(tmp_path, people), people, bodies(), MaskSource(tmp_path))
    assert column.item() == 1.0
    assert totals.metrics() == {
        "foreground_accuracy": 1.0,
        "foreground_f1": pytest.approx(1.0),
        "part_accuracy": 1.0,
        "part_f1": pytest.approx(1.0),
    }


def test_a_shifted_body_scores_what_its_pixels_say(tmp_path):
    people, moved = drawn(), drawn(shift=0.02)
    column, totals = score_masks(truth_with_files(tmp_path, people), moved, bodies(), MaskSource(tmp_path))
    first, second = labels_of(people) > 0, labels_of(moved) > 0
    assert column.item() == pytest.approx(((first & second).sum() / (first | second).sum()).item())
    assert 0.0 < column.item() < 1.0
    assert totals.foreground.accuracy == pytest.approx((first == second).float().mean().item())


def test_every_part_of_the_body_is_drawn():
    assert set(labels_of(drawn()).unique().tolist()) == set(range(len(PART_NAMES)))
    assert stick_body().faces.shape[1] == 3


def test_another_numbering_of_the_part_files_is_translated(tmp_path):
    people = drawn()
    truth = truth_with_files(tmp_path, people)
    order = ("background", *PART_NAMES[:0:-1])
    renumbered = np.array([order.index(name) for name in PART_NAMES], np.uint8)[labels_of(people).numpy()]
    Image.fromarray(renumbered).save(tmp_path / "parts.png")
    _, totals = score_masks(truth, people, bodies(), MaskSource(tmp_path, order))
    assert totals.metrics()["part_accuracy"] == 1.0


def test_polygons_are_filled_in_pixels_of_the_photo():
    square = ((10.0, 20.0, 30.0, 20.0, 30.0, 50.0, 10.0, 50.0),)
    truth = ScoredPeople(("a",), count=1, outlines=(square,), values={"image_size": np.array([[80, 100]])})
    mask = person_mask(truth, 0, MaskSource())
    assert mask.shape == (80, 100) and mask[35, 20] and not mask[10, 20]
    assert mask.sum().item() == pytest.approx(21 * 31, abs=60)


def test_a_person_without_a_mask_gets_no_score():
    truth = ScoredPeople(("a",), count=1, outlines=((),), values={"image_size": np.array([[80, 100]])})
    column, totals = score_masks(truth, drawn(), bodies(), MaskSource())
    assert torch.isnan(column).all() and totals.metrics() == {}


def test_a_missing_mask_file_is_named(tmp_path):
    truth = ScoredPeople(("a",), count=1, labels={"mask": ("gone.png",)})
    with pytest.raises(FileNotFoundError, match="gone.png is missing.*--masks"):
        score_masks(truth, drawn(), bodies(), MaskSource(tmp_path))
