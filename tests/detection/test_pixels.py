import numpy as np
import PIL.Image
import pytest

from fitloop.detection.pixels import PhotoPieces


@pytest.mark.parametrize("shape", [(1, 1), (1, 90), (70, 1), (60, 80)])
@pytest.mark.parametrize(("side", "angle"), [(40.0, 0.0), (64.0, np.pi / 2), (25.0, 0.7), (300.0, -2.0), (0.5, 0.1)])
def test_pieces_are_those_of_pillow_to_the_last_digit(shape, side, angle):
    rng = np.random.default_rng(0)
    pixels = rng.integers(0, 256, (*shape, 3), dtype=np.uint8)
    # A side of less than twice the size is cut from the photo itself.
    size = 200
    for center in rng.uniform(-20.0, 100.0, (5, 2)):
        found = PhotoPieces(pixels).cut(center, side, angle, size)
        a, b = side / size * np.cos(angle), -side / size * np.sin(angle)
        x, y = center
        to_photo = (a, b, x - (a + b) * size / 2, -b, a, y - (a - b) * size / 2)
        expected = PIL.Image.fromarray(pixels).transform(
            (size, size), PIL.Image.Transform.AFFINE, to_photo, PIL.Image.Resampling.BILINEAR
        )
        np.testing.assert_array_equal(found, np.asarray(expected))


def test_large_squares_are_cut_from_halved_photos():
    stripes = np.tile(np.array([0, 255], np.uint8), 400)[None, :, None].repeat(800, 0).repeat(3, 2)
    piece = PhotoPieces(stripes).cut(np.array([400.0, 400.0]), 800.0, 0.0, 100)
    assert (abs(piece.astype(int) - 127) <= 1).all(), "stripes narrower than a pixel are grey"


def test_a_place_that_is_none_is_black():
    pixels = np.full((10, 10, 3), 255, np.uint8)
    assert not PhotoPieces(pixels).cut(np.array([np.nan, 5.0]), 8.0, 0.0, 16).any()
