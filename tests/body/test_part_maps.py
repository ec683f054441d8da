import pytest
import torch

from fitloop.body import JOINT_NAMES
from fitloop.body.part_maps import NOBODY, PART_GROUPS, check_masks, group_parts, mirror_parts

EVERY = torch.arange(-1, 24).reshape(1, 5, 5)


@pytest.mark.parametrize("parts", PART_GROUPS)
def test_every_joint_belongs_to_one_group(parts):
    groups = PART_GROUPS[parts]
    assert len(groups) == parts
    assert sorted(name for joints in groups.values() for name in joints) == sorted(JOINT_NAMES)


def test_fewer_parts_are_unions_of_more():
    numbers = sorted(PART_GROUPS)
    for fewer, more in zip(numbers, numbers[1:], strict=False):
        labels = zip(group_parts(EVERY, more).flatten(), group_parts(EVERY, fewer).flatten(), strict=True)
        assert len({(int(one), int(other)) for one, other in labels}) == more + 1


def test_grouping_keeps_nobody_and_names_parts():
    six = group_parts(EVERY, 6).flatten()
    assert int(six[0]) == NOBODY
    names = list(PART_GROUPS[6])
    assert names[int(six[1 + JOINT_NAMES.index("left_wrist")])] == "left_arm"
    assert names[int(six[1 + JOINT_NAMES.index("right_foot")])] == "right_leg"


def test_the_mirror_exchanges_sides_and_is_its_own_inverse():
    labels = torch.full((1, 2, 4), NOBODY, dtype=torch.int8)
    labels[0, 0, 0] = JOINT_NAMES.index("left_knee")
    mirrored = mirror_parts(labels)
    assert int(mirrored[0, 0, 3]) == JOINT_NAMES.index("right_knee")
    assert int((mirrored != NOBODY).sum()) == 1
    assert torch.equal(mirror_parts(mirrored), labels)


@pytest.mark.parametrize(("label", "told"), [(24, "holds 24"), (-2, "holds -2")])
def test_unknown_labels_are_refused(label, told):
    with pytest.raises(ValueError, match=rf"from -1 \(nobody\) to 23 \(right_hand\), this one {told}"):
        group_parts(torch.tensor([[[0, label]]]), 6)


def test_an_unknown_number_of_parts_is_refused():
    with pytest.raises(ValueError, match="no grouping into 7 parts; known: 1, 3, 6, 12, 24"):
        group_parts(EVERY, 7)


def test_masks_of_another_size_and_empty_ones_are_refused():
    masks = torch.ones(2, 4, 6, dtype=torch.bool)
    check_masks(masks, (4, 6))
    with pytest.raises(ValueError, match="masks are 4 x 6 pixels, the photos 6 x 4"):
        check_masks(masks, (6, 4))
    masks[1] = False
    with pytest.raises(ValueError, match="mask of person 1 is empty"):
        check_masks(masks, (4, 6))
