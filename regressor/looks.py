"""How the network looks at people while it trains: a view turned, scaled and mirrored, and the way back.

A turn in the image plane and a change of the crop's size are just another view. Only the mirror image changes the body.
Everything here works on bodies and on keypoints by the same two functions, so that there is one inverse.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from fitloop.body import Body, BodyParams, Detections
from fitloop.body.keypoints import mirrored
from fitloop.body.mirror import mirror_params, mirror_points, rest_pelvis, turn_params
from fitloop.geometry import Camera, TensorRecord, where
from fitloop.regressor.keypoint_encoder import KEYPOINT_NAMES, KeypointInputs, tight_boxes
from fitloop.regressor.views import View, bearing, points_in_view, view_of_boxes


@dataclass(frozen=True)
class AugmentationConfig:
    """How training samples are changed (SPIN's values); fits are always made and stored for the photo as it is."""

    flip: float = 0.5
    """Chance of a mirror image."""
    rotation: float = 30.0
    """Standard deviation of the turn in the image plane, degrees, cut at twice that."""
    upright: float = 0.6
    """Chance of no turn at all."""
    scale: float = 0.25
    """Standard deviation of the crop's size around 1, cut at once that (encoders of images: keypoints have no crop)."""
    channel_noise: float = 0.4
    """Colour channels are multiplied by 1 plus or minus up to this (encoders of images)."""
    missing: float = 0.1
    """Chance of each keypoint to be hidden from the network (encoder of keypoints)."""
    jitter: float = 0.01
    """Standard deviation of keypoints shown to the network, share of half the crop (encoder of keypoints)."""


MIRRORED_KEYPOINTS = [KEYPOINT_NAMES.index(mirrored(name)) for name in KEYPOINT_NAMES]


@dataclass(frozen=True)
class AugmentedView(TensorRecord):
    """The view through which the network sees each person."""

    view: View
    flipped: Bool[Tensor, "people"]
    """Whether the network sees the mirror image of the view."""
    angle: Float[Tensor, "people"]
    """Turn of the crop's axes in the photo, radians, x towards y."""
    scale: Float[Tensor, "people"]
    """Size of the crop relative to the usual one."""


@dataclass(frozen=True)
class Changes(TensorRecord):
    """Random numbers of one batch."""

    flipped: Bool[Tensor, "people"]
    angle: Float[Tensor, "people"]
    scale: Float[Tensor, "people"]


def no_changes(people: int) -> Changes:
    """Look at everybody as they are."""
    return Changes(torch.zeros(people, dtype=torch.bool), torch.zeros(people), torch.ones(people))


def draw_changes(people: int, config: AugmentationConfig, generator: torch.Generator) -> Changes:
    """Draw flips, turns and sizes as SPIN does."""
    flipped = torch.rand(people, generator=generator) < config.flip
    turn = torch.randn(people, generator=generator).clamp(-2.0, 2.0) * config.rotation
    upright = torch.rand(people, generator=generator) < config.upright
    scale = 1.0 + config.scale * torch.randn(people, generator=generator).clamp(-1.0, 1.0)
    return Changes(flipped, torch.deg2rad(torch.where(upright, 0.0, turn)), scale)


def augmented_view(boxes: Float[Tensor, "people 4"], camera: Camera, changes: Changes) -> AugmentedView:
    """Turn, scale and mirror the views of boxes."""
    view = view_of_boxes(boxes, camera)
    cos, sin, zero = torch.cos(changes.angle), torch.sin(changes.angle), torch.zeros_like(changes.angle)
    # The crop's axes turn, so the person turns the other way.
    rows = [cos, sin, zero, -sin, cos, zero, zero, zero, zero + 1.0]
    turned = torch.stack(rows, -1).unflatten(-1, (3, 3)) @ view.rotation
    return AugmentedView(View(turned, view.half_size * changes.scale), changes.flipped, changes.angle, changes.scale)


def augmented_keypoint_view(detections: Detections, camera: Camera, changes: Changes) -> AugmentedView:
    """Views for the encoder of keypoints, tight around what was observed.

    Args:
        detections: Columns ordered as `KEYPOINT_NAMES`.
        camera: One per person.
        changes: Of the views.
    """
    boxes = tight_boxes(detections.keypoints, detections.confidence, detections.boxes)
    return augmented_view(boxes, camera, changes)


def keypoint_inputs_of(detections: Detections, camera: Camera, augmented: AugmentedView) -> KeypointInputs:
    """What the encoder of keypoints reads of an augmented view; see `regressor.keypoint_encoder.keypoint_inputs`."""
    points = points_in_view(detections.keypoints, camera, augmented.view)
    landmarks, sure = detections.landmarks, detections.landmark_confidence
    if landmarks is None or sure is None:
        landmarks, sure = points.new_zeros(*points.shape[:2], 3), torch.zeros_like(detections.confidence)
    cos, sin = torch.cos(augmented.angle), torch.sin(augmented.angle)
    turn = torch.stack([cos, sin, -sin, cos], -1).unflatten(-1, (2, 2))
    landmarks = torch.cat([landmarks[..., :2] @ turn.mT, landmarks[..., 2:]], -1)
    # The bearing is told in the photo's axes; the photo of a turned view is turned too.
    place = bearing(camera, augmented.view)
    place = torch.cat([(turn @ place[..., :2, None])[..., 0], place[..., 2:]], -1)
    straight = KeypointInputs(points, detections.confidence, landmarks, sure, place)
    swapped = KeypointInputs(
        mirror_points(points, MIRRORED_KEYPOINTS),
        detections.confidence[:, MIRRORED_KEYPOINTS],
        mirror_points(landmarks, MIRRORED_KEYPOINTS),
        sure[:, MIRRORED_KEYPOINTS],
        place * place.new_tensor([-1.0, 1.0, 1.0]),
    )
    return where(augmented.flipped, swapped, straight)


def into_augmented_view(params: BodyParams, augmented: AugmentedView, body: Body) -> BodyParams:
    """Bodies of the photo's camera frame as the network shall say them."""
    turned = turn_params(params, augmented.view.rotation, rest_pelvis(body, params.betas))
    return where(augmented.flipped, mirror_params(turned, body), turned)


def out_of_augmented_view(params: BodyParams, augmented: AugmentedView, body: Body) -> BodyParams:
    """Bodies that the network said, in the photo's camera frame: the inverse of `into_augmented_view`."""
    straight = where(augmented.flipped, mirror_params(params, body), params)
    return turn_params(straight, augmented.view.rotation.mT, rest_pelvis(body, straight.betas))
