"""What the looks at a person say about each keypoint, as a probability of being right.

Right means within 5 % of the person's height. Looks that differ, heatmaps without a clear peak or with two places, and
the network's own visibility speak for or against it; a logistic regression per kind of keypoint weighs them. It was
fitted to drawn people by ``python -m benchmarks.confidence --drawn DIR``, which prints the table below.
"""

import numpy as np
from jaxtyping import Float

from fitloop.body.keypoints import MEDIAPIPE_33
from fitloop.detection.looks import Person

WITHIN = 0.05
"""Of the person's height."""
KINDS = {
    "head": ("nose", "eye", "ear", "mouth"),
    "shoulder": ("shoulder",),
    "elbow": ("elbow",),
    "wrist": ("wrist",),
    "hand": ("pinky", "index", "thumb"),
    "hip": ("hip",),
    "knee": ("knee",),
    "ankle": ("ankle",),
    "foot": ("heel", "foot_index", "big_toe"),
}
"""Which keypoints are alike, by parts of their names."""
EVIDENCE = ("one", "spread", "visibility", "presence", "peak", "unity", "agreement")

WEIGHTS: dict[str, tuple[float, ...]] = {
    "head": (-5.534, 0.308, 0.13, -0.317, 0.6, 2.944, 3.755),
    "shoulder": (-1.905, 0.024, -0.374, 0.242, 1.196, 2.03, 1.189),
    "elbow": (-2.582, -0.262, 0.033, 0.156, 1.543, 2.18, 1.018),
    "wrist": (-3.071, 0.114, 0.002, 0.105, 1.218, 1.459, 1.042),
    "hand": (-4.675, 0.499, 0.129, 0.123, 0.946, 1.673, 0.8),
    "hip": (-1.538, -0.087, -0.333, 0.461, 2.459, 0.753, 0.094),
    "knee": (-2.786, 0.197, 0.052, 0.077, 1.13, 3.063, -0.344),
    "ankle": (-3.374, 0.585, 0.014, 0.071, 1.596, 1.595, -0.526),
    "foot": (-3.528, 0.485, 0.076, -0.051, 1.252, 3.099, -0.539),
}
"""Of each kind of keypoint, in the order of `EVIDENCE`."""


def kind_of(name: str) -> str:
    """The kind of a keypoint of `MEDIAPIPE_33`."""
    return next(kind for kind, parts in KINDS.items() if any(part in name for part in parts))


OF_KEYPOINT = tuple(kind_of(name) for name in MEDIAPIPE_33.keypoints)


def evidence_of(person: Person) -> Float[np.ndarray, "33 evidence"]:
    """What is known of each keypoint, in the order of `EVIDENCE`: a constant, then what speaks for it."""
    pose = person.pose
    # Half a percent of the square is what looks differ by at best.
    spread = -np.log(person.spread + 0.005)
    values = [np.ones(33), spread, _logit(pose.visibility), _logit(pose.presence), _logit(pose.peak), pose.unity]
    return np.stack([*values, np.full(33, person.agreement)], -1)


def _logit(probability: np.ndarray) -> np.ndarray:
    clipped = probability.clip(0.001, 0.999)
    return np.log(clipped / (1.0 - clipped))


def right(person: Person) -> Float[np.ndarray, "33"]:
    """Probability of each keypoint to be right and on the side that its name says."""
    return probability(person) * person.one_sided


def probability(person: Person, weights: dict[str, tuple[float, ...]] = WEIGHTS) -> Float[np.ndarray, "33"]:
    """Probability of each keypoint to be within 5 % of the person's height; ``weights`` are by kind, as `EVIDENCE`."""
    table = np.array([weights[kind] for kind in OF_KEYPOINT])
    return 1.0 / (1.0 + np.exp(-(table * evidence_of(person)).sum(-1)))
