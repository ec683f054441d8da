"""The benchmark of clips: what it makes of bodies whose errors are known."""

import pytest
import torch

from benchmarks.video import JOINTS, STAGES, Moving, measure


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
