import pytest
import torch
from toy import random_params, stick_body, toy_camera

from fitloop.body import Detections, KeypointKinematics, convention_named
from fitloop.body.keypoints import CONVENTIONS
from fitloop.geometry import project
from fitloop.regressor.keypoint_encoder import (
    KEYPOINT_NAMES,
    KeypointEncoder,
    KeypointInputs,
    keypoint_inputs,
    tight_boxes,
    to_known_landmarks,
)


def detections_in(convention: str, people: int = 2) -> Detections:
    """A perfect detector of a stick figure that speaks one convention."""
    names = convention_named(convention).landmarks
    known = [name or "pelvis" for name in names]
    points = KeypointKinematics(stick_body(), tuple(known))(random_params(people))
    confidence = torch.tensor([0.0 if name is None else 0.9 for name in names]).expand(people, -1)
    return Detections(project(points, toy_camera(people)), confidence, torch.zeros(people, 4), convention)


@pytest.mark.parametrize("convention", sorted(CONVENTIONS))
def test_every_landmark_of_every_convention_is_known(convention):
    names = {name for name in convention_named(convention).landmarks if name}
    known = to_known_landmarks(detections_in(convention))
    assert {KEYPOINT_NAMES[row] for row in (known.confidence[0] > 0).nonzero()[:, 0]} == names
    expected = project(KeypointKinematics(stick_body(), KEYPOINT_NAMES)(random_params(2)), toy_camera(2))
    seen = known.confidence > 0
    torch.testing.assert_close(known.keypoints[seen], expected[seen])


def test_of_two_keypoints_for_one_landmark_the_surer_one_wins():
    given = detections_in("spin49", 1)
    first, second = (convention_named("spin49").index(name) for name in ("left_wrist_openpose", "left_wrist"))
    confidence, keypoints = given.confidence.clone(), given.keypoints.clone()
    confidence[0, first], confidence[0, second] = 0.3, 0.8
    keypoints[0, second] = 7.0
    given = Detections(keypoints, confidence, given.boxes, "spin49")
    known = to_known_landmarks(given)
    row = KEYPOINT_NAMES.index("left_wrist")
    assert known.confidence[0, row] == pytest.approx(0.8)
    assert torch.equal(known.keypoints[0, row], torch.tensor([7.0, 7.0]))


def test_what_is_not_observed_does_not_change_the_features():
    torch.manual_seed(0)
    encoder = KeypointEncoder(32, 2).eval()
    count = len(KEYPOINT_NAMES)
    points, landmarks = torch.randn(2, count, 2), torch.randn(2, count, 3)
    confidence = (torch.rand(2, count) > 0.5).float()
    inputs = KeypointInputs(points, confidence, landmarks, confidence, torch.zeros(2, 3))
    hidden = confidence[..., None] == 0
    other = KeypointInputs(
        torch.where(hidden, torch.nan, points),
        confidence,
        torch.where(hidden, 1e9, landmarks),
        confidence,
        inputs.bearing,
    )
    assert torch.equal(encoder(inputs), encoder(other))
    assert not torch.equal(encoder(inputs)[0], encoder(inputs)[1])


def test_the_unit_of_the_landmarks_does_not_matter():
    encoder = KeypointEncoder(16, 1).eval()
    count = len(KEYPOINT_NAMES)
    landmarks, ones = torch.randn(1, count, 3), torch.ones(1, count)
    metres = KeypointInputs(torch.zeros(1, count, 2), ones, landmarks, ones, torch.zeros(1, 3))
    feet = KeypointInputs(torch.zeros(1, count, 2), ones, landmarks * 3.28, ones, torch.zeros(1, 3))
    torch.testing.assert_close(encoder(metres), encoder(feet), atol=1e-5, rtol=1e-4)


def test_keypoints_fill_the_view_wherever_the_person_stands():
    known = to_known_landmarks(detections_in("body25"))
    inputs, view = keypoint_inputs(known, toy_camera(2))
    seen = inputs.confidence > 0
    assert float(inputs.points[seen].abs().max()) < 1.0
    assert float(inputs.points[seen].abs().max()) > 0.7
    assert float(inputs.landmark_confidence.abs().max()) == 0.0
    assert view.rotation.shape == (2, 3, 3)


def test_boxes_serve_where_keypoints_are_too_few():
    keypoints = torch.tensor([[[10.0, 20.0], [30.0, 5.0], [20.0, 50.0]]]).expand(2, 3, 2)
    confidence = torch.tensor([[1.0, 1.0, 1.0], [1.0, 1.0, 0.0]])
    boxes = torch.tensor([[0.0, 0.0, 1.0, 1.0], [2.0, 3.0, 4.0, 5.0]])
    expected = torch.tensor([[10.0, 5.0, 30.0, 50.0], [2.0, 3.0, 4.0, 5.0]])
    assert torch.equal(tight_boxes(keypoints, confidence, boxes), expected)
