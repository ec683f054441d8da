"""Changes to training crops that change no truth: colours, and things in front of people.

What does change the truth with it (flip, turn, size of the crop) is another view of the person, made where bodies and
keypoints are at hand.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor


@dataclass(frozen=True)
class PixelAugmentation:
    """How crops are changed."""

    channel_noise: float = 0.4
    """Each colour channel is multiplied by 1 plus or minus up to this (SPIN)."""
    grain: float = 0.02
    """Largest standard deviation of the noise added to every pixel; pixels are in [0, 1]."""
    occlusion: float = 0.5
    """Chance of a rectangle in front of the person (Pang et al. 2022: the best single augmentation)."""
    occluder_size: tuple[float, float] = (0.15, 0.45)
    """Range of the rectangle's sides, share of the crop."""

    def __post_init__(self) -> None:
        """Refuse what cannot be drawn."""
        low, high = self.occluder_size
        if not (
            0 <= self.channel_noise <= 1 and 0 <= self.occlusion <= 1 and 0 <= low <= high <= 1 and self.grain >= 0
        ):
            raise ValueError(
                "channel_noise, occlusion and occluder_size are shares between 0 and 1 and grain is not negative, got "
                f"{self.channel_noise}, {self.occlusion}, {self.occluder_size} and {self.grain}."
            )


@dataclass(frozen=True)
class Occluders:
    """Rectangles in front of people, in crop coordinates: [-1, 1] across the crop."""

    boxes: Float[Tensor, "people 4"]
    """x y x y; empty boxes (all 0) hide nothing."""

    def hide(self, points: Float[Tensor, "people points 2"]) -> Float[Tensor, "people points"]:
        """1 for points that stay visible, 0 for those behind the rectangle."""
        inside = ((points > self.boxes[:, None, :2]) & (points < self.boxes[:, None, 2:])).all(-1)
        return (~inside).to(points.dtype)

    def masks(self, size: int) -> Float[Tensor, "people size size"]:
        """1 at pixels of the rectangle, for crops of ``size`` pixels."""
        ticks = (torch.arange(size, dtype=self.boxes.dtype) + 0.5) / size * 2.0 - 1.0
        across = (ticks > self.boxes[:, :1]) & (ticks < self.boxes[:, 2:3])
        down = (ticks > self.boxes[:, 1:2]) & (ticks < self.boxes[:, 3:])
        return (down[:, :, None] & across[:, None, :]).to(self.boxes.dtype)


def draw_occluders(people: int, config: PixelAugmentation, generator: torch.Generator) -> Occluders:
    """Draw one rectangle for some of the people, anywhere in the crop."""
    low, high = config.occluder_size
    half = low + (high - low) * torch.rand(people, 2, generator=generator)
    center = 2.0 * torch.rand(people, 2, generator=generator) - 1.0
    some = torch.rand(people, 1, generator=generator) < config.occlusion
    return Occluders(torch.where(some, torch.cat([center - half, center + half], -1), 0.0))


def augment_pixels(
    crops: Float[Tensor, "people 3 size size"],
    occluders: Occluders,
    config: PixelAugmentation,
    generator: torch.Generator,
) -> Float[Tensor, "people 3 size size"]:
    """Change the colours of crops and put the occluders in front.

    Args:
        crops: RGB in [0, 1]; left untouched.
        occluders: Filled with another person's crop, so that their texture is that of photos.
        config: How much.
        generator: Source of randomness, on the CPU.
    """
    people = len(crops)
    gains = 1.0 + config.channel_noise * (2.0 * torch.rand(people, 3, 1, 1, generator=generator) - 1.0)
    filling = crops.roll(1, 0).flip(-2)
    mask = occluders.masks(crops.shape[-1])[:, None].to(crops.device)
    covered = crops * (1.0 - mask) + filling * mask
    strength = config.grain * torch.rand(people, 1, 1, 1, generator=generator)
    grain = strength * torch.randn(crops.shape, generator=generator)
    return (covered * gains.to(crops.device) + grain.to(crops.device)).clamp(0.0, 1.0)
