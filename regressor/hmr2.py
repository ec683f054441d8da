"""HMR 2.0 (Goel et al. 2023): a vision transformer and a transformer decoder that asks it for one person."""

from dataclasses import dataclass, field
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from fitloop.body import JOINT_NAMES
from fitloop.geometry.rotations import rot6d_to_rotmat
from fitloop.regressor.hmr import HMR, POSE_NUMBERS, HMROutput, rest_pose
from fitloop.regressor.vit import VisionTransformer, VitConfig

RELEASED_NAMES = {
    "backbone.": "encoder.",
    "smpl_head.init_body_pose": "head.init_pose",
    "smpl_head.init_betas": "head.init_shape",
    "smpl_head.": "head.",
}
"""From the names in HMR 2.0's checkpoint to ours; the first that fits counts."""
LEFT_OUT = ("discriminator.", "smpl.")
"""What the checkpoint holds beside the network: the adversary of its training, and the body model."""


@dataclass(frozen=True)
class HMR2Config:
    """Sizes; the defaults are those of the released network."""

    vit: VitConfig = field(default_factory=VitConfig)
    width: int = 1024
    """Of the decoder's token."""
    depth: int = 6
    heads: int = 8
    head_width: int = 64
    hidden: int = 1024
    """Of the decoder's feed-forward layers."""

    def __post_init__(self) -> None:
        for name in ("width", "depth", "heads", "head_width", "hidden"):
            value = getattr(self, name)
            if not isinstance(value, int) or not 1 <= value <= 8192:
                raise ValueError(f"The decoder needs a whole number between 1 and 8192 for {name}, got {value!r}.")


class _Before(nn.Module):
    """Normalises what a layer is given; the names are those of the checkpoint."""

    def __init__(self, width: int, layer: nn.Module) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(width)
        self.fn = layer

    def forward(self, token: Tensor, *rest: Tensor) -> Tensor:
        return self.fn(self.norm(token), *rest)


def _attend(query: Tensor, key: Tensor, value: Tensor, heads: int) -> Tensor:
    query, key, value = (tensor.unflatten(-1, (heads, -1)).transpose(1, 2) for tensor in (query, key, value))
    return nn.functional.scaled_dot_product_attention(query, key, value).transpose(1, 2).flatten(2)


class _SelfAttention(nn.Module):
    def __init__(self, config: HMR2Config) -> None:
        super().__init__()
        inner, self.heads = config.heads * config.head_width, config.heads
        self.to_qkv = nn.Linear(config.width, 3 * inner, bias=False)
        self.to_out = nn.Sequential(nn.Linear(inner, config.width))

    def forward(self, token: Tensor) -> Tensor:
        query, key, value = self.to_qkv(token).chunk(3, dim=-1)
        return self.to_out(_attend(query, key, value, self.heads))


class _CrossAttention(nn.Module):
    def __init__(self, config: HMR2Config) -> None:
        super().__init__()
        inner, self.heads = config.heads * config.head_width, config.heads
        self.to_kv = nn.Linear(config.vit.width, 2 * inner, bias=False)
        self.to_q = nn.Linear(config.width, inner, bias=False)
        self.to_out = nn.Sequential(nn.Linear(inner, config.width))

    def forward(self, token: Tensor, context: Tensor) -> Tensor:
        key, value = self.to_kv(context).chunk(2, dim=-1)
        return self.to_out(_attend(self.to_q(token), key, value, self.heads))


class _FeedForward(nn.Module):
    def __init__(self, width: int, hidden: int) -> None:
        super().__init__()
        # The places 1 and 2 are the activation and a dropout, which have no weights: the second layer is number 3.
        layers = [nn.Linear(width, hidden), nn.GELU(), nn.Identity(), nn.Linear(hidden, width)]
        self.net = nn.Sequential(*layers)

    def forward(self, token: Tensor) -> Tensor:
        return self.net(token)


class _Layers(nn.Module):
    def __init__(self, config: HMR2Config) -> None:
        super().__init__()
        kinds = (_SelfAttention, _CrossAttention)
        self.layers = nn.ModuleList(
            nn.ModuleList(
                [
                    *(_Before(config.width, kind(config)) for kind in kinds),
                    _Before(config.width, _FeedForward(config.width, config.hidden)),
                ]
            )
            for _ in range(config.depth)
        )

    def forward(self, token: Tensor, context: Tensor) -> Tensor:
        for group in self.layers:
            to_itself, to_patches, forward = group.children()
            token = token + to_itself(token)
            token = token + to_patches(token, context)
            token = token + forward(token)
        return token


class _Decoder(nn.Module):
    def __init__(self, config: HMR2Config) -> None:
        super().__init__()
        self.to_token_embedding = nn.Linear(1, config.width)
        self.pos_embedding = nn.Parameter(torch.zeros(1, 1, config.width))
        self.transformer = _Layers(config)

    def forward(self, context: Tensor) -> Tensor:
        asked = self.to_token_embedding(context.new_zeros(len(context), 1, 1)) + self.pos_embedding
        return self.transformer(asked, context)[:, 0]


class TransformerHead(nn.Module):
    """One token, empty at first, looks at all patches; what it becomes says how the person departs from the mean."""

    init_pose: Tensor
    init_shape: Tensor
    init_cam: Tensor

    def __init__(self, config: HMR2Config, num_betas: int = 10) -> None:
        """Make the layers, with an upright T-pose as the mean person until better is loaded."""
        super().__init__()
        self.transformer = _Decoder(config)
        self.decpose = nn.Linear(config.width, POSE_NUMBERS)
        self.decshape = nn.Linear(config.width, num_betas)
        self.deccam = nn.Linear(config.width, 3)
        self.register_buffer("init_pose", rest_pose((1.0, 1.0, 1.0), "block"))
        self.register_buffer("init_shape", torch.zeros(1, num_betas))
        self.register_buffer("init_cam", torch.tensor([[0.9, 0.0, 0.0]]))

    def forward(self, patches: Float[Tensor, "people patches features"]) -> HMROutput:
        """Regress from the backbone's tokens."""
        token = self.transformer(patches)
        six = (self.decpose(token) + self.init_pose).unflatten(-1, (len(JOINT_NAMES), 6))
        weak = self.deccam(token) + self.init_cam
        return HMROutput(rot6d_to_rotmat(six, "block"), self.decshape(token) + self.init_shape, weak)


class HMR2(HMR):
    """Backbone and decoder; takes and answers what `HMR` does."""

    def __init__(self, config: HMR2Config, crop_size: tuple[int, int]) -> None:
        """Make the layers.

        Args:
            config: Sizes.
            crop_size: Height and width of the crop, pixels.
        """
        nn.Module.__init__(self)
        self.encoder = VisionTransformer(config.vit, crop_size)
        self.head = TransformerHead(config)  # pyright: ignore[reportAttributeAccessIssue, reportIncompatibleVariableOverride]

    def forward(self, inputs: Any, extra: Float[Tensor, "people extra"] | None = None) -> HMROutput:
        """Regress people from normalised crops; there are no extra inputs."""
        del extra
        return self.head(self.encoder(inputs))


def our_names(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """Rename the released network's tensors; what is no part of the network is left out."""
    renamed = {}
    for name, tensor in tensors.items():
        if name.startswith(LEFT_OUT):
            continue
        released = next((prefix for prefix in RELEASED_NAMES if name.startswith(prefix)), "")
        renamed[RELEASED_NAMES.get(released, "") + name.removeprefix(released)] = tensor
    return renamed
