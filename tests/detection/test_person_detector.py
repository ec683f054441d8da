import numpy as np
import pytest

from fitloop.detection.landmarks import Place, Pose, place_of
from fitloop.detection.overlap import common_share, mask_in_photo
from fitloop.detection.person_detector import Candidates, anchors, box_overlap, suppress, tiles_of
from fitloop.detection.pixels import PhotoPieces


def pose_at(x: float, y: float, side: float, score: float = 1.0) -> Pose:
    """A pose whose mask fills its square."""
    place = Place(np.array([x, y], dtype=float), float(side), 0.0)
    return Pose(
        score,
        np.full((33, 2), x, float),
        np.ones(33),
        np.ones(33),
        np.ones(33),
        np.ones(33),
        np.zeros((33, 3)),
        np.ones((256, 256)),
        place,
        place,
    )


def test_anchors_are_mediapipes():
    found = anchors()
    assert found.shape == (2254, 2)
    # Two per cell of 28 x 28 and 14 x 14, six per cell of 7 x 7.
    assert np.allclose(found[:3], [[4 / 224, 4 / 224]] * 2 + [[12 / 224, 4 / 224]])
    assert np.allclose(found[-1], [208 / 224, 208 / 224])


@pytest.mark.parametrize(("width", "height"), [(640, 480), (480, 640), (2000, 200), (65, 65)])
@pytest.mark.parametrize("overlap", [0.2, 0.5])
def test_tiles_cover_the_photo_and_overlap_enough(width, height, overlap):
    tiles = tiles_of(width, height, (0.6, 0.3), overlap)
    assert tiles[0, 2] == max(width, height)
    for side in np.unique(tiles[1:, 2]):
        grid = tiles[tiles[:, 2] == side]
        for axis, length in ((0, width), (1, height)):
            starts = np.unique(grid[:, axis])
            assert starts[0] <= 0.0 and starts[-1] + side >= length - 1e-9
            assert (np.diff(starts) <= (1.0 - overlap) * side + 1e-9).all()


def test_tiles_too_small_to_show_a_person_are_left_out():
    assert len(tiles_of(100, 80, (0.6, 0.3), 0.5)) == 1


def test_overlap_of_boxes_is_intersection_over_union():
    assert box_overlap(np.array([0.0, 0, 2, 2]), np.array([[1.0, 0, 3, 2], [2, 2, 3, 3], [0, 0, 2, 2]])).tolist() == [
        pytest.approx(1 / 3),
        0.0,
        1.0,
    ]


def test_overlapping_candidates_become_their_weighted_mean():
    faces = np.array([[0.0, 0, 10, 10], [1, 0, 11, 10], [50, 50, 60, 60]])
    points = np.arange(3.0)[:, None, None] * np.ones((3, 4, 2))
    merged = suppress(Candidates(np.array([0.25, 0.75, 0.5]), faces, points), 0.3)
    assert merged.scores.tolist() == [0.75, 0.5]
    assert merged.faces[0].tolist() == [0.75, 0.0, 10.75, 10.0]
    assert merged.points[0, 0].tolist() == [0.75, 0.75]


def test_no_candidates_stay_none():
    empty = suppress(Candidates(np.zeros(0), np.zeros((0, 4)), np.zeros((0, 4, 2))), 0.3)
    assert len(empty) == 0 and empty.points.shape == (0, 4, 2)


@pytest.mark.parametrize(("end", "angle"), [((0, -10), 0.0), ((10, 0), np.pi / 2), ((-10, 0), -np.pi / 2)])
def test_the_square_turns_with_the_person(end, angle):
    place = place_of(np.zeros(2), np.array(end, dtype=float))
    assert place.angle == pytest.approx(angle) and place.side == pytest.approx(25.0)


def test_pieces_are_cut_turned_and_scaled_without_shift():
    y, x = np.mgrid[:200, :300]
    ramp = np.stack([x * 0.8, y, 0 * x], -1).astype(np.uint8)
    photo = PhotoPieces(ramp)
    upright = photo.cut(np.array([150.0, 100.0]), 64.0, 0.0, 32)
    # The middle of result pixel (u, v) lies at (118 + 2 u + 1, 68 + 2 v + 1), half a pixel more than the ramp's index.
    assert np.abs(upright[4, 10, :2] - np.array([0.8 * (118 + 21 - 0.5), 68 + 9 - 0.5])).max() <= 1.5
    turned = photo.cut(np.array([150.0, 100.0]), 64.0, np.pi / 2, 32)
    assert np.abs(turned.astype(int) - np.rot90(upright, 1).astype(int)).max() <= 2


def test_large_pieces_are_averaged_not_sampled():
    checkers = ((np.indices((512, 512)).sum(0) % 2) * 255).astype(np.uint8)[..., None].repeat(3, -1)
    piece = PhotoPieces(checkers).cut(np.array([256.0, 256.0]), 512.0, 0.0, 64)
    assert np.abs(piece.astype(int) - 127).max() <= 2


def test_outside_the_photo_is_black():
    piece = PhotoPieces(np.full((20, 20, 3), 200, np.uint8)).cut(np.array([0.0, 0.0]), 40.0, 0.0, 40)
    assert (piece[:18, :18] == 0).all() and (piece[22:, 22:] == 200).all()


def test_masks_are_laid_into_the_photo():
    mask = mask_in_photo(pose_at(100.0, 60.0, side=40.0), 192, 96)
    assert mask.shape == (96, 192)
    assert mask[41:79, 81:119].all() and mask.sum() == 40 * 40


def test_part_of_a_person_has_all_of_itself_in_common_with_the_whole():
    whole, part, other = (mask_in_photo(pose_at(x, 60, side), 192, 96) for x, side in ((100, 40), (95, 20), (150, 40)))
    assert common_share(whole, part) == 1.0 == common_share(part, whole)
    assert common_share(whole, other) == 0.0
