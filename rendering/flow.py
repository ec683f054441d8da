"""A picture of where points of bodies were sent."""

import colorsys
from dataclasses import dataclass, fields

import numpy as np
import torch
from jaxtyping import Bool, Float, UInt8
from torch import Tensor
from torch.nn.functional import grid_sample

STRONGEST = 10.0
"""Crop pixels (of 128) of displacement that get the strongest colour."""


@dataclass(frozen=True)
class Flow:
    """How far the drawn points of each body were sent, in its square crop of the photo."""

    offset: Float[Tensor, "people 2 size size"]
    """Crop pixels."""
    shown: Bool[Tensor, "people size size"]
    """Where the body is drawn inside the photo; empty for bodies that were not looked at."""
    center: Float[Tensor, "people 2"]
    """Middle of each crop, full-image pixels."""
    side: Float[Tensor, "people"]
    """Edge of each crop, full-image pixels."""


def draw_flow(pixels: UInt8[np.ndarray, "height width 3"], scale: float, flow: Flow) -> np.ndarray:
    """Colour the bodies by where their points were sent: hue for the direction, strength for the distance.

    Args:
        pixels: The photo, or a copy shrunk by ``scale``.
        scale: Pixels of ``pixels`` per full-image pixel.
        flow: What the first round of refinement predicted.
    """
    picture = torch.from_numpy(pixels.astype(np.float32)).permute(2, 0, 1) / 255.0
    picture = 0.35 + 0.5 * picture.mean(0, keepdim=True).expand(3, -1, -1)
    height, width = pixels.shape[:2]
    # The picture is for people, who look at it on the CPU; flows are small.
    flow = Flow(*(getattr(flow, part.name).cpu() for part in fields(Flow)))
    colors, shown = flow_colors(flow.offset), flow.shown.float()
    for person in flow.shown.flatten(1).any(-1).nonzero()[:, 0].tolist():
        y, x = torch.meshgrid(torch.arange(height) + 0.5, torch.arange(width) + 0.5, indexing="ij")
        grid = 2.0 * (torch.stack([x, y], -1) / scale - flow.center[person]) / flow.side[person]
        layer = torch.cat([colors[person], shown[person : person + 1]])[None]
        drawn = grid_sample(layer, grid[None].to(layer.dtype), mode="nearest", align_corners=False)[0]
        picture = torch.where(drawn[3:] > 0.5, drawn[:3], picture)
    return (255.0 * picture.permute(1, 2, 0)).clamp(0, 255).byte().numpy()


def flow_colors(offset: Float[Tensor, "people 2 size size"]) -> Float[Tensor, "people 3 size size"]:
    """White where nothing moves; hue turns with the direction."""
    wheel = offset.new_tensor([colorsys.hsv_to_rgb(k / 256.0, 1.0, 1.0) for k in range(256)])
    hue = (torch.atan2(offset[:, 1], offset[:, 0]) / (2.0 * torch.pi) * 256.0).long() % 256
    strength = (offset.norm(dim=1, keepdim=True) / STRONGEST).clamp_max(1.0)
    return 1.0 - strength * (1.0 - wheel[hue].permute(0, 3, 1, 2))
