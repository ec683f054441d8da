import numpy as np
import pytest
import torch
from sklearn.metrics import accuracy_score, f1_score, jaccard_score

from fitloop.body import JOINT_NAMES
from fitloop.evaluation.masks import IGNORED, PART_NAMES, Confusion, confusion, mask_iou, part_of_joint


def make_labels(num_labels, seed):
    return np.random.default_rng(seed).integers(0, num_labels, (40, 30))


def test_iou_agrees_with_sklearns_jaccard_score():
    first, second = make_labels(2, 0) > 0, make_labels(2, 1) > 0
    expected = jaccard_score(second.ravel(), first.ravel())
    assert mask_iou(torch.from_numpy(first), torch.from_numpy(second)).item() == pytest.approx(expected)


def test_two_empty_masks_agree_and_one_empty_mask_does_not():
    empty, full = torch.zeros(4, 4, dtype=torch.bool), torch.ones(4, 4, dtype=torch.bool)
    assert mask_iou(empty, empty).item() == 1.0
    assert mask_iou(torch.stack([empty, full]), torch.stack([full, full])).tolist() == [0.0, 1.0]


@pytest.mark.parametrize("num_labels", [2, 7])
def test_accuracy_and_f1_agree_with_sklearn(num_labels):
    labels, target = make_labels(num_labels, 2), make_labels(num_labels, 3)
    counted = confusion(torch.from_numpy(labels), torch.from_numpy(target), num_labels)
    assert counted.accuracy == pytest.approx(accuracy_score(target.ravel(), labels.ravel()))
    assert counted.macro_f1 == pytest.approx(f1_score(target.ravel(), labels.ravel(), average="macro"))


def test_counts_add_up_over_photos():
    labels, target = torch.from_numpy(make_labels(7, 4)), torch.from_numpy(make_labels(7, 5))
    halves = confusion(labels[:20], target[:20], 7) + confusion(labels[20:], target[20:], 7)
    assert torch.equal(halves.counts, confusion(labels, target, 7).counts)


def test_ignored_pixels_do_not_count():
    target = torch.tensor([[0, 1, IGNORED]])
    assert confusion(torch.tensor([[0, 1, 1]]), target, 2).accuracy == 1.0


def test_f1_by_hand():
    counted = Confusion(torch.tensor([[6, 2], [1, 3]]))
    assert counted.f1.tolist() == pytest.approx([12 / 15, 6 / 9])
    assert counted.accuracy == pytest.approx(9 / 12)


def test_every_joint_of_the_body_belongs_to_a_part():
    assert set(part_of_joint()) == set(JOINT_NAMES)
    assert set(part_of_joint().values()) == set(range(1, len(PART_NAMES)))


def test_masks_of_different_sizes_and_unknown_labels_are_refused():
    with pytest.raises(ValueError, match="differ in size"):
        confusion(torch.zeros(2, 2, dtype=torch.long), torch.zeros(2, 3, dtype=torch.long), 2)
    with pytest.raises(ValueError, match="Label 9 is out of range"):
        confusion(torch.full((2, 2), 9), torch.zeros(2, 2, dtype=torch.long), 7)
