"""The displacement network: how far each visible point of the rendered body lies from where the photo shows it."""

from copy import deepcopy
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn.functional import interpolate
from torch.nn.utils.fusion import fuse_conv_bn_eval

from fitloop.geometry import TensorRecord
from fitloop.refinement.inputs import NUM_CHANNELS

_UNIT = 4.0
"""Pixels that an output of 1 means."""
_LOG_SPREAD = (-2.0, 4.0)
"""Range of the logarithm of the predicted spread."""
_MOST_UNEVEN = 1.5
"""Limit of what direction adds to it."""


@dataclass(frozen=True)
class NetworkConfig:
    """Size of the network."""

    widths: tuple[int, ...] = (32, 64, 96, 128, 192)
    """Channels at half the crop's resolution, a quarter, an eighth and so on."""
    blocks: tuple[int, ...] = (1, 1, 2, 2, 2)
    """Residual blocks at each resolution on the way down; on the way up there is one each."""

    def __post_init__(self) -> None:
        if len(self.widths) != len(self.blocks) or len(self.widths) < 2:
            raise ValueError(f"widths and blocks need one value per resolution, got {self.widths} and {self.blocks}.")


@dataclass(frozen=True)
class Displacement(TensorRecord):
    """Prediction at the crop's resolution, in crop pixels; meaningful where the body was drawn."""

    offset: Float[Tensor, "people 2 size size"]
    """From where the estimate's surface point is drawn to where the photo shows it, (x, y)."""
    log_spread: Float[Tensor, "people size size"]
    """Logarithm of the scale b of a Laplace distribution around it, exp(-|error| / b), in pixels."""
    uneven: Float[Tensor, "people 2 size size"] | None = None
    """(p, q): in direction a the logarithm is ``log_spread + p cos 2a + q sin 2a``, for outlines tell little of where a
    point lies along them. The same in all directions if not given."""


class _Block(nn.Module):
    """Two convolutions beside a straight way."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.first = nn.Conv2d(width, width, 3, padding=1, bias=False)
        self.norm1 = nn.BatchNorm2d(width)
        self.second = nn.Conv2d(width, width, 3, padding=1, bias=False)
        self.norm2 = nn.BatchNorm2d(width)

    def forward(self, values: Tensor) -> Tensor:
        inner = torch.relu_(self.norm1(self.first(values)))
        return torch.relu_(self.norm2(self.second(inner)) + values)


def _narrow(source: int, target: int, size: int, stride: int) -> nn.Sequential:
    convolution = nn.Conv2d(source, target, size, stride, size // 2, bias=False)
    return nn.Sequential(convolution, nn.BatchNorm2d(target), nn.ReLU(inplace=True))


class DisplacementNet(nn.Module):
    """A U-Net from half the crop's resolution down to a thirty-second and back."""

    def __init__(self, config: NetworkConfig = NetworkConfig()) -> None:
        super().__init__()
        self.config = config
        widths = config.widths
        self.down = nn.ModuleList()
        source = NUM_CHANNELS
        for level, (width, blocks) in enumerate(zip(widths, config.blocks, strict=True)):
            entry = _narrow(source, width, 5 if level == 0 else 3, 2)
            self.down.append(nn.Sequential(entry, *(_Block(width) for _ in range(blocks))))
            source = width
        self.up = nn.ModuleList(
            nn.Sequential(_narrow(wide + width, width, 1, 1), _Block(width))
            for wide, width in zip(widths[:0:-1], widths[-2::-1], strict=True)
        )
        self.head = nn.Conv2d(widths[0], 5, 3, padding=1)
        # At first nothing is displaced and everything is equally unsure.
        with torch.no_grad():
            for parameter in self.head.parameters():
                parameter.zero_()

    def forward(self, inputs: Float[Tensor, "people channels size size"]) -> Displacement:
        """Predict.

        Args:
            inputs: From `network_input`; the size is a multiple of 2 to the number of resolutions.
        """
        return self.read(self.features(inputs))

    def features(self, inputs: Float[Tensor, "people channels size size"]) -> Float[Tensor, "people width half half"]:
        """What the network makes of its input, at half the resolution."""
        return self.levels(inputs)[-1]

    def levels(self, inputs: Float[Tensor, "people channels size size"]) -> list[Tensor]:
        """The same at every resolution on the way up, (people, width, rows, columns), the coarsest first."""
        values = inputs.to(next(self.down.parameters()).dtype).contiguous(memory_format=torch.channels_last)
        kept = []
        for level in self.down:
            values = level(values)
            kept.append(values)
        found = [values]
        for level, beside in zip(self.up, kept[-2::-1], strict=True):
            values = interpolate(values, scale_factor=2.0, mode="nearest")
            values = level(torch.cat([values, beside], 1))
            found.append(values)
        return found

    def read(self, features: Float[Tensor, "people width half half"]) -> Displacement:
        """The displacement that features stand for."""
        found = interpolate(self.head(features).float(), scale_factor=2.0, mode="bilinear", align_corners=False)
        # Without a limit a few directions would become certain, and the likelihood infinite.
        uneven = _MOST_UNEVEN * torch.tanh(found[:, 3:] / _MOST_UNEVEN)
        return Displacement(_UNIT * found[:, :2], (found[:, 2] + 1.0).clamp(*_LOG_SPREAD), uneven)


class SurfaceHead(nn.Module):
    """Which point of the body each pixel of the photo shows.

    Nothing but a second lesson: a network that must tell it learns to read the photo rather than outlines alone.
    """

    def __init__(self, config: NetworkConfig = NetworkConfig()) -> None:
        super().__init__()
        self.head = nn.Conv2d(config.widths[0], 4, 3, padding=1)

    def forward(self, features: Float[Tensor, "people width half half"]) -> Float[Tensor, "people 4 half half"]:
        """Place in the T-pose as a colour, and the logit of showing the person at all."""
        return self.head(features).float()


@lru_cache(maxsize=4)
def made_quick(network: DisplacementNet, half: bool) -> DisplacementNet:
    """The same network with its normalisations folded into the convolutions; it can no longer be trained.

    Args:
        network: Ready to predict.
        half: Whether its convolutions shall work in bfloat16, all but the last.
    """
    quick = deepcopy(network).eval()
    for module in list(quick.modules()):
        children = list(module.named_children())
        for (name, first), (other, second) in pairwise(children):
            if isinstance(first, nn.Conv2d) and isinstance(second, nn.BatchNorm2d):
                setattr(module, name, fuse_conv_bn_eval(first, second))
                setattr(module, other, nn.Identity())
    if half:
        quick.down.to(torch.bfloat16)
        quick.up.to(torch.bfloat16)
    return quick.requires_grad_(False)


def grow(network: DisplacementNet, config: NetworkConfig) -> DisplacementNet:
    """Add residual blocks; the result predicts what ``network`` does until it is trained.

    Args:
        network: Where to start.
        config: The same widths, and at least as many blocks at each resolution.

    Raises:
        ValueError: If it is not.
    """
    had = network.config
    if had.widths != config.widths or any(new < old for new, old in zip(config.blocks, had.blocks, strict=True)):
        raise ValueError(
            f"The weights to start from have widths {had.widths} and blocks {had.blocks}; "
            f"give the same widths and no fewer blocks, not {config.widths} and {config.blocks}."
        )
    grown = DisplacementNet(config)
    grown.load_state_dict(network.state_dict(), strict=False)
    # A block whose last scale is 0 passes its input on.
    with torch.no_grad():
        for level, blocks in zip(grown.down, had.blocks, strict=True):
            for number in range(1 + blocks, len(list(level.children()))):
                level.get_parameter(f"{number}.norm2.weight").zero_()
    return grown
