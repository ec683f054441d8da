import logging
import os
import struct
import zlib
from pathlib import Path

import cv2
import numpy as np
import PIL.Image
import pytest
from PIL import ExifTags

from fitloop.data.images import SUFFIXES, UnreadableImage, find_images, find_unread_pictures, load_image
from fitloop.geometry.cameras import default_focal


@pytest.fixture
def colours() -> np.ndarray:
    rng = np.random.default_rng(0)
    coarse = rng.integers(0, 256, (6, 8, 3), dtype=np.uint8)
    return coarse.repeat(8, 0).repeat(8, 1)


def save(path: Path, pixels: np.ndarray, mode: str | None = None, **options) -> Path:
    picture = PIL.Image.fromarray(pixels)
    (picture if mode is None else picture.convert(mode)).save(path, **options)
    return path


def exif_of(**tags: object) -> PIL.Image.Exif:
    exif = PIL.Image.Exif()
    inner = exif.get_ifd(ExifTags.IFD.Exif)
    for name, value in tags.items():
        target = exif if name == "Orientation" else inner
        target[ExifTags.Base[name].value] = value
    return exif


# Which files are photos.


def test_photos_are_found_below_the_folder_in_order_whatever_their_name(tmp_path):
    names = ["b c.JPG", "a/ünï ☃.jpeg", "a/two\nlines.png", "z.webp", "same.tif", "a/same.tif", "deep/er/still.GIF"]
    for name in [*names, "notes.txt", "jpg", ".hidden.jpg", ".cache/thumb.png"]:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    assert find_images(tmp_path) == sorted(names)


@pytest.mark.parametrize("suffix", ["jfif", "jpe", "pjpeg", "pjp", "PPM", "pgm", "pnm", "jp2", "avif"])
def test_photos_of_cameras_and_browsers_are_found_and_read(tmp_path, colours, suffix):
    if f".{suffix.lower()}" not in SUFFIXES:
        pytest.skip("Pillow was built without it")
    formats = {"j": "JPEG", "p": "PPM", "P": "PPM", "a": "AVIF"}
    kind = "JPEG2000" if suffix == "jp2" else "JPEG" if suffix.startswith("pj") else formats[suffix[0]]
    PIL.Image.fromarray(colours).save(tmp_path / f"a.{suffix}", format=kind)
    assert find_images(tmp_path) == [f"a.{suffix}"]
    assert np.abs(load_image(tmp_path / f"a.{suffix}").pixels.astype(int) - colours).mean() < 12


def test_a_photo_knows_how_exif_turned_it(tmp_path, colours):
    path = save(tmp_path / "a.jpg", colours, exif=exif_of(Orientation=6))
    image = load_image(path)
    assert image.orientation == 6 and image.pixels.shape[:2] == (64, 48)
    assert load_image(save(tmp_path / "b.jpg", colours, exif=exif_of(Orientation=77))).orientation == 1


def test_files_that_look_like_pictures_and_are_not_read_are_found(tmp_path, colours):
    for name in ("x.heic", "a/y.CR2", "z.dng"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(b"of a camera")
    PIL.Image.fromarray(colours).save(tmp_path / "b.JPG_original", format="JPEG")
    PIL.Image.fromarray(colours).save(tmp_path / "without ending", format="WEBP")
    (tmp_path / "phone.bin").write_bytes(b"\x00\x00\x00\x18ftypheic\x00\x00\x00\x00")
    (tmp_path / "clip.mp4").write_bytes(b"\x00\x00\x00\x18ftypmp42\x00\x00\x00\x00")
    for name in ("notes.txt", "empty", "read.jpg", ".hidden.heic"):
        (tmp_path / name).write_text("" if name == "empty" else "words")
    assert find_unread_pictures(tmp_path) == [
        *("a/y.CR2", "b.JPG_original", "phone.bin", "without ending", "x.heic", "z.dng")
    ]
    with pytest.raises(ValueError, match="no folder"):
        find_unread_pictures(tmp_path / "none")


def test_pictures_that_an_earlier_run_wrote_into_the_folder_are_no_photos(tmp_path):
    photos, written = ["a.jpg", "page/b.jpg", "out/c.jpg"], ["out/overlays/a.jpg.jpg", "out/page/a.jpg.photo.jpg"]
    for name in [*photos, *written, "out/run.json"]:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    assert find_images(tmp_path) == sorted(photos)


def test_an_empty_folder_has_no_photos(tmp_path):
    assert find_images(tmp_path) == []


def test_linked_folders_are_followed_and_loops_end(tmp_path):
    photos, elsewhere = tmp_path / "photos", tmp_path / "elsewhere"
    photos.mkdir()
    elsewhere.mkdir()
    (elsewhere / "far.jpg").touch()
    (photos / "link").symlink_to(elsewhere)
    (elsewhere / "back").symlink_to(photos)
    assert find_images(photos) == ["link/far.jpg"]


@pytest.mark.parametrize(("make", "words"), [(lambda p: None, "no folder"), (Path.touch, "is a file")])
def test_a_missing_folder_or_a_file_in_its_place_is_an_error(tmp_path, make, words):
    make(tmp_path / "photos")
    with pytest.raises(ValueError, match=words):
        find_images(tmp_path / "photos")


def forbid(monkeypatch, place: Path) -> None:
    """Make one folder unreadable, also for root."""
    real = os.scandir

    def guarded(path="."):
        if Path(path) == place:
            raise PermissionError(13, "Permission denied", str(path))
        return real(path)

    monkeypatch.setattr(os, "scandir", guarded)


def test_an_unreadable_folder_below_is_told_and_the_rest_is_found(tmp_path, monkeypatch, caplog):
    for name in ("closed", "open"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "photo.png").touch()
    forbid(monkeypatch, tmp_path / "closed")
    told: list[str] = []
    assert find_images(tmp_path, told.append) == ["open/photo.png"]
    assert len(told) == 1 and "closed" in told[0] and "Permission denied" in told[0]
    with caplog.at_level(logging.WARNING):
        find_images(tmp_path)
    assert "closed" in caplog.text


def test_a_folder_that_may_not_be_read_is_an_error(tmp_path, monkeypatch):
    forbid(monkeypatch, tmp_path)
    with pytest.raises(ValueError, match="cannot be read: Permission denied"):
        find_images(tmp_path)


# Kinds of photos.


def test_a_plain_photo_is_read_as_it_is_with_the_default_camera(tmp_path, colours):
    image = load_image(save(tmp_path / "a.png", colours))
    assert np.array_equal(image.pixels, colours)
    assert image.name == "a.png"
    assert float(image.camera.focal) == pytest.approx(default_focal(64, 48))
    assert image.camera.principal_point.tolist() == [32.0, 24.0]


def test_name_and_focal_length_of_the_caller_win(tmp_path, colours):
    path = save(tmp_path / "a.jpg", colours, exif=exif_of(FocalLengthIn35mmFilm=50))
    image = load_image(path, name="below/a.jpg", focal=123.0)
    assert image.name == "below/a.jpg"
    assert float(image.camera.focal) == 123.0


@pytest.mark.parametrize("focal", [0.0, -1.0, float("nan"), float("inf")])
def test_an_impossible_focal_length_is_refused(tmp_path, colours, focal):
    with pytest.raises(ValueError, match="positive number"):
        load_image(save(tmp_path / "a.png", colours), focal=focal)


def test_grey_photos_have_three_equal_channels(tmp_path, colours):
    image = load_image(save(tmp_path / "a.png", colours[..., 0]))
    assert np.array_equal(image.pixels, colours[..., :1].repeat(3, -1))


@pytest.mark.parametrize("suffix", ["png", "tif"])
def test_16_bit_photos_are_scaled_to_8_bits(tmp_path, colours, suffix):
    path = save(tmp_path / f"a.{suffix}", colours[..., 0].astype(np.uint16) * 257)
    assert np.array_equal(load_image(path).pixels[..., 0], colours[..., 0])


@pytest.mark.parametrize("bits", [10, 12])
@pytest.mark.parametrize("suffix", ["png", "tif"])
@pytest.mark.parametrize("channels", [1, 3, 4])
def test_values_of_10_and_12_bits_in_16_are_scaled_by_their_real_range(tmp_path, colours, bits, suffix, channels):
    deep = (colours.astype(np.float32) / 255 * (2**bits - 1)).round().astype(np.uint16)
    full = np.full_like(deep[..., :1], 65535)
    written = (
        deep[..., 0] if channels == 1 else deep[..., ::-1] if channels == 3 else np.dstack([deep[..., ::-1], full])
    )
    cv2.imwrite(str(tmp_path / f"a.{suffix}"), written)
    expected = colours[..., :1].repeat(3, -1) if channels == 1 else colours
    assert np.abs(load_image(tmp_path / f"a.{suffix}").pixels.astype(int) - expected).max() <= 1


def with_chunk(path: Path, kind: bytes, content: bytes) -> Path:
    """Put a chunk behind the heading of a PNG."""
    data = path.read_bytes()
    chunk = struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))
    path.write_bytes(data[:33] + chunk + data[33:])
    return path


def test_the_bit_depth_that_a_file_names_goes_before_its_brightest_value(tmp_path):
    path = save(tmp_path / "a.png", np.full((4, 4), 1000, np.uint16))
    assert (load_image(path).pixels == 249).all()
    assert (load_image(with_chunk(path, b"sBIT", b"\x0c")).pixels == 62).all()
    PIL.Image.fromarray(np.full((4, 4), 1000, np.uint16)).save(tmp_path / "a.tif", tiffinfo={281: 4095})
    assert (load_image(tmp_path / "a.tif").pixels == 62).all()


def test_bright_16_bit_colours_are_left_as_they_are(tmp_path, colours):
    cv2.imwrite(str(tmp_path / "a.png"), colours[..., ::-1].astype(np.uint16) * 257)
    assert np.array_equal(load_image(tmp_path / "a.png").pixels, colours)


def test_dark_16_bit_photos_stay_dark(tmp_path):
    path = save(tmp_path / "a.png", np.full((4, 4), 200, np.uint16))
    assert load_image(path).pixels.max() == 1


def test_floating_photos_are_scaled_from_0_1(tmp_path, colours):
    path = save(tmp_path / "a.tif", colours[..., 0].astype(np.float32) / 255.0)
    assert np.array_equal(load_image(path).pixels[..., 0], colours[..., 0])


def test_cmyk_photos_become_rgb(tmp_path, colours):
    image = load_image(save(tmp_path / "a.jpg", colours, "CMYK", quality=95))
    assert np.abs(image.pixels.astype(int) - colours).mean() < 12


def test_transparent_pixels_are_laid_over_white(tmp_path, colours):
    alpha = np.full((48, 64, 1), 255, np.uint8)
    alpha[:24] = 0
    image = load_image(save(tmp_path / "a.png", np.concatenate([colours, alpha], -1)))
    assert (image.pixels[:24] == 255).all()
    assert np.array_equal(image.pixels[24:], colours[24:])


@pytest.mark.parametrize("mode", ["1", "P", "LA", "YCbCr"])
def test_other_modes_have_the_photos_shape(tmp_path, colours, mode):
    path = save(tmp_path / ("a.jpg" if mode == "YCbCr" else "a.png"), colours, mode)
    assert load_image(path).pixels.shape == (48, 64, 3)


def test_palettes_with_a_transparent_entry_become_white_there(tmp_path):
    picture = PIL.Image.fromarray(np.array([[0, 1]], np.uint8), "P")
    picture.putpalette([10, 20, 30, 40, 50, 60])
    picture.save(tmp_path / "a.png", transparency=0)
    assert load_image(tmp_path / "a.png").pixels.tolist() == [[[255, 255, 255], [40, 50, 60]]]


@pytest.mark.parametrize("suffix", ["gif", "webp", "png"])
def test_of_an_animation_the_first_frame_is_taken(tmp_path, suffix):
    frames = [PIL.Image.new("RGB", (8, 8), colour) for colour in ((255, 0, 0), (0, 0, 255))]
    options = {"lossless": True} if suffix == "webp" else {}
    frames[0].save(tmp_path / f"a.{suffix}", save_all=True, append_images=frames[1:], duration=100, **options)  # pyright: ignore[reportArgumentType]
    assert load_image(tmp_path / f"a.{suffix}").pixels[0, 0].tolist() == [255, 0, 0]


def test_a_photo_of_one_pixel_works(tmp_path):
    image = load_image(save(tmp_path / "a.bmp", np.array([[[1, 2, 3]]], np.uint8)))
    assert image.pixels.tolist() == [[[1, 2, 3]]]
    assert float(image.camera.focal) > 0


@pytest.mark.parametrize(
    ("orientation", "turn"),
    [
        (1, lambda p: p),
        (2, lambda p: p[:, ::-1]),
        (3, lambda p: p[::-1, ::-1]),
        (6, lambda p: np.rot90(p, -1)),
        (8, lambda p: np.rot90(p, 1)),
    ],
)
def test_exif_orientation_is_applied(tmp_path, colours, orientation, turn):
    image = load_image(save(tmp_path / "a.png", colours, exif=exif_of(Orientation=orientation)))
    assert np.array_equal(image.pixels, turn(colours))
    assert image.camera.principal_point.tolist() == [image.pixels.shape[1] / 2, image.pixels.shape[0] / 2]


# Focal length.


def test_the_35_mm_equivalent_gives_the_focal_length(tmp_path, colours):
    image = load_image(save(tmp_path / "a.jpg", colours, exif=exif_of(FocalLengthIn35mmFilm=28)))
    assert float(image.camera.focal) == pytest.approx(28.0 / np.hypot(36.0, 24.0) * np.hypot(64, 48))


def test_focal_plane_resolution_gives_the_focal_length_of_a_shrunk_photo(tmp_path, colours):
    # 18 mm behind a sensor 36 mm wide: f is half the width, whatever the photo was shrunk to.
    exif = exif_of(FocalLength=18.0, FocalPlaneXResolution=6400 / 3.6, FocalPlaneResolutionUnit=3, ExifImageWidth=6400)
    image = load_image(save(tmp_path / "a.jpg", colours, exif=exif))
    assert float(image.camera.focal) == pytest.approx(32.0, rel=1e-3)


@pytest.mark.parametrize("tags", [{"FocalLengthIn35mmFilm": 0}, {"FocalLengthIn35mmFilm": 60000}, {"FocalLength": 5.0}])
def test_unbelievable_or_incomplete_exif_gives_the_default(tmp_path, colours, tags):
    image = load_image(save(tmp_path / "a.jpg", colours, exif=exif_of(**tags)))
    assert float(image.camera.focal) == pytest.approx(default_focal(64, 48))


# Files that are no photos.


@pytest.mark.parametrize(("content", "words"), [(b"", "empty"), (b"Dear diary, no photo here.\n" * 9, "not a picture")])
def test_a_file_without_a_picture_says_so(tmp_path, content, words):
    (tmp_path / "a.jpg").write_bytes(content)
    with pytest.raises(UnreadableImage, match=f"a.jpg.*{words}"):
        load_image(tmp_path / "a.jpg")


@pytest.mark.parametrize("suffix", ["jpg", "png", "tif", "webp", "gif", "bmp"])
@pytest.mark.parametrize("share", [0.02, 0.3, 0.7])
def test_a_truncated_photo_says_so(tmp_path, suffix, share):
    noise = np.random.default_rng(1).integers(0, 256, (90, 120, 3), dtype=np.uint8)
    path = save(tmp_path / f"a.{suffix}", noise)
    path.write_bytes(path.read_bytes()[: int(share * path.stat().st_size)])
    with pytest.raises(UnreadableImage, match=r"a\.\w+' (is damaged|is not a photo)"):
        load_image(path)


def test_a_missing_file_and_a_folder_say_so(tmp_path):
    (tmp_path / "folder.jpg").mkdir()
    with pytest.raises(UnreadableImage, match="cannot be opened: No such file"):
        load_image(tmp_path / "none.jpg")
    with pytest.raises(UnreadableImage, match="cannot be opened: Is a directory"):
        load_image(tmp_path / "folder.jpg")


def test_a_photo_above_the_limit_is_refused_before_it_is_decoded(tmp_path, colours):
    with pytest.raises(UnreadableImage, match="more than the 0.001 accepted"):
        load_image(save(tmp_path / "a.png", colours), max_megapixels=0.001)


def test_a_decompression_bomb_is_refused(tmp_path):
    PIL.Image.new("1", (20000, 12000)).save(tmp_path / "bomb.png")
    with pytest.raises(UnreadableImage, match="shrink it"):
        load_image(tmp_path / "bomb.png")


@pytest.mark.slow
def test_a_photo_of_50_megapixels_is_read_whole_in_bounded_memory(tmp_path):
    resource = pytest.importorskip("resource")
    PIL.Image.new("RGB", (8660, 5774), (9, 8, 7)).save(tmp_path / "big.jpg")
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    image = load_image(tmp_path / "big.jpg")
    grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024
    assert image.pixels.shape == (5774, 8660, 3)
    assert grown < 700, f"{grown:.0f} MB"
