"""Which networks there are, described by one record that travels with their weights."""

from dataclasses import dataclass, field, replace
from typing import Literal, get_args

from torch import nn

from fitloop.body.part_maps import PART_GROUPS
from fitloop.regressor.hmr import HMR, HeadConfig
from fitloop.regressor.hmr2 import HMR2, HMR2Config
from fitloop.regressor.keypoint_encoder import KeypointEncoder
from fitloop.regressor.parts import PartNetConfig, PartsEncoder
from fitloop.regressor.proxy import ProxyEncoder
from fitloop.regressor.recipes import RECIPES, InputRecipe, Kind
from fitloop.regressor.resnet import ResNet

EncoderKind = Literal["keypoints", "resnet50", "resnet18", "proxy", "parts", "vit"]


@dataclass(frozen=True)
class HMRConfig:
    """A network: its encoder, its head and how it is fed and read."""

    encoder: EncoderKind = "keypoints"
    """``keypoints``: 2D keypoints and 3D landmarks; ``resnet50``, ``resnet18``: RGB crops; ``proxy``: edges, joint heat
    maps and silhouette beside the keypoints; ``parts``: coloured body parts alone; ``vit``: HMR 2.0's transformers."""
    width: int = 1024
    """Of the keypoints encoder's layers, or channels of the first stage of a ResNet (64 as published)."""
    blocks: int = 3
    """Residual blocks of the keypoints encoder."""
    keypoints_width: int = 768
    """Of the keypoints encoder inside ``proxy``."""
    image_size: int = 224
    """Height of the crop in pixels, for encoders of images."""
    parts: int = 24
    """How many parts ``parts`` tells apart: 1, 3, 6, 12, 24, or 0 for none."""
    part_joints: bool = False
    """Whether ``parts`` reads heat maps of joints, too."""
    segmenter: PartNetConfig | None = None
    """Of the network inside ``parts`` that finds parts in photos; None where part maps are given."""
    head: HeadConfig = field(default_factory=HeadConfig)
    """The iterative head."""
    kind: Kind = "fitloop"
    """Whose way of cutting crops and of reading the answer: ours, SPIN's, CLIFF's or HMR 2.0's."""
    hmr2: HMR2Config | None = None
    """Sizes of HMR 2.0's transformers, which take the place of encoder and head."""
    camera_point: Literal["pelvis", "origin"] | None = None
    """What the weak camera places, where that is not what `kind` says."""

    @property
    def recipe(self) -> InputRecipe:
        """How the network is fed and read."""
        recipe = RECIPES[self.kind]
        return recipe if self.camera_point is None else replace(recipe, camera_point=self.camera_point)

    @property
    def photo_size(self) -> int:
        """Height in pixels of the crop that is cut out of a photo."""
        return self.image_size if self.segmenter is None else self.segmenter.image_size

    @property
    def crop_size(self) -> tuple[int, int]:
        """Height and width of the crop in pixels."""
        return self.image_size, round(self.image_size / self.recipe.aspect)

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
        if self.camera_point not in (None, "pelvis", "origin"):
            raise ValueError(f"camera_point is 'pelvis' or 'origin', got {self.camera_point!r}.")
        if self.kind not in RECIPES:
            raise ValueError(f"There is no kind of network {self.kind!r}; known: {', '.join(RECIPES)}.")
        if self.head.extra_inputs != self.recipe.extra_inputs:
            raise ValueError(
                f"A network of the kind {self.kind!r} takes {self.recipe.extra_inputs} numbers beside the features, "
                f"the head is made for {self.head.extra_inputs}."
            )
        self._check_transformers()
        self._check_parts()
        if self.kind not in ("fitloop", "hmr2") and not self.encoder.startswith("resnet"):
            raise ValueError(f"A network of the kind {self.kind!r} reads RGB crops, the encoder is {self.encoder!r}.")

    def _check_parts(self) -> None:
        if self.parts not in (0, *PART_GROUPS):
            raise ValueError(f"parts is 0 for none or one of {', '.join(map(str, PART_GROUPS))}, got {self.parts}.")
        if not (self.parts or self.part_joints):
            raise ValueError("With parts 0 the encoder 'parts' needs part_joints, or it sees nothing.")
        if self.segmenter is not None and self.encoder != "parts":
            raise ValueError(f"segmenter is for the encoder 'parts', got {self.encoder!r}.")

    def _check_transformers(self) -> None:
        if len({self.encoder == "vit", self.hmr2 is not None, self.kind == "hmr2"}) > 1:
            raise ValueError("The encoder 'vit' is that of networks of the kind 'hmr2', whose sizes stand in hmr2.")


def build_hmr(config: HMRConfig) -> HMR:
    """Make a network with fresh weights."""
    if config.hmr2 is not None:
        return HMR2(config.hmr2, config.crop_size)
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
        case "parts":
            return PartsEncoder(config.parts, config.part_joints, config.image_size, config.width, config.segmenter)
        case "vit":
            raise ValueError("The encoder 'vit' comes with its own head; build the network with build_hmr.")
