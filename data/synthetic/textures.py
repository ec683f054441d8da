"""Textures of a scene in one flat array, each as a pyramid, so that compiled loops can look any of them up."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import PIL.Image
from jaxtyping import Int, UInt8

LEVELS = 5
"""Each texture is kept at its full size, a half, a quarter, an eighth and a sixteenth."""


@dataclass(frozen=True)
class TexturePool:
    """RGBA textures, sRGB, 8 bits."""

    texels: UInt8[np.ndarray, "texels 4"]
    """All levels of all textures, row by row, the top row first."""
    starts: Int[np.ndarray, "textures levels"]
    """First texel of each level."""
    sides: Int[np.ndarray, "textures levels"]
    """Side of each level; all textures are square."""
    names: tuple[str, ...]
    has_alpha: tuple[bool, ...]
    """Whether a texture has holes or soft edges."""

    def index(self, name: str) -> int:
        """Position of a texture."""
        return self.names.index(name)

    def level(self, texture: int, texels_per_pixel: float) -> int:
        """Level at which a pixel is about as wide as a texel."""
        if texels_per_pixel <= 1.0:
            return 0
        return min(LEVELS - 1, round(float(np.log2(texels_per_pixel))))


def pool_textures(pictures: dict[str, PIL.Image.Image], side: int) -> TexturePool:
    """Lay textures into one array.

    Args:
        pictures: By name; made square.
        side: Texels along the finest level, at most; smaller pictures keep their size.
    """
    blocks: list[np.ndarray] = []
    starts, sides = np.zeros((len(pictures), LEVELS), np.int64), np.zeros((len(pictures), LEVELS), np.int64)
    offset, alpha = 0, []
    for row, picture in enumerate(pictures.values()):
        own = min(side, picture.width)
        full = picture.convert("RGBA").resize((own, own), PIL.Image.Resampling.BOX)
        alpha.append(bool((np.asarray(full)[..., 3] < 128).mean() > 0.002))
        for level in range(LEVELS):
            width = max(own >> level, 1)
            texels = np.asarray(_shrink(full, width)).reshape(-1, 4)
            starts[row, level], sides[row, level] = offset, width
            offset += len(texels)
            blocks.append(texels)
    return TexturePool(np.concatenate(blocks), starts, sides, tuple(pictures), tuple(alpha))


def _shrink(picture: PIL.Image.Image, side: int) -> PIL.Image.Image:
    # Pillow weighs colours by their alpha, so holes do not darken the edges around them.
    return picture if picture.size == (side, side) else picture.resize((side, side), PIL.Image.Resampling.BOX)


def open_texture(path: Path) -> PIL.Image.Image:
    """Read a texture.

    Raises:
        FileNotFoundError: If it is missing; says what the folder should be.
    """
    if not path.is_file():
        raise FileNotFoundError(f"{path} is missing; give the folder of assets that docs/synthetic.md describes.")
    with PIL.Image.open(path) as picture:
        return picture.convert("RGBA")
