"""One shape for all frames of a person."""

import torch
from jaxtyping import Float
from torch import Tensor

from fitloop.fitting.smplify import Fit
from fitloop.fitting.solver import Status


def shared_betas(frames: Fit, confidence: Float[Tensor, "frames keypoints"]) -> Float[Tensor, "betas"]:
    """The median of each shape coefficient over the frames that were fitted, each counted by its sight of the person.

    A median, because a frame in which somebody else's leg was taken for theirs makes a giant or a dwarf of a person.

    Args:
        frames: Each fitted alone; at least one.
        confidence: Of the keypoints, in [0, 1].
    """
    fitted = frames.status < int(Status.NOT_ENOUGH_EVIDENCE)
    betas = frames.estimate.params.betas
    weights = torch.nan_to_num(confidence).square().sum(-1).to(betas) * fitted + 1e-9 * fitted
    order = betas.argsort(dim=0)
    passed = weights[order].cumsum(0)
    middle = (passed >= 0.5 * weights.sum()).to(torch.int64).argmax(0)
    return betas.gather(0, order).gather(0, middle[None])[0]
