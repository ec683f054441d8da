"""Adult body shapes: who is sampled, and their principal components."""

from dataclasses import dataclass

import numpy as np

from fitloop.body.build.source import Targets, interpolation_weights, target_weights
from fitloop.body.params import NUM_BETAS

STATURE_MEAN = {"male": 1.76, "female": 1.63}
STATURE_DEVIATION = {"male": 0.072, "female": 0.066}
"""Metres, standing, roughly those of adults worldwide."""

INTERPOLATED = {
    "gender": ("male", "female"),
    "age": ("young", "old"),
    "muscle": ("minmuscle", "averagemuscle", "maxmuscle"),
    "weight": ("minweight", "averageweight", "maxweight"),
    "height": ("minheight", "maxheight"),
    "proportions": ("idealproportions", "uncommonproportions"),
    "cup": ("mincup", "averagecup", "maxcup"),
    "firmness": ("minfirmness", "averagefirmness", "maxfirmness"),
}
"""Words of the target files along each parameter, evenly spaced on [0, 1]."""


@dataclass(frozen=True)
class People:
    """Sampled adults: parameters in [0, 1], each (samples,), and the stature each should have."""

    parameters: dict[str, np.ndarray]
    ancestry: np.ndarray
    """(samples, 3) weights of the african, asian and caucasian targets."""
    stature: np.ndarray
    """Metres."""


def sample_people(count: int, seed: int) -> People:
    """Samples adults: genders in equal parts with some in between, stature normal within each."""
    rng = np.random.default_rng(seed)
    gender = rng.beta(0.35, 0.35, count)
    mean = STATURE_MEAN["male"] * (1 - gender) + STATURE_MEAN["female"] * gender
    deviation = STATURE_DEVIATION["male"] * (1 - gender) + STATURE_DEVIATION["female"] * gender
    parameters = {
        "gender": gender,
        "age": rng.beta(1.0, 1.6, count),
        "muscle": rng.beta(1.6, 1.6, count),
        "weight": rng.beta(1.2, 1.0, count),
        "height": np.full(count, 0.5),
        "proportions": rng.beta(2.5, 2.5, count),
        "cup": rng.beta(2.5, 2.5, count),
        "firmness": rng.beta(2.5, 2.5, count),
    }
    return People(parameters, rng.dirichlet(np.ones(3), count), rng.normal(mean, deviation))


def target_coefficients(people: People, targets: Targets) -> np.ndarray:
    """(samples, targets) weight of every target."""
    words: dict[str, np.ndarray] = {}
    for parameter, names in INTERPOLATED.items():
        words.update(interpolation_weights(people.parameters[parameter], names))
    words.update(zip(("african", "asian", "caucasian"), people.ancestry.T, strict=True))
    return target_weights(targets, words)


@dataclass(frozen=True)
class ShapeSpace:
    """Principal components of shapes."""

    template: np.ndarray
    """(V, 3) mean, metres."""
    directions: np.ndarray
    """(V, 3, 10) metres per standard deviation."""
    scores: np.ndarray
    """(samples, 10) coefficients of the samples; unit variance."""
    explained: float
    """Share of the (area-weighted) variance that the components keep."""


def principal_components(samples: np.ndarray, importance: np.ndarray) -> ShapeSpace:
    """PCA of vertex positions.

    Every vertex takes part with its importance; vertices of importance 0 are only carried along with the
    coefficients of the others.

    Args:
        samples: (samples, V, 3) metres.
        importance: (V,) weight of each vertex in the variance, for instance its share of the area.
    """
    count = len(samples)
    template = samples.mean(0)
    used = np.nonzero(importance > 0)[0]
    centred = (samples[:, used] - template[used]) * np.sqrt(importance[used])[None, :, None]
    centred = centred.reshape(count, -1)
    values, vectors = np.linalg.eigh(centred @ centred.T)
    values, vectors = values[::-1], vectors[:, ::-1]
    scores = vectors[:, :NUM_BETAS] * np.sqrt(count)
    offsets = (samples - template).reshape(count, -1)
    directions = (scores.T @ offsets / count).reshape(NUM_BETAS, *template.shape)
    # A positive coefficient makes the body larger.
    signs = np.sign(np.einsum("kvx,vx->k", directions[:, used], template[used]))
    return ShapeSpace(
        template=template,
        directions=np.moveaxis(directions * signs[:, None, None], 0, -1),
        scores=scores * signs,
        explained=float(values[:NUM_BETAS].sum() / values.sum()),
    )
