import numpy as np
import torch

from fitloop.evaluation.motion import acceleration_column, tracks
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
