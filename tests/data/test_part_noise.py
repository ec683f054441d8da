import pytest
import torch

from fitloop.body.part_maps import NOBODY
from fitloop.data.part_noise import PartNoise, disturb_parts, sample_labels


def stripes() -> torch.Tensor:
    """Six parts side by side, and nobody above and below."""
    labels = torch.full((4, 48, 48), NOBODY, dtype=torch.int8)
    labels[:, 8:40] = (torch.arange(48) // 8).to(torch.int8)
    return labels


def right(noise: PartNoise, seed: int = 0) -> float:
    labels = stripes()
    before = labels.clone()
    found = disturb_parts(labels, noise, torch.Generator().manual_seed(seed))
    assert torch.equal(labels, before)
    assert int(found.min()) >= NOBODY
    assert int(found.max()) < 24
    return float((found == labels)[:, 8:40].float().mean())


def test_nothing_is_wrong_by_default():
    assert right(PartNoise()) == 1.0


@pytest.mark.parametrize("kind", [{"shift": 0.02}, {"coarse": 5}, {"wrong": 0.1}])
def test_each_kind_of_mistake_makes_maps_worse_the_more_there_is_of_it(kind):
    ((name, value),) = kind.items()
    little, much = right(PartNoise(**kind)), right(PartNoise(**{name: 3 * value}))
    assert 1.0 > little > much > 0.1


def test_nobody_stays_nobody_in_blobs():
    found = disturb_parts(stripes(), PartNoise(wrong=1.0), torch.Generator().manual_seed(0))
    assert bool((found[:, :8] == NOBODY).all())


def test_what_lies_outside_the_map_is_nobody():
    grid = torch.tensor([[[[0.0, 0.0], [1.5, 0.0]]]]).expand(4, 1, 2, 2)
    assert sample_labels(stripes(), grid)[0, 0].tolist() == [3, NOBODY]


def test_impossible_noise_is_refused():
    with pytest.raises(ValueError, match="coarse is at least 1 pixel, got 0.0, 0.0 and 0"):
        PartNoise(coarse=0)
