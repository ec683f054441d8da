import pytest
import torch

from fitloop.regressor.discriminator import Discriminator, discrimination_loss, realism_loss


def test_sizes_are_those_of_the_paper():
    shapes = {name: tuple(p.shape) for name, p in Discriminator().named_parameters() if name.endswith("weight")}
    assert shapes["D_conv1.weight"] == (32, 9, 1, 1)
    assert shapes["D_conv2.weight"] == (32, 32, 1, 1)
    assert shapes["D_alljoints_fc1.weight"] == (1024, 736)
    assert shapes["D_alljoints_fc2.weight"] == (1024, 1024)
    assert [shapes[f"betas_{name}.weight"] for name in ("fc1", "fc2", "out")] == [(10, 10), (5, 10), (1, 5)]
    assert sum(name.startswith("pose_out") for name in shapes) == 23


def test_a_joint_changes_its_own_opinion_and_that_on_all_joints_only():
    torch.manual_seed(0)
    judge = Discriminator()
    pose, betas = torch.randn(1, 23, 3, 3), torch.randn(1, 10)
    changed = pose.clone()
    changed[:, 4] += 1.0
    difference = (judge(pose, betas) - judge(changed, betas))[0].abs() > 1e-7
    assert difference.nonzero()[:, 0].tolist() == [4, 23]
    difference = (judge(pose, betas) - judge(pose, betas + 1.0))[0].abs() > 1e-7
    assert difference.nonzero()[:, 0].tolist() == [24]


def test_the_ports_order_holds_the_same_opinions_elsewhere():
    torch.manual_seed(0)
    original, port = Discriminator("hmr"), Discriminator("hmr2")
    state = original.state_dict()
    # Joint by joint to channel by channel.
    state["D_alljoints_fc1.weight"] = state["D_alljoints_fc1.weight"].unflatten(1, (23, 32)).mT.flatten(1)
    port.load_state_dict(state)
    pose, betas = torch.randn(2, 23, 3, 3), torch.randn(2, 10)
    ours, theirs = original(pose, betas), port(pose, betas)
    torch.testing.assert_close(ours[:, :23], theirs[:, :23])
    torch.testing.assert_close(ours[:, 23], theirs[:, 24], atol=1e-5, rtol=1e-4)
    torch.testing.assert_close(ours[:, 24], theirs[:, 23])


@pytest.mark.parametrize(("score", "expected"), [(1.0, 0.0), (0.0, 25.0)])
def test_the_regressor_wants_to_be_taken_for_real(score, expected):
    assert float(realism_loss(torch.full((4, 25), score))) == expected


def test_the_discriminator_learns_to_tell_real_from_made_up():
    torch.manual_seed(0)
    judge = Discriminator()
    optimizer = torch.optim.Adam(judge.parameters(), 1e-3)
    real = torch.eye(3).expand(8, 23, 3, 3) + 0.05 * torch.randn(8, 23, 3, 3)
    made = torch.randn(8, 23, 3, 3)
    betas = torch.randn(8, 10)
    losses = []
    for _ in range(30):
        optimizer.zero_grad()
        loss = discrimination_loss(judge(real, betas), judge(made, 3.0 * betas))
        loss.backward()
        optimizer.step()
        losses.append(float(loss.detach()))
    assert losses[-1] < 0.8 * losses[0]
