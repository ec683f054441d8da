"""Rotations: borders, layouts, derivatives."""

import pytest
import torch

from fitloop.geometry.rotations import (
    geodesic_angle,
    right_jacobian_inverse,
    rot6d_to_rotmat,
    rotmat_to_rot6d,
    rotmat_to_rotvec,
    rotvec_to_rotmat,
    skew,
)

BATCHES = [(), (1,), (3, 1, 2)]


def _rotvecs(*batch: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*batch, 3, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


@pytest.mark.parametrize("batch", BATCHES)
@pytest.mark.parametrize("layout", ["interleaved", "block"])
def test_6d_round_trip_in_both_layouts(batch, layout):
    rotmat = rotvec_to_rotmat(_rotvecs(*batch))
    torch.testing.assert_close(rot6d_to_rotmat(rotmat_to_rot6d(rotmat, layout), layout), rotmat)


def test_spins_mean_root_decodes_to_a_half_turn_about_x():
    six = torch.tensor([1.0, 0.0, 0.0, -1.0, 0.0, 1.5e-7])
    torch.testing.assert_close(
        rot6d_to_rotmat(six, "interleaved"), torch.diag(torch.tensor([1.0, -1.0, -1.0])), atol=1e-6, rtol=0
    )


@pytest.mark.parametrize("scale", [0.0, 1e-7, 1e-3, 0.05, 1.0, 3.0])
def test_right_jacobian_inverse_is_the_derivative_of_the_logarithm(scale):
    rotvec = _rotvecs()
    rotvec = scale * rotvec / rotvec.norm()
    start = rotvec_to_rotmat(rotvec)
    step = 1e-6
    columns = []
    for axis in torch.eye(3, dtype=torch.float64):
        ahead = rotmat_to_rotvec(start @ rotvec_to_rotmat(step * axis))
        behind = rotmat_to_rotvec(start @ rotvec_to_rotmat(-step * axis))
        columns.append((ahead - behind) / (2 * step))
    torch.testing.assert_close(right_jacobian_inverse(rotvec), torch.stack(columns, -1), atol=1e-6, rtol=0)


def test_skew_is_the_cross_product():
    a, b = _rotvecs(seed=1), _rotvecs(seed=2)
    torch.testing.assert_close(skew(a) @ b, torch.linalg.cross(a, b))


def test_geodesic_angle_is_the_turn_between():
    start = rotvec_to_rotmat(_rotvecs(4))
    turn = torch.tensor([0.0, 0.7, 0.0], dtype=torch.float64)
    angle = geodesic_angle(start, start @ rotvec_to_rotmat(turn))
    torch.testing.assert_close(angle, torch.full((4,), 0.7, dtype=torch.float64))
