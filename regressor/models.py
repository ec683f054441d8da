"""Which networks there are, described by one record that travels with their weights."""

from dataclasses import dataclass, field
from typing import Literal, get_args

from torch import nn

from fitloop.regressor.hmr import HMR, HeadConfig
from fitloop.regressor.keypoint_encoder import KeypointEncoder
from fitloop.regressor.proxy import ProxyEncoder
from fitloop.regressor.resnet import ResNet

EncoderKind = Literal["keypoints", "resnet50", "resnet18", "proxy"]


@dataclass(frozen=True)
class HMRConfig:
    """A network: its encoder, its head and how its camera is read."""

    encoder: EncoderKind = "keypoints"
    """``keypoints``: 2D keypoints and 3D landmarks; ``resnet50``, ``resnet18``: RGB crops; ``proxy``: edges, joint heat
    maps and silhouette beside the keypoints."""
    width: int = 1024
    """Of the keypoints encoder's layers, or channels of the first stage of a ResNet (64 as published)."""
    blocks: int = 3
    """Residual blocks of the keypoints encoder."""
    keypoints_width: int = 768
    """Of the keypoints encoder inside ``proxy``."""
    image_size: int = 224
    """Side of the crop in pixels, for encoders of images."""
    head: HeadConfig = field(default_factory=HeadConfig)
    """The iterative head."""
    camera_point: Literal["pelvis", "origin"] = "pelvis"
    """What the weak camera places: the pelvis, or as in SPIN the origin of the body's own frame."""

    def __post_init__(self) -> None:
        """Refuse what cannot be built, or would fill the memory."""
        if self.encoder not in get_args(EncoderKind):
            raise ValueError(f"There is no encoder {self.encoder!r}; known: {', '.join(get_args(EncoderKind))}.")
        for name, low, high in (
            *(("width", 1, 8192), ("keypoints_width", 1, 8192)),
            *(("blocks", 1, 64), ("image_size", 32, 2048)),
        ):
            value = getattr(self, name)
            if not isinstance(value, int) or not low <= value <= high:
                raise ValueError(f"A network needs a whole number between {low} and {high} for {name}, got {value!r}.")
        if self.camera_point not in ("pelvis", "origin"):
            raise ValueError(f"camera_point is 'pelvis' or 'origin', got {self.camera_point!r}.")


def build_hmr(config: HMRConfig) -> HMR:
    """Make a network with fresh weights."""
    return HMR(_encoder(config), config.head)


def _encoder(config: HMRConfig) -> nn.Module:
    match config.encoder:
        case "keypoints":
            return KeypointEncoder(config.width, config.blocks)
        case "resnet50":
            return ResNet(50, 3, config.width)
        case "resnet18":
            return ResNet(18, 3, config.width)
        case "proxy":
            return ProxyEncoder(config.width, KeypointEncoder(config.keypoints_width, config.blocks))
