"""ResNet-18 and ResNet-50 with torchvision's parameter names, so that its checkpoints and SPIN's load strictly."""

from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor, nn

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_SPREAD = (0.229, 0.224, 0.225)
"""Of RGB in [0, 1]: what the encoders of the field expect subtracted and divided by."""


class BasicBlock(nn.Module):
    """Two 3x3 convolutions and a shortcut (He et al. 2016)."""

    expansion = 1

    def __init__(self, channels: int, width: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(channels, width, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.conv2 = nn.Conv2d(width, width, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(width)
        self.downsample = _shortcut(channels, width * self.expansion, stride)

    def forward(self, x: Tensor) -> Tensor:
        y = self.bn2(self.conv2(torch.relu(self.bn1(self.conv1(x)))))
        return torch.relu(y + (x if self.downsample is None else self.downsample(x)))


class Bottleneck(nn.Module):
    """1x1, 3x3, 1x1 and a shortcut, with the stride in the 3x3 convolution as torchvision has it."""

    expansion = 4

    def __init__(self, channels: int, width: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(channels, width, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.conv2 = nn.Conv2d(width, width, 3, stride, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(width)
        self.conv3 = nn.Conv2d(width, width * 4, 1, bias=False)
        self.bn3 = nn.BatchNorm2d(width * 4)
        self.downsample = _shortcut(channels, width * 4, stride)

    def forward(self, x: Tensor) -> Tensor:
        y = torch.relu(self.bn1(self.conv1(x)))
        y = self.bn3(self.conv3(torch.relu(self.bn2(self.conv2(y)))))
        return torch.relu(y + (x if self.downsample is None else self.downsample(x)))


def _shortcut(channels: int, out_channels: int, stride: int) -> nn.Sequential | None:
    if stride == 1 and channels == out_channels:
        return None
    return nn.Sequential(nn.Conv2d(channels, out_channels, 1, stride, bias=False), nn.BatchNorm2d(out_channels))


class ResNet(nn.Module):
    """A residual network up to its average pooling."""

    def __init__(self, depth: Literal[18, 50] = 50, channels: int = 3, width: int = 64) -> None:
        """Make the layers with the published initialisation.

        Args:
            depth: 18 or 50 layers.
            channels: Of the input: 3 for RGB, more for proxies.
            width: Channels of the first stage; 64 in the published networks.
        """
        super().__init__()
        block, counts = (BasicBlock, (2, 2, 2, 2)) if depth == 18 else (Bottleneck, (3, 4, 6, 3))
        self.conv1 = nn.Conv2d(channels, width, 7, 2, 3, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.maxpool = nn.MaxPool2d(3, 2, 1)
        inner = width
        for stage, count in enumerate(counts):
            blocks = []
            for number in range(count):
                outer = width * 2**stage
                blocks.append(block(inner, outer, 2 if stage > 0 and number == 0 else 1))
                inner = outer * block.expansion
            self.add_module(f"layer{stage + 1}", nn.Sequential(*blocks))
        self.out_features = inner
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")

    def forward(self, images: Float[Tensor, "people channels height width"]) -> Float[Tensor, "people features"]:
        """Encode normalised crops."""
        return self.second_half(self.first_half(images))

    def first_half(
        self, images: Float[Tensor, "people channels height width"]
    ) -> Float[Tensor, "people _ rows columns"]:
        """Up to the second stage, at an eighth of the resolution."""
        x = self.maxpool(torch.relu(self.bn1(self.conv1(images))))
        return self.get_submodule("layer2")(self.get_submodule("layer1")(x))

    def second_half(self, x: Float[Tensor, "people _ rows columns"]) -> Float[Tensor, "people features"]:
        """From there to the average over the crop."""
        return self.get_submodule("layer4")(self.get_submodule("layer3")(x)).mean((-2, -1))


def normalize_rgb(
    crops: Float[Tensor, "people 3 height width"],
    mean: tuple[float, float, float] = IMAGENET_MEAN,
    spread: tuple[float, float, float] = IMAGENET_SPREAD,
) -> Float[Tensor, "people 3 height width"]:
    """Subtract a mean from RGB in [0, 1] and divide by a standard deviation, ImageNet's by default."""
    place_it = {"dtype": crops.dtype, "device": crops.device}
    return (crops - torch.tensor(mean, **place_it)[:, None, None]) / torch.tensor(spread, **place_it)[:, None, None]
