"""The pretend device complains where a real one would, and nowhere else."""

import pytest
import torch
from pretend import PRETEND


def test_numbers_survive_the_way_there_and_back(pretend_device):
    there = torch.arange(6.0).to(PRETEND)
    assert there.device == PRETEND and (2.0 * there).view(2, 3).sum(0).device.type == PRETEND.type
    torch.testing.assert_close((2.0 * there).cpu(), 2.0 * torch.arange(6.0))
    assert torch.zeros(2, device=PRETEND).new_ones(3).device.type == PRETEND.type
    assert float(there.sum()) == 15.0 and there.tolist() == [0.0, 1.0, 2.0, 3.0, 4.0, 5.0]
    assert pretend_device.operations > 4


def test_a_move_there_is_a_copy_and_writing_in_place_is_seen_through_views(pretend_device):
    here = torch.zeros(3)
    there = here.to(PRETEND)
    there[1:] += 2.0
    assert there.tolist() == [0.0, 2.0, 2.0] and here.tolist() == [0.0, 0.0, 0.0]


def test_mixing_devices_raises_but_single_numbers_may_lie_anywhere(pretend_device):
    there = torch.ones(3, device=PRETEND)
    assert (there * torch.tensor(2.0)).tolist() == [2.0, 2.0, 2.0]
    for mixed in (lambda: there + torch.ones(3), lambda: torch.cat([there, torch.ones(1)])):
        with pytest.raises(RuntimeError, match="same device"):
            mixed()


def test_indices_may_lie_on_the_cpu_but_not_beyond_a_tensor_that_does(pretend_device):
    there = torch.arange(3.0, device=PRETEND)
    assert there[torch.tensor([2])].tolist() == [2.0]
    with pytest.raises(RuntimeError, match="same device"):
        torch.arange(3.0)[torch.tensor([2], device=PRETEND)]


def test_numpy_gets_no_tensor_that_nobody_moved_back(pretend_device):
    with pytest.raises((TypeError, RuntimeError), match="numpy"):
        torch.ones(3, device=PRETEND).numpy()


def test_numbers_and_lists_become_tensors_there(pretend_device):
    there = torch.arange(3.0, device=PRETEND)
    made = torch.tensor([1.0, 2.0], device=PRETEND), there.new_tensor([1.0, 2.0]), there[[1, 2]]
    assert [one.tolist() for one in made] == [[1.0, 2.0]] * 3
    assert all(one.device == PRETEND for one in made)


def test_networks_move_there(pretend_device):
    layer = torch.nn.Sequential(torch.nn.Conv2d(1, 2, 3), torch.nn.BatchNorm2d(2)).eval().to(PRETEND)
    assert layer(torch.ones(1, 1, 5, 5, device=PRETEND)).device.type == PRETEND.type
    with pytest.raises(RuntimeError, match="same device"):
        layer(torch.ones(1, 1, 5, 5))
