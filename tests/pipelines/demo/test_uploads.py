import av
import numpy as np
import pytest
from PIL import Image as PillowImage
from small_clips import shades, write_clip

from fitloop.pipelines.demo.config import DemoConfig
from fitloop.pipelines.demo.uploads import Refused, check_clip, check_photo, check_size, is_clip, safe_name


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ("holiday.JPG", "holiday.jpg"),
        ("../../etc/two words.png", "two_words.png"),
        ("C:\\photos\\a.webp", "a.webp"),
        ("<img src=x>.png", "img_src_x.png"),
        ("日本.mp4", "upload.mp4"),
        ("x" * 300 + ".mov", "x" * 60 + ".mov"),
        ("..png", "upload.png"),
    ],
)
def test_names_lose_their_folders_and_what_addresses_dislike(given, kept):
    assert safe_name(given) == kept


@pytest.mark.parametrize("given", ["notes.txt", "noending", ".png", "run.html", "a.png.exe", ""])
def test_what_is_no_photo_or_clip_by_its_name_is_refused(given):
    with pytest.raises(Refused, match="neither a photo nor a clip"):
        safe_name(given)


def test_clips_are_known_by_their_names():
    assert is_clip("a.mp4") and is_clip("a.MOV") and not is_clip("a.gif")


def test_too_many_bytes_are_refused():
    config = DemoConfig(max_megabytes=2.0)
    check_size(2_000_000, config)
    with pytest.raises(Refused, match="larger than the 2 MB"):
        check_size(2_000_001, config)


@pytest.mark.parametrize(
    ("size", "told"), [((9000, 7000), "63 megapixels"), ((20000, 10000), "50 megapixels accepted")]
)
def test_a_photo_of_too_many_pixels_is_refused_without_being_decoded(tmp_path, monkeypatch, size, told):
    path = tmp_path / "large.png"
    PillowImage.new("1", size).save(path, compress_level=1)
    monkeypatch.setattr(PillowImage.Image, "load", lambda *_: pytest.fail("was decoded"))
    with pytest.raises(Refused, match=told):
        check_photo(path, DemoConfig())


def test_a_damaged_photo_is_left_to_who_reads_it(tmp_path):
    path = tmp_path / "broken.jpg"
    path.write_bytes(b"\xff\xd8\xff\xe0 and nothing else")
    check_photo(path, DemoConfig())


def test_a_clip_within_the_limits_tells_its_frame_rate(tmp_path):
    path = write_clip(tmp_path / "a.mp4", shades(5))
    assert check_clip(path, DemoConfig()) == 10.0


def test_a_clip_that_lasts_too_long_is_refused(tmp_path):
    path = write_clip(tmp_path / "a.mp4", shades(20))
    with pytest.raises(Refused, match="lasts 2 s, more than the 1 s"):
        check_clip(path, DemoConfig(max_seconds=1.0))


def test_a_clip_with_large_frames_is_refused(tmp_path):
    path = write_clip(tmp_path / "a.mp4", [np.zeros((200, 300, 3), np.uint8)])
    with pytest.raises(Refused, match="300 x 200"):
        check_clip(path, DemoConfig(max_megapixels=0.05))


def test_sound_alone_is_refused_in_a_sentence(tmp_path):
    path = tmp_path / "sound.mp4"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("aac", rate=8000)
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), format="fltp", layout="mono")
        frame.sample_rate = 8000
        container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    with pytest.raises(Refused, match="only sound"):
        check_clip(path, DemoConfig())


@pytest.mark.parametrize("content", [b"", b"\0\0\0\x18ftypmp42 and then nothing"])
def test_what_is_no_clip_inside_is_refused_in_a_sentence(tmp_path, content):
    path = tmp_path / "a.mp4"
    path.write_bytes(content)
    with pytest.raises(Refused, match=r"'a\.mp4' is not a clip"):
        check_clip(path, DemoConfig())


@pytest.mark.parametrize("wrong", [{"queue": 0}, {"max_megabytes": 0.0}, {"keep_minutes": -1.0}, {"port": 70000}])
def test_options_that_make_no_sense_are_refused(wrong):
    with pytest.raises(ValueError, match="--"):
        DemoConfig(**wrong)
