import pytest
import torch

from fitloop.regressor.resnet import ResNet, normalize_rgb


def test_resnet50_has_torchvisions_parameters():
    names = dict(ResNet(50).named_parameters())
    assert sum(p.numel() for p in names.values()) == 23_508_032
    assert tuple(names["conv1.weight"].shape) == (64, 3, 7, 7)
    assert tuple(names["layer1.0.downsample.0.weight"].shape) == (256, 64, 1, 1)
    assert tuple(names["layer4.2.conv3.weight"].shape) == (2048, 512, 1, 1)
    assert "layer4.0.bn3.bias" in names


def test_resnet18_has_torchvisions_parameters():
    names = dict(ResNet(18).named_parameters())
    assert sum(p.numel() for p in names.values()) == 11_176_512
    assert "layer1.0.downsample.0.weight" not in names
    assert tuple(names["layer2.0.downsample.0.weight"].shape) == (128, 64, 1, 1)


def test_the_stride_lies_in_the_3x3_convolution():
    block = ResNet(50).get_submodule("layer2.0")
    assert block.get_submodule("conv1").stride == (1, 1)
    assert block.get_submodule("conv2").stride == (2, 2)


@pytest.mark.parametrize(("depth", "features"), [(18, 512), (50, 2048)])
def test_crops_become_features(depth, features):
    network = ResNet(depth, 3).eval()
    assert network.out_features == features
    with torch.no_grad():
        assert network(torch.zeros(2, 3, 64, 64)).shape == (2, features)


def test_half_width_and_more_channels_are_possible():
    network = ResNet(18, channels=19, width=32).eval()
    with torch.no_grad():
        assert network(torch.zeros(1, 19, 64, 64)).shape == (1, network.out_features) == (1, 256)


def test_the_mean_colour_becomes_zero():
    mean = torch.tensor([0.485, 0.456, 0.406])[None, :, None, None].expand(1, 3, 4, 4)
    torch.testing.assert_close(normalize_rgb(mean), torch.zeros(1, 3, 4, 4))
    torch.testing.assert_close(normalize_rgb(mean + 0.224)[0, 1], torch.ones(4, 4))
