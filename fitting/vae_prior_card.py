"""The autoencoder as it ships: its file, its entry in the manifest and its card."""

import math
from pathlib import Path

from fitloop.fitting.build_prior import manifest_entry, write_entry
from fitloop.fitting.vae_prior import NUM_TURNED, VaePrior
from fitloop.fitting.vae_prior_files import save_vae_prior
from fitloop.fitting.vae_prior_training import VaeLosses

NAME = "pose_prior_vae.safetensors"
CARD = "pose_prior_vae.md"


def write_vae_prior(prior: VaePrior, losses: VaeLosses, folder: Path, source: Path) -> Path:
    """Write an autoencoder with its manifest entry and card; return its path.

    Args:
        prior: From training.
        losses: Of the last batch.
        folder: Made if missing.
        source: The file of poses, named by its checksum.
    """
    path = folder / NAME
    save_vae_prior(path, prior)
    what = f"Variational autoencoder over {NUM_TURNED} rotations of SMPL's body joints, {_latent(prior)} latent numbers"
    command = "fitloop train-prior --kind vae --mocap cmu_poses.npz"
    write_entry(folder, path, manifest_entry(path, what, command, source))
    (folder / CARD).write_text(_card(prior, losses))
    return path


def _latent(prior: VaePrior) -> int:
    return prior.decoder.first.shape[1]


def _card(prior: VaePrior, losses: VaeLosses) -> str:
    degrees = [math.degrees(float(value)) for value in prior.deviation[:NUM_TURNED]]
    distance = 3.0 * (2.0 * float(losses.joints) / 24.0) ** 0.5
    return f"""# pose_prior_vae.safetensors

* **What**: an autoencoder over poses after VPoser (Pavlakos et al. 2019): {NUM_TURNED} joints as axis-angle vectors in,
  {_latent(prior)} latent numbers, a 3x3 matrix per joint out; two hidden layers of {len(prior.decoder.first_bias)}.
* **For**: `pose_prior: vae` and `pose_prior: both` of fits. How it counts and what it does: docs/priors.md.
* **Trained on**: CMU motion capture (mocap.cs.cmu.edu, created with funding from NSF EIA-0196217), without ten held-out
  subjects; clips equally likely, half of the poses mirrored.
* **Last batch**, half of it disturbed: KL {float(losses.kl):.1f} nats, joints {distance:.1f} cm (rms), per joint L_orth
  {float(losses.orth):.4f} and L_det {float(losses.det):.4f}.
* **Spread around the decoder's answer**: {min(degrees):.0f} to {max(degrees):.0f} degrees per axis.
* **Knows little of**: sitting, lying, crouching, acrobatics; nothing of hands, and of wrists and collars what the
  capture's rigs say.
* **Made by**: `fitloop train-prior --kind vae --mocap cmu_poses.npz`. Licence: Apache-2.0.
"""
