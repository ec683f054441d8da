import math

import pytest
import torch

from fitloop.geometry import rotvec_to_rotmat
from fitloop.pipelines.lessons.rarity import rarity


def turned(degrees: float, people: int = 1) -> torch.Tensor:
    """People all of whose joints are turned about the x axis."""
    return rotvec_to_rotmat(torch.tensor([math.radians(degrees), 0.0, 0.0])).expand(people, 23, 3, 3)


def test_near_identical_poses_count_as_one_person():
    crowd = torch.cat([turned(0.0, 5), turned(4.0, 3), turned(90.0), turned(-90.0)])
    torch.testing.assert_close(rarity(crowd), torch.tensor([1 / 8] * 8 + [1.0, 1.0]))


@pytest.mark.parametrize(("degrees", "same"), [(11.5, True), (12.5, False)])
def test_the_mean_turn_decides_what_is_near(degrees, same):
    weights = rarity(torch.cat([turned(0.0), turned(degrees)]), math.radians(12.0))
    assert weights.tolist() == ([0.5, 0.5] if same else [1.0, 1.0])


def test_many_people_are_compared_in_parts_that_change_nothing():
    poses = rotvec_to_rotmat(0.12 * torch.randn(1500, 3, 3, generator=torch.Generator().manual_seed(0)))
    least = 3 * (1.0 + 2.0 * math.cos(math.radians(12.0)))
    whole = torch.einsum("aijk,bijk->ab", poses, poses) >= least
    assert 1.0 < float(whole.float().sum(1).mean()) < 1499.0
    torch.testing.assert_close(rarity(poses), 1.0 / whole.sum(1))
