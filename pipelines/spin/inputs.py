"""What an encoder reads of a batch of people, augmented."""

from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from fitloop.body import Detections, Image
from fitloop.body.keypoints import BODY_25, SPIN_49
from fitloop.data.images import load_image
from fitloop.geometry import Crop, crop_of_box
from fitloop.geometry.crops import to_crop
from fitloop.pipelines.spin.samples import ObservedPeople
from fitloop.regressor import HMRConfig
from fitloop.regressor.crops import cut_crops, cut_silhouettes
from fitloop.regressor.keypoint_encoder import KeypointInputs, to_known_landmarks
from fitloop.regressor.looks import (
    AugmentationConfig,
    AugmentedView,
    Changes,
    augmented_keypoint_view,
    augmented_view,
    draw_changes,
    keypoint_inputs_of,
    no_changes,
)
from fitloop.regressor.proxy import ProxyInputs, make_proxy, mirror_proxy
from fitloop.regressor.resnet import normalize_rgb
from fitloop.regressor.silhouettes import masks_in_view

Photos = tuple[Path | None, ...]
"""Where each person's photo is; None where no folder was given."""


@dataclass(frozen=True)
class Augmentation:
    """What the augmentation drew for a batch, and where its photos are."""

    changes: Changes
    config: AugmentationConfig | None
    """How the encoder's input is disturbed; None leaves it as it is."""
    generator: torch.Generator
    photos: Photos


def draw_augmentation(people: int, photos: Photos, config: AugmentationConfig, seed: int) -> Augmentation:
    """Draw an augmentation; the same one for the same seed."""
    generator = torch.Generator().manual_seed(seed)
    return Augmentation(draw_changes(people, config, generator), config, generator, photos)


def undisturbed(people: int, photos: Photos) -> Augmentation:
    """Look at everybody as they are."""
    return Augmentation(no_changes(people), None, torch.Generator(), photos)


def keypoints_of(evidence: Detections, ignore_detected: bool = False) -> Detections:
    """Evidence in the columns of `KEYPOINT_NAMES`.

    Args:
        evidence: Any convention.
        ignore_detected: Leave OpenPose's 25 of `SPIN_49` out.
    """
    if ignore_detected and evidence.convention == SPIN_49.name:
        confidence = evidence.confidence.clone()
        confidence[:, : len(BODY_25)] = 0.0
        plain = Detections(evidence.keypoints, confidence, evidence.boxes, evidence.convention)
        return to_known_landmarks(plain)
    return to_known_landmarks(evidence)


def view_and_inputs(
    samples: ObservedPeople, augmentation: Augmentation, network: HMRConfig
) -> tuple[AugmentedView, Any]:
    """Choose views of people and cut out what the encoder reads.

    Args:
        samples: One row per person.
        augmentation: The augmentation.
        network: Which encoder.

    Raises:
        ValueError: If the encoder reads pixels and a photo is missing or no folder was given.
    """
    known = keypoints_of(samples.evidence)
    changes = augmentation.changes.to(samples.has_truth.device)
    if network.encoder == "keypoints":
        changes = replace(changes, scale=torch.ones_like(changes.scale))
        augmented = augmented_keypoint_view(known, samples.camera, changes)
        inputs = keypoint_inputs_of(known, samples.camera, augmented)
        return augmented, inputs if augmentation.config is None else _disturbed(
            inputs, augmentation.config, augmentation.generator
        )
    if network.encoder == "proxy":
        return _view_and_proxies(known, samples, augmentation, network.image_size)
    augmented = augmented_view(known.boxes, samples.camera, changes)
    usual = crop_of_box(known.boxes)
    crop = Crop(usual.center, usual.side * augmented.scale, augmented.angle)
    inputs = normalize_rgb(_noisy(_crops(augmentation, crop, network.image_size), augmentation))
    return augmented, torch.where(augmented.flipped[:, None, None, None], inputs.flip(-1), inputs)


def masks_of(samples: ObservedPeople, seen: AugmentedView) -> Float[Tensor, "people size size"]:
    """The people's silhouettes across their augmented views, as the silhouette loss wants them.

    Args:
        samples: Whose evidence has silhouettes, or none.
        seen: How they are looked at.
    """
    # The middle of a photo is its principal point here.
    size = 2.0 * samples.camera.principal_point
    masks = masks_in_view(samples.evidence, samples.camera, seen.view, size)
    return torch.where(seen.flipped[:, None, None], masks.flip(-1), masks)


def _view_and_proxies(
    known: Detections, samples: ObservedPeople, augmentation: Augmentation, size: int
) -> tuple[AugmentedView, ProxyInputs]:
    # The detector's silhouettes lie on upright grids, so nothing is turned.
    changes = augmentation.changes.to(samples.has_truth.device)
    changes = replace(changes, angle=torch.zeros_like(changes.angle))
    usual = crop_of_box(known.boxes)
    maps = _proxies(known, Crop(usual.center, usual.side * changes.scale, changes.angle), augmentation, size)
    maps = torch.where(changes.flipped[:, None, None, None], mirror_proxy(maps), maps)
    augmented = augmented_keypoint_view(known, samples.camera, replace(changes, scale=torch.ones_like(changes.scale)))
    keypoints = keypoint_inputs_of(known, samples.camera, augmented)
    if augmentation.config is not None:
        keypoints = _disturbed(keypoints, augmentation.config, augmentation.generator)
    return augmented, ProxyInputs(maps, keypoints)


def _disturbed(inputs: KeypointInputs, config: AugmentationConfig, generator: torch.Generator) -> KeypointInputs:
    """Hide some keypoints from the network and move the others a little."""
    shape = inputs.confidence.shape
    jitter = config.jitter * torch.randn(*shape, 2, generator=generator)
    kept = (torch.rand(shape, generator=generator) >= config.missing).to(inputs.confidence)
    points = inputs.points + jitter.to(inputs.points)
    return KeypointInputs(
        points, inputs.confidence * kept, inputs.landmarks, inputs.landmark_confidence, inputs.bearing
    )


def _crops(augmentation: Augmentation, crop: Crop, size: int) -> Tensor:
    cut = [cut_crops(read_photo(path), crop[row : row + 1], size) for row, path in enumerate(augmentation.photos)]
    return torch.cat(cut)


def _noisy(crops: Tensor, augmentation: Augmentation) -> Tensor:
    if augmentation.config is None:
        return crops
    spread = augmentation.config.channel_noise
    factor = 1.0 - spread + 2.0 * spread * torch.rand(len(crops), 3, 1, 1, generator=augmentation.generator)
    return (crops * factor.to(crops)).clamp(0.0, 1.0)


def _proxies(known: Detections, crop: Crop, augmentation: Augmentation, size: int) -> Tensor:
    crops = _noisy(_crops(augmentation, crop, size), augmentation)
    silhouettes = cut_silhouettes(known, crop, size)
    return make_proxy(crops, to_crop(known.keypoints, crop), known.confidence, silhouettes)


def read_photo(path: Path | None) -> Image:
    """Read a photo, or take one that was read lately.

    Raises:
        ValueError: If there is no path, or the file is no photo.
    """
    if path is None:
        raise ValueError("This encoder reads pixels: give the folder of the photos with --images.")
    return _read(path)


@lru_cache(maxsize=64)
def _read(path: Path) -> Image:
    return load_image(path)
