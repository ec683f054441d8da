import pytest
import torch

from fitloop.body.keypoints import LSP_14, MPII_16
from fitloop.evaluation.keypoints import (
    box_side,
    head_box_length,
    head_length,
    keypoint_distances,
    pck_2d,
    torso_diameter,
)


def make_person(**places):
    points, observed = torch.zeros(14, 2), torch.zeros(14)
    for name, place in places.items():
        points[LSP_14.index(name)] = torch.tensor(place)
        observed[LSP_14.index(name)] = 1.0
    return points, observed


def test_pck_counts_distances_up_to_the_bound():
    distances = torch.tensor([0.0, 10.0, 10.1, 50.0])
    assert pck_2d(distances, torch.tensor(100.0), 0.1, torch.ones(4)).item() == pytest.approx(0.5)
    assert pck_2d(distances, torch.tensor(100.0), 0.1, torch.tensor([1.0, 0.9, 0.0, 0.0])).item() == pytest.approx(1.0)


def test_torso_runs_from_left_shoulder_to_right_hip():
    points, observed = make_person(
        left_shoulder=(0.0, 0.0), right_hip=(30.0, 40.0), right_shoulder=(0.0, 0.0), left_hip=(6.0, 8.0)
    )
    assert torso_diameter(points, observed, LSP_14).item() == pytest.approx(50.0)


def test_torso_takes_the_other_diagonal_where_the_first_is_not_annotated():
    points, observed = make_person(right_hip=(30.0, 40.0), right_shoulder=(0.0, 0.0), left_hip=(6.0, 8.0))
    assert torso_diameter(points, observed, LSP_14).item() == pytest.approx(10.0)


def test_without_a_torso_there_is_no_score():
    points, observed = make_person(right_hip=(30.0, 40.0), left_hip=(6.0, 8.0))
    length = torso_diameter(points, observed, LSP_14)
    assert torch.isnan(length)
    assert torch.isnan(pck_2d(torch.zeros(14), length, 0.2, observed))


def test_head_length_is_the_distance_from_neck_to_top():
    points, observed = make_person(neck=(0.0, 0.0), head_top=(3.0, -4.0))
    assert head_length(points, observed, LSP_14).item() == pytest.approx(5.0)
    assert torch.isnan(head_length(points, 0.0 * observed, LSP_14))
    assert head_length(torch.zeros(2, 16, 2), torch.ones(2, 16), MPII_16).shape == (2,)


def test_mpii_takes_six_tenths_of_the_head_boxs_diagonal():
    assert head_box_length(torch.tensor([10.0, 10.0, 40.0, 50.0])).item() == pytest.approx(30.0)


def test_box_side_is_the_longer_one():
    assert box_side(torch.tensor([[0.0, 0.0, 3.0, 9.0], [0.0, 0.0, 8.0, 2.0]])).tolist() == [9.0, 8.0]


def test_distances_are_in_pixels():
    assert keypoint_distances(torch.zeros(1, 2), torch.tensor([[3.0, 4.0]])).item() == pytest.approx(5.0)
