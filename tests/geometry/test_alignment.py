"""Similarity alignment."""

import pytest
import torch
from scipy.spatial import procrustes

from fitloop.geometry.alignment import align_procrustes
from fitloop.geometry.rotations import rotvec_to_rotmat


def _cloud(*batch: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*batch, 14, 3, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


@pytest.mark.parametrize("batch", [(), (1,), (2, 3)])
def test_a_moved_copy_is_moved_back(batch):
    target = _cloud(*batch)
    turn = rotvec_to_rotmat(torch.tensor([0.3, -2.0, 0.5], dtype=torch.float64))
    moved = 1.7 * target @ turn.mT + torch.tensor([1.0, 2.0, 3.0], dtype=torch.float64)
    torch.testing.assert_close(align_procrustes(moved, target), target)


def test_residual_is_scipys_where_no_reflection_is_needed():
    target = _cloud(seed=1)
    points = target + 0.1 * _cloud(seed=2)
    ours = (align_procrustes(points, target) - target).square().sum()
    spread = (target - target.mean(0)).square().sum()
    assert float(ours / spread) == pytest.approx(procrustes(target.numpy(), points.numpy())[2], rel=1e-6)


def test_a_mirror_image_is_not_reflected():
    target = _cloud(seed=3)
    mirrored = target * torch.tensor([-1.0, 1.0, 1.0], dtype=torch.float64)
    assert (align_procrustes(mirrored, target) - target).abs().max() > 0.1


@pytest.mark.parametrize("size", [1e-30, 1e-9, 1e-7, 1.0, 1e6])
def test_sets_of_any_size_are_moved_back(size):
    target = size * _cloud(seed=5)
    turn = rotvec_to_rotmat(torch.tensor([0.3, -2.0, 0.5], dtype=torch.float64))
    torch.testing.assert_close(align_procrustes(0.5 * target @ turn.mT, target), target, rtol=1e-6, atol=1e-9 * size)


def test_small_sets_in_single_precision_are_moved_back():
    target = 1e-7 * _cloud(seed=6).float()
    torch.testing.assert_close(align_procrustes(3.0 * target, target), target, rtol=1e-3, atol=1e-11)


@pytest.mark.parametrize("place", [0.0, 0.1, 1e4])
def test_points_that_coincide_move_to_the_middle(place):
    target = _cloud(seed=7).float()
    moved = align_procrustes(torch.full((14, 3), place), target)
    torch.testing.assert_close(moved, target.mean(0).expand(14, 3), rtol=0, atol=1e-5)


def test_a_point_that_counts_and_is_no_number_spoils_its_own_set_alone():
    target = _cloud(2, seed=8)
    points = target.clone()
    points[0, 3, 1] = torch.nan
    moved = align_procrustes(points, target)
    assert moved[0].isnan().all()
    torch.testing.assert_close(moved[1], target[1])


def test_points_of_weight_zero_may_be_no_numbers():
    target = _cloud(seed=9)
    points, known = 2.0 * target, target.clone()
    points[0], known[1] = torch.nan, torch.inf
    weights = torch.ones(14, dtype=torch.float64)
    weights[:2] = 0.0
    torch.testing.assert_close(align_procrustes(points, known, weights)[2:], target[2:])


def test_points_of_weight_zero_do_not_count():
    target = _cloud(seed=4)
    broken = target.clone()
    broken[0] += 100.0
    weights = torch.ones(14, dtype=torch.float64)
    weights[0] = 0.0
    torch.testing.assert_close(align_procrustes(broken, target, weights)[1:], target[1:])
