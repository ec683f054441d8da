import numpy as np
import torch
from scipy.spatial.transform import Rotation

from fitloop.evaluation.rotations import quaternion_errors, rotation_errors


def make_rotations(count, seed):
    return Rotation.random(count, random_state=seed)  # pyright: ignore[reportCallIssue]


def as_tensor(rotation):
    return torch.from_numpy(rotation.as_matrix())


def test_rotation_error_agrees_with_scipys_magnitude():
    first, second = make_rotations(50, 0), make_rotations(50, 1)
    expected = np.rad2deg((first.inv() * second).magnitude())
    np.testing.assert_allclose(rotation_errors(as_tensor(first), as_tensor(second)).numpy(), expected, atol=1e-5)


def test_quaternion_error_agrees_with_its_formula_on_scipys_quaternions():
    first, second = make_rotations(50, 2), make_rotations(50, 3)
    dot = (first.as_quat() * second.as_quat()).sum(-1)
    expected = np.arccos(np.clip(2.0 * dot**2 - 1.0, -1.0, 1.0))
    np.testing.assert_allclose(quaternion_errors(as_tensor(first), as_tensor(second)).numpy(), expected, atol=1e-6)


def test_a_half_turn_is_the_largest_error_of_both():
    eye, half = torch.eye(3, dtype=torch.float64), torch.diag(torch.tensor([1.0, -1.0, -1.0], dtype=torch.float64))
    assert rotation_errors(eye[None], half[None]).item() == 180.0
    np.testing.assert_allclose(quaternion_errors(eye[None], half[None]).item(), np.pi)


def test_a_small_turn_keeps_its_digits():
    angle = 1e-5
    turned = as_tensor(Rotation.from_rotvec([[0.0, angle, 0.0]]))
    eye = torch.eye(3, dtype=torch.float64)[None]
    np.testing.assert_allclose(quaternion_errors(turned, eye).item(), angle, rtol=1e-6)


def test_leading_axes_are_kept():
    rotations = as_tensor(make_rotations(6, 4)).reshape(2, 3, 3, 3)
    assert rotation_errors(rotations, rotations).shape == (2, 3)
