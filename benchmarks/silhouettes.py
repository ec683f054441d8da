"""What silhouettes teach where no 3D is known: short trainings by 2D keypoints alone, and with what is added to them.

    python -m benchmarks silhouettes --mocap cmu_poses.npz --out runs/silhouettes

Small networks from scratch, the same people and as many steps for all, no 3D joint and no parameter told. Measured on
held-out subjects: MPJPE and PA-MPJPE, PVE-T (vertices of the T-pose, so the shape alone), and the share of monsters
(pose prior above 120).
"""

from dataclasses import dataclass, replace
from pathlib import Path

import torch
import tyro

from benchmarks.metrics import Metric, write_metrics
from fitloop.body import Body, BodyParams, load_body
from fitloop.data.mocap import load_mocap
from fitloop.evaluation import mpjpe, pa_mpjpe
from fitloop.evaluation.joints import pve
from fitloop.fitting import load_pose_prior
from fitloop.fitting.terms import pose_prior
from fitloop.geometry import rotmat_to_rotvec
from fitloop.pipelines.lessons.keypoint_batches import KeypointBatches
from fitloop.pipelines.train import train
from fitloop.pipelines.training.regressor_config import TrainConfig
from fitloop.regressor import HeadConfig, HMRConfig, LossConfig, load_weights
from fitloop.regressor.keypoint_encoder import KEYPOINT_NAMES
from fitloop.regressor.losses import Criterion, output_params

FLAT = LossConfig(1.0, 0.0, 0.0, 0.0)
ROWS = {
    "keypoints": FLAT,
    "keypoints+silhouettes": replace(FLAT, silhouette=0.3),
    "keypoints+adversarial": replace(FLAT, adversarial=0.05),
    "keypoints+silhouettes+adversarial": replace(FLAT, silhouette=0.3, adversarial=0.05),
}
MONSTER = 120.0


@dataclass(frozen=True, kw_only=True)
class SilhouettesConfig:
    """Train without 3D and measure in 3D."""

    mocap: Path
    """The file cmu_poses.npz."""
    out: Path
    """Folder of the runs; those that are there are gone on with, or only measured."""
    steps: int = 600
    """Of each run."""
    batch_size: int = 64
    """People per step."""
    rows: tuple[str, ...] = tuple(ROWS)
    """Which ones to train."""
    seed: int = 0
    """Of weights and batches."""
    json: Path | None = None
    """Write the metrics here."""


def main(arguments: list[str]) -> int:
    """Train, measure and print; return the exit code."""
    config, body = tyro.cli(SilhouettesConfig, args=arguments), load_body()
    metrics: list[Metric] = []
    for name in config.rows:
        training = training_of(config, name)
        train(training)
        found = measure(body, config.mocap, training.out / "best.safetensors")
        print(f"{name:36s} " + "  ".join(f"{key} {value:.1f}" for key, value in found.items()), flush=True)
        metrics += [Metric(f"silhouettes.{name}.{key}", value, "mm or %", "lower") for key, value in found.items()]
    if config.json is not None:
        write_metrics(metrics, config.json)
    return 0


def training_of(config: SilhouettesConfig, name: str) -> TrainConfig:
    """The options of one row."""
    network = HMRConfig(width=256, blocks=2, head=HeadConfig(3, 256, 0.0))
    return TrainConfig(
        mocap=config.mocap,
        out=config.out / f"{name}-{config.seed}",
        model=network,
        loss=ROWS[name],
        supervised=0.0,
        steps=config.steps,
        batch_size=config.batch_size,
        warmup=50,
        average=0.98,
        evaluate_every=config.steps,
        evaluate_people=1024,
        save_every=config.steps,
        precision="float32",
        threads=1,
        seed=config.seed,
    )


@torch.no_grad()
def measure(body: Body, mocap: Path, weights: Path, count: int = 1024) -> dict[str, float]:
    """Errors on held-out subjects."""
    model = load_weights(weights).model
    criterion = Criterion(body, KEYPOINT_NAMES, FLAT)
    held_out = load_mocap(mocap).held_out()
    batch = KeypointBatches(body, held_out, TrainConfig(mocap=mocap).sampling)(count, torch.Generator().manual_seed(5))
    output, truth = model(batch.inputs), batch.truth
    points = criterion.kinematics(output_params(output, batch.view, body))[:, :24]
    exact = truth.points_3d[:, :24]
    points, exact = points - points[:, :1], exact - exact[:, :1]
    rows = slice(0, 128)
    shapes = [at_rest(body, betas[rows]) for betas in (output.betas, truth.betas)]
    energy = pose_prior(rotmat_to_rotvec(output.rotations[:, 1:]).flatten(1).double(), load_pose_prior())
    return {
        "mpjpe": float(mpjpe(points, exact).mean()),
        "pa_mpjpe": float(pa_mpjpe(points, exact).mean()),
        "pve_t": float(pve(*shapes).mean()),
        "monsters": 100.0 * float((energy > MONSTER).float().mean()),
    }


def at_rest(body: Body, betas: torch.Tensor) -> torch.Tensor:
    """Vertices of the T-pose, pelvis at the origin."""
    eye = torch.eye(3).expand(len(betas), 24, 3, 3)
    mesh = body(BodyParams(eye[:, 0], eye[:, 1:], betas, torch.zeros(len(betas), 3)))
    return mesh.vertices - mesh.joints[:, :1]
