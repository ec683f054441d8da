"""What displacements cannot tell: how far joints are turned and the shape is wrong, read from the same look at a photo.

A displacement lies in the picture. Where a fit leans the wrong way, or bends a limb towards the camera instead of away
from it, all its points may be drawn in the right place. The correction network sees how the body stands, what the
displacement network saw around each joint, where it would move the surface, and what the fit rests on; it has learned
how fits err, and says how sure it is of its answer.
"""

import math
from dataclasses import dataclass, replace

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn.functional import one_hot

from fitloop.body import JOINT_NAMES, Body, BodyEstimate, BodyParams
from fitloop.body.mirror import MIRRORED_PARTS, mirror_turns
from fitloop.body.model import forward_kinematics
from fitloop.body.spreads import uncertainty_from
from fitloop.geometry import TensorRecord, concatenate, project, rotvec_to_rotmat
from fitloop.refinement.clues import Clues, clues_of, mirrored_estimate
from fitloop.refinement.grounds import Grounds, mirrored_grounds, no_grounds
from fitloop.refinement.look import Look, Sight
from fitloop.refinement.points import spread_points

_UNIT = 8.0
"""Crop pixels that a displacement of 1 means to the network."""
FIRST_SPREAD = 0.3
"""Radians, and units of shape."""
_SLIGHT = 1e-2
"""Numbers that vary less than this are not blown up."""


@dataclass(frozen=True)
class CorrectionInput(TensorRecord):
    """The network's view of bodies and clues."""

    joints: Float[Tensor, "people joints numbers"]
    """Per joint: how it is turned, where it is, what was seen there."""
    whole: Float[Tensor, "people others"]
    """Of the whole person: shape, camera, place, all displacements."""


@dataclass(frozen=True)
class Correction(TensorRecord):
    """Change of pose and shape."""

    turns: Float[Tensor, "people joints 3"]
    """Rotation vectors applied after each joint's local rotation, radians; the root first."""
    betas: Float[Tensor, "people betas"]
    """Added to the shape coefficients."""
    log_spread: Float[Tensor, "people parts"] | None = None
    """Logarithms of how far each corrected rotation, and last the shape, may still be off (`body.spreads`)."""


def correction_input(
    body: Body, estimate: BodyEstimate, clues: Clues, grounds: Grounds | None = None, blind: bool = False
) -> CorrectionInput:
    """Put bodies and clues into numbers that do not depend on the photo's resolution.

    Args:
        body: The body model.
        estimate: The bodies that the clues are about.
        clues: From `read_clues`.
        grounds: What the bodies rest on; nothing is known if not given.
        blind: Leave out what was seen in the photo, for measuring what the body alone tells.
    """
    rests = no_grounds(body, len(estimate.params.betas)) if grounds is None else grounds
    params, camera, crop = estimate.params, estimate.camera, clues.crop
    world, joints = _skeleton(body, params)
    side = crop.side[:, None, None]
    place = 2.0 * (project(joints, camera) - crop.center[:, None]) / side
    local = params.rotations[..., :2].flatten(-2)
    stance = [world.flatten(-2), joints - joints[:, :1], place.clamp(-2.0, 2.0), local]
    moved, sure = clues.moved / _UNIT, clues.confidence[..., None]
    seen = [clues.features, _by_part(body, torch.cat([moved, moved.abs(), clues.metric, sure], -1), clues.confidence)]
    # Angles instead of pixels: a photo of twice the size gives the same numbers.
    width = crop.side[:, None] / camera.focal[:, None]
    slope = (crop.center - camera.principal_point) / camera.focal[:, None]
    far = params.transl / params.transl.new_tensor([1.0, 1.0, 4.0])
    scene = [params.betas, slope, width, width.clamp_min(1e-4).log(), far]
    whole = [clues.summary, clues.silhouette, torch.cat([moved * sure, sure], -1).flatten(1)]
    if blind:
        seen, whole = ([torch.zeros_like(one) for one in group] for group in (seen, whole))
    # Last, so that networks that do not know of them read what comes before.
    seen += [rests.misfit, rests.turned, rests.unsure[:, :-1, None]]
    whole += [rests.reshaped, rests.unsure[:, -1:], rests.known]
    return CorrectionInput(torch.cat(stance + seen, -1), torch.cat(scene + whole, -1))


def _skeleton(body: Body, params: BodyParams) -> tuple[Tensor, Tensor]:
    """Rotation of each joint in the camera frame, and its place."""
    world, joints = forward_kinematics(params.rotations, body.rest_joints(params.betas))
    return world, joints + params.transl[:, None]


def _by_part(body: Body, values: Float[Tensor, "people points numbers"], weight: Tensor) -> Tensor:
    """Weighted means over the points of each joint's part of the body, and how much weight there was."""
    vertices = list(spread_points(body, weight.shape[1]).vertices)
    part = one_hot(body.vertex_parts[vertices], len(JOINT_NAMES)).to(values.dtype)
    share = weight[:, None] * part.T
    total = share.sum(-1, keepdim=True)
    return torch.cat([share @ values / total.clamp_min(0.1), total / 10.0], -1)


@dataclass(frozen=True)
class CorrectionConfig:
    """Size of the correction network, and whose shape it knows."""

    body: str = "open-1"
    """Name of the body: shape coefficients mean something else in others."""
    joint_numbers: int = 549
    """Numbers per joint that it reads, the first ones of those that there are."""
    whole_numbers: int = 1425
    """Numbers per person, likewise."""
    betas: int = 10
    width: int = 192
    layers: int = 4
    heads: int = 8
    uncertainty: int = 64
    """Width of the layer that tells how sure it is; 0 if it does not say."""


class SpreadOfTokens(nn.Module):
    """Tells how far each corrected rotation and the shape may be off."""

    temperature: Tensor

    def __init__(self, width: int, hidden: int) -> None:
        """Make the layers; before any training every part may be off by `FIRST_SPREAD`.

        Args:
            width: Of the tokens.
            hidden: Of the layer between.
        """
        super().__init__()
        self.expand, self.contract = nn.Linear(width, hidden), nn.Linear(hidden, 1)
        nn.init.zeros_(self.contract.weight)
        nn.init.zeros_(self.contract.bias)
        # Joints differ more in this than what is seen of each can tell.
        self.usual = nn.Parameter(torch.full((len(JOINT_NAMES) + 1,), math.log(FIRST_SPREAD)))
        self.register_buffer("temperature", torch.zeros(len(JOINT_NAMES) + 1))

    def forward(self, tokens: Tensor) -> Float[Tensor, "people parts"]:
        """Logarithms of the spreads: joints, then the shape."""
        told = self.contract(nn.functional.gelu(self.expand(tokens))).float()[..., 0].roll(-1, -1)
        return (told + self.usual).clamp(-6.0, 2.0) + self.temperature


class CorrectionNet(nn.Module):
    """A transformer over the joints and the whole person (Vaswani et al. 2017, normalised before each block)."""

    def __init__(self, config: CorrectionConfig = CorrectionConfig()) -> None:
        super().__init__()
        self.config = config
        width = config.width
        self.joint = nn.Linear(config.joint_numbers, width)
        self.name = nn.Parameter(0.02 * torch.randn(len(JOINT_NAMES), width))
        self.whole = nn.Sequential(nn.Linear(config.whole_numbers, 256), nn.GELU(), nn.Linear(256, width))
        block = nn.TransformerEncoderLayer(
            width, config.heads, 2 * width, 0.0, "gelu", batch_first=True, norm_first=True
        )
        self.blocks = nn.TransformerEncoder(block, config.layers, enable_nested_tensor=False)
        self.norm = nn.LayerNorm(width)
        self.turn, self.shape = nn.Linear(width, 3), nn.Linear(width, config.betas)
        self.spread = SpreadOfTokens(width, config.uncertainty) if config.uncertainty else None
        for name, count in (("joint", config.joint_numbers), ("whole", config.whole_numbers)):
            self.register_buffer(f"{name}_mean", torch.zeros(count))
            self.register_buffer(f"{name}_scale", torch.ones(count))
        # A fresh network changes nothing, so that training starts from the fit as it is.
        with torch.no_grad():
            for head in (self.turn, self.shape):
                head.weight.zero_()
                head.bias.zero_()

    def forward(self, seen: CorrectionInput) -> Correction:
        """Predict; a fresh network changes nothing.

        Args:
            seen: From `correction_input`.
        """
        tokens = torch.cat([self.whole(self._even(seen.whole, "whole"))[:, None], self._joints(seen)], 1)
        tokens = self.norm(self.blocks(tokens).float())
        # The answer is taught by its own losses: it must not get worse to be rightly doubted.
        told = None if self.spread is None else self.spread(tokens.detach())
        return Correction(0.5 * self.turn(tokens[:, 1:]).float(), self.shape(tokens[:, 0]).float(), told)

    def _joints(self, seen: CorrectionInput) -> Tensor:
        return self.joint(self._even(seen.joints, "joint")) + self.name

    def _even(self, values: Tensor, name: str) -> Tensor:
        # Numbers beyond what training saw would be extrapolated into bent bodies.
        mean, scale = self.get_buffer(f"{name}_mean"), self.get_buffer(f"{name}_scale")
        return ((values[..., : len(mean)].float() - mean) / scale).clamp(-6.0, 6.0)

    @torch.no_grad()
    def even_out(self, seen: CorrectionInput) -> None:
        """Take mean and spread of the inputs from examples, before training.

        Args:
            seen: Some thousand people.
        """
        for name, values in (("joint", seen.joints.float().flatten(0, 1)), ("whole", seen.whole.float())):
            mean = self.get_buffer(f"{name}_mean")
            used = values[..., : len(mean)]
            mean.copy_(used.mean(0))
            self.get_buffer(f"{name}_scale").copy_(used.std(0).clamp_min(_SLIGHT))


@torch.no_grad()
def widen(network: CorrectionNet, start: CorrectionNet) -> None:
    """Give a network the weights of another that reads fewer numbers; what that one does not read counts for nothing.

    Args:
        network: Evened out already; changed.
        start: Of the same width and depth, whose numbers are the first ones of the network's.

    Raises:
        ValueError: If it is larger, or of another width or depth.
    """
    mine = network.state_dict()
    for name, value in start.state_dict().items():
        if name not in mine or mine[name].shape[:-1] != value.shape[:-1] or mine[name].shape[-1:] < value.shape[-1:]:
            raise ValueError(f"The weights to start from are of another size: {name} is {tuple(value.shape)}.")
        if name.endswith(".weight"):
            mine[name].zero_()
        mine[name][..., : value.shape[-1]] = value


def correct(
    body: Body,
    network: CorrectionNet,
    look: Look,
    estimate: BodyEstimate,
    sight: Sight,
    grounds: Grounds,
) -> Correction:
    """Ask the network what is wrong with bodies, also in the mirror where the displacement network looked there.

    Args:
        body: The body model.
        network: From `load_correction`.
        look: Of the estimate.
        estimate: The bodies that were drawn.
        sight: What the displacement network made of the look.
        grounds: What the bodies rest on.
    """
    seen = correction_input(body, estimate, clues_of(body, look, estimate, sight.straight), grounds)
    if sight.mirrored is None:
        return network(seen)
    clues = clues_of(body, look, estimate, sight.mirrored, mirrored=True)
    other = correction_input(body, mirrored_estimate(body, estimate), clues, mirrored_grounds(grounds))
    both = network(concatenate([seen, other]))
    people = len(estimate.params.betas)
    return mean_correction(both[:people], both[people:])


def mean_correction(straight: Correction, mirrored: Correction) -> Correction:
    """What two looks say together.

    Args:
        straight: About bodies.
        mirrored: About the same bodies in a mirror.
    """
    told, other = straight.log_spread, mirrored.log_spread
    if told is not None and other is not None:
        told = (told + other[:, MIRRORED_PARTS]) / 2.0
    return Correction(
        (straight.turns + mirror_turns(mirrored.turns)) / 2.0, (straight.betas + mirrored.betas) / 2.0, told
    )


def corrected(body: Body, estimate: BodyEstimate, correction: Correction) -> BodyEstimate:
    """Change pose and shape; the pelvis stays where it is, and how sure the network is goes along.

    Args:
        body: The body model.
        estimate: What the correction is about.
        correction: From a `CorrectionNet`.
    """
    params = estimate.params
    turned = params.rotations @ rotvec_to_rotmat(correction.turns)
    betas = params.betas + correction.betas
    # Another shape moves the pelvis in its own frame; the place in the photo is right already.
    shift = body.rest_joints(params.betas)[:, 0] - body.rest_joints(betas)[:, 0]
    told = None if correction.log_spread is None else uncertainty_from(correction.log_spread)
    params = BodyParams(turned[:, 0], turned[:, 1:], betas, params.transl + shift)
    return replace(estimate, params=params, uncertainty=told)
