import pytest
import torch

from fitloop.geometry.rotations import rot6d_to_rotmat
from fitloop.regressor.hmr import HMR, HeadConfig, IterativeHead


class Identity(torch.nn.Module):
    out_features = 6

    def forward(self, features):
        return features


def plain_iterations(head: IterativeHead, features: torch.Tensor):
    """SPIN's regressor as written in its paper: everything concatenated in every iteration."""
    pose, shape, cam = (b.expand(len(features), -1) for b in (head.init_pose, head.init_shape, head.init_cam))
    for _ in range(head.config.iterations):
        hidden = head.fc1(torch.cat([features, pose, shape, cam], 1))
        hidden = torch.relu(hidden) if head.config.activation == "relu" else hidden
        hidden = head.fc2(hidden)
        hidden = torch.relu(hidden) if head.config.activation == "relu" else hidden
        pose, shape, cam = pose + head.decpose(hidden), shape + head.decshape(hidden), cam + head.deccam(hidden)
    return rot6d_to_rotmat(pose.unflatten(-1, (24, 6)), head.config.layout), shape, cam


@pytest.mark.parametrize("activation", ["none", "relu"])
@pytest.mark.parametrize("iterations", [1, 3, 5])
def test_the_head_gives_what_the_plain_iterations_give(activation, iterations):
    torch.manual_seed(0)
    head = IterativeHead(6, HeadConfig(iterations, 32, activation=activation)).eval()
    features = torch.randn(4, 6)
    output = head(features)
    for found, expected in zip(
        (output.rotations, output.betas, output.weak), plain_iterations(head, features), strict=True
    ):
        torch.testing.assert_close(found, expected)


@pytest.mark.parametrize("layout", ["interleaved", "block"])
def test_an_untrained_head_says_upright_t_pose(layout):
    head = IterativeHead(6, HeadConfig(hidden=8, layout=layout)).eval()
    for layer in (head.decpose, head.decshape, head.deccam):
        torch.nn.init.zeros_(layer.weight)
        torch.nn.init.zeros_(layer.bias)
    output = head(torch.randn(2, 6))
    torch.testing.assert_close(output.rotations[:, 0], torch.diag(torch.tensor([1.0, -1.0, -1.0])).expand(2, 3, 3))
    torch.testing.assert_close(output.rotations[:, 1:], torch.eye(3).expand(2, 23, 3, 3))
    torch.testing.assert_close(output.weak, torch.tensor([[0.9, 0.0, 0.0]]).expand(2, 3))


def test_the_extra_inputs_follow_the_features():
    model = HMR(Identity(), HeadConfig(hidden=8, extra_inputs=3)).eval()
    assert model.head.fc1.weight.shape == (8, 6 + 3 + 157)
    features, extra = torch.randn(2, 6), torch.randn(2, 3)
    torch.testing.assert_close(model(features, extra).betas, model.head(torch.cat([features, extra], 1)).betas)


def test_people_of_a_batch_are_independent():
    model = HMR(Identity(), HeadConfig(hidden=8)).eval()
    features = torch.randn(3, 6)
    torch.testing.assert_close(model(features).rotations[1:2], model(features[1:2]).rotations)


def test_dropout_works_in_training_only():
    model = HMR(Identity(), HeadConfig(hidden=64, dropout=0.5))
    torch.nn.init.normal_(model.head.decshape.weight)
    features = torch.randn(2, 6)
    assert not torch.equal(model(features).betas, model(features).betas)
    model.eval()
    assert torch.equal(model(features).betas, model(features).betas)


@pytest.mark.parametrize("wrong", [{"iterations": 0}, {"iterations": 10**9}, {"dropout": 1.0}, {"hidden": 0}])
def test_a_head_that_cannot_run_is_refused(wrong):
    with pytest.raises(ValueError, match="The head"):
        HeadConfig(**wrong)
