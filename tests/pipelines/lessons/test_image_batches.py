from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from toy import random_params, stick_body

import fitloop.pipelines.lessons.image_batches as images
from fitloop.body import JOINT_NAMES, KeypointKinematics
from fitloop.body.keypoints import mirrored
from fitloop.body.part_maps import NOBODY
from fitloop.data.mocap import Mocap
from fitloop.data.part_noise import PartNoise
from fitloop.data.synthetic import SyntheticPeopleBatch
from fitloop.data.synthetic.config import Split
from fitloop.geometry import Camera, project
from fitloop.pipelines.lessons.image_batches import ImageBatches
from fitloop.pipelines.lessons.image_sampling import ImageSampling
from fitloop.regressor import HMRConfig
from fitloop.regressor.keypoint_encoder import KEYPOINT_NAMES
from fitloop.regressor.models import EncoderKind
from fitloop.regressor.parts import PartNetConfig
from fitloop.regressor.proxy import PROXY_JOINTS

SIDE = 128
MARKS = ("left_wrist", "right_wrist", "head")


class Photos:
    """Stick figures of which a red, a green and a blue spot mark the left wrist, the right wrist and the head."""

    def __init__(self, *given):
        pass

    def __getitem__(self, index: int) -> SyntheticPeopleBatch:
        params = random_params(seed=index % 1000)
        camera = Camera(torch.tensor(120.0), torch.tensor([SIDE / 2, SIDE / 2]))
        spots = project(KeypointKinematics(stick_body(), MARKS)(params), camera)
        points = project(KeypointKinematics(stick_body(), KEYPOINT_NAMES)(params), camera)
        y, x = np.mgrid[:SIDE, :SIDE] + 0.5
        distance = [np.hypot(x - float(u), y - float(v)) for u, v in spots]
        pixels = np.stack([(255 * np.exp(-((d / 2.5) ** 2))).astype(np.uint8) for d in distance], -1)
        box = torch.cat([points.amin(0), points.amax(0)])
        mask = torch.from_numpy(np.min(distance, 0) < 6)
        visibility = torch.full((len(points),), 2)
        return SyntheticPeopleBatch(
            torch.from_numpy(pixels), params, camera, points, points_3d(params), visibility, box, mask
        )


def points_3d(params):
    return KeypointKinematics(stick_body(), KEYPOINT_NAMES)(params)


@pytest.fixture(autouse=True)
def _photos(monkeypatch):
    monkeypatch.setattr(images, "SyntheticPeople", Photos)


def mocap() -> Mocap:
    return Mocap(np.zeros((4, 22, 3), np.float32), np.zeros(4, int), ("a",), ("b",), ("asf",))


WRISTS = [JOINT_NAMES.index(name) for name in ("left_wrist", "right_wrist")]


class WristMaps:
    """Part maps of the photos: the red and the green spot are wrists, all else shows nobody."""

    def __init__(self, *given):
        pass

    def __call__(self, indices, people):
        labels = torch.full(people.pixels.shape[:3], NOBODY, dtype=torch.int8)
        for color, wrist in enumerate(WRISTS):
            labels[people.pixels[..., color] > 100] = wrist
        return labels


def middles(labels: torch.Tensor, part: int) -> torch.Tensor:
    """Where a part lies, [-1, 1] across the map; NaN where it is not shown."""
    ticks = (torch.arange(labels.shape[-1]) + 0.5) / labels.shape[-1] * 2.0 - 1.0
    shown = (labels == part).float()
    places = torch.stack([(shown.sum(-2) * ticks).sum(-1), (shown.sum(-1) * ticks).sum(-1)], -1)
    return places / shown.sum((-1, -2))[:, None]


def batches_of(encoder: EncoderKind, split: Split = "training", supervised: float = 1.0, **changes) -> ImageBatches:
    plain = replace(ImageSampling().pixels, channel_noise=0.0, grain=0.0, occlusion=0.0)
    config = replace(ImageSampling(assets=Path(), side=SIDE, pixels=plain), **changes)
    segmenter = PartNetConfig((4, 4), 96) if encoder == "parts" and split == "held-out" else None
    network = HMRConfig(encoder, width=8, image_size=96, segmenter=segmenter)
    return ImageBatches(stick_body(), mocap(), config, network, split, supervised)


def batch_of(encoder: EncoderKind, split: Split = "training", seed: int = 0, count: int = 24, **changes):
    return batches_of(encoder, split, **changes)(count, torch.Generator().manual_seed(seed))


def brightest(maps: torch.Tensor) -> torch.Tensor:
    """Where each map peaks, [-1, 1] across it."""
    size = maps.shape[-1]
    place = maps.flatten(-2).argmax(-1)
    return (torch.stack([place % size, place // size], -1) + 0.5) / size * 2.0 - 1.0


@pytest.mark.parametrize("split", ["training", "held-out"])
def test_the_truth_lies_where_the_crop_shows_it(split):
    batch = batch_of("resnet18", split)
    found = brightest(batch.inputs)
    as_seen = batch.truth.points_2d[:, [KEYPOINT_NAMES.index(name) for name in MARKS]]
    swapped = batch.truth.points_2d[:, [KEYPOINT_NAMES.index(mirrored(name)) for name in MARKS]]
    straight = (found - as_seen).norm(dim=-1).amax(-1) < 0.1
    flipped = (found - swapped).norm(dim=-1).amax(-1) < 0.1
    inside = (as_seen.abs() < 0.9).all(-1).all(-1)
    assert bool((straight | flipped)[inside].all())
    assert bool(flipped.any()) == (split == "training")
    assert bool(straight.any())


def test_heat_maps_carry_the_names_of_the_mirror_image():
    perfect = replace(
        ImageSampling().noise, jitter=(0.0, 0.0), convention_bias=0.0, outliers=0.0, swap=0.0, missed_limb=0.0,
        missed_keypoint=0.0, occluder=0.0, crop=0.0,
    )  # fmt: skip
    batch = batch_of("proxy", noise=perfect)
    maps = batch.inputs.maps[:, 2:]
    limbs = [number for number, name in enumerate(PROXY_JOINTS) if "hip" not in name]
    columns = [KEYPOINT_NAMES.index(PROXY_JOINTS[number]) for number in limbs]
    truth, found = batch.truth.points_2d[:, columns], brightest(maps[:, limbs])
    # Crops are another square than the view: the same up to a scale and a shift.
    inside = (found.abs() < 0.95).all(-1) & (maps[:, limbs].amax((-1, -2)) > 0.5)
    distances = [placed_alike(found[row][seen], truth[row][seen]) for row, seen in enumerate(inside) if seen.sum() > 5]
    assert len(distances) > 12
    assert max(distances) < 0.15
    swapped = [placed_alike(-found[row][seen], truth[row][seen]) for row, seen in enumerate(inside) if seen.sum() > 5]
    assert min(swapped) > 0.15


def placed_alike(points: torch.Tensor, truth: torch.Tensor) -> float:
    """Largest distance after the best scale and shift."""
    points, truth = points - points.mean(0), truth - truth.mean(0)
    scale = (points * truth).sum() / points.square().sum()
    return float((scale.clamp_min(0.0) * points - truth).norm(dim=-1).max())


def test_some_silhouettes_are_missing():
    noise = replace(ImageSampling().silhouettes, missing=0.5)
    silhouettes = batch_of("proxy", silhouettes=noise, count=40).inputs.maps[:, 1]
    share = (silhouettes.amax((-1, -2)) > 0).float().mean()
    assert 0.25 < float(share) < 0.75


def test_the_same_generator_gives_the_same_batch():
    first, second, other = batch_of("proxy", seed=1), batch_of("proxy", seed=1), batch_of("proxy", seed=2)
    assert torch.equal(first.inputs.maps, second.inputs.maps)
    assert torch.equal(first.inputs.keypoints.points, second.inputs.keypoints.points)
    assert torch.equal(first.truth.rotations, second.truth.rotations)
    assert not torch.equal(first.inputs.maps, other.inputs.maps)


def test_photos_need_assets():
    with pytest.raises(ValueError, match="'resnet18' learns from photos: give images.assets"):
        batch_of("resnet18", assets=None)


@pytest.fixture
def _wrist_maps(monkeypatch):
    monkeypatch.setattr(images, "PartStore", WristMaps)


def test_part_maps_show_the_parts_of_the_mirror_image(_wrist_maps):
    batch = batch_of("parts", count=40)
    near = list[torch.Tensor]()
    for name, part in zip(MARKS, WRISTS, strict=False):
        found, truth = middles(batch.inputs.labels, part), batch.truth.points_2d[:, KEYPOINT_NAMES.index(name)]
        near.append((found - truth).norm(dim=-1)[found.isfinite().all(-1)])
    # The spots of two wrists that touch are one.
    assert float(torch.cat(near).quantile(0.9)) < 0.1


def test_crops_and_part_maps_for_the_segmentation_network_show_the_same(_wrist_maps):
    batch = batches_of("parts").segmentation(40, torch.Generator().manual_seed(0))
    spots = brightest(batch.crops)
    straight, swapped = 0, 0
    for row in range(40):
        left, right = (middles(batch.labels[row : row + 1], part)[0] for part in WRISTS)
        if not bool((left.isfinite() & right.isfinite()).all()) or float((left - right).norm()) < 0.2:
            continue
        straight += bool((spots[row, 0] - left).norm() < 0.06 and (spots[row, 1] - right).norm() < 0.06)
        swapped += bool((spots[row, 0] - right).norm() < 0.06 and (spots[row, 1] - left).norm() < 0.06)
    # Red is the left wrist of the photo, so the right one of its mirror image.
    assert min(straight, swapped) > 5
    assert straight + swapped > 20


def test_with_a_segmentation_network_the_encoder_gets_photos(_wrist_maps):
    inputs = batch_of("parts", "held-out").inputs
    assert inputs.labels is None
    assert inputs.crops.shape == (24, 3, 96, 96)


def test_given_part_maps_err_as_told(_wrist_maps):
    exact, wrong = batch_of("parts"), batch_of("parts", parts=PartNoise(wrong=1.0))
    assert torch.equal(exact.truth.rotations, wrong.truth.rotations)
    shown = exact.inputs.labels != NOBODY
    assert float((exact.inputs.labels == wrong.inputs.labels)[shown].float().mean()) < 0.3


def test_3d_is_known_of_the_same_photos_whoever_asks():
    truth = batches_of("resnet18", supervised=0.5, photos=40)(200, torch.Generator().manual_seed(0)).truth
    known = truth.confidence_params > 0
    assert 0.35 < float(known.float().mean()) < 0.65
    assert torch.equal(known, truth.confidence_3d.amax(-1) > 0)
    assert bool((truth.confidence_2d.amax(-1) > 0).all())
    # The shape tells a photo, however it was turned.
    assert float(torch.cdist(truth.betas[known], truth.betas[~known]).min()) > 1e-3


class Alike(Photos):
    """Of forty people, thirty-six stand alike."""

    def __getitem__(self, index: int) -> SyntheticPeopleBatch:
        return super().__getitem__(0 if index < 36 else index)


@pytest.mark.parametrize(("resampled", "share"), [(0.0, 0.9), (0.5, 0.55), (1.0, 0.2)])
def test_resampling_draws_near_identical_people_less_often(monkeypatch, resampled, share):
    monkeypatch.setattr(images, "SyntheticPeople", Alike)
    monkeypatch.setattr(images, "StoredPeople", lambda folder, people: people)
    still = replace(ImageSampling().views, flip=0.0, rotation=0.0)
    batch = batch_of("resnet18", count=300, resampled=resampled, photos=40, keep=Path(), views=still)
    usual = random_params(seed=0).betas
    alike = (batch.truth.betas - usual).abs().amax(-1) < 1e-5
    assert abs(float(alike.float().mean()) - share) < 0.08


def test_people_kept_apart_have_a_number_of_their_own(monkeypatch):
    seen: set[int] = set()
    drawn = Photos.__getitem__
    monkeypatch.setattr(Photos, "__getitem__", lambda self, index: seen.add(index) or drawn(self, index))
    batch_of("resnet18", "held-out", photos=500, held_out_photos=3)
    assert seen == {0, 1, 2}
    batch_of("resnet18", photos=500, held_out_photos=3)
    assert len(seen) > 10


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"resampled": 1.5}, r"share in \[0, 1\]"),
        ({"resampled": 0.5}, "give images.photos and images.keep"),
        ({"resampled": 0.5, "photos": 10}, "give images.photos and images.keep"),
        ({"held_out_photos": 0}, "held_out_photos lies between 1"),
    ],
)
def test_photos_that_cannot_be_drawn_are_refused(changes, words):
    with pytest.raises(ValueError, match=words):
        ImageSampling(assets=Path(), **changes)
