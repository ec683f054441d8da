"""What covers the surface of a body in a mesh file."""

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Int, UInt8
from torch import Tensor


@dataclass(frozen=True)
class Material:
    """What covers a surface: one colour per vertex, or a texture; plain light grey without either."""

    vertex_colors: Float[Tensor, "vertices 3"] | None = None
    """sRGB in [0, 1]."""
    texture: UInt8[np.ndarray, "rows columns 3"] | None = None
    """RGB, row 0 at the top. Needs ``uv`` and ``uv_faces``."""
    uv: Float[Tensor, "texels 2"] | None = None
    """Texture coordinates, (0, 0) bottom left."""
    uv_faces: Int[Tensor, "faces 3"] | None = None
    """Texture coordinate of each face corner."""

    def __post_init__(self) -> None:
        if self.texture is not None and (self.uv is None or self.uv_faces is None):
            raise ValueError("A texture needs uv and uv_faces, which say where on it each face lies.")


def to_bytes(colors: Float[Tensor, "vertices 3"]) -> UInt8[np.ndarray, "vertices 4"]:
    """Colours in [0, 1] as bytes, opaque."""
    levels = (colors.detach().cpu().clamp(0, 1) * 255).round().byte()
    return torch.cat([levels, torch.full_like(levels[:, :1], 255)], dim=1).numpy()
