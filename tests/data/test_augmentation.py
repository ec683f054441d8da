import pytest
import torch

from fitloop.data.augmentation import Occluders, PixelAugmentation, augment_pixels, draw_occluders

NOTHING = PixelAugmentation(channel_noise=0.0, grain=0.0, occlusion=0.0)


def crops(people: int = 4, size: int = 16) -> torch.Tensor:
    return torch.rand(people, 3, size, size, generator=torch.Generator().manual_seed(0))


def test_no_augmentation_changes_nothing():
    generator = torch.Generator().manual_seed(1)
    occluders = draw_occluders(4, NOTHING, generator)
    torch.testing.assert_close(augment_pixels(crops(), occluders, NOTHING, generator), crops())
    assert bool((occluders.hide(torch.zeros(4, 3, 2)) == 1.0).all())


def test_the_same_generator_gives_the_same_crops_and_leaves_the_input_alone():
    config, given = PixelAugmentation(), crops()
    made = []
    for _ in range(2):
        generator = torch.Generator().manual_seed(3)
        made.append(augment_pixels(given, draw_occluders(4, config, generator), config, generator))
    assert torch.equal(made[0], made[1])
    assert torch.equal(given, crops())
    assert not torch.allclose(made[0], given, atol=0.05)


def test_hidden_points_lie_behind_the_painted_rectangle():
    occluders = Occluders(torch.tensor([[-0.5, 0.0, 0.25, 0.75], [0.0, 0.0, 0.0, 0.0]]))
    masks = occluders.masks(64)
    ticks = (torch.arange(64) + 0.5) / 32 - 1.0
    y, x = torch.meshgrid(ticks, ticks, indexing="ij")
    visible = occluders.hide(torch.stack([x, y], -1).flatten(0, 1).expand(2, -1, 2)).unflatten(1, (64, 64))
    assert torch.equal(visible, 1.0 - masks)
    assert float(masks[1].sum()) == 0.0
    assert float(masks[0].mean()) == pytest.approx(0.75 * 0.75 / 4.0, rel=0.1)


def test_the_rectangle_covers_the_person():
    config = PixelAugmentation(channel_noise=0.0, grain=0.0)
    given = crops()
    occluders = Occluders(torch.tensor([[-0.5, -0.5, 0.5, 0.5]]).expand(4, 4))
    made = augment_pixels(given, occluders, config, torch.Generator().manual_seed(0))
    changed = (made - given).abs().amax(1) > 1e-6
    assert torch.equal(changed.float().round(), occluders.masks(16) * changed)
    assert float(changed.float().mean()) > 0.2


def test_channels_are_dimmed_and_brightened_within_their_limits():
    config = PixelAugmentation(channel_noise=0.4, grain=0.0, occlusion=0.0)
    grey = torch.full((64, 3, 2, 2), 0.5)
    generator = torch.Generator().manual_seed(0)
    gains = augment_pixels(grey, draw_occluders(64, config, generator), config, generator)[:, :, 0, 0] / 0.5
    assert 0.6 <= float(gains.min()) < 0.65
    assert 1.35 < float(gains.max()) <= 1.4


@pytest.mark.parametrize("wrong", [{"channel_noise": 2.0}, {"occluder_size": (0.5, 0.2)}, {"grain": -1.0}])
def test_impossible_values_are_refused(wrong):
    with pytest.raises(ValueError, match="shares between 0 and 1"):
        PixelAugmentation(**wrong)
