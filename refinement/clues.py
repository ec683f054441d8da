"""What one look at a photo told of each person, as the correction network is given it: straight and in a mirror."""

from dataclasses import dataclass, replace

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn.functional import grid_sample

from fitloop.body import Body, BodyEstimate
from fitloop.body.mirror import MIRRORED_JOINTS, mirror_params
from fitloop.body.model import forward_kinematics
from fitloop.geometry import Crop, TensorRecord, project
from fitloop.refinement.look import Glance, Look, gather_evidence, see
from fitloop.refinement.network import DisplacementNet, made_quick

_FARTHEST = 64.0
"""Crop pixels; longer displacements count as this long."""


@dataclass(frozen=True)
class Clues(TensorRecord):
    """What one look at a photo told of each person, and where the look was."""

    features: Float[Tensor, "people joints channels"]
    """Of the displacement network at all its resolutions, coarsest first, where the joints are drawn."""
    summary: Float[Tensor, "people deepest"]
    """Mean of its coarsest features."""
    moved: Float[Tensor, "people points 2"]
    """From where each point of the surface is drawn to where it was seen, crop pixels; 0 where it was not."""
    confidence: Float[Tensor, "people points"]
    metric: Float[Tensor, "people points 3"]
    """xx, xy and yy of the evidence's metric."""
    silhouette: Float[Tensor, "people 2"]
    """Whether there is one, and its overlap (IoU) with the drawn body."""
    crop: Crop


def read_clues(body: Body, network: DisplacementNet, look: Look, estimate: BodyEstimate, half: bool = False) -> Clues:
    """Show a look to the displacement network, once and straight, and keep what the correction network uses.

    Args:
        body: The body model.
        network: From `load_network`.
        look: Of the estimate.
        estimate: The bodies that were drawn.
        half: Run the network in bfloat16, which is quicker where a processor has it; good enough to learn from.
    """
    network = made_quick(network, half=True) if half else network
    return clues_of(body, look, estimate, see(body, network, look, twice=False).straight)


@torch.no_grad()
def clues_of(body: Body, look: Look, estimate: BodyEstimate, glance: Glance, mirrored: bool = False) -> Clues:
    """Keep what the correction network uses of what the displacement network made of a look.

    Args:
        body: The body model.
        look: Of the estimate.
        estimate: The bodies that were drawn.
        glance: From `see`.
        mirrored: Whether it is the glance in the mirror; the clues are then those about `mirrored_estimate`.
    """
    evidence = gather_evidence(body, look, glance.displacement, mirrored=mirrored)
    # A joint beside the crop reads the features at the border, which is nearest to it; one far away is noise.
    params, crop = estimate.params, look.crop
    _, joints = forward_kinematics(params.rotations, body.rest_joints(params.betas))
    joints = joints + params.transl[:, None]
    side = crop.side[:, None, None]
    grid = (2.0 * (project(joints, estimate.camera) - crop.center[:, None]) / side).clamp(-1.2, 1.2)
    drawn = project(look.drawn.vertices[:, list(evidence.vertices)], estimate.camera)
    moved = (evidence.targets - drawn) / side * look.photo.shape[-1]
    moved = torch.where(evidence.confidence[..., None] > 0, moved, 0.0).clamp(-_FARTHEST, _FARTHEST)
    metric = evidence.metric
    if metric is None:
        metric = torch.eye(2, dtype=moved.dtype, device=moved.device).expand(*moved.shape, 2)
    metric = metric.flatten(-2)[..., [0, 1, 3]]
    if mirrored:
        across = grid.new_tensor([-1.0, 1.0])
        grid, moved = grid[:, MIRRORED_JOINTS] * across, moved * across
        metric = metric * metric.new_tensor([1.0, -1.0, 1.0])
        crop = replace(crop, center=crop.center * across)
    features = [
        grid_sample(one, grid[:, None], padding_mode="border", align_corners=False)[:, :, 0] for one in glance.levels
    ]
    return Clues(
        torch.cat(features, 1).transpose(1, 2),
        glance.levels[0].mean((2, 3)),
        moved,
        evidence.confidence,
        metric,
        _overlap(look),
        crop,
    )


def _overlap(look: Look) -> Float[Tensor, "people 2"]:
    covered, shown = look.drawn.fragments.covered & look.inside, look.silhouette > 0.5
    shared = (covered & shown).flatten(1).sum(-1) / (covered | shown).flatten(1).sum(-1).clamp_min(1)
    return torch.stack([shown.flatten(1).any(-1).to(shared.dtype), shared], -1)


def mirrored_estimate(body: Body, estimate: BodyEstimate) -> BodyEstimate:
    """Bodies in a mirror, in a picture whose pixels count from right to left."""
    middle = estimate.camera.principal_point
    camera = replace(estimate.camera, principal_point=middle * middle.new_tensor([-1.0, 1.0]))
    return replace(estimate, params=mirror_params(estimate.params, body), camera=camera)
