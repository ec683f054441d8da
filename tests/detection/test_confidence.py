from dataclasses import replace

import numpy as np

from fitloop.body.keypoints import MEDIAPIPE_33
from fitloop.detection.confidence import EVIDENCE, KINDS, OF_KEYPOINT, WEIGHTS, evidence_of, probability
from fitloop.detection.landmarks import Place, Pose
from fitloop.detection.looks import Person

SQUARE = Place(np.array([50.0, 50.0]), 100.0, 0.0)


def person(peak: float = 0.9, unity: float = 0.9, agreement: float = 0.9) -> Person:
    ones = np.ones(33)
    pose = Pose(
        1.0,
        np.zeros((33, 2)),
        0.9 * ones,
        0.9 * ones,
        peak * ones,
        unity * ones,
        np.zeros((33, 3)),
        np.ones((256, 256)),
        SQUARE,
        SQUARE,
    )
    return Person(pose, np.full(33, 0.01), agreement, 1.0)


def test_every_keypoint_is_of_a_kind_and_every_kind_has_weights():
    assert set(OF_KEYPOINT) == set(KINDS) == set(WEIGHTS)
    assert OF_KEYPOINT[MEDIAPIPE_33.index("left_big_toe")] == "foot"
    assert all(len(weights) == len(EVIDENCE) for weights in WEIGHTS.values())


def test_two_places_or_no_peak_make_every_keypoint_less_likely():
    sure = probability(person())
    assert (probability(person(peak=0.2)) < sure).all()
    assert (probability(person(unity=0.3)) < sure).all()
    assert ((sure > 0.5) & (sure < 1.0)).all()


def test_evidence_is_finite_where_looks_are_the_same_and_probabilities_are_0_or_1():
    certain = person(peak=1.0)
    certain = replace(certain, spread=np.zeros(33), pose=replace(certain.pose, visibility=np.zeros(33)))
    assert np.isfinite(evidence_of(certain)).all()


def test_one_weight_alone_is_a_logistic_function_of_its_evidence():
    weights = {kind: (0.0, 0.0, 0.0, 0.0, 0.0, 2.0, 0.0) for kind in KINDS}
    assert np.allclose(probability(person(unity=0.5), weights), 1.0 / (1.0 + np.exp(-1.0)))
