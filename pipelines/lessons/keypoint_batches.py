"""Where training batches come from, and what a regressor is worth on people it never saw."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from fitloop.body import Body
from fitloop.body.spreads import spread_loss, temperatures
from fitloop.data.keypoint_samples import KeypointSampler, KeypointSamples, KeypointSampling, mocap_poses
from fitloop.data.mocap import Mocap, load_mocap
from fitloop.evaluation.joints import mpjpe, pa_mpjpe, pve
from fitloop.geometry import concatenate
from fitloop.geometry.rotations import project_to_rotation
from fitloop.pipelines.lessons.seen_people import SeenPeople
from fitloop.regressor.hmr import HMR, HMROutput
from fitloop.regressor.keypoint_encoder import KEYPOINT_NAMES, keypoint_inputs
from fitloop.regressor.losses import Criterion, Supervision, output_params, truth_params
from fitloop.regressor.uncertainty import misses
from fitloop.regressor.views import View, project_in_view

MESHES = 64
"""People whose surfaces are in memory at a time."""


@dataclass(frozen=True)
class RegressorBatch:
    """Input of the network, and what it should say."""

    inputs: Any
    """What the encoder takes."""
    view: View
    truth: Supervision

    def to(self, device: torch.device) -> "RegressorBatch":
        """Move everything."""
        return RegressorBatch(self.inputs.to(device), self.view.to(device), self.truth.to(device))


@dataclass(frozen=True)
class SeenShare:
    """People of drawn photos as a detector really saw them."""

    people: SeenPeople
    share: float
    """Of each batch."""


class KeypointBatches:
    """Batches for the keypoints encoder, made on the fly from mocap."""

    def __init__(
        self,
        body: Body,
        mocap: Mocap,
        config: KeypointSampling,
        supervised: float = 1.0,
        balanced: bool = True,
        seen: SeenShare | None = None,
    ) -> None:
        """Prepare the sampler.

        Args:
            body: Whose shapes to draw.
            mocap: Where poses come from.
            config: People, cameras and detectors.
            supervised: Share of the people whose 3D joints and parameters are known.
            balanced: Draw clips by the square root of their length instead of frames alike.
            seen: People whom a detector really saw, mixed in.
        """
        self.draw_poses = mocap_poses(mocap, balanced)
        self.sampler = KeypointSampler(body, KEYPOINT_NAMES, self.draw_poses, config)
        self.supervised, self.seen = supervised, seen

    def __call__(self, count: int, generator: torch.Generator) -> RegressorBatch:
        """Draw people, the same ones for the same generator state."""
        seen = round(self.seen.share * count) if self.seen is not None else 0
        samples = self.sampler(count - seen, generator) if seen < count else None
        if self.seen is not None and seen:
            people = self.seen.people(seen, generator)
            samples = people if samples is None else concatenate([samples, people])
        assert samples is not None
        batch = keypoint_batch(samples)
        if self.supervised == 1.0:
            return batch
        return known_where(torch.rand(count, generator=generator) < self.supervised, batch)


def known_where(known: Bool[Tensor, "people"], batch: RegressorBatch) -> RegressorBatch:
    """Forget the 3D joints and parameters of the others."""
    truth, share = batch.truth, known.float()
    truth = replace(
        truth,
        confidence_3d=truth.confidence_3d * share[:, None],
        confidence_params=truth.confidence_params * share,
    )
    return replace(batch, truth=truth)


def keypoint_batch(samples: KeypointSamples) -> RegressorBatch:
    """Turn samples into network input and supervision in the same view."""
    inputs, view = keypoint_inputs(samples.detected, samples.camera)
    points = samples.points @ view.rotation.mT
    visible = (points[..., 2] > 0.2).to(points.dtype)
    # Points far outside the view, of people cut by the photo's border, must not outweigh those inside.
    flat = project_in_view(points, view).clamp(-5.0, 5.0)
    root = view.rotation @ samples.params.global_orient
    truth = Supervision(
        points_2d=flat,
        confidence_2d=visible,
        points_3d=points,
        confidence_3d=torch.ones_like(visible),
        rotations=torch.cat([root[:, None], samples.params.body_pose], 1),
        betas=samples.params.betas,
        confidence_params=torch.ones_like(visible[:, 0]),
    )
    return RegressorBatch(inputs, view, truth)


def mean_pose(mocap: Mocap, count: int = 20000) -> Float[Tensor, "joints 3 3"]:
    """Mean local rotations of the mocap, mirror images included; the root upright and facing the camera."""
    rotations = mocap_poses(mocap)(count, torch.Generator().manual_seed(0))
    mean = project_to_rotation(rotations.mean(0))
    facing = torch.diag(torch.tensor([1.0, -1.0, -1.0]))
    return torch.cat([facing[None], mean[1:]])


def split_mocap(path: Path) -> tuple[Mocap, Mocap]:
    """Mocap to train on and mocap of other subjects to test on."""
    mocap = load_mocap(path)
    return mocap.training(), mocap.held_out()


@torch.no_grad()
def joint_errors(model: HMR, batches: list[RegressorBatch], criterion: Criterion) -> dict[str, float]:
    """Mean joint errors over held-out batches: 24 SMPL joints relative to the pelvis.

    Returns:
        ``mpjpe`` and ``pa_mpjpe`` in millimetres, ``error_2d`` as a share of the view's side in percent.
    """
    plain, aligned, flat = [], [], []
    for batch in batches:
        output = model(batch.inputs)
        points = criterion.kinematics(output_params(output, batch.view, criterion.body))
        estimate, truth = points[:, :24], batch.truth.points_3d[:, :24]
        estimate_root, truth_root = estimate - estimate[:, :1], truth - truth[:, :1]
        plain.append(mpjpe(estimate_root, truth_root))
        aligned.append(pa_mpjpe(estimate_root, truth_root))
        distance = (project_in_view(points, batch.view) - batch.truth.points_2d).norm(dim=-1)
        flat.append((distance * batch.truth.confidence_2d).sum(-1) / batch.truth.confidence_2d.sum(-1).clamp_min(1.0))
    return {
        "mpjpe": float(torch.cat(plain).mean()),
        "pa_mpjpe": float(torch.cat(aligned).mean()),
        "error_2d": 50.0 * float(torch.cat(flat).mean()),
    }


@torch.no_grad()
def vertex_errors(model: HMR, batches: list[RegressorBatch], body: Body) -> dict[str, float]:
    """``pve``: mean distance of vertices over held-out batches, pelvis on pelvis, millimetres."""
    errors = []
    for batch in batches:
        output, truth = model(batch.inputs).to(torch.float32), truth_params(batch.truth)
        estimate = output_params(output, batch.view, body)
        for rows in torch.arange(len(truth.betas)).split(MESHES):
            one, other = body(estimate[rows]), body(truth[rows])
            errors.append(pve(one.vertices - one.joints[:, :1], other.vertices - other.joints[:, :1]))
    return {"pve": float(torch.cat(errors).mean())}


@torch.no_grad()
def told_errors(model: HMR, batches: list[RegressorBatch]) -> tuple[Tensor, Tensor] | None:
    """What a network missed and how sure it was, people of all batches: see `body.spreads`.

    Returns:
        Errors and logarithms of their spreads, a row per person; None where the network does not say how sure it is.
    """
    missed, told = [], []
    for batch in batches:
        output: HMROutput = model(batch.inputs).to(torch.float32)
        if output.log_spread is None:
            return None
        missed.append(misses(output, batch.truth.rotations, batch.truth.betas))
        told.append(output.log_spread)
    return torch.cat(missed), torch.cat(told)


def surprise(model: HMR, batches: list[RegressorBatch]) -> dict[str, float]:
    """``surprise``: mean negative log-likelihood per number of what a network missed; empty where it says nothing."""
    found = told_errors(model, batches)
    if found is None:
        return {}
    everybody = torch.ones_like(found[0][:, 0])
    return {"surprise": float(spread_loss(*found, everybody, model.head.config.num_betas))}


def calibrate(model: HMR, batches: list[RegressorBatch]) -> None:
    """Set the temperatures of a network that says how sure it is, so that its spreads are true on these people.

    Its averaged weights are in the network only for a moment, so this is undone with them.
    """
    found = told_errors(model, batches)
    if found is None or model.head.spread is None:
        return
    model.head.spread.temperature += temperatures(*found, model.head.config.num_betas)
