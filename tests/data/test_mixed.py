import pytest
import torch

from fitloop.data.mixed import Mixture, proportional, spin_mixture, weighted


def test_spins_mixture_gives_the_wild_ones_their_share_by_size():
    mixture = spin_mixture({"h36m": 1000, "lsp": 10, "mpii": 30, "mpi-inf-3dhp": 500})
    assert mixture.shares == pytest.approx((0.3, 0.15, 0.45, 0.1))


def test_without_human36m_its_share_goes_to_the_rest():
    assert spin_mixture({"lsp": 10, "mpii": 30, "mpi-inf-3dhp": 5}).shares == pytest.approx(
        (0.15 / 0.7, 0.45 / 0.7, 1 / 7)
    )


def test_an_epoch_draws_by_the_shares_and_repeats_nobody_before_all_were_seen():
    mixture = Mixture((10, 4000), (0.5, 0.5))
    rows = mixture.epoch(torch.Generator().manual_seed(0))
    assert len(rows) == 4000
    small = rows[rows < 10]
    assert abs(len(small) - 2000) < 200
    counts = small.bincount(minlength=10)
    assert counts.max() - counts.min() <= 1
    large = rows[rows >= 10]
    assert len(large.unique()) == len(large)


def test_the_same_generator_state_gives_the_same_epoch():
    mixture = proportional((7, 5))
    first, second = (mixture.epoch(torch.Generator().manual_seed(3), 20) for _ in range(2))
    assert torch.equal(first, second)


def test_rows_are_located_in_their_data_set():
    number, row = Mixture((3, 1, 2), (0.2, 0.3, 0.5)).locate(torch.tensor([0, 2, 3, 4, 5]))
    assert number.tolist() == [0, 0, 1, 2, 2] and row.tolist() == [0, 2, 0, 0, 1]


def test_shares_that_are_no_chances_are_refused():
    with pytest.raises(ValueError, match="add up to 1"):
        Mixture((3, 3), (0.5, 0.6))
    with pytest.raises(ValueError, match="one weight per data set"):
        weighted((3, 3), (1.0,))
    with pytest.raises(ValueError, match="not empty"):
        Mixture((0,), (1.0,))
