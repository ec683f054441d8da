import wave

import numpy as np
import pytest
from PIL import Image
from small_clips import level, shades, turn_upright_matrix, write_clip

from fitloop.data.clip_files import find_clips
from fitloop.data.video import ClipReader, Sampling, UnreadableClip


def read(path, **sampling):
    reader = ClipReader(path, Sampling(**sampling))
    return list(reader.frames()), reader


def test_a_clip_gives_its_frames_in_order_with_their_times(tmp_path):
    frames, reader = read(write_clip(tmp_path / "a.mp4", shades(12)))
    assert [level(frame.pixels) for frame in frames] == list(range(12))
    assert [frame.index for frame in frames] == list(range(12))
    assert [frame.time for frame in frames] == pytest.approx(np.arange(12) / 10.0)
    assert reader.info.frames == 12
    assert not reader.notices


def test_fewer_frames_a_second_take_those_nearest_in_time(tmp_path):
    frames, _ = read(write_clip(tmp_path / "a.mp4", shades(12)), frames_per_second=5.0)
    assert [level(frame.pixels) for frame in frames] == [0, 2, 4, 6, 8, 10]


def test_more_frames_a_second_repeat_pictures_and_say_so(tmp_path):
    frames, _ = read(write_clip(tmp_path / "a.mp4", shades(3)), frames_per_second=20.0)
    assert len({frame.pixels.tobytes() for frame in frames}) == 3
    assert sum(not frame.repeated for frame in frames) == 3
    assert any(frame.repeated for frame in frames)


def test_uneven_times_decide_which_picture_a_frame_shows(tmp_path):
    path = write_clip(tmp_path / "a.mkv", shades(4), times=[0, 10, 50, 60])
    frames, _ = read(path, frames_per_second=10.0)
    assert [level(frame.pixels) for frame in frames] == [0, 1, 1, 1, 2, 2, 3]
    assert [frame.repeated for frame in frames] == [False, False, True, True, False, True, False]


def test_a_part_keeps_the_numbers_of_the_whole(tmp_path):
    path = write_clip(tmp_path / "a.mp4", shades(12))
    frames, reader = read(path, start=0.5, end=0.9)
    assert [(frame.index, level(frame.pixels)) for frame in frames] == [(5, 5), (6, 6), (7, 7), (8, 8)]
    assert reader.info.frames == 4


def test_reading_may_go_on_at_any_frame(tmp_path):
    reader = ClipReader(write_clip(tmp_path / "a.mp4", shades(24)))
    whole, rest = list(reader.frames()), list(reader.frames(first=19))
    assert [frame.index for frame in rest] == [19, 20, 21, 22, 23]
    assert all(np.array_equal(a.pixels, b.pixels) for a, b in zip(whole[19:], rest, strict=True))


@pytest.mark.parametrize(("degrees", "bright"), [(90, "right"), (180, "bottom"), (270, "left")])
def test_a_turned_phone_gives_upright_frames(tmp_path, degrees, bright):
    picture = np.zeros((48, 64, 3), np.uint8)
    picture[:12] = 255
    path = write_clip(tmp_path / "a.mp4", [picture] * 3)
    turn_upright_matrix(path, degrees)
    pixels = read(path)[0][0].pixels
    parts = {"top": pixels[:12], "bottom": pixels[-12:], "left": pixels[:, :12], "right": pixels[:, -12:]}
    assert pixels.shape == ((64, 48, 3) if degrees != 180 else (48, 64, 3))
    assert max(parts, key=lambda part: parts[part].mean()) == bright


def test_ten_bits_and_odd_sizes_become_plain_pixels(tmp_path):
    path = write_clip(tmp_path / "a.mkv", shades(3, 45, 63), codec="ffv1", pixels="yuv444p10le")
    frames, _ = read(path)
    assert frames[0].pixels.shape == (45, 63, 3)
    assert frames[0].pixels.dtype == np.uint8
    assert [level(frame.pixels) for frame in frames] == [0, 1, 2]


def test_a_gif_that_is_given_itself_is_a_clip(tmp_path):
    pictures = [Image.fromarray(frame) for frame in shades(4)]
    pictures[0].save(tmp_path / "a.gif", save_all=True, append_images=pictures[1:], duration=100)
    frames, _ = read(tmp_path / "a.gif")
    assert [level(frame.pixels) for frame in frames] == [0, 1, 2, 3]
    assert find_clips(tmp_path / "a.gif") == ["a.gif"]
    assert find_clips(tmp_path) == []


def test_clips_are_known_by_their_ending_in_a_folder_and_a_photo_is_none(tmp_path):
    for name in ("b.MP4", "a.mov", "photo.jpg", "code.ts", "notes.txt"):
        (tmp_path / name).write_bytes(b"")
    assert find_clips(tmp_path) == ["a.mov", "b.MP4"]
    assert find_clips(tmp_path / "photo.jpg") == []
    assert find_clips(tmp_path / "code.ts") == ["code.ts"]


def test_one_frame_is_a_clip(tmp_path):
    frames, _ = read(write_clip(tmp_path / "a.mp4", shades(1)))
    assert len(frames) == 1


def test_a_clip_that_was_cut_off_gives_what_can_be_read(tmp_path):
    noise = np.random.default_rng(0).integers(0, 255, (20, 48, 64, 3), dtype=np.uint8)
    path = write_clip(tmp_path / "a.mkv", list(noise))
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])
    frames, _ = read(path)
    assert 2 < len(frames) < 19


def test_sound_alone_is_refused_in_a_sentence(tmp_path):
    with wave.open(str(tmp_path / "a.wav"), "wb") as sound:
        sound.setparams((1, 2, 8000, 0, "NONE", ""))
        sound.writeframes(bytes(16000))
    with pytest.raises(UnreadableClip, match="only sound; give a clip"):
        ClipReader(tmp_path / "a.wav")


@pytest.mark.parametrize(("content", "told"), [(b"", "the file is empty"), (b"no clip at all" * 99, "not a clip")])
def test_what_is_no_clip_is_refused_in_a_sentence(tmp_path, content, told):
    (tmp_path / "a.mp4").write_bytes(content)
    with pytest.raises(UnreadableClip, match=told):
        ClipReader(tmp_path / "a.mp4")


def test_a_part_behind_the_end_is_refused_in_a_sentence(tmp_path):
    path = write_clip(tmp_path / "a.mp4", shades(5))
    with pytest.raises(UnreadableClip, match="no frame at 3 s"):
        read(path, start=3.0)


def test_frames_of_another_size_are_brought_to_the_first_ones(tmp_path):
    small, large = shades(3, 48, 64), shades(3, 96, 64)
    first, second = write_clip(tmp_path / "a.ts", small), write_clip(tmp_path / "b.ts", large)
    (tmp_path / "both.ts").write_bytes(first.read_bytes() + second.read_bytes())
    frames, reader = read(tmp_path / "both.ts")
    assert {frame.pixels.shape for frame in frames} == {(48, 64, 3)}
    assert "change their size" in " ".join(reader.notices)


@pytest.mark.parametrize("bad", [{"frames_per_second": 0.0}, {"start": -1.0}, {"start": 2.0, "end": 1.0}])
def test_impossible_parts_are_refused(bad):
    with pytest.raises(ValueError, match="got"):
        Sampling(**bad)
