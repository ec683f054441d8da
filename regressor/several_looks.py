"""Several looks at one person, mirrored and turned in the picture's plane, and what their answers have in common.

Of a mirrored photo a perfect network would say the mirrored body. Where it does not, its answers lie on both sides of
what is right, so that their mean is nearer, and how far they lie apart tells of doubt that none of them speaks of.
"""

from dataclasses import replace

import torch
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

TURNS = (-20.0, 0.0, 20.0)
"""Degrees by which the photo is turned; each turn is looked at straight and mirrored."""
LOOKS = 2 * len(TURNS)


def look_several_times(
    model: HMR, detections: Detections, camera: Camera, body: Body
) -> tuple[BodyParams, Uncertainty | None]:
    """What a network of keypoints says of people whom it sees from `TURNS`, straight and mirrored.

    Args:
        model: Its encoder is ``keypoints``.
        detections: Columns ordered as `KEYPOINT_NAMES`, full-image pixels.
        camera: One per person.
        body: The network's.

    Returns:
        The mean bodies, camera frame of the photo, and how sure they are; None of a network that does not say.
    """
    people = len(detections.boxes)
    again = torch.arange(people, device=detections.boxes.device).repeat(LOOKS)
    seen = replace(detections, silhouettes=None, silhouette_boxes=None)[again]
    view = augmented_keypoint_view(seen, camera[again], _changes(people, detections.boxes))
    output = model(keypoint_inputs_of(seen, camera[again], view))
    said = out_of_augmented_view(output_params(output, view.view, body), view, body)
    said = said.map(lambda value: value.unflatten(0, (LOOKS, people)))
    rotations = project_to_rotation(said.rotations.mean(0))
    mean = BodyParams(rotations[:, 0], rotations[:, 1:], said.betas.mean(0), said.transl.mean(0))
    if output.log_spread is None:
        return mean, None
    told = torch.where(view.flipped[:, None], output.log_spread[:, MIRRORED_PARTS], output.log_spread)
    return mean, uncertainty_from(_widened(told.unflatten(0, (LOOKS, people)).mean(0), said, mean))


def _changes(people: int, like: Tensor) -> Changes:
    """All turns straight, then all turns mirrored, everybody in each."""
    angle = torch.deg2rad(like.new_tensor(TURNS)).repeat(2).repeat_interleave(people)
    flipped = torch.arange(LOOKS, device=like.device).repeat_interleave(people) >= len(TURNS)
    return Changes(flipped, angle, torch.ones_like(angle))


def _widened(log_spread: Tensor, said: BodyParams, mean: BodyParams) -> Tensor:
    """What the looks say of themselves, and beside it how far they lie apart, per axis."""
    apart = geodesic_angle(said.rotations, mean.rotations.expand_as(said.rotations)).square().mean(0) / 3.0
    shape = (said.betas - mean.betas).square().mean((0, 2))
    return 0.5 * torch.log(torch.exp(2.0 * log_spread) + torch.cat([apart, shape[:, None]], -1))
