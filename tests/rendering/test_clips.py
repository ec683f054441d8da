"""Clips for people to look at."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from motion_scenes import BODY, make_motion

from fitloop.geometry import Camera
from fitloop.rendering.clips import ClipWriter, SideView, draw_tracks, side_by_side, track_colors

av = pytest.importorskip("av")


def frames_of(path):
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        frames = [frame.to_ndarray(format="rgb24") for frame in container.decode(stream)]
        return frames, stream.average_rate, stream.codec_context


@pytest.mark.parametrize("rate", [30.0, 30000 / 1001, 15.0, 12.5])
def test_frames_come_back_from_the_clip_at_their_rate(tmp_path, rate):
    colors = [(200, 40, 40), (40, 200, 40), (40, 40, 200)]
    with ClipWriter(tmp_path / "a.mp4", rate) as clip:
        for color in colors:
            clip.write(np.full((48, 64, 3), color, np.uint8))
    frames, found, codec = frames_of(tmp_path / "a.mp4")
    assert float(found) == pytest.approx(rate, rel=1e-6)
    assert (codec.name, codec.format.name) == ("h264", "yuv420p")
    for frame, color in zip(frames, colors, strict=True):
        assert np.abs(frame[24, 32].astype(int) - color).max() < 8


def test_odd_sizes_are_padded(tmp_path):
    picture = np.random.default_rng(0).integers(0, 255, (47, 63, 3), np.uint8)
    with ClipWriter(tmp_path / "a.mp4", 30.0) as clip:
        clip.write(picture)
    assert frames_of(tmp_path / "a.mp4")[0][0].shape == (48, 64, 3)


def test_the_index_lies_before_the_pictures(tmp_path):
    with ClipWriter(tmp_path / "a.mp4", 30.0) as clip:
        clip.write(np.zeros((48, 64, 3), np.uint8))
    content = (tmp_path / "a.mp4").read_bytes()
    assert 0 < content.index(b"moov") < content.index(b"mdat")


def test_a_clip_that_fails_leaves_the_old_one(tmp_path):
    path = tmp_path / "a.mp4"
    path.write_bytes(b"old")
    with pytest.raises(RuntimeError, match="stop"), ClipWriter(path, 30.0) as clip:
        clip.write(np.zeros((48, 64, 3), np.uint8))
        raise RuntimeError("stop")
    with pytest.raises(ValueError, match="one size"), ClipWriter(path, 30.0) as clip:
        clip.write(np.zeros((48, 64, 3), np.uint8))
        clip.write(np.zeros((48, 66, 3), np.uint8))
    with pytest.raises(ValueError, match="would hold no frame"), ClipWriter(path, 30.0):
        pass
    assert path.read_bytes() == b"old" and list(tmp_path.iterdir()) == [path]
    with pytest.raises(ValueError, match="positive frame rate"):
        ClipWriter(path, 0.0)


def test_a_track_keeps_its_colour_whoever_else_is_there():
    motion = make_motion(False, frames=2)
    pixels = np.zeros((48, 64, 3), np.uint8)
    camera = Camera(torch.tensor([60.0]), torch.tensor([[32.0, 24.0]]))
    vertices = BODY(replace(motion.params[:1], transl=torch.tensor([[0.0, 0.2, 4.0]]))).vertices
    far = vertices + torch.tensor([0.0, 0.0, 60.0])
    alone = draw_tracks(pixels, vertices, BODY.faces, camera, [4])
    both = draw_tracks(pixels, torch.cat([far, vertices]), BODY.faces, camera[[0, 0]], [1, 4])
    drawn = alone.any(-1)
    assert drawn.sum() > 50 and (both[drawn] == alone[drawn]).mean() > 0.95
    assert not torch.equal(track_colors([1]), track_colors([4]))


def test_the_view_from_the_side_sees_everybody_in_every_frame():
    motion = make_motion(False)
    view = SideView.of([motion], BODY)
    for row in (0, len(motion.times) - 1):
        vertices = BODY(motion.params[row : row + 1]).vertices
        picture = view.draw(vertices, BODY.faces, (80, 80), [0])
        empty = view.draw(vertices[:0], BODY.faces, (80, 80), [])
        drawn = (picture != empty).any(-1)
        assert drawn.sum() > 50 and not drawn[[0, -1]].any() and not drawn[:, [0, -1]].any()
    with pytest.raises(ValueError, match="got no motion"):
        SideView.of([], BODY)


def test_the_view_from_the_side_looks_from_the_cameras_right_and_level():
    motion = make_motion(True)
    view = SideView.of([motion], BODY)
    # A point further away than another lies to the right of it, one higher in the world lies above it.
    up = motion.to_world_rotation[2]
    ball = 0.05 * torch.tensor([[1.0, 0, 0], [0, 1, 0], [0, 0, 1], [-1, -1, -1]])
    faces = torch.tensor([[0, 1, 2], [0, 1, 3], [1, 2, 3], [0, 2, 3]])
    at = {}
    for name, place in (("middle", 0.0 * up), ("up", 0.5 * up), ("away", torch.tensor([0.0, 0.0, 0.5]))):
        centre = view.to_level.mT @ view.center + place
        picture = view.draw((ball + centre)[None], faces, (160, 160), [0])
        rows, columns = np.nonzero(np.ptp(picture.astype(int), axis=-1) > 8)
        at[name] = np.array([rows.mean(), columns.mean()])
    assert at["up"][0] < at["middle"][0] - 10 and abs(at["up"][1] - at["middle"][1]) < 2.0
    assert at["away"][1] > at["middle"][1] + 10


def test_pictures_lie_beside_one_another():
    picture = np.zeros((8, 10, 3), np.uint8)
    assert side_by_side(picture, picture, picture).shape == (8, 38, 3)
    with pytest.raises(ValueError, match=r"one height, got \[8, 9\]"):
        side_by_side(picture, np.zeros((9, 10, 3), np.uint8))
