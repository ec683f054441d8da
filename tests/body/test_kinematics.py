"""Fast keypoints against the mesh, and their derivatives against finite differences."""

from dataclasses import replace

import pytest
import torch
from toy import random_params, stick_body

from fitloop.body.keypoints import CONVENTIONS, SURFACE_LANDMARKS
from fitloop.body.kinematics import KeypointKinematics
from fitloop.body.params import JOINT_NAMES, BodyParams
from fitloop.geometry.rotations import rotvec_to_rotmat

EVERYTHING = JOINT_NAMES + ("mid_hip",) + SURFACE_LANDMARKS


@pytest.mark.parametrize("correctives", [False, True])
@pytest.mark.parametrize("batch", [(), (1,), (2, 3)])
def test_keypoints_are_those_of_the_mesh(correctives, batch):
    body = stick_body(correctives).to(torch.float64)
    params = random_params(*batch, seed=1, dtype=torch.float64)
    fast = KeypointKinematics(body, EVERYTHING)(params)
    torch.testing.assert_close(fast, body.place(body(params), EVERYTHING), atol=1e-12, rtol=0)


def _perturbed(params: BodyParams, delta: torch.Tensor) -> BodyParams:
    """Move along the tangent: 72 right perturbations of the rotations, then the betas."""
    turned = params.rotations @ rotvec_to_rotmat(delta[:72].reshape(24, 3))
    return replace(
        params, global_orient=turned[..., 0, :, :], body_pose=turned[..., 1:, :, :], betas=params.betas + delta[72:]
    )


@pytest.mark.parametrize("correctives", [False, True])
def test_derivatives_match_central_differences_in_float64(correctives):
    body = stick_body(correctives).to(torch.float64)
    params = random_params(seed=2, dtype=torch.float64)
    kinematics = KeypointKinematics(body, EVERYTHING)
    step = 1e-6
    columns = []
    for index in range(82):
        delta = torch.zeros(82, dtype=torch.float64)
        delta[index] = step
        columns.append((kinematics(_perturbed(params, delta)) - kinematics(_perturbed(params, -delta))) / (2 * step))
    numeric = torch.stack(columns, dim=-1)
    exact = kinematics.linearize(params)
    analytic = torch.cat([exact.by_rotation.flatten(-2), exact.by_betas], dim=-1)
    torch.testing.assert_close(analytic, numeric, atol=1e-8, rtol=0)


def test_an_unknown_landmark_is_refused_with_the_known_ones():
    with pytest.raises(ValueError, match="no landmark 'tail'.*pelvis"):
        KeypointKinematics(stick_body(), ("tail",))


@pytest.mark.parametrize("name", CONVENTIONS)
def test_every_convention_can_be_placed_and_flipping_twice_changes_nothing(name):
    convention = CONVENTIONS[name]
    assert len(set(convention.keypoints)) == len(convention) == len(convention.landmarks)
    flip = convention.flip
    assert [flip[i] for i in flip] == list(range(len(convention)))
    KeypointKinematics(stick_body(), tuple(m for m in convention.landmarks if m))
