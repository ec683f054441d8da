import numpy as np
import torch

from fitloop.evaluation.motion import acceleration_column, follow, foot_sliding, identity_switches, resting, tracks
from fitloop.evaluation.people import ScoredPeople


def frames(*names):
    return ScoredPeople(tuple(names), count=len(names))


def test_neighbouring_frames_of_one_folder_are_a_track():
    truth = frames("s/image_00001.jpg", "s/image_00002.jpg", "s/image_00004.jpg", "t/image_00005.jpg")
    assert [rows.tolist() for rows in tracks(truth)] == [[0, 1], [2], [3]]


def test_sequence_and_frame_say_it_where_they_are_given():
    values = {"sequence": np.array(["a", "a", "b"]), "frame": np.array([1, 2, 3])}
    truth = ScoredPeople(("x", "y", "z"), count=3, values=values)
    assert [rows.tolist() for rows in tracks(truth)] == [[0, 1], [2]]


def test_a_missing_frame_leaves_its_neighbours_without_a_score():
    truth = frames(*(f"s/{number}.jpg" for number in range(6)))
    points, target = torch.randn(6, 4, 3), torch.zeros(6, 4, 3)
    weights = torch.ones(6, 4)
    weights[4] = 0.0
    column = acceleration_column(truth, points, target, weights)
    assert torch.isfinite(column).tolist() == [False, True, True, False, False, False]


def test_a_constant_offset_has_no_acceleration():
    truth = frames(*(f"s/{number}.jpg" for number in range(5)))
    target = torch.randn(5, 4, 3)
    column = acceleration_column(truth, target + 0.3, target, torch.ones(5, 4))
    torch.testing.assert_close(column[1:-1], torch.zeros(3), atol=1e-2, rtol=0)


def test_only_feet_that_rest_in_truth_slide():
    truth = torch.zeros(4, 2, 3)
    truth[:, 1, 0] = torch.arange(4) * 0.1
    rests = resting(truth, 30.0)
    assert rests.tolist() == [[True, False]] * 3, "3 m/s is a step"
    moved = truth.clone()
    moved[2, 0, 1] = 0.02
    moved[:, 1] = torch.randn(4, 3)
    slid = foot_sliding(moved, rests)
    torch.testing.assert_close(slid, torch.tensor([0.0, 20.0, 20.0, torch.nan]), equal_nan=True)
    assert torch.isnan(foot_sliding(moved[:, 1:], rests[:, 1:])).all(), "nothing rests, nothing slides"


def test_a_switch_is_another_number_than_before_also_after_a_gap():
    assert identity_switches([1, 1, None, 1]) == 0
    assert identity_switches([1, 1, None, 2, 2, 1]) == 2
    assert identity_switches([None, None]) == 0


def _box(x: float) -> list[float]:
    return [x, 0.0, x + 10.0, 10.0]


def test_two_who_cross_are_matched_one_to_one_and_stay_with_their_tracks():
    left, right = np.array([0.0, 3.0, 6.0]), np.array([6.0, 3.0, 0.0])
    truth = [np.array([_box(a), _box(b)]) for a, b in zip(left, right, strict=True)]
    numbers = [np.array([7, 9])] * 3
    kept = follow(truth, truth, numbers)
    assert [match.tolist() for match in kept] == [[0, 1]] * 3
    # Tracks that turn back where the people meet: one to one, and another number than before once they are apart.
    turned = [truth[0], truth[1], truth[2][::-1]]
    matches = follow(
        [*truth, np.array([_box(20.0), _box(-20.0)])],
        [*turned, np.array([_box(-20.0), _box(20.0)])],
        [*numbers, numbers[0]],
    )
    assert matches[3].tolist() == [1, 0]


def test_nobody_is_matched_without_overlap():
    truth = [np.array([_box(0.0)])] * 3
    found = [np.array([_box(0.0)]), np.zeros((0, 4)), np.array([_box(50.0)])]
    matches = follow(truth, found, [np.array([1]), np.zeros(0, int), np.array([1])])
    assert [match.tolist() for match in matches] == [[0], [-1], [-1]]
