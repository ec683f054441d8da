"""How firmly a body is held to its start: by one weight for all joints, or by how sure the start is of each."""

from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from fitloop.body.params import NUM_JOINTS
from fitloop.fitting.config import StageConfig
from fitloop.fitting.coordinates import BETAS, POSE, TRANSL


class Held(NamedTuple):
    """Energy, gradient and the root's curvature of what holds a body to its anchor."""

    energy: Tensor
    pose: Tensor
    betas: Tensor
    transl: Tensor
    root: Tensor
    root_curvature: Tensor


def hold_of(stage: StageConfig, betas: int) -> Float[Tensor, "numbers"]:
    """Of each number of a packed body, how much its square counts from the anchor; the root's turn counts apart."""
    hold = torch.zeros(TRANSL.stop + betas)
    hold[POSE] = hold[BETAS] = stage.start_prior**2
    hold[TRANSL] = stage.place_prior**2
    hold[TRANSL.stop - 1] += stage.depth_prior**2
    return hold


class Unknowns(NamedTuple):
    """Where root, pose and shape lie among the unknowns of a stage."""

    size: int
    root: int
    """3 or 0."""
    pose_columns: Tensor
    """Of the 69 pose values, those that are free; they follow the root."""
    betas: int
    """The last ones; 0 where the shape is not free."""


class Grip(NamedTuple):
    """How firmly each row is held to its anchor, where that is not alike in all rows and joints."""

    hold: Float[Tensor, "batch numbers"]
    """Instead of the stage's `hold_of`."""
    turn: Float[Tensor, "batch"]
    """Of the root's turn."""
    diagonal: Float[Tensor, "batch unknowns"]
    """Curvature beyond what the stage's tables have; negative where a row is held less than usual."""

    def take(self, rows: Tensor) -> "Grip":
        """Keep only some rows."""
        return Grip(*(value[rows] for value in self))


def make_grip(
    stage: StageConfig,
    hold: Float[Tensor, "numbers"],
    unknowns: Unknowns,
    spreads: Float[Tensor, "batch parts"] | None,
) -> Grip | None:
    """Hold each joint, and the shape, the firmer the surer the start is of it.

    What a start is off by ``sigma`` is worth ``(start_prior * usual / sigma)^2`` per squared unit: the same Gaussian
    whose reprojection errors have a standard deviation of ``start_prior * usual`` pixels.

    Args:
        stage: Weights.
        hold: `hold_of` the stage.
        unknowns: Of the stage.
        spreads: Standard deviations: root and body joints in radians, then shape. A row with a value that is not a
            positive number is held as if nothing were known. None if nothing is known of any row.
    """
    if spreads is None or stage.start_prior == 0 or stage.usual_turn is None:
        return None
    usual = spreads.new_tensor([stage.usual_turn] * NUM_JOINTS + [stage.usual_shape])
    sound = (torch.isfinite(spreads) & (spreads > 0)).all(-1, keepdim=True)
    factor = (usual / torch.where(sound, spreads, usual)).clamp(1.0 / stage.firmest, stage.firmest).square()
    pose, shape = factor[:, 1:NUM_JOINTS].repeat_interleave(3, dim=1), factor[:, NUM_JOINTS:]
    numbers = factor.new_ones(len(factor), len(hold))
    numbers[:, POSE], numbers[:, BETAS] = pose, shape
    more, curve = factor.new_zeros(len(factor), unknowns.size), 2.0 * stage.start_prior**2
    columns = unknowns.pose_columns
    more[:, unknowns.root : unknowns.root + len(columns)] = curve * (pose[:, columns] - 1.0)
    if unknowns.betas:
        more[:, -unknowns.betas :] = curve * (shape - 1.0)
    return Grip(numbers * hold, stage.start_prior**2 * factor[:, 0], more)
