import hashlib
import json
import pickle
from math import log, pi

import numpy as np
import pytest
import torch

from fitloop.body.assets import verify_assets
from fitloop.fitting import PosePrior, load_pose_prior
from fitloop.fitting.prior import ASSETS, make_prior


def random_mixture(components=3, size=69, seed=0):
    generator = np.random.default_rng(seed)
    root = generator.normal(size=(components, size, size)) * 0.02
    covariances = root @ root.transpose(0, 2, 1) + 1e-3 * np.eye(size)
    return generator.normal(size=(components, size)) * 0.3, covariances, np.array([0.5, 0.3, 0.2])


def test_energy_is_the_formula_of_smplify():
    means, covariances, weights = random_mixture()
    prior = make_prior(means, covariances, weights)
    pose = np.random.default_rng(1).normal(size=69) * 0.3
    roots = np.exp(0.5 * np.linalg.slogdet(covariances)[1])
    scaled = weights / ((2 * pi) ** (69 / 2) * roots / roots.min())
    offset = pose - means
    distances = np.einsum("mi,mij,mj->m", offset, np.linalg.inv(covariances), offset)
    expected = (0.5 * distances - np.log(scaled)).min()
    assert float(prior(torch.from_numpy(pose))) == pytest.approx(expected, rel=1e-9)


def test_energy_keeps_the_constant_of_smplify():
    means, covariances, weights = random_mixture()
    prior = make_prior(means, covariances, weights)
    tightest = np.linalg.slogdet(covariances)[1].argmin()
    assert float(prior.constants[tightest]) == pytest.approx(69 / 2 * log(2 * pi) - log(weights[tightest]))


def test_energy_does_not_underflow_in_float32():
    means, covariances, weights = random_mixture()
    weights = np.array([1.0 - 2e-40, 1e-40, 1e-40])
    prior = make_prior(means, covariances, weights).to(torch.float32)
    assert torch.isfinite(prior(torch.from_numpy(means).float())).all()


@pytest.mark.parametrize("batch", [(), (1,), (2, 3)])
def test_energy_keeps_batch_axes(batch):
    prior = load_pose_prior()
    assert prior(torch.zeros(*batch, 69, dtype=torch.float64)).shape == batch


def test_files_of_smplify_load_as_they_are(tmp_path):
    means, covariances, weights = random_mixture()
    path = tmp_path / "gmm_03.pkl"
    path.write_bytes(pickle.dumps({"means": means, "covars": covariances, "weights": weights}, protocol=2))
    prior = load_pose_prior(path)
    assert isinstance(prior, PosePrior)
    np.testing.assert_allclose(prior.precisions.numpy(), np.linalg.inv(covariances), rtol=1e-6)


def test_the_shipped_prior_is_whole_and_well_conditioned():
    assert verify_assets(ASSETS) == []
    entry = json.loads((ASSETS / "manifest.json").read_text())["files"]["pose_prior.npz"]
    assert entry["sha256"] == hashlib.sha256((ASSETS / "pose_prior.npz").read_bytes()).hexdigest()
    assert "mocap.cs.cmu.edu" in entry["credit"]
    prior = load_pose_prior()
    assert prior.means.shape == (8, 69)
    eigenvalues = torch.linalg.eigvalsh(prior.precisions)
    assert float(eigenvalues[:, -1].max() / eigenvalues[:, 0].min()) < 1000.0


def test_the_shipped_prior_prefers_people_to_contortions():
    prior = load_pose_prior()
    generator = torch.Generator().manual_seed(0)
    twisted = prior.mean + torch.randn(50, 69, generator=generator, dtype=torch.float64)
    assert (prior(twisted) > prior(prior.mean) + 100.0).all()


def test_files_that_are_no_prior_are_refused(tmp_path):
    with pytest.raises(FileNotFoundError, match="absent.pkl"):
        load_pose_prior(tmp_path / "absent.pkl")
    path = tmp_path / "other.npz"
    np.savez(path, means=np.zeros((2, 69)))
    with pytest.raises(ValueError, match="needs means, covars and weights"):
        load_pose_prior(path)
    with pytest.raises(ValueError, match=r"\(2, 69\)"):
        make_prior(np.zeros((2, 69)), np.zeros((2, 5, 5)), np.ones(2))
    with pytest.raises(ValueError, match="positive definite"):
        make_prior(np.zeros((2, 69)), np.zeros((2, 69, 69)), np.ones(2))
