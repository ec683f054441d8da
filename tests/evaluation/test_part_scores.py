import pytest
import torch

from fitloop.body.part_maps import NOBODY
from fitloop.evaluation.part_scores import part_scores


def test_overlap_is_that_of_counted_pixels():
    truth = torch.tensor([[[0, 0, 0, 0, 5, 5, NOBODY, NOBODY]]])
    found = torch.tensor([[[0, 0, 0, 5, 5, NOBODY, NOBODY, 5]]])
    # Pelvis: 3 of 4 pixels; right knee: 1 of 4 in either, F = 2 / 5.
    scores = part_scores(found, truth)
    assert scores["iou"] == pytest.approx(100 * (3 / 4 + 1 / 4) / 2)
    assert scores["f_score"] == pytest.approx(100 * (6 / 7 + 2 / 5) / 2)


def test_the_silhouette_does_not_mind_wrong_parts():
    truth = torch.tensor([[[0, 4, NOBODY]]])
    assert part_scores(torch.tensor([[[4, 0, NOBODY]]]), truth, 1)["iou"] == 100.0
    assert part_scores(torch.tensor([[[4, 0, NOBODY]]]), truth, 24)["iou"] == 0.0


def test_a_truth_without_people_is_refused():
    nobody = torch.full((1, 2, 2), NOBODY)
    with pytest.raises(ValueError, match="show nobody"):
        part_scores(nobody, nobody)
