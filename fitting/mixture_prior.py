"""The max-mixture pose prior of SMPLify (Bogo et al. 2016, section 3.2): a Gaussian mixture over axis-angle poses."""

from dataclasses import dataclass
from math import log, pi
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from fitloop.body.safe_pickle import load_arrays
from fitloop.geometry.records import TensorRecord


@dataclass(frozen=True)
class PosePrior(TensorRecord):
    """A mixture of Gaussians over the axis-angle vectors of SMPL's 23 body joints, of which the likeliest one counts.

    Prepared in float64 log space: in float32 the scaled weights of common priors underflow to 0.
    """

    means: Float[Tensor, "components pose"]
    """Radians."""
    whitening: Float[Tensor, "components pose pose"]
    """Upper triangular W with W' W the precision of each component."""
    precisions: Float[Tensor, "components pose pose"]
    constants: Float[Tensor, "components"]
    """Negative log of each scaled weight: ``-log(w / ((2 pi)^(d/2) sqrtdet / min sqrtdet))``."""
    mean: Float[Tensor, "pose"]
    """Mean of the whole mixture: the pose from which SMPLify starts."""

    @property
    def lowest(self) -> Float[Tensor, ""]:
        """Energy at the mean of the tightest component, below which there is nothing."""
        return self.constants.min()

    def scaled(self, weight: float) -> "PosePrior":
        """The prior whose energy counts ``weight`` times."""
        return PosePrior(
            self.means, weight**0.5 * self.whitening, weight * self.precisions, weight * self.constants, self.mean
        )

    def energies(self, pose: Float[Tensor, "*batch pose"]) -> Float[Tensor, "*batch components"]:
        """Energy of each component: half the squared Mahalanobis distance plus its constant."""
        offset = pose[..., None, :] - self.means
        whitened = (self.whitening @ offset[..., None])[..., 0]
        return 0.5 * whitened.square().sum(-1) + self.constants

    def __call__(self, pose: Float[Tensor, "*batch pose"]) -> Float[Tensor, "*batch"]:
        """Energy of the likeliest component: SMPLify's ``min_m 0.5 d' P d - log w'``."""
        return self.energies(pose).amin(-1)

    def component(self, pose: Float[Tensor, "*batch pose"]) -> Int[Tensor, "*batch"]:
        """Which component is the likeliest."""
        return self.energies(pose).argmin(-1)


def make_prior(means: np.ndarray, covariances: np.ndarray, weights: np.ndarray) -> PosePrior:
    """Prepare a prior from the arrays of a mixture.

    Args:
        means: (components, 69) radians.
        covariances: (components, 69, 69), symmetric and positive definite.
        weights: (components,) positive; need not add up to 1.

    Raises:
        ValueError: If the shapes disagree, or a covariance is not positive definite.
    """
    means, covariances, weights = (np.asarray(a, np.float64) for a in (means, covariances, weights))
    size = means.shape[-1]
    if means.ndim != 2 or covariances.shape != (*means.shape, size) or weights.shape != means.shape[:1]:
        raise ValueError(
            f"A pose prior needs means (m, d), covariances (m, d, d) and weights (m), "
            f"got {means.shape}, {covariances.shape} and {weights.shape}."
        )
    lowest = np.linalg.eigvalsh(covariances).min()
    if not (np.isfinite(means).all() and weights.min() > 0 and lowest > 0):
        raise ValueError(
            f"A pose prior needs finite means, positive weights and positive definite covariances; "
            f"the smallest weight is {weights.min()}, the smallest eigenvalue {lowest}."
        )
    precisions = np.linalg.inv(covariances)
    half_logdet = 0.5 * np.linalg.slogdet(covariances)[1]
    constants = -np.log(weights) + size / 2 * log(2 * pi) + half_logdet - half_logdet.min()
    return PosePrior(
        means=torch.from_numpy(means),
        whitening=torch.from_numpy(np.linalg.cholesky(precisions)).mT.contiguous(),
        precisions=torch.from_numpy(precisions),
        constants=torch.from_numpy(constants),
        mean=torch.from_numpy(weights @ means / weights.sum()),
    )


def load_mixture(path: Path) -> PosePrior:
    """Load a mixture, float64.

    Args:
        path: A file of SMPLify's kind (gmm_08.pkl) or an .npz with ``means``, ``covars`` and ``weights``.

    Raises:
        ValueError: If it holds no mixture.
    """
    if path.suffix == ".npz":
        with np.load(path, allow_pickle=False) as file:
            arrays = {key: file[key] for key in file.files}
    else:
        arrays = load_arrays(path)
    found = {key.rstrip("_").replace("covariances", "covars"): value for key, value in arrays.items()}
    if not {"means", "covars", "weights"} <= set(found):
        raise ValueError(f"{path} is no pose prior: it needs means, covars and weights, it has {sorted(arrays)}.")
    return make_prior(found["means"], found["covars"], found["weights"])
