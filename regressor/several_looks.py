"""Several looks at one person, mirrored and turned in the picture's plane, and what their answers have in common.

Of a mirrored photo a perfect network would say the mirrored body. Where it does not, its answers lie on both sides of
what is right, so that their mean is nearer, and how far they lie apart tells of doubt that none of them speaks of.
"""

from dataclasses import dataclass, replace

import torch
from jaxtyping import Float
from torch import Tensor

from fitloop.body import Body, BodyParams, Detections
from fitloop.body.mirror import MIRRORED_PARTS
from fitloop.body.records import Uncertainty
from fitloop.body.spreads import uncertainty_from
from fitloop.geometry import Camera
from fitloop.geometry.rotations import geodesic_angle, project_to_rotation
from fitloop.regressor.hmr import HMR
from fitloop.regressor.looks import (
    Changes,
    augmented_keypoint_view,
    keypoint_inputs_of,
    out_of_augmented_view,
)
from fitloop.regressor.losses import output_params
from fitloop.regressor.proxy import ProxyInputs, mirror_proxy

TURNS = (-20.0, 0.0, 20.0)
"""Degrees by which the picture of keypoints is turned; each turn is looked at straight and mirrored."""


@dataclass(frozen=True)
class Seen:
    """What can be looked at again."""

    detections: Detections
    """Columns ordered as `KEYPOINT_NAMES`, full-image pixels."""
    camera: Camera
    """One per person."""
    maps: Float[Tensor, "people channels size size"] | None = None
    """Crops that the encoder ``proxy`` reads beside the keypoints: they are mirrored, but not turned."""


def look_several_times(model: HMR, seen: Seen, body: Body) -> tuple[BodyParams, Uncertainty | None]:
    """What a network says of people whom it sees straight and mirrored, and where it reads no crops also turned.

    Args:
        model: Its encoder is ``keypoints``, or ``proxy`` if there are maps.
        seen: The people.
        body: The network's.

    Returns:
        The mean bodies, camera frame of the photo, and how sure they are; None of a network that does not say.
    """
    people, turns = len(seen.detections.boxes), TURNS if seen.maps is None else (0.0,)
    looks = 2 * len(turns)
    again = torch.arange(people, device=seen.detections.boxes.device).repeat(looks)
    detections, camera = replace(seen.detections, silhouettes=None, silhouette_boxes=None)[again], seen.camera[again]
    view = augmented_keypoint_view(detections, camera, _changes(turns, people, detections.boxes))
    keypoints = keypoint_inputs_of(detections, camera, view)
    maps = None if seen.maps is None else torch.cat([seen.maps, mirror_proxy(seen.maps)])
    output = model(keypoints if maps is None else ProxyInputs(maps, keypoints))
    said = out_of_augmented_view(output_params(output, view.view, body), view, body)
    said = said.map(lambda value: value.unflatten(0, (looks, people)))
    rotations = _middle(said.rotations)
    mean = BodyParams(rotations[:, 0], rotations[:, 1:], said.betas.mean(0), said.transl.mean(0))
    if output.log_spread is None:
        return mean, None
    told = torch.where(view.flipped[:, None], output.log_spread[:, MIRRORED_PARTS], output.log_spread)
    return mean, uncertainty_from(_widened(told.unflatten(0, (looks, people)).mean(0), said, mean))


def _changes(turns: tuple[float, ...], people: int, like: Tensor) -> Changes:
    """All turns straight, then all turns mirrored, everybody in each."""
    angle = torch.deg2rad(like.new_tensor(turns)).repeat(2).repeat_interleave(people)
    flipped = torch.arange(2 * len(turns), device=like.device).repeat_interleave(people) >= len(turns)
    return Changes(flipped, angle, torch.ones_like(angle))


def _middle(rotations: Float[Tensor, "looks people joints 3 3"]) -> Float[Tensor, "people joints 3 3"]:
    """The rotation nearest to all; a network that says no finite number is not given one."""
    mean = rotations.mean(0)
    finite = mean.isfinite().all(-1, keepdim=True).all(-2, keepdim=True)
    return torch.where(finite, project_to_rotation(torch.where(finite, mean, torch.eye(3).to(mean))), mean)


def _widened(log_spread: Tensor, said: BodyParams, mean: BodyParams) -> Tensor:
    """What the looks say of themselves, and beside it how far they lie apart, per axis."""
    apart = geodesic_angle(said.rotations, mean.rotations.expand_as(said.rotations)).square().mean(0) / 3.0
    shape = (said.betas - mean.betas).square().mean((0, 2))
    return 0.5 * torch.log(torch.exp(2.0 * log_spread) + torch.cat([apart, shape[:, None]], -1))
