"""How views for the displacement network are varied: other bodies, other light, other sides up."""

from dataclasses import dataclass, replace

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn.functional import affine_grid, avg_pool2d, grid_sample

from fitloop.body import Body, BodyEstimate, BodyParams
from fitloop.geometry import Camera, TensorRecord, rotmat_to_rotvec, rotvec_to_rotmat
from fitloop.refinement.inputs import channel_slices, mirrored_input


@dataclass(frozen=True)
class Batch(TensorRecord):
    """What the network sees and what it should say."""

    inputs: Float[Tensor, "*people channels size size"]
    truth: Float[Tensor, "*people 2 size size"]
    """Displacement, crop pixels."""
    weight: Float[Tensor, "*people size size"]
    """1 where the truth is known and visible."""
    surface: Float[Tensor, "*people 5 half half"]
    """What the photo shows: place on the body in T-pose as a colour, whether it is known, whether it is the person."""


def choose_rows(estimates: list[BodyEstimate], number: Tensor) -> BodyEstimate:
    """Of each row, the estimate with its number."""
    from fitloop.geometry import where

    chosen = estimates[0]
    for k, estimate in enumerate(estimates[1:], start=1):
        chosen = where(number == k, estimate, chosen)
    return chosen


def blend(estimate: BodyEstimate, truth: BodyEstimate, share: Float[Tensor, "people"], body: Body) -> BodyEstimate:
    """Move bodies part of the way to the truth, in their own cameras.

    Args:
        estimate: At share 0.
        truth: At share 1: the same pose, where the estimate's camera sees what the true one does.
        share: Per person.
        body: The body model.
    """
    start, goal = estimate.params, truth.params
    turn = rotmat_to_rotvec(start.rotations.mT @ goal.rotations)
    rotations = start.rotations @ rotvec_to_rotmat(share[:, None, None] * turn)
    betas = torch.lerp(start.betas, goal.betas, share[:, None])
    place = torch.lerp(
        _place(start, estimate.camera, estimate.camera, body),
        _place(goal, truth.camera, estimate.camera, body),
        share[:, None],
    )
    depth = place[:, 2:].exp()
    pelvis = torch.cat([place[:, :2] * depth, depth], -1)
    transl = pelvis - body.rest_joints(betas)[:, 0]
    return replace(estimate, params=BodyParams(rotations[:, 0], rotations[:, 1:], betas, transl))


def _place(params: BodyParams, camera: Camera, seen_by: Camera, body: Body) -> Float[Tensor, "people 3"]:
    """Slope x, slope y and logarithm of depth of the pelvis for another camera that sees it alike."""
    pelvis = body.rest_joints(params.betas)[:, 0] + params.transl
    depth = pelvis[:, 2:].clamp_min(0.1)
    pixels = pelvis[:, :2] / depth * camera.focal[:, None] + camera.principal_point
    slope = (pixels - seen_by.principal_point) / seen_by.focal[:, None]
    return torch.cat([slope, (depth * (seen_by.focal / camera.focal)[:, None]).log()], -1)


def change_light(photos: Tensor, strength: float, generator: torch.Generator) -> Tensor:
    """Other exposure, white balance, contrast, saturation, sharpness and noise, each photo its own."""
    count = len(photos)

    def normal(*shape: int) -> Tensor:
        return torch.randn(count, *shape, generator=generator).to(photos.device)

    def uniform() -> Tensor:
        return torch.rand(count, 1, 1, 1, generator=generator).to(photos.device)

    gain = torch.exp(strength * normal(1, 1, 1) + 0.3 * strength * normal(3, 1, 1))
    power = torch.exp(strength * normal(1, 1, 1))
    photos = (photos.clamp_min(1e-4) ** power * gain).clamp(0.0, 1.0)
    gray = photos.mean(1, keepdim=True)
    photos = gray + torch.exp(1.5 * strength * normal(1, 1, 1)) * (photos - gray)
    soft = avg_pool2d(photos, 3, 1, 1)
    photos = torch.lerp(photos, soft, uniform() * (uniform() < 0.4))
    grain = 0.04 * strength / 0.2 * uniform() * normal(*photos.shape[1:])
    return (photos + grain).clamp(0.0, 1.0)


def change_background(
    photos: Float[Tensor, "people 3 height width"],
    masks: Float[Tensor, "people height width"],
    share: float,
    generator: torch.Generator,
) -> Float[Tensor, "people 3 height width"]:
    """Put some people before what their neighbours in the batch stood before, people there included.

    What was in front of them goes too; what it hid stays hidden.

    Args:
        photos: RGB in [0, 1].
        masks: 1 where the person is seen.
        share: Of the photos.
        generator: Chooses.
    """
    chosen = (torch.rand(len(photos), generator=generator) < share).to(photos.device)[:, None, None, None]
    person = avg_pool2d(masks[:, None], 3, 1, 1)
    other = photos.roll(1, 0).flip(-1)
    return torch.where(chosen, person * photos + (1.0 - person) * other, photos)


def mirror(batch: Batch) -> Batch:
    """Look into a mirror: left and right of the picture and of the body change places."""
    truth = batch.truth.flip(-1) * batch.truth.new_tensor([-1.0, 1.0])[:, None, None]
    surface = batch.surface.flip(-1)
    surface[:, 0] = 1.0 - surface[:, 0]
    return Batch(mirrored_input(batch.inputs), truth, batch.weight.flip(-1), surface)


def turn(batch: Batch, angle: Float[Tensor, "people"]) -> Batch:
    """Turn each view in its plane, and all directions in it alike.

    Args:
        batch: Views.
        angle: Radians, from x towards y.
    """
    cos, sin, zero = torch.cos(angle), torch.sin(angle), torch.zeros_like(angle)
    back = torch.stack([cos, sin, zero, -sin, cos, zero], -1).view(-1, 2, 3)
    grid = affine_grid(back, list(batch.truth.shape), align_corners=False)
    slices = channel_slices()
    first = slices["cover"].start
    # Black beside the photo is -0.5. Drawings keep their sharp edges.
    photo = grid_sample(batch.inputs[:, :3] + 0.5, grid, align_corners=False) - 0.5
    silhouette = grid_sample(batch.inputs[:, 3:first], grid, padding_mode="border", align_corners=False)
    drawn = torch.cat([batch.inputs[:, first:], batch.truth, batch.weight[:, None]], 1)
    drawn = grid_sample(drawn, grid, mode="nearest", align_corners=False)
    inputs, truth, weight = torch.cat([photo, silhouette, drawn[:, :-3]], 1), drawn[:, -3:-1], drawn[:, -1]
    turned = torch.stack([cos, -sin, sin, cos], -1).view(-1, 2, 2)
    normals = slice(slices["normals"].start, slices["normals"].start + 2)
    inputs[:, normals] = torch.einsum("nab,nbhw->nahw", turned, inputs[:, normals])
    half = affine_grid(back, list(batch.surface.shape), align_corners=False)
    surface = grid_sample(batch.surface, half, mode="nearest", align_corners=False)
    return Batch(inputs, torch.einsum("nab,nbhw->nahw", turned, truth), weight, surface)
