"""Fit the pose priors that are shipped, from motion capture.

fitloop train-prior --kind gmm --mocap cmu_poses.npz
fitloop train-prior --kind vae --mocap cmu_poses.npz

A minute for the Gaussian mixture, two for the autoencoder. Held-out subjects are never used; clips count equally, half
the poses are mirrored.
"""

if __name__ == "__main__":
    from fitloop.pipelines.cli import run_program

    run_program("train-prior")

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import torch

from fitloop.body import load_body
from fitloop.data.mocap import full_pose, load_mocap
from fitloop.fitting.build_prior import fit_mixture, write_prior
from fitloop.fitting.prior import ASSETS
from fitloop.fitting.vae_prior import NUM_TURNED
from fitloop.fitting.vae_prior_card import write_vae_prior
from fitloop.fitting.vae_prior_training import VaeConfig, train_vae
from fitloop.pipelines.console.endings import end_well
from fitloop.pipelines.console.options import parse


@dataclass(frozen=True)
class TrainPriorConfig:
    """Fit a pose prior to motion capture."""

    mocap: Path
    """The file cmu_poses.npz."""
    kind: Literal["gmm", "vae"] = "gmm"
    """``gmm``: the Gaussian mixture of SMPLify; ``vae``: the autoencoder of VPoser."""
    out: Path = ASSETS
    """Where the prior and its entry in manifest.json go; by default they replace those that fits use."""
    components: int = 8
    """Gaussians in the mixture, as in SMPLify."""
    samples: int | None = None
    """Poses drawn; by default 40000 for the mixture, 100000 for the autoencoder."""
    vae: VaeConfig = VaeConfig()
    """The autoencoder."""
    seed: int = 0
    """Of the draw and of the start."""


def train_prior(config: TrainPriorConfig) -> Path:
    """Fit the prior and write it with its manifest; return the path of the prior.

    Raises:
        FileNotFoundError: If there is no such file of poses.
        ValueError: If it lacks a field, or training does not end well.
    """
    training = load_mocap(config.mocap).training()
    count = config.samples or (40000 if config.kind == "gmm" else 100000)
    drawn = training.sample(count, torch.Generator().manual_seed(config.seed))
    if config.kind == "gmm":
        poses = full_pose(drawn)[:, 1:].flatten(1).double().numpy()
        return write_prior(fit_mixture(poses, config.components, config.seed), config.out, config.mocap)
    body = load_body()
    rest = body.rest_joints(torch.zeros(body.num_betas).to(body.template))
    turned = drawn[:, 1 : NUM_TURNED + 1].reshape(count, -1).astype(np.float32)
    prior, losses = train_vae(turned, rest, config.vae, config.seed)
    return write_vae_prior(prior, losses[-1], config.out, config.mocap)


def main(arguments: list[str] | None = None) -> int:
    """Train as the command line says; return the exit code."""
    config = parse(TrainPriorConfig, arguments)
    return end_well(lambda: f"Wrote {train_prior(config)}.", config.out)
