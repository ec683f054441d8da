"""The vision transformer of ViTPose (Xu et al. 2022) with its parameter names, the backbone of HMR 2.0."""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor, nn


@dataclass(frozen=True)
class VitConfig:
    """Sizes; the defaults are ViT-H's."""

    width: int = 1280
    depth: int = 32
    heads: int = 16
    patch: int = 16
    """Side of a patch in pixels; patches do not overlap, and the crop has a rim of 2 pixels around it."""

    def __post_init__(self) -> None:
        for name, high in (("width", 8192), ("depth", 128), ("heads", 128), ("patch", 64)):
            value = getattr(self, name)
            if not isinstance(value, int) or not 1 <= value <= high:
                raise ValueError(f"A transformer needs a whole number between 1 and {high} for {name}, got {value!r}.")
        if self.width % self.heads:
            raise ValueError(f"The width {self.width} of a transformer must divide by its {self.heads} heads.")


_RIM = 2
"""Pixels of zeros around the crop, as published."""


class _Attention(nn.Module):
    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.qkv = nn.Linear(width, 3 * width)
        self.proj = nn.Linear(width, width)

    def forward(self, tokens: Tensor) -> Tensor:
        query, key, value = self.qkv(tokens).unflatten(-1, (3, self.heads, -1)).permute(2, 0, 3, 1, 4)
        seen = nn.functional.scaled_dot_product_attention(query, key, value)
        return self.proj(seen.transpose(1, 2).flatten(2))


class _Mlp(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.fc1 = nn.Linear(width, 4 * width)
        self.fc2 = nn.Linear(4 * width, width)

    def forward(self, tokens: Tensor) -> Tensor:
        return self.fc2(nn.functional.gelu(self.fc1(tokens)))


class _Block(nn.Module):
    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(width, eps=1e-6)
        self.attn = _Attention(width, heads)
        self.norm2 = nn.LayerNorm(width, eps=1e-6)
        self.mlp = _Mlp(width)

    def forward(self, tokens: Tensor) -> Tensor:
        tokens = tokens + self.attn(self.norm1(tokens))
        return tokens + self.mlp(self.norm2(tokens))


class _PatchEmbed(nn.Module):
    def __init__(self, width: int, patch: int) -> None:
        super().__init__()
        self.proj = nn.Conv2d(3, width, patch, patch, _RIM)

    def forward(self, images: Tensor) -> Tensor:
        return self.proj(images).flatten(2).mT


class VisionTransformer(nn.Module):
    """Crops to one token per patch."""

    def __init__(self, config: VitConfig, crop_size: tuple[int, int]) -> None:
        """Make the layers.

        Args:
            config: Sizes.
            crop_size: Height and width of the crop, pixels.
        """
        super().__init__()
        patches = (crop_size[0] // config.patch) * (crop_size[1] // config.patch)
        self.out_features = config.width
        self.patch_embed = _PatchEmbed(config.width, config.patch)
        # The first row belonged to a class token that ViTPose dropped; its place is added to every patch.
        self.pos_embed = nn.Parameter(torch.zeros(1, patches + 1, config.width))
        self.blocks = nn.ModuleList(_Block(config.width, config.heads) for _ in range(config.depth))
        self.last_norm = nn.LayerNorm(config.width, eps=1e-6)

    def forward(self, images: Float[Tensor, "people 3 height width"]) -> Float[Tensor, "people patches features"]:
        """Encode normalised crops; patches row by row."""
        tokens = self.patch_embed(images) + self.pos_embed[:, 1:] + self.pos_embed[:, :1]
        for block in self.blocks:
            tokens = block(tokens)
        return self.last_norm(tokens)
