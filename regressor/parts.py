"""Neural Body Fitting (Omran et al. 2018): a photo becomes coloured parts, and these alone become a body.

`PartNet` tells which of 24 parts each pixel of a crop shows. `PartsEncoder` sees nothing but its answer, or a true map.
"""

import json
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from jaxtyping import Float, Int
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from fitloop.body import JOINT_NAMES
from fitloop.body.files import whole_file
from fitloop.body.part_maps import NOBODY, PART_GROUPS, check_labels, group_parts
from fitloop.geometry import TensorRecord
from fitloop.regressor.proxy import PROXY_JOINTS
from fitloop.regressor.resnet import BasicBlock, ResNet
from fitloop.regressor.state_dicts import check_fit, load_strictly

FORMAT = "fitloop-parts"
COLORS = 6
"""Channels that each part is painted with; NBF paints in RGB, here the colours are learned."""


@dataclass(frozen=True)
class PartNetConfig:
    """Size of the segmentation network."""

    widths: tuple[int, ...] = (24, 48, 96, 128)
    """Channels at half the crop's resolution, a quarter, an eighth and so on."""
    image_size: int = 96
    """Side of the crop that it reads, pixels."""

    def __post_init__(self) -> None:
        """Refuse what cannot be built, or would fill the memory."""
        if not (2 <= len(self.widths) <= 6 and all(isinstance(n, int) and 1 <= n <= 1024 for n in self.widths)):
            raise ValueError(f"widths are two to six whole numbers between 1 and 1024, got {self.widths}.")
        step = 2 ** len(self.widths)
        if not 32 <= self.image_size <= 1024 or self.image_size % step:
            raise ValueError(
                f"The side of the crop lies between 32 and 1024 pixels and is a multiple of {step}, "
                f"got {self.image_size}."
            )


class PartNet(nn.Module):
    """A U-Net (Ronneberger et al. 2015) of residual blocks, from half the crop's resolution down and up again."""

    def __init__(self, config: PartNetConfig = PartNetConfig()) -> None:
        """Make the layers.

        Args:
            config: Sizes.
        """
        super().__init__()
        self.config = config
        widths = config.widths
        self.stem = _convolution(3, widths[0], size=5, stride=2)
        pairs = list(zip(widths, widths[1:], strict=False))
        self.down = nn.ModuleList(nn.Sequential(BasicBlock(a, b, 2), BasicBlock(b, b, 1)) for a, b in pairs)
        self.up = nn.ModuleList(_convolution(a + b, a) for a, b in reversed(pairs))
        self.tell = nn.Conv2d(widths[0], 1 + len(JOINT_NAMES), 1)

    def forward(self, crops: Float[Tensor, "people 3 size size"]) -> Float[Tensor, "people labels size size"]:
        """Scores of nobody, then of each of the 24 parts.

        Args:
            crops: Normalised RGB (`fitloop.regressor.resnet.normalize_rgb`).
        """
        seen = [self.stem(crops.contiguous(memory_format=torch.channels_last))]
        for stage in self.down:
            seen.append(stage(seen[-1]))
        found = seen.pop()
        for stage in self.up:
            finer = seen.pop()
            found = stage(torch.cat([finer, nn.functional.interpolate(found, finer.shape[-2:])], 1))
        return nn.functional.interpolate(self.tell(found), crops.shape[-2:], mode="bilinear", align_corners=False)

    def labels(self, crops: Float[Tensor, "people 3 size size"]) -> Int[Tensor, "people size size"]:
        """The likeliest label of each pixel, as `fitloop.body.part_maps` counts them."""
        return self(crops).argmax(1) + NOBODY


def _convolution(channels: int, width: int, size: int = 3, stride: int = 1) -> nn.Sequential:
    layer = nn.Conv2d(channels, width, size, stride, size // 2, bias=False)
    return nn.Sequential(layer, nn.BatchNorm2d(width), nn.ReLU())


@dataclass(frozen=True)
class PartInputs(TensorRecord):
    """What the encoder reads of each person: a part map, or a photo in which to find one, and joints if it asks."""

    labels: Int[Tensor, "people size size"] | None = None
    """Labels of `fitloop.body.part_maps`."""
    crops: Float[Tensor, "people 3 side side"] | None = None
    """Normalised RGB at the segmentation network's size, where there is no part map."""
    joints: Float[Tensor, "people joints size size"] | None = None
    """Heat maps of `PROXY_JOINTS`."""


class PartsEncoder(nn.Module):
    """A ResNet-18 on coloured parts, or on heat maps of joints, or on both."""

    def __init__(self, parts: int, joints: bool, size: int, width: int, segmenter: PartNetConfig | None = None) -> None:
        """Make the layers.

        Args:
            parts: How many parts are told apart, a key of `PART_GROUPS`; 0 for none.
            joints: Whether heat maps are read, too.
            size: Side of the maps, pixels.
            width: Channels of the ResNet's first stage; 64 as published.
            segmenter: Of the network that finds parts in photos; None for an encoder that is given part maps.
        """
        super().__init__()
        self.parts, self.joints, self.size = parts, joints, size
        self.colors = nn.Conv2d(parts + len(PROXY_JOINTS) * joints, COLORS, 1)
        self.maps = ResNet(18, COLORS, width)
        self.out_features = self.maps.out_features
        self.segmenter = None if segmenter is None else PartNet(segmenter).eval().requires_grad_(False)

    def forward(self, inputs: PartInputs) -> Float[Tensor, "people features"]:
        """Encode people.

        Raises:
            ValueError: If what the encoder reads is missing, of another size, or holds unknown labels.
        """
        channels: list[Tensor] = []
        if self.parts:
            channels.append(part_channels(self._part_map(inputs), self.parts))
        if self.joints:
            if inputs.joints is None:
                raise ValueError("These weights read heat maps of joints beside the parts; give both.")
            channels.append(inputs.joints)
        painted = self.colors(torch.cat(channels, 1))
        return self.maps(painted.contiguous(memory_format=torch.channels_last))

    def train(self, mode: bool = True) -> "PartsEncoder":
        """Switch all but the segmentation network, whose statistics stay as it learned them."""
        super().train(mode)
        if self.segmenter is not None:
            self.segmenter.eval()
        return self

    def _part_map(self, inputs: PartInputs) -> Tensor:
        labels = inputs.labels
        if labels is None:
            return self._found(inputs.crops)
        if tuple(labels.shape[-2:]) != (self.size, self.size):
            found = " x ".join(map(str, labels.shape[-2:]))
            raise ValueError(f"The part map is {found} pixels, these weights read {self.size} x {self.size}.")
        check_labels(labels)
        return labels

    @torch.no_grad()
    def _found(self, crops: Tensor | None) -> Tensor:
        if crops is None or self.segmenter is None:
            raise ValueError(
                "These weights read part maps, and there are none; give PartInputs.labels, or train with --segmenter "
                "so that parts are found in photos."
            )
        labels = self.segmenter.labels(crops)
        # Nearest, since labels have no middle.
        return nn.functional.interpolate(labels[:, None].float(), (self.size, self.size))[:, 0].to(torch.int8)


def part_channels(labels: Int[Tensor, "people size size"], parts: int) -> Float[Tensor, "people parts size size"]:
    """A map of 0 and 1 for each part.

    Args:
        labels: Of the 24 parts.
        parts: How many to merge them into.
    """
    grouped = group_parts(labels, parts)
    return (grouped[:, None] == torch.arange(len(PART_GROUPS[parts]), device=labels.device)[:, None, None]).float()


def save_part_net(path: Path, network: PartNet) -> None:
    """Write weights whole or not at all, in half precision."""
    state = {name: tensor.detach().cpu() for name, tensor in network.state_dict().items()}
    tensors = {name: (one.half() if one.is_floating_point() else one).contiguous() for name, one in state.items()}
    with whole_file(path) as temporary:
        save_file(tensors, temporary, {"format": FORMAT, "config": json.dumps(asdict(network.config))})


def load_part_net(path: Path) -> PartNet:
    """Read weights of a segmentation network, ready to predict.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If it is damaged or of another kind.
    """
    if not path.is_file():
        raise FileNotFoundError(f"There are no weights {path}; train some with fitloop train-parts.")
    try:
        with safe_open(path, framework="pt") as file:
            about = file.metadata() or {}
        tensors = {name: one.float() if one.is_floating_point() else one for name, one in load_file(path).items()}
    except (SafetensorError, OSError, ValueError) as error:
        raise ValueError(f"{path} is not a whole safetensors file ({error}); train it again.") from error
    if about.get("format") != FORMAT:
        raise ValueError(f"{path} holds no segmentation of parts but {about.get('format')!r}; see fitloop train-parts.")
    config = part_net_config(json.loads(about["config"]))
    with torch.device("meta"):
        check_fit(PartNet(config), tensors, str(path))
    network = PartNet(config)
    load_strictly(network, tensors, str(path))
    return network.eval().requires_grad_(False)


def part_net_config(tree: dict) -> PartNetConfig:
    """The sizes as a file's header tells them."""
    return PartNetConfig(tuple(tree["widths"]), tree["image_size"])
