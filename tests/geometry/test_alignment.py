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


def test_points_of_weight_zero_do_not_count():
    target = _cloud(seed=4)
    broken = target.clone()
    broken[0] += 100.0
    weights = torch.ones(14, dtype=torch.float64)
    weights[0] = 0.0
    torch.testing.assert_close(align_procrustes(broken, target, weights)[1:], target[1:])
