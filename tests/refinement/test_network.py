import math

import pytest
import torch
from safetensors.torch import save_file

from fitloop.body.assets import verify_assets
from fitloop.refinement import Displacement, DisplacementNet, load_network
from fitloop.refinement.inputs import NUM_CHANNELS
from fitloop.refinement.losses import endpoint_error, laplace_loss, surface_loss
from fitloop.refinement.network import NetworkConfig, grow
from fitloop.refinement.weights import ASSETS, FORMAT, save_network

SMALL = NetworkConfig(widths=(8, 8, 8), blocks=(1, 1, 1))


def test_a_fresh_network_moves_nothing_and_answers_at_the_crop_s_resolution():
    predicted = DisplacementNet(SMALL)(torch.randn(2, NUM_CHANNELS, 32, 32))
    assert predicted.offset.shape == (2, 2, 32, 32) and predicted.log_spread.shape == (2, 32, 32)
    assert (predicted.offset == 0).all()


def test_a_network_learns_a_shift_that_its_inputs_show():
    torch.manual_seed(0)
    network = DisplacementNet(SMALL)
    optimizer = torch.optim.Adam(network.parameters(), 1e-2)
    shift = torch.randn(8, 1, 1, 1)
    inputs = torch.zeros(8, NUM_CHANNELS, 16, 16) + shift
    truth = torch.cat([3.0 * shift, -shift], 1).expand(8, 2, 16, 16)
    weight = torch.ones(8, 16, 16)
    for _ in range(60):
        loss = laplace_loss(network(inputs), truth, weight)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert endpoint_error(network(inputs), truth, weight) < 0.4 * truth.norm(dim=1).mean()


def test_the_loss_is_least_where_the_spread_is_half_the_error():
    truth = torch.zeros(1, 2, 4, 4)
    offset = torch.full((1, 2, 4, 4), 2.0**0.5)  # 2 pixels away
    losses = {}
    for log_spread in (-0.7, 0.0, 0.7):
        predicted = Displacement(offset, torch.full((1, 4, 4), log_spread))
        losses[log_spread] = float(laplace_loss(predicted, truth, torch.ones(1, 4, 4)))
    assert losses[0.0] < min(losses[-0.7], losses[0.7])


def test_with_full_balance_unsure_pixels_pull_as_much_as_sure_ones():
    pulls = {}
    for balance in (0.0, 1.0):
        offset = torch.ones(1, 2, 2, 2, requires_grad=True)
        spread = torch.tensor([[[-1.0, 2.0], [0.0, 0.0]]])
        loss = laplace_loss(Displacement(offset, spread), torch.zeros(1, 2, 2, 2), torch.ones(1, 2, 2), balance)
        (pull,) = torch.autograd.grad(loss, offset)
        pulls[balance] = pull[0, 0, 0]
    torch.testing.assert_close(pulls[1.0][0], pulls[1.0][1])
    torch.testing.assert_close(pulls[0.0][0] / pulls[0.0][1], torch.tensor(3.0).exp())


def test_errors_cost_less_along_the_direction_that_is_said_to_be_unsure():
    truth, spread = torch.zeros(1, 2, 2, 2), torch.zeros(1, 2, 2)
    weight = torch.ones_like(spread)
    diagonal = torch.zeros(1, 2, 2, 2)
    diagonal[:, 1] = 0.8  # unsure at 45 degrees: to the right and down
    along, across, plain = (
        float(
            laplace_loss(
                Displacement(3.0 * torch.tensor(way).view(1, 2, 1, 1).expand(1, 2, 2, 2), spread, uneven), truth, weight
            )
        )
        for way, uneven in (((1.0, 1.0), diagonal), ((1.0, -1.0), diagonal), ((1.0, 1.0), None))
    )
    length = 3.0 * 2.0**0.5
    assert along == pytest.approx(length * math.exp(-0.8), rel=1e-3)
    assert across == pytest.approx(length * math.exp(0.8), rel=1e-3) and plain == pytest.approx(length, rel=1e-3)


def test_pixels_without_weight_teach_nothing():
    truth = torch.full((1, 2, 4, 4), 1e3)
    predicted = Displacement(torch.zeros(1, 2, 4, 4, requires_grad=True), torch.zeros(1, 4, 4))
    loss = laplace_loss(predicted, truth, torch.zeros(1, 4, 4))
    loss.backward()
    assert loss == 0 and (predicted.offset.grad == 0).all()


def test_a_grown_network_says_the_same_until_it_is_trained():
    torch.manual_seed(0)
    network = DisplacementNet(SMALL).eval()
    with torch.no_grad():
        network.head.weight.normal_()
    inputs = torch.randn(1, NUM_CHANNELS, 32, 32)
    grown = grow(network, NetworkConfig(SMALL.widths, (2, 1, 3))).eval()
    torch.testing.assert_close(grown(inputs).offset, network(inputs).offset)
    with pytest.raises(ValueError, match="no fewer blocks"):
        grow(network, NetworkConfig((8, 8, 16), (1, 1, 1)))


def test_a_perfect_answer_to_the_second_lesson_costs_nothing_and_unknown_pixels_teach_no_place():
    truth = torch.rand(1, 5, 4, 4, generator=torch.Generator().manual_seed(0))
    truth[:, 3:] = (truth[:, 3:] > 0.5).float()
    told = torch.cat([truth[:, :3], 60.0 * truth[:, 4:] - 30.0], 1)
    assert surface_loss(told, truth) < 1e-6
    told[:, :3] += 1.0 - truth[:, 3:4]
    assert surface_loss(told, truth) < 1e-6 < surface_loss(told + 0.5, truth)


def test_weights_come_back_as_they_were_written(tmp_path):
    torch.manual_seed(0)
    network = DisplacementNet(SMALL).eval()
    with torch.no_grad():
        network.head.weight.normal_()
    save_network(tmp_path / "weights.safetensors", network)
    inputs = torch.randn(1, NUM_CHANNELS, 32, 32)
    read = load_network(tmp_path / "weights.safetensors")
    torch.testing.assert_close(read(inputs).offset, network(inputs).offset, atol=0.1, rtol=0.02)
    assert read.config == SMALL and not read.training


def test_other_files_are_refused_with_their_name(tmp_path):
    with pytest.raises(FileNotFoundError, match="train-refinement"):
        load_network(tmp_path / "none.safetensors")
    (tmp_path / "text.safetensors").write_text("no weights")
    with pytest.raises(ValueError, match="not a whole safetensors file"):
        load_network(tmp_path / "text.safetensors")
    path = tmp_path / "other.safetensors"
    for about, told in (
        ({}, "this program reads 'fitloop-displacement'"),
        ({"format": FORMAT, "version": "2"}, "version '2'; this program reads .* version '1'"),
        ({"format": FORMAT, "version": "1", "channels": "{}"}, "holds no displacement network that looks at photo"),
    ):
        save_file({"weight": torch.zeros(2)}, path, about)
        with pytest.raises(ValueError, match=told):
            load_network(path)
    with pytest.raises(ValueError, match="one value per resolution"):
        NetworkConfig(widths=(8, 8), blocks=(1,))


def test_the_shipped_weights_are_those_of_the_manifest_and_leave_their_inputs_alone():
    assert verify_assets(ASSETS) == []
    network, inputs = load_network(), torch.zeros(1, NUM_CHANNELS, 64, 64)
    predicted = network(inputs)
    assert predicted.offset.isfinite().all() and (inputs == 0).all()
