"""How good the network and the stored fits are, on people that training does or does not see."""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor, nn

from fitloop.body import BodyParams
from fitloop.evaluation.joints import mpjpe, pa_mpjpe
from fitloop.geometry import TensorRecord, concatenate
from fitloop.pipelines.spin.inputs import Photos
from fitloop.pipelines.spin.loop import SpinLoop, estimate_all
from fitloop.pipelines.spin.samples import ObservedPeople
from fitloop.pipelines.spin.store import Source

CHUNK = 256
PCK_SHARE = 0.1
"""A keypoint is correct within this share of the crop."""


@dataclass(frozen=True)
class Errors(TensorRecord):
    """One row per person; NaN where it cannot be measured."""

    error_2d: Float[Tensor, "people"]
    """Mean distance of the observed keypoints, pixels of a 224-pixel crop."""
    pck: Float[Tensor, "people"]
    """Percent of the observed keypoints within a tenth of the crop."""
    pose_prior: Float[Tensor, "people"]
    """Energy of the pose above the prior's lowest."""
    mpjpe: Float[Tensor, "people"]
    """Of the 3D joints that the data set knows, relative to the middle of the hips, millimetres."""
    pa_mpjpe: Float[Tensor, "people"]
    """The same after similarity alignment."""


def errors_of(params: BodyParams, samples: ObservedPeople, loop: SpinLoop) -> Errors:
    """Measure bodies in the photo's frame against everything that is known of the people, hidden truth included."""
    difference, confidence = loop.reprojection.errors(params, samples.evidence, samples.camera)
    seen = (confidence > 0).to(difference)
    distance = difference.norm(dim=-1)
    count = seen.sum(-1)
    correct = ((distance < PCK_SHARE * 224.0) * seen).sum(-1)
    plain, aligned = _joint_errors(params, samples, loop)
    return Errors(
        (distance * seen).sum(-1) / count,
        100.0 * correct / count,
        loop.gate.pose_energy(params),
        plain,
        aligned,
    )


def _joint_errors(params: BodyParams, samples: ObservedPeople, loop: SpinLoop) -> tuple[Tensor, Tensor]:
    known = [number for number, column in enumerate(loop.annotated) if column >= 0]
    points = loop.criterion.kinematics(params)[:, [loop.annotated[number] for number in known]]
    truth, sure = samples.joints_3d[:, known, :3], (samples.joints_3d[:, known, 3] > 0).to(points)
    hips = loop.hips
    rooted = points - points[:, hips].mean(1, keepdim=True) + truth[:, hips].mean(1, keepdim=True)
    nothing = sure.sum(-1) < 6
    plain = torch.where(nothing | ~(sure[:, hips] > 0).all(-1), torch.nan, mpjpe(rooted, truth, sure))
    return plain, torch.where(nothing, torch.nan, pa_mpjpe(points, truth, sure))


def network_errors(model: nn.Module, samples: ObservedPeople, photos: Photos, loop: SpinLoop) -> Errors:
    """Measure the network on people shown as they are."""
    was_training = model.training
    model.eval()
    try:
        parts = []
        for start in range(0, len(samples), CHUNK):
            chunk = samples[slice(start, start + CHUNK)].to(loop.device)
            estimate = estimate_all(model, loop, chunk, photos[start : start + CHUNK])
            parts.append(errors_of(estimate.params, chunk, loop))
    finally:
        model.train(was_training)
    return concatenate(parts)


def store_errors(rows: Tensor, samples: ObservedPeople, loop: SpinLoop) -> Errors:
    """Measure the stored fits of some rows; NaN where nothing is stored."""
    best = loop.store.read(rows).to(loop.device)
    errors = errors_of(best.params, samples.to(loop.device), loop)
    known = best.source != int(Source.NONE)
    return errors.map(lambda tensor: torch.where(known, tensor, torch.nan))


def summary(errors: Errors) -> dict[str, float]:
    """Means over the people that could be measured; the median for the pose prior, which has a long tail."""
    found = {}
    for name in ("error_2d", "pck", "mpjpe", "pa_mpjpe"):
        value = getattr(errors, name)
        if bool(torch.isfinite(value).any()):
            found[name] = float(value.nanmean())
    found["pose_prior"] = float(errors.pose_prior.nanmedian())
    measured = torch.isfinite(errors.pose_prior)
    monsters = (errors.pose_prior > 120.0) & measured
    found["monsters"] = 100.0 * float(monsters.sum()) / max(float(measured.sum()), 1.0)
    return found
