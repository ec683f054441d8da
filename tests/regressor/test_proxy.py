import torch

from fitloop.body.keypoints import mirrored
from fitloop.regressor.keypoint_encoder import KEYPOINT_NAMES
from fitloop.regressor.proxy import NUM_PROXY_CHANNELS, PROXY_JOINTS, edge_map, heat_maps, make_proxy, mirror_proxy


def half_white(size: int = 32, bright: float = 1.0) -> torch.Tensor:
    crops = torch.zeros(1, 3, size, size)
    crops[..., size // 2 :] = bright
    return crops


def test_an_edge_lies_where_the_colour_changes():
    edges = edge_map(half_white())[0]
    assert set(edges.sum(0).nonzero()[:, 0].tolist()) <= {15, 16}
    assert float(edges.max()) == 1.0


def test_a_flat_crop_has_no_edges():
    assert float(edge_map(torch.full((1, 3, 16, 16), 0.5)).max()) == 0.0


def test_dim_and_bright_photos_give_the_same_edges():
    noise = torch.rand(1, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(edge_map(noise), edge_map(0.6 * noise + 0.2), atol=1e-4, rtol=1e-4)


def test_a_turned_photo_has_turned_edges():
    edges = edge_map(half_white())
    turned = edge_map(half_white().mT)
    torch.testing.assert_close(edges.sum(), turned.sum(), rtol=0.1, atol=0)


def test_a_heat_map_peaks_at_its_joint():
    points = torch.tensor([[[-0.5, 0.25]]])
    maps = heat_maps(points, torch.ones(1, 1), 64)
    row, column = divmod(int(maps[0, 0].argmax()), 64)
    assert abs((column + 0.5) / 32 - 1 + 0.5) < 0.04
    assert abs((row + 0.5) / 32 - 1 - 0.25) < 0.04
    assert float(heat_maps(points, torch.zeros(1, 1), 64).max()) == 0.0


def test_the_proxy_stacks_edges_silhouette_and_heat_maps():
    confidence = torch.zeros(1, len(KEYPOINT_NAMES))
    confidence[0, KEYPOINT_NAMES.index("left_hip_lsp")] = 0.7
    silhouette = torch.rand(1, 32, 32)
    proxy = make_proxy(half_white(), torch.zeros(1, len(KEYPOINT_NAMES), 2), confidence, silhouette)
    assert proxy.shape == (1, NUM_PROXY_CHANNELS, 32, 32)
    torch.testing.assert_close(proxy[:, 1], silhouette)
    peaks = proxy[0, 2:].amax((-1, -2))
    assert peaks.nonzero()[:, 0].tolist() == [PROXY_JOINTS.index("left_hip")]


def test_the_mirror_image_of_a_proxy_is_the_proxy_of_the_mirror_image():
    generator = torch.Generator().manual_seed(0)
    crops, silhouette = torch.rand(1, 3, 32, 32, generator=generator), torch.rand(1, 32, 32, generator=generator)
    count = len(KEYPOINT_NAMES)
    points = torch.rand(1, count, 2, generator=generator) - 0.5
    confidence = torch.rand(1, count, generator=generator)
    order = [KEYPOINT_NAMES.index(mirrored(name)) for name in KEYPOINT_NAMES]
    mirror = points[:, order] * torch.tensor([-1.0, 1.0])
    expected = make_proxy(crops.flip(-1), mirror, confidence[:, order], silhouette.flip(-1))
    found = mirror_proxy(make_proxy(crops, points, confidence, silhouette))
    torch.testing.assert_close(found[:, 1:], expected[:, 1:])
    assert float((found[:, 0] - expected[:, 0]).abs().mean()) < 0.01
