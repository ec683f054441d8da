"""What a fitted body rests on: the keypoints that it explains more or less, and the guess that it came from.

A body that lies beside its keypoints has weighed them against what else is known; one that was turned far from a sure
guess followed them. Which of the two was right is what the correction network learns.
"""

from dataclasses import dataclass, replace
from functools import lru_cache

import torch
from jaxtyping import Float, Int
from torch import Tensor

from fitloop.body import Body, BodyEstimate, BodyParams, Detections, KeypointKinematics
from fitloop.body.kinematics import usable_keypoints
from fitloop.body.mirror import MIRRORED_JOINTS, MIRRORED_PARTS, mirror_turns
from fitloop.geometry import TensorRecord, project, rotmat_to_rotvec

JOINT_NUMBERS, WHOLE_NUMBERS = 8, 4
"""Per joint; and per person beside the shape coefficients."""
_FARTHEST = 0.3
"""Share of the body's extent in the picture; keypoints farther away count as that far."""


@dataclass(frozen=True)
class Grounds(TensorRecord):
    """What fitted bodies rest on; zeros where nothing is known."""

    misfit: Float[Tensor, "people joints 4"]
    """Of the keypoints nearest to each joint: where they were seen from where the body has them (x, y) and how far that
    is, means by confidence over the body's extent in the picture; and the confidence in sum."""
    turned: Float[Tensor, "people joints 3"]
    """Rotation vectors by which the fit turned each joint away from the guess, radians."""
    unsure: Float[Tensor, "people parts"]
    """Logarithms of the guess's standard deviations: rotations, and last the shape."""
    reshaped: Float[Tensor, "people betas"]
    """What the fit added to the guess's shape coefficients."""
    known: Float[Tensor, "people 3"]
    """1 where there are keypoints, a guess, and its uncertainty."""


@dataclass(frozen=True)
class PlacedKeypoints:
    """The keypoints of a convention on a body."""

    columns: list[int]
    """Those that the body has a place for."""
    kinematics: KeypointKinematics
    nearest: Int[Tensor, "keypoints"]
    """The joint that each is nearest to, limbs straight."""


@lru_cache(maxsize=8)
def place_keypoints(body: Body, convention: str) -> PlacedKeypoints:
    """Find a convention's keypoints on a body, once for each.

    Args:
        body: The body model.
        convention: Its name.
    """
    usable = usable_keypoints(body, convention)
    kinematics = KeypointKinematics(body, usable.landmarks)
    place = body.template
    rest = BodyParams(
        torch.eye(3).to(place).expand(1, 3, 3),
        torch.eye(3).to(place).expand(1, len(body.joint_names) - 1, 3, 3),
        place.new_zeros(1, body.num_betas),
        place.new_zeros(1, 3),
    )
    nearest = torch.cdist(kinematics(rest)[0], body(rest).joints[0]).argmin(-1)
    return PlacedKeypoints(list(usable.keypoints), kinematics, nearest)


def no_grounds(body: Body, people: int) -> Grounds:
    """Of bodies of which nothing is known but how they stand."""
    joints, nothing = len(body.joint_names), body.template.new_zeros
    return Grounds(
        nothing(people, joints, 4),
        nothing(people, joints, 3),
        nothing(people, joints + 1),
        nothing(people, body.num_betas),
        nothing(people, 3),
    )


@torch.no_grad()
def grounds_of(
    body: Body, fitted: BodyEstimate, detections: Detections | None = None, guess: BodyEstimate | None = None
) -> Grounds:
    """What fitted bodies rest on.

    Args:
        body: The body model.
        fitted: The bodies.
        detections: What they were fitted to; full-image pixels.
        guess: What the fit started from, usually a regressor's answer.
    """
    found = no_grounds(body, len(fitted.params.betas))
    known = found.known.clone()
    if detections is not None:
        found = replace(found, misfit=_misfit(body, fitted, detections))
        known[:, 0] = (found.misfit[..., 3].sum(-1) > 0).to(known)
    if guess is not None:
        turned = rotmat_to_rotvec(guess.params.rotations.mT @ fitted.params.rotations)
        found = replace(found, turned=turned, reshaped=fitted.params.betas - guess.params.betas)
        known[:, 1] = 1.0
        told = guess.uncertainty
        if told is not None:
            unsure = torch.where(told.sound[:, None], told.parts, 1.0).clamp(1e-3, 10.0).log()
            found, known[:, 2] = replace(found, unsure=unsure), told.sound.to(known)
    return replace(found, known=known)


def _misfit(body: Body, fitted: BodyEstimate, detections: Detections) -> Float[Tensor, "people joints 4"]:
    placed = place_keypoints(body, detections.convention)
    drawn = project(placed.kinematics(fitted.params), fitted.camera)
    extent = (drawn.amax(-2) - drawn.amin(-2)).amax(-1).clamp_min(1.0)[:, None, None]
    off = (detections.keypoints[:, placed.columns] - drawn) / extent
    finite = torch.isfinite(off).all(-1)
    sure = torch.where(finite, detections.confidence[:, placed.columns], 0.0).nan_to_num(0.0).clamp(0.0, 1.0)
    off = torch.where((sure > 0)[..., None], off, 0.0).clamp(-_FARTHEST, _FARTHEST)
    share = torch.nn.functional.one_hot(placed.nearest, len(body.joint_names)).to(off)
    total = sure @ share
    values = torch.cat([off, off.norm(dim=-1, keepdim=True)], -1) * sure[..., None]
    mean = (share.T @ values) / total.clamp_min(0.1)[..., None]
    return torch.cat([mean, total[..., None]], -1)


def mirrored_grounds(grounds: Grounds) -> Grounds:
    """The same in a mirror, where left is right.

    Args:
        grounds: Of bodies outside it.
    """
    misfit = grounds.misfit[:, MIRRORED_JOINTS] * grounds.misfit.new_tensor([-1.0, 1.0, 1.0, 1.0])
    return replace(
        grounds, misfit=misfit, turned=mirror_turns(grounds.turned), unsure=grounds.unsure[:, MIRRORED_PARTS]
    )
