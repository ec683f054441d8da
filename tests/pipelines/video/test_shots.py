import numpy as np
import pytest

from fitloop.pipelines.video import shots

NOBODY = np.zeros((0, 4))


def scene(seed: int, shift: int = 0) -> np.ndarray:
    """Coarse random patches, moved by some pixels."""
    patches = np.random.default_rng(seed).integers(0, 255, (12, 30, 3), dtype=np.uint8)
    return np.ascontiguousarray(np.kron(patches, np.ones((16, 16, 1), np.uint8))[:, 20 + shift : 340 + shift])


def test_another_scene_is_a_cut_and_a_motion_is_none():
    state = shots.begin(scene(0))
    for shift in range(1, 6):
        cut, state = shots.is_cut(state, scene(0, shift))
        assert not cut
    cut, state = shots.is_cut(state, scene(1))
    assert cut


def test_a_camera_that_stands_still_rests_whoever_walks_through():
    state, motions = shots.begin(scene(0)), []
    for step in range(8):
        pixels = scene(0).copy()
        box = np.array([[40.0 * step, 30.0, 40.0 * step + 50.0, 170.0]])
        pixels[30:170, 40 * step : 40 * step + 50] = 128
        moved, state = shots.background_motion(state, pixels, box)
        motions.append(moved)
    assert shots.rests(np.array(motions))


@pytest.mark.parametrize("speed", [2, 5])
def test_a_camera_that_pans_does_not_rest(speed):
    state, motions = shots.begin(scene(0)), []
    for step in range(1, 4):
        moved, state = shots.background_motion(state, scene(0, speed * step), NOBODY)
        motions.append(moved)
    assert motions == pytest.approx([speed / 320.0] * 3, rel=0.2)
    assert not shots.rests(np.array(motions))


def test_a_plain_wall_that_stays_as_it_is_rests():
    wall = np.full((180, 320, 3), 90, np.uint8)
    moved, _ = shots.background_motion(shots.begin(wall), wall, NOBODY)
    assert moved == 0.0


def test_without_any_background_nothing_is_known():
    state = shots.begin(scene(0))
    moved, _ = shots.background_motion(state, scene(0), np.array([[0.0, 0.0, 320.0, 192.0]]))
    assert np.isnan(moved)
    assert not shots.rests(np.array([moved]))
