"""The benchmark of clips: what it makes of bodies whose errors are known."""

import numpy as np
import pytest
import torch

from benchmarks.video import JOINTS, STAGES, Moving, _match, measure
from fitloop.body import Detections, load_body, upright
from fitloop.body.records import BodyEstimate
from fitloop.geometry import Camera
from fitloop.pipelines.chain.people import People


def _moving(kind: str, tracks: tuple[int | None, ...]) -> Moving:
    frames = len(tracks)
    joints = torch.randn(1, len(JOINTS), 3, generator=torch.Generator().manual_seed(0)).expand(frames, -1, -1)
    feet = torch.zeros(frames, 2, 3)
    found = torch.tensor([track is not None for track in tracks])
    shaking = joints.clone()
    shaking[1::2, 0, 0] += 0.013
    sliding = feet + torch.arange(frames)[:, None, None] * torch.tensor([0.01, 0.0, 0.0])
    exact, wrong = (joints, feet), (shaking, sliding)
    return Moving(kind, joints, feet, dict(zip(STAGES, (wrong, wrong, exact), strict=True)), found, tracks)


def test_errors_come_in_the_units_that_they_are_told_in():
    found = {metric.key: metric.value for metric in measure([_moving("static", (3, 3, 3, 3, 3, 3))], 30.0)}
    # The nose of 13 joints is off by 13 mm in every second frame; its second difference is twice that.
    assert found["video.static.regressed.mpjpe"] == pytest.approx(0.5, abs=1e-3)
    assert found["video.all.per_frame.acceleration"] == pytest.approx(2.0, abs=1e-3)
    assert found["video.all.per_frame.acceleration_si"] == pytest.approx(1.8, abs=1e-3)
    assert found["video.all.per_frame.foot_sliding"] == pytest.approx(10.0, abs=1e-3)
    assert found["video.all.smoothed.acceleration"] == found["video.all.smoothed.foot_sliding"] == 0.0


def test_frames_that_nobody_found_count_nowhere_but_in_the_share_that_was_found():
    people = [_moving("crossing", (0, 0, 0, None, 1, 1))]
    found = {metric.key: metric.value for metric in measure(people, 30.0)}
    assert found["video.crossing.found"] == pytest.approx(100 * 5 / 6)
    assert found["video.crossing.identity_switches"] == 1.0
    assert found["video.crossing.per_frame.mpjpe"] == pytest.approx(2 / 5, abs=1e-3)


def test_a_person_of_the_truth_is_the_result_whose_box_overlaps_most():
    body = load_body("open")
    camera = Camera(torch.full((2,), 500.0), torch.zeros(2, 2))
    boxes = torch.tensor([[0.0, 0.0, 10.0, 10.0], [5.0, 0.0, 15.0, 10.0]])
    seen = Detections(torch.zeros(2, 17, 2), torch.ones(2, 17), boxes, "coco17")
    found = (People("a", body, seen, BodyEstimate(upright(2), camera, body.name), None), np.array([0, 1]))
    assert _match(np.array([4.0, 0.0, 14.0, 10.0]), found) == 1
    assert _match(np.array([40.0, 0.0, 50.0, 10.0]), found) is None and _match(np.zeros(4), None) is None
