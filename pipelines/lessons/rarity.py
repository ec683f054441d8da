"""How rare each pose is among many, so that near-identical ones can be drawn less often."""

import math

import torch
from jaxtyping import Float
from torch import Tensor

ALIKE = math.radians(12.0)
"""Mean turn of the joints up to which two poses count as the same."""
_ROWS = 1024


def rarity(poses: Float[Tensor, "people joints 3 3"], alike: float = ALIKE) -> Float[Tensor, "people"]:
    """One over the number of people with nearly the same pose, each counting as one of them.

    People drawn by these weights come as if each group of near-identical ones were one person.

    Args:
        poses: Local rotations without the root, so that the direction of view does not count.
        alike: Mean turn between two poses, radians, up to which they count as the same.
    """
    flat, joints = poses.flatten(1), poses.shape[1]
    # The trace of R'S is 1 + 2 cos of the turn between R and S; its sum over joints is a dot product.
    least = joints * (1.0 + 2.0 * math.cos(alike))
    counts = [(rows @ flat.mT >= least).sum(1) for rows in flat.split(_ROWS)]
    return 1.0 / torch.cat(counts).clamp_min(1)
