"""Fit the mixture that is shipped as pose prior; the program is ``fitloop train-prior --kind gmm``.

What motion capture cannot tell is widened afterwards: joints that its rigs lack or disagree on get the standard
deviations below.
"""

import hashlib
import json
from pathlib import Path

import numpy as np

from fitloop.body.params import JOINT_NAMES

CREDIT = (
    "The data used in this project was obtained from mocap.cs.cmu.edu. "
    "The database was created with funding from NSF EIA-0196217."
)
WIDENED = {"wrist": 0.35, "hand": 0.3, "foot": 0.15, "ankle": 0.1, "collar": 0.12, "neck": 0.1, "head": 0.1}
"""Standard deviation in radians that is added (in variance) to joints whose capture is noisy or absent."""
FLOOR = 0.06
"""Standard deviation in radians that is added to every axis: soft tissue and errors of the capture."""
COMMAND = "fitloop train-prior --kind gmm --mocap cmu_poses.npz"


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


def write_prior(mixture: dict[str, np.ndarray], folder: Path, source: Path) -> Path:
    """Write a mixture as ``pose_prior.npz`` with its manifest; return its path.

    Args:
        mixture: From `fit_mixture`.
        folder: Made if missing.
        source: The file of poses, named by its checksum.
    """
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "pose_prior.npz"
    np.savez_compressed(path, **mixture)  # pyright: ignore[reportArgumentType]
    what = f"{len(mixture['weights'])}-component Gaussian mixture over axis-angle poses of SMPL's 23 body joints"
    write_entry(folder, path, manifest_entry(path, what, COMMAND, source))
    return path


def manifest_entry(path: Path, what: str, command: str, source: Path) -> dict[str, str]:
    """What a manifest says of a prior.

    Args:
        path: The prior's file, named by its checksum.
        what: One line.
        command: That made it.
        source: The file of poses, named by its checksum.
    """
    return {
        "sha256": hashlib.sha256(path.read_bytes()).hexdigest(),
        "what": what,
        "licence": "Apache-2.0; derived from motion capture that is free to use, also commercially",
        "credit": CREDIT,
        "command": command,
        "source_sha256": hashlib.sha256(source.read_bytes()).hexdigest(),
    }


def write_entry(folder: Path, path: Path, entry: dict[str, str]) -> None:
    """Put a file's entry into the folder's ``manifest.json``, beside those of other files."""
    manifest = folder / "manifest.json"
    files = json.loads(manifest.read_text())["files"] if manifest.is_file() else {}
    manifest.write_text(json.dumps({"files": {**files, path.name: entry}}, indent=2) + "\n")
