from dataclasses import replace

import pytest
import torch

from fitloop.data.silhouette_noise import SilhouetteNoise, disturb_silhouettes

PERFECT = SilhouetteNoise(missing=0.0, shift=0.0, blur=1, lost=0.0, foreign=0.0)


def squares(people: int) -> torch.Tensor:
    masks = torch.zeros(people, 32, 32)
    masks[:, 8:24, 8:24] = 1.0
    return masks


def disturbed(config: SilhouetteNoise, people: int = 200, seed: int = 0) -> torch.Tensor:
    return disturb_silhouettes(squares(people), config, torch.Generator().manual_seed(seed))


def test_without_mistakes_the_outline_stays():
    assert bool(((disturbed(PERFECT) > 0.5) == (squares(200) > 0.5)).all())


def test_people_get_thinner_and_fatter():
    area = (disturbed(replace(PERFECT, shift=0.25, blur=5)) > 0.5).sum((-1, -2))
    assert int(area.min()) < 256 < int(area.max())


@pytest.mark.parametrize(("mistake", "share"), [("missing", 0.4), ("lost", 0.4), ("foreign", 0.4)])
def test_mistakes_are_as_frequent_as_said(mistake, share):
    changed = ((disturbed(replace(PERFECT, **{mistake: share})) > 0.5) != (squares(200) > 0.5)).any(-1).any(-1)
    assert 0.2 < float(changed.float().mean()) < 0.5


def test_the_same_seed_makes_the_same_mistakes():
    config = SilhouetteNoise()
    assert torch.equal(disturbed(config, seed=1), disturbed(config, seed=1))
    assert not torch.equal(disturbed(config, seed=1), disturbed(config, seed=2))


def test_shares_are_shares():
    with pytest.raises(ValueError, match="between 0 and 1"):
        SilhouetteNoise(lost=1.5)
