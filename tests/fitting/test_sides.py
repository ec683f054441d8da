from dataclasses import replace

import numpy as np
import pytest
import torch
from fitting_scenes import estimate_of, see
from toy import random_params, stick_body

from fitloop.body import convention_named
from fitloop.fitting.sides import mend_sides

FRAMES = 30
NAMES = convention_named("coco17").keypoints
FLIP = list(convention_named("coco17").flip)


@pytest.fixture(scope="module")
def seen():
    body = stick_body()
    base = random_params(1, seed=0).map(lambda tensor: tensor.expand(FRAMES, *tensor.shape[1:]).clone())
    moved = replace(base, transl=base.transl + torch.linspace(0.0, 0.5, FRAMES)[:, None])
    found = see(body, estimate_of(moved, body), "coco17")
    landmarks = torch.randn(17, 3, generator=torch.Generator().manual_seed(3)).mul(0.3).expand(FRAMES, 17, 3).clone()
    return replace(found, landmarks=landmarks, landmark_confidence=found.confidence.clone())


def turned(seen, frames):
    keypoints, landmarks = seen.keypoints.clone(), seen.landmarks.clone()
    keypoints[frames] = keypoints[frames][:, FLIP]
    landmarks[frames] = landmarks[frames][:, FLIP] * torch.tensor([1.0, 1.0, -1.0])
    return replace(seen, keypoints=keypoints, landmarks=landmarks)


def test_what_is_right_stays(seen):
    mended, changed = mend_sides(seen, 30.0)
    assert not changed.any()
    assert torch.equal(mended.keypoints, seen.keypoints)


@pytest.mark.parametrize("frames", [[7], [10, 11, 12, 13, 14], [0, 1], [29]])
def test_somebody_who_was_taken_for_turned_around_is_turned_back(seen, frames):
    mended, changed = mend_sides(turned(seen, frames), 30.0)
    assert np.flatnonzero(changed).tolist() == frames
    assert torch.equal(mended.keypoints, seen.keypoints)
    assert torch.allclose(mended.landmarks, seen.landmarks)


def test_legs_that_were_exchanged_alone_are_put_right_with_their_confidence(seen):
    order = [FLIP[row] if "knee" in name or "ankle" in name else row for row, name in enumerate(NAMES)]
    given = replace(seen, confidence=seen.confidence * torch.linspace(0.5, 1.0, 17))
    keypoints, confidence, landmarks = given.keypoints.clone(), given.confidence.clone(), given.landmarks.clone()
    keypoints[12], confidence[12], landmarks[12] = keypoints[12, order], confidence[12, order], landmarks[12, order]
    mended, changed = mend_sides(replace(given, keypoints=keypoints, confidence=confidence, landmarks=landmarks), 30.0)
    assert np.flatnonzero(changed).tolist() == [12]
    assert torch.equal(mended.keypoints, given.keypoints)
    assert torch.equal(mended.confidence, given.confidence)


def test_a_gap_does_not_stop_the_mending(seen):
    confidence = seen.confidence.clone()
    confidence[9:12] = 0.0
    mended, changed = mend_sides(replace(turned(seen, [14]), confidence=confidence), 30.0)
    assert np.flatnonzero(changed).tolist() == [14]
    assert torch.equal(mended.keypoints[14], seen.keypoints[14])


def test_keypoints_alone_are_enough(seen):
    plain = replace(seen, landmarks=None, landmark_confidence=None)
    keypoints = plain.keypoints.clone()
    keypoints[5] = keypoints[5, FLIP]
    mended, changed = mend_sides(replace(plain, keypoints=keypoints), 30.0)
    assert np.flatnonzero(changed).tolist() == [5]
    assert mended.landmarks is None


def test_somebody_who_stays_turned_is_believed(seen):
    frames = list(range(8, FRAMES))
    _, changed = mend_sides(turned(seen, frames), 5.0)
    assert set(np.flatnonzero(changed).tolist()) <= set(range(8))
