from dataclasses import replace

import pytest
import torch
from toy import stick_body

from fitloop.regressor.hmr import HMROutput
from fitloop.regressor.keypoint_encoder import KEYPOINT_NAMES
from fitloop.regressor.losses import PRESETS, Criterion, LossConfig, Supervision, keypoint_loss, output_params
from fitloop.regressor.views import View, project_in_view

EVERYTHING = LossConfig(1.0, 1.0, 1.0, 1.0, 1.0, 1.0)


def people(seed: int = 0) -> HMROutput:
    generator = torch.Generator().manual_seed(seed)
    turns = torch.linalg.qr(torch.randn(3, 24, 3, 3, generator=generator)).Q
    turns = turns * torch.linalg.det(turns)[..., None, None]
    weak = torch.tensor([0.9, 0.05, -0.1]).expand(3, 3).clone()
    return HMROutput(turns, torch.randn(3, 10, generator=generator), weak)


VIEW = View(torch.eye(3).expand(3, 3, 3), torch.tensor([0.2, 0.3, 0.4]))


def supervision_of(output: HMROutput, criterion: Criterion) -> Supervision:
    points = criterion.kinematics(output_params(output, VIEW, criterion.body))
    ones = torch.ones(points.shape[:2])
    flat = project_in_view(points, VIEW)
    return Supervision(flat, ones, points, ones, output.rotations, output.betas, ones[:, 0])


@pytest.mark.parametrize("name", sorted(PRESETS))
def test_the_truth_costs_nothing_but_the_scale_guard(name):
    criterion = Criterion(stick_body(), KEYPOINT_NAMES, PRESETS[name])
    losses = criterion(people(), VIEW, supervision_of(people(), criterion))
    assert losses
    for term, value in losses.items():
        limit = 1e-4 if term == "scale_guard" else 1e-6
        assert float(value) <= limit * PRESETS[name].total


def test_every_loss_falls_towards_the_truth():
    criterion = Criterion(stick_body(), KEYPOINT_NAMES, replace(EVERYTHING, scale_guard=0.0))
    truth = supervision_of(people(), criterion)
    far = people(1)
    near = HMROutput(people().rotations, people().betas + 0.01, people().weak + 0.001)
    at_far, at_near = criterion(far, VIEW, truth), criterion(near, VIEW, truth)
    assert set(at_far) == {"keypoints_2d", "joints_3d", "pose", "betas", "vertices"}
    for name in at_far:
        assert float(at_near[name]) < 0.1 * float(at_far[name])


def test_nothing_is_learnt_from_what_is_not_known():
    criterion = Criterion(stick_body(), KEYPOINT_NAMES, replace(EVERYTHING, scale_guard=0.0))
    truth = supervision_of(people(), criterion)
    nothing = torch.zeros_like(truth.confidence_2d)
    unknown = replace(truth, confidence_2d=nothing, confidence_3d=nothing, confidence_params=nothing[:, 0])
    assert all(float(value) == 0.0 for value in criterion(people(1), VIEW, unknown).values())


def test_a_person_without_parameters_still_teaches_2d_and_3d():
    criterion = Criterion(stick_body(), KEYPOINT_NAMES, replace(EVERYTHING, scale_guard=0.0))
    truth = supervision_of(people(), criterion)
    losses = criterion(people(1), VIEW, replace(truth, confidence_params=torch.zeros(3)))
    assert float(losses["keypoints_2d"]) > 0 and float(losses["joints_3d"]) > 0
    assert float(losses["pose"]) == float(losses["betas"]) == float(losses["vertices"]) == 0.0


def test_3d_does_not_depend_on_where_the_person_stands():
    criterion = Criterion(stick_body(), KEYPOINT_NAMES, LossConfig(0.0, 1.0, 0.0, 0.0))
    truth = supervision_of(people(), criterion)
    moved = replace(truth, points_3d=truth.points_3d + torch.tensor([1.0, 2.0, 3.0]))
    torch.testing.assert_close(
        criterion(people(1), VIEW, truth)["joints_3d"], criterion(people(1), VIEW, moved)["joints_3d"]
    )


def test_the_norms_are_absolute_and_squared_differences():
    estimate, truth = torch.full((1, 2, 2), 3.0), torch.zeros(1, 2, 2)
    confidence = torch.tensor([[1.0, 0.0]])
    assert float(keypoint_loss(estimate, truth, confidence, "l1")) == 3.0
    assert float(keypoint_loss(estimate, truth, confidence, "l2")) == 9.0


def test_spins_weights_are_spins():
    spin = PRESETS["spin"]
    weights = (spin.total, spin.keypoints_2d, spin.joints_3d, spin.pose, spin.betas, spin.vertices, spin.scale_guard)
    assert weights == (60.0, 5.0, 5.0, 1.0, 0.001, 0.0, 1.0)


def test_gradients_reach_every_number_the_network_gives():
    criterion = Criterion(stick_body(), KEYPOINT_NAMES, EVERYTHING)
    output = people(1).map(lambda tensor: tensor.clone().requires_grad_())
    sum(criterion(output, VIEW, supervision_of(people(), criterion)).values()).backward()  # pyright: ignore[reportAttributeAccessIssue]
    for tensor in (output.rotations, output.betas, output.weak):
        assert tensor.grad is not None and bool((tensor.grad != 0).any())
