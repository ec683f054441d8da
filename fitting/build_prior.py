"""Rebuild the shipped pose prior from motion capture: ``python -m fitting.build_prior --mocap cmu_poses.npz``.

Held-out subjects are never used. Clips count equally, half the poses are mirrored. What the capture cannot tell is
widened afterwards: joints that its rigs lack or disagree on get the standard deviations below.
"""

import hashlib
import json
import logging
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path

import numpy as np
import torch
import tyro

from body.params import JOINT_NAMES
from fitting.prior import ASSETS

logger = logging.getLogger(__name__)

CREDIT = (
    "The data used in this project was obtained from mocap.cs.cmu.edu. "
    "The database was created with funding from NSF EIA-0196217."
)
WIDENED = {"wrist": 0.35, "hand": 0.3, "foot": 0.15, "ankle": 0.1, "collar": 0.12, "neck": 0.1, "head": 0.1}
"""Standard deviation in radians that is added (in variance) to joints whose capture is noisy or absent."""
FLOOR = 0.06
"""Standard deviation in radians that is added to every axis: soft tissue and errors of the capture."""


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
    """Poses drawn, clips equally likely."""
    seed: int = 0
    """Of the draw and of the mixture's start."""


def added_variance() -> np.ndarray:
    """Variance that is added per axis of the 23 body joints, (69,) radians squared."""
    variance = np.full((len(JOINT_NAMES) - 1, 3), FLOOR**2)
    for number, name in enumerate(JOINT_NAMES[1:]):
        variance[number] += sum(std**2 for part, std in WIDENED.items() if part in name)
    return variance.ravel()


def fit_mixture(poses: np.ndarray, components: int, seed: int) -> dict[str, np.ndarray]:
    """Fit a mixture with full covariances and widen it by `added_variance`.

    Args:
        poses: (samples, 69) radians.
        components: Number of Gaussians.
        seed: Of the start.
    """
    from sklearn.mixture import GaussianMixture

    mixture = GaussianMixture(components, reg_covar=1e-3, random_state=seed, max_iter=200, n_init=1).fit(poses)
    covariances = np.asarray(mixture.covariances_) + np.diag(added_variance())
    return {"means": np.asarray(mixture.means_), "covars": covariances, "weights": np.asarray(mixture.weights_)}


def build(config: BuildPriorConfig) -> Path:
    """Fit the prior and write it with its manifest; return the path of the prior."""
    # The mocap reader lies in a sibling package; only this build program, never the library, reaches over.
    mocap = import_module("data.mocap")
    training = mocap.load_mocap(config.mocap).training()
    drawn = training.sample(config.samples, torch.Generator().manual_seed(config.seed))
    poses = mocap.full_pose(drawn)[:, 1:].flatten(1).double().numpy()
    config.out.mkdir(parents=True, exist_ok=True)
    path = config.out / "pose_prior.npz"
    np.savez_compressed(path, **fit_mixture(poses, config.components, config.seed))
    entry = {
        "sha256": hashlib.sha256(path.read_bytes()).hexdigest(),
        "what": f"{config.components}-component Gaussian mixture over the axis-angle vectors of SMPL's 23 body joints",
        "licence": "Apache-2.0; derived from motion capture that is free to use, also commercially",
        "credit": CREDIT,
        "command": "python -m fitting.build_prior --mocap cmu_poses.npz",
        "source_sha256": hashlib.sha256(config.mocap.read_bytes()).hexdigest(),
    }
    (config.out / "manifest.json").write_text(json.dumps({"files": {path.name: entry}}, indent=2) + "\n")
    logger.info("Wrote %s.", path)
    return path


if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    build(tyro.cli(BuildPriorConfig))
