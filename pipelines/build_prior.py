"""Rebuild the pose prior that is shipped: ``python pipelines/build_prior.py --mocap cmu_poses.npz``.

Takes a minute. Held-out subjects are never used; clips count equally, half the poses are mirrored.
"""

from dataclasses import dataclass
from pathlib import Path

import torch

from fitloop.data.mocap import full_pose, load_mocap
from fitloop.fitting.build_prior import fit_mixture, write_prior
from fitloop.fitting.prior import ASSETS
from fitloop.pipelines.console.options import parse


@dataclass(frozen=True)
class BuildPriorConfig:
    """Fit the pose prior that is shipped."""

    mocap: Path
    """The file cmu_poses.npz."""
    out: Path = ASSETS
    """Where pose_prior.npz and manifest.json go."""
    components: int = 8
    """Gaussians in the mixture, as in SMPLify."""
    samples: int = 40000
    """Poses drawn."""
    seed: int = 0
    """Of the draw and of the mixture's start."""


def build(config: BuildPriorConfig) -> Path:
    """Fit the prior and write it with its manifest; return the path of the prior."""
    training = load_mocap(config.mocap).training()
    drawn = training.sample(config.samples, torch.Generator().manual_seed(config.seed))
    poses = full_pose(drawn)[:, 1:].flatten(1).double().numpy()
    return write_prior(fit_mixture(poses, config.components, config.seed), config.out, config.mocap)


if __name__ == "__main__":
    print(f"Wrote {build(parse(BuildPriorConfig))}.")
