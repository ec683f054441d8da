from dataclasses import replace

import pytest
import torch

from fitloop.regressor import HeadConfig, HMRConfig, Weights, build_hmr
from fitloop.regressor.keypoint_encoder import KEYPOINT_NAMES, KeypointInputs
from fitloop.regressor.proxy import NUM_PROXY_CHANNELS, ProxyInputs
from fitloop.regressor.starts import carry_over, start_from_keypoints

KEYPOINTS = HMRConfig("keypoints", width=16, blocks=2, head=HeadConfig(2, 24, 0.0))
PROXY = HMRConfig("proxy", width=8, keypoints_width=16, blocks=2, image_size=32, head=HeadConfig(2, 24, 0.0))


def people(count: int = 3) -> ProxyInputs:
    generator = torch.Generator().manual_seed(0)
    keypoints = len(KEYPOINT_NAMES)

    def draw(*shape: int) -> torch.Tensor:
        return torch.rand(count, *shape, generator=generator)

    inputs = KeypointInputs(
        draw(keypoints, 2), draw(keypoints), draw(keypoints, 3), (draw(keypoints) > 0.5).float(), draw(3)
    )
    return ProxyInputs(draw(NUM_PROXY_CHANNELS, 32, 32), inputs)


def started() -> tuple[Weights, torch.nn.Module, list[torch.nn.Parameter]]:
    torch.manual_seed(0)
    source = Weights(build_hmr(KEYPOINTS).eval(), KEYPOINTS, "open-1")
    model = build_hmr(PROXY).eval()
    return source, model, start_from_keypoints(model, source)


def test_it_starts_by_saying_what_the_keypoints_network_says():
    source, model, _ = started()
    inputs = people()
    expected, found = source.model(inputs.keypoints), model(inputs)
    torch.testing.assert_close(found.rotations, expected.rotations)
    torch.testing.assert_close(found.weak, expected.weak)


def test_the_maps_have_a_say_once_learnt():
    _, model, _ = started()
    torch.nn.init.normal_(model.encoder.correct.weight)  # pyright: ignore[reportArgumentType, reportAttributeAccessIssue]
    inputs = people()
    other = ProxyInputs(inputs.maps.flip(-1), inputs.keypoints)
    assert not torch.allclose(model(inputs).rotations, model(other).rotations, atol=1e-4)


def test_only_the_half_for_maps_is_fresh():
    _, model, old = started()
    fresh = {name for name, parameter in model.named_parameters() if all(parameter is not one for one in old)}
    assert {name.split(".")[1] for name in fresh} == {"maps", "scale", "correct"}


def test_a_network_of_another_size_is_refused():
    other = HMRConfig("keypoints", width=24, blocks=2, head=HeadConfig(2, 24, 0.0))
    with pytest.raises(ValueError, match=r"encoder.keypoints.blocks.0.contract.weight of shape .*24.* instead of .*16"):
        start_from_keypoints(build_hmr(PROXY), Weights(build_hmr(other), other, "open-1"))


def test_it_starts_from_keypoints_only():
    with pytest.raises(ValueError, match="starts from a 'keypoints' one, these weights are 'proxy'"):
        start_from_keypoints(build_hmr(PROXY), Weights(build_hmr(PROXY), PROXY, "open-1"))


def test_what_the_keypoints_network_learned_later_is_carried_over():
    telling = replace(KEYPOINTS, head=replace(KEYPOINTS.head, uncertainty=8))
    before, after = (Weights(build_hmr(one), one, "open-1") for one in (KEYPOINTS, telling))
    proxy = Weights(build_hmr(PROXY), PROXY, "open-1")
    carried = carry_over(proxy, before, after)
    had, now = proxy.model.state_dict(), carried.model.state_dict()
    old, new = before.model.state_dict(), after.model.state_dict()
    for ours, theirs in (
        ("encoder.keypoints.embed.bias", "encoder.embed.bias"),
        ("head.fc1.weight", "head.fc1.weight"),
    ):
        torch.testing.assert_close(now[ours], had[ours] + new[theirs] - old[theirs])
    assert torch.equal(now["encoder.correct.weight"], had["encoder.correct.weight"])
    assert torch.equal(now["head.spread.expand.weight"], new["head.spread.expand.weight"])
    assert carried.config.head.uncertainty == 8
    with pytest.raises(ValueError, match="carried over to a 'proxy' network, these weights are 'keypoints'"):
        carry_over(after, before, after)
