"""Pose priors by name or from files: the Gaussian mixture, the autoencoder, or both."""

from dataclasses import replace
from pathlib import Path
from typing import Literal, overload

from fitloop.body.assets import asset_path
from fitloop.fitting.mixture_prior import PosePrior as PosePrior
from fitloop.fitting.mixture_prior import load_mixture
from fitloop.fitting.mixture_prior import make_prior as make_prior
from fitloop.fitting.vae_prior import VaePrior
from fitloop.fitting.vae_prior_files import load_vae_prior

ASSETS = Path(__file__).parent / "assets"
NETWORK_SUFFIXES = (".safetensors", ".pt", ".pth", ".ckpt")
"""Of files that hold an autoencoder."""


@overload
def load_pose_prior(source: Literal["open"] = "open") -> PosePrior: ...
@overload
def load_pose_prior(source: Literal["vae", "both"]) -> VaePrior: ...
@overload
def load_pose_prior(source: str | Path) -> PosePrior | VaePrior: ...
def load_pose_prior(source: str | Path = "open") -> PosePrior | VaePrior:
    """Load a pose prior, float64; convert with ``.to``.

    Args:
        source: ``open`` for the mixture that comes with the project, ``vae`` for its autoencoder, ``both`` for half of
            each; else a file: SMPLify's gmm_08.pkl, an .npz with ``means``, ``covars`` and ``weights``, a .safetensors
            of ``fitloop train-prior``, or VPoser's snapshot of version 1 (.pt) or 2 (.ckpt).

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If it holds no pose prior for this body.
    """
    match str(source):
        case "open":
            return load_mixture(asset_path("pose_prior.npz", ASSETS))
        case "vae":
            return load_vae_prior(asset_path("pose_prior_vae.safetensors", ASSETS))
        case "both":
            # Half of each keeps the energy's size, and so the weights that were tuned for one of them.
            networks = load_vae_prior(asset_path("pose_prior_vae.safetensors", ASSETS))
            mixture = load_mixture(asset_path("pose_prior.npz", ASSETS))
            return replace(networks, weight=0.5, mixture=mixture.scaled(0.5), mean=mixture.mean)
    path = Path(source)
    if not path.is_file():
        raise FileNotFoundError(f"{path} does not exist; give 'open', 'vae', 'both' or the path of a pose prior.")
    return load_vae_prior(path) if path.suffix in NETWORK_SUFFIXES else load_mixture(path)
