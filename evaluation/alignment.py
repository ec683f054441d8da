"""How an estimate may be moved before it is compared: by its root, its scale, or a whole similarity."""

from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor

from fitloop.geometry import align_procrustes

Alignment = Literal["none", "root", "scale", "similarity", "scale-translation"]


def align_root(
    points: Float[Tensor, "*batch points 3"],
    target: Float[Tensor, "*batch points 3"],
    root: Float[Tensor, "*batch 3"],
    target_root: Float[Tensor, "*batch 3"],
) -> tuple[Float[Tensor, "*batch points 3"], Float[Tensor, "*batch points 3"]]:
    """Express both sets relative to their own root joint (the first step of Human3.6M's and 3DPW's protocols).

    Args:
        points: Estimate, any unit.
        target: Truth, same unit.
        root: The estimate's root.
        target_root: The truth's root.
    """
    return points - root[..., None, :], target - target_root[..., None, :]


def align_scale(
    points: Float[Tensor, "*batch points 3"],
    target: Float[Tensor, "*batch points 3"],
    weights: Float[Tensor, "*batch points"] | None = None,
) -> Float[Tensor, "*batch points 3"]:
    """Scale ``points`` about the origin by least squares: ``s = <points, target> / <points, points>``.

    Both sets must be root-centred already. This is N-MPJPE's scale (Rhodin et al. 2018, eq. 8) and ``mmhuman3d``'s
    ``scale`` alignment. A negative scale would be a reflection and becomes 0, as
    does that of points that all lie at the origin.

    Args:
        points: Estimate relative to its root.
        target: Truth relative to its root, same unit.
        weights: Non-negative weight per point, all ones if not given.
    """
    weight = torch.ones_like(points[..., 0]) if weights is None else weights
    # 0 times NaN is NaN: what does not count is taken out before it is weighed.
    known, goal = (torch.where(weight[..., None] > 0, one, 0.0) for one in (points, target))
    # A negative product would need a negative scale, which mirrors the person.
    both = (weight[..., None] * known * goal).sum((-2, -1)).clamp_min(0.0)
    own = (weight[..., None] * known.square()).sum((-2, -1)).clamp_min(torch.finfo(points.dtype).tiny)
    return (both / own)[..., None, None] * points


def align_scale_translation(
    points: Float[Tensor, "*batch points 3"], target: Float[Tensor, "*batch points 3"]
) -> Float[Tensor, "*batch points 3"]:
    """Give ``points`` the centroid and the root-mean-square spread of ``target``.

    The ``SC`` of PVE-SC and PVE-T-SC (Sengupta et al. 2020, STRAPS). Unlike `align_scale` the scale is the ratio of the
    two spreads, so it does not shrink when the poses differ.

    Args:
        points: Estimate, any unit.
        target: Truth, same unit.
    """
    # The ratio of spreads ignores how the two are turned, so that a wrong pose cannot shrink the scale.
    mean, goal = points.mean(-2, keepdim=True), target.mean(-2, keepdim=True)
    spread = (points - mean).square().sum((-2, -1)).clamp_min(1e-12)
    wanted = (target - goal).square().sum((-2, -1))
    return (wanted / spread).sqrt()[..., None, None] * (points - mean) + goal


def align_similarity(
    points: Float[Tensor, "*batch points 3"],
    target: Float[Tensor, "*batch points 3"],
    weights: Float[Tensor, "*batch points"] | None = None,
) -> Float[Tensor, "*batch points 3"]:
    """Best scale, rotation (never a reflection) and translation: the ``PA`` of PA-MPJPE ("reconstruction error")."""
    return align_procrustes(points, target, weights)
