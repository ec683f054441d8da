"""Given 2D joints of people in gymnastics and parkour (LSP Extended): how near do fits come?

    python -m benchmarks lspet --data DIR --mocap FILE

``DIR`` holds ``joints.npz`` (joints (people, 14, 3): x, y, visible). Errors are distances of the visible joints over
the longer side of the box around them. The prior's energy counts from its lowest value, and is compared with that of
held-out motion capture.
"""

from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from benchmarks.metrics import Metric
from fitloop.body import Body, BodyEstimate, Detections, KeypointKinematics, convention_named, upright
from fitloop.data.mocap import full_pose, load_mocap
from fitloop.fitting import AFTER_REGRESSION, FitConfig, fit, load_pose_prior
from fitloop.fitting.config import Limb
from fitloop.fitting.terms import pose_prior
from fitloop.geometry import camera_of, project, rotmat_to_rotvec, rotvec_to_rotmat
from fitloop.regressor import load_regressor

CONVENTION = "lsp14"


def load_people(folder: Path) -> tuple[Detections, BodyEstimate]:
    """Read the annotated joints; the start is the prior's mean pose, facing the camera, named ``open-1``."""
    with np.load(folder / "joints.npz", allow_pickle=False) as file:
        joints = torch.from_numpy(file["joints"].astype(np.float32))
    visible = joints[..., 2] > 0
    low = torch.where(visible[..., None], joints[..., :2], torch.inf).amin(-2)
    high = torch.where(visible[..., None], joints[..., :2], -torch.inf).amax(-2)
    boxes = torch.nan_to_num(torch.cat([low, high], -1), posinf=0.0, neginf=0.0)
    detections = Detections(joints[..., :2], visible.float(), boxes, CONVENTION)
    # The photos are crops of unknown cameras around people about 120 px tall.
    width = float(torch.quantile(high[:, 0], 0.99))
    height = float(torch.quantile(high[:, 1], 0.99))
    return detections, mean_start(len(joints), width, height)


def mean_start(count: int, width: float, height: float) -> BodyEstimate:
    """The prior's mean pose in front of the default camera of a photo."""
    camera = camera_of(int(width), int(height))
    pose = load_pose_prior().mean.to(torch.float32).view(-1, 3)
    start = replace(upright(count), body_pose=rotvec_to_rotmat(pose).expand(count, -1, 3, 3))
    camera = camera.map(lambda tensor: tensor.expand(count, *tensor.shape).clone())
    return BodyEstimate(replace(start, transl=start.transl + torch.tensor([0.0, 0.0, 5.0])), camera)


def joint_errors(body: Body, estimate: BodyEstimate, detections: Detections) -> Tensor:
    """Mean distance of each person's observed keypoints over the longer side of the box; NaN where none is seen."""
    names = tuple(str(name) for name in convention_named(detections.convention).landmarks)
    pixels = project(KeypointKinematics(body, names)(estimate.params), estimate.camera)
    seen = detections.confidence > 0
    distance = torch.where(seen, (pixels - detections.keypoints).norm(dim=-1), 0.0).sum(-1) / seen.sum(-1)
    return distance / (detections.boxes[:, 2:] - detections.boxes[:, :2]).amax(-1)


ALL_LIMBS: tuple[Limb, ...] = ("left_arm", "right_arm", "left_leg", "right_leg")
TOURNAMENT = FitConfig(starts=("mean", "yaw90", "back", "yaw270"), limb_flips=ALL_LIMBS)
WITH_GUESS = FitConfig(starts=("init", "mean", "yaw90", "back", "yaw270"))


def run(body: Body, folder: Path, mocap: Path, quick: bool = False) -> list[Metric]:
    """Fit everyone from the mean pose, from four turns of it with limb flips, and from the regressor's guess."""
    detections, init = load_people(folder)
    init = replace(init, body=body.name)
    if quick:
        detections, init = detections[:200], init[:200]
    held_out = full_pose(load_mocap(mocap).held_out().sample(4000, torch.Generator().manual_seed(0)))
    mocap_energy = pose_prior(held_out[:, 1:].flatten(1).double(), load_pose_prior())
    guess = load_regressor("keypoints", body)(None, detections, init.camera)
    return [
        *_measure("lspet.mean_start", body, detections, init, FitConfig()),
        *_measure("lspet.tournament", body, detections, init, TOURNAMENT),
        *_measure("lspet.regressor_start", body, detections, guess, FitConfig()),
        *_measure("lspet.after_regression", body, detections, guess, AFTER_REGRESSION),
        *_measure("lspet.regressor_tournament", body, detections, guess, WITH_GUESS),
        *_measure("lspet.regressor_flips", body, detections, guess, FitConfig(limb_flips=ALL_LIMBS)),
        Metric("lspet.mocap.prior_energy.median", float(mocap_energy.median()), "nats", "none"),
    ]


def _measure(key: str, body: Body, detections: Detections, init: BodyEstimate, config: FitConfig) -> list[Metric]:
    result = fit(body, detections, init, config)
    errors = 100.0 * joint_errors(body, result.estimate, detections)
    poses = rotmat_to_rotvec(result.estimate.params.body_pose).flatten(1).double()
    energy = pose_prior(poses, load_pose_prior()).median()
    spread = result.estimate.params.betas.square().mean().sqrt()
    return [
        Metric(f"{key}.joint_error", float(errors.nanmean()), "% of box side, mean", "lower", 0.1),
        Metric(f"{key}.joint_error.median", float(errors.nanmedian()), "% of box side, median", "lower", 0.1),
        Metric(f"{key}.prior_energy.median", float(energy), "nats", "lower", 0.1),
        Metric(f"{key}.betas", float(spread), "standard deviations, rms", "lower", 0.2),
        Metric(f"{key}.converged", 100.0 * float(result.converged.float().mean()), "%", "higher", 0.1),
    ]
