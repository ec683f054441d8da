import numpy as np
import pytest

from fitloop.detection.fetching import network_file
from fitloop.detection.landmarks import LandmarkNetwork, Place
from fitloop.detection.late_output import split
from fitloop.detection.pixels import PhotoPieces
from fitloop.detection.tflite import LateNetwork, Network

LANDMARKS = "pose_landmark/pose_landmark_full.tflite"
MASK = 2


@pytest.fixture(scope="module")
def crop() -> np.ndarray:
    return np.random.default_rng(0).random((256, 256, 3)).astype(np.float32)


def test_a_split_network_says_what_the_whole_one_says_to_the_last_bit(crop):
    whole, parts = Network(LANDMARKS, 1), LateNetwork(LANDMARKS, 1, MASK)
    expected = whole(crop)
    found, make_mask = parts.see(crop)
    for one, other in zip(expected[:MASK] + expected[MASK + 1 :], found, strict=True):
        np.testing.assert_array_equal(one, other)
    np.testing.assert_array_equal(make_mask(), expected[MASK])
    assert parts.runs == whole.runs == 1


def test_what_only_the_late_output_needs_is_left_out_of_the_first_part():
    content = network_file(LANDMARKS).read_bytes()
    first, second = split(content, MASK)
    # The weights are in the first part; the mask has few channels.
    assert 0.9 * len(content) < len(first) < len(content) and len(second) < 0.05 * len(content)


def test_a_mask_is_made_once_and_only_when_it_is_asked_for(monkeypatch):
    network = LandmarkNetwork(1)
    see, made = network.network.see, []

    def counting(pixels):
        found, make = see(pixels)
        return found, lambda: made.append(1) or make()

    monkeypatch.setattr(network.network, "see", counting)
    photo = PhotoPieces(np.random.default_rng(1).integers(0, 255, (200, 300, 3), np.uint8))
    look = network(photo, Place(np.array([150.0, 100.0]), 180.0, 0.3))
    assert not made
    assert look.mask.shape == (256, 256) and ((look.mask >= 0.0) & (look.mask <= 1.0)).all()
    assert look.mask is look.mask and made == [1]


def test_the_mask_of_a_look_into_the_mirror_lies_on_the_person():
    network = LandmarkNetwork(1)
    pixels = np.random.default_rng(2).integers(0, 255, (256, 256, 3), np.uint8)
    place = Place(np.array([128.0, 128.0]), 256.0, 0.0)
    turned = network(PhotoPieces(np.ascontiguousarray(pixels[:, ::-1])), place)
    mirrored = network(PhotoPieces(pixels), place, mirrored=True)
    np.testing.assert_array_equal(mirrored.mask, turned.mask[:, ::-1])
