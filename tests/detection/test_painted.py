from dataclasses import replace

import numpy as np
import pytest

from fitloop.detection.landmarks import Place, Pose
from fitloop.detection.painted import PaintedPieces, painted, silhouette_over
from fitloop.detection.pixels import PhotoPieces

SQUARE = Place(np.array([100.0, 100.0]), 200.0, 0.0)


def person(mask: np.ndarray, place: Place = SQUARE) -> Pose:
    ones = np.ones(33)
    return Pose(1.0, np.zeros((33, 2)), ones, ones, ones, ones, np.zeros((33, 3)), mask, place, place)


def right_of_the_middle() -> np.ndarray:
    mask = np.zeros((256, 256))
    mask[:, 128:] = 1.0
    return mask


def share(part: np.ndarray) -> float:
    return float(part.mean())


@pytest.mark.parametrize(
    ("square", "covered"),
    [
        (SQUARE, np.s_[:, 32:]),
        (replace(SQUARE, angle=np.pi / 2.0), np.s_[:32, :]),
        (replace(SQUARE, angle=np.pi), np.s_[:, :32]),
        (replace(SQUARE, center=np.array([50.0, 100.0]), side=100.0), np.s_[:, 63:]),
    ],
)
def test_a_silhouette_lies_where_another_square_shows_the_person(square, covered):
    expected = np.zeros((64, 64), bool)
    expected[covered] = True
    shown = silhouette_over(person(right_of_the_middle()), square, 64) > 0.5
    assert share(shown != expected) < 0.05


def test_a_silhouette_in_a_turned_square_lies_where_its_pixels_do():
    white = np.zeros((200, 200, 3), np.uint8)
    white[:, 100:] = 255
    square = Place(np.array([90.0, 120.0]), 80.0, 0.4)
    pixels = PhotoPieces(white).cut(square.center, square.side, square.angle, 64)[..., 0] > 127
    assert share((silhouette_over(person(right_of_the_middle()), square, 64) > 0.5) != pixels) < 0.05


def test_who_is_painted_over_leaves_no_trace_on_an_even_ground():
    pixels = np.full((200, 200, 3), (40, 90, 160), np.uint8)
    pixels[60:140, 80:120] = 255
    mask = np.zeros((256, 256))
    mask[75:181, 101:155] = 1.0
    piece = PaintedPieces(PhotoPieces(pixels), [person(mask)]).cut(SQUARE.center, SQUARE.side, 0.0, 256)
    assert np.abs(piece.astype(int) - (40, 90, 160)).max() <= 2


def test_what_is_not_hidden_keeps_its_pixels():
    piece = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    hidden = np.zeros((64, 64), np.float32)
    hidden[20:30] = 1.0
    filled = painted(piece, hidden)
    assert np.array_equal(filled[hidden == 0.0], piece[hidden == 0.0])
    assert not np.array_equal(filled[20:30], piece[20:30])


def test_a_square_without_anybody_known_is_cut_as_ever():
    photo = PhotoPieces(np.random.default_rng(0).integers(0, 256, (200, 900, 3), dtype=np.uint8))
    far = Place(np.array([700.0, 100.0]), 150.0, 0.2)
    piece = PaintedPieces(photo, [person(np.ones((256, 256)))]).cut(far.center, far.side, far.angle, 64)
    assert np.array_equal(piece, photo.cut(far.center, far.side, far.angle, 64))


def test_a_piece_that_is_hidden_whole_is_filled_with_something():
    filled = painted(np.full((64, 64, 3), 200, np.uint8), np.ones((64, 64), np.float32))
    assert filled.shape == (64, 64, 3) and filled.dtype == np.uint8
