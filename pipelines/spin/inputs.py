"""What an encoder reads of a batch of people, augmented."""

from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from fitloop.body import Detections, Image
from fitloop.body.keypoints import BODY_25, SPIN_49
from fitloop.data.images import load_image
from fitloop.geometry import Crop, crop_of_box
from fitloop.geometry.crops import to_crop
from fitloop.pipelines.spin.samples import Samples
from fitloop.regressor import HMRConfig
from fitloop.regressor.crops import cut_crops, cut_silhouettes
from fitloop.regressor.keypoint_encoder import KeypointInputs, to_known_landmarks
from fitloop.regressor.looks import (
    AugmentationConfig,
    Changes,
    Look,
    draw_changes,
    keypoint_inputs_of,
    keypoint_looks,
    look_at,
    no_changes,
)
from fitloop.regressor.proxy import ProxyInputs, make_proxy, mirror_proxy
from fitloop.regressor.resnet import normalize_rgb


@dataclass(frozen=True)
class Drawn:
    """What the augmentation drew for a batch, and where its photos are."""

    changes: Changes
    config: AugmentationConfig | None
    """How the encoder's input is disturbed; None leaves it as it is."""
    generator: torch.Generator
    photos: tuple[Path | None, ...]


def draw(people: int, photos: tuple[Path | None, ...], config: AugmentationConfig, seed: int) -> Drawn:
    """Draw an augmentation; the same one for the same seed."""
    generator = torch.Generator().manual_seed(seed)
    return Drawn(draw_changes(people, config, generator), config, generator, photos)


def undisturbed(people: int, photos: tuple[Path | None, ...]) -> Drawn:
    """Look at everybody as they are."""
    return Drawn(no_changes(people), None, torch.Generator(), photos)


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


def look_and_inputs(samples: Samples, drawn: Drawn, network: HMRConfig) -> tuple[Look, Any]:
    """Choose views of people and cut out what the encoder reads.

    Args:
        samples: One row per person.
        drawn: The augmentation.
        network: Which encoder.

    Raises:
        ValueError: If the encoder reads pixels and a photo is missing or no folder was given.
    """
    known = keypoints_of(samples.evidence)
    changes = drawn.changes.to(samples.has_truth.device)
    if network.encoder == "keypoints":
        changes = replace(changes, scale=torch.ones_like(changes.scale))
        look = keypoint_looks(known, samples.camera, changes)
        inputs = keypoint_inputs_of(known, samples.camera, look)
        return look, inputs if drawn.config is None else _disturbed(inputs, drawn.config, drawn.generator)
    if network.encoder == "proxy":
        return _look_and_proxies(known, samples, drawn, network.image_size)
    look = look_at(known.boxes, samples.camera, changes)
    usual = crop_of_box(known.boxes)
    crop = Crop(usual.center, usual.side * look.scale, look.angle)
    inputs = normalize_rgb(_noisy(_crops(drawn, crop, network.image_size), drawn))
    return look, torch.where(look.flipped[:, None, None, None], inputs.flip(-1), inputs)


def _look_and_proxies(known: Detections, samples: Samples, drawn: Drawn, size: int) -> tuple[Look, ProxyInputs]:
    # The detector's silhouettes lie on upright grids, so nothing is turned.
    changes = drawn.changes.to(samples.has_truth.device)
    changes = replace(changes, angle=torch.zeros_like(changes.angle))
    usual = crop_of_box(known.boxes)
    maps = _proxies(known, Crop(usual.center, usual.side * changes.scale, changes.angle), drawn, size)
    maps = torch.where(changes.flipped[:, None, None, None], mirror_proxy(maps), maps)
    look = keypoint_looks(known, samples.camera, replace(changes, scale=torch.ones_like(changes.scale)))
    keypoints = keypoint_inputs_of(known, samples.camera, look)
    if drawn.config is not None:
        keypoints = _disturbed(keypoints, drawn.config, drawn.generator)
    return look, ProxyInputs(maps, keypoints)


def _disturbed(inputs: KeypointInputs, config: AugmentationConfig, generator: torch.Generator) -> KeypointInputs:
    """Hide some keypoints from the network and move the others a little."""
    shape = inputs.confidence.shape
    jitter = config.jitter * torch.randn(*shape, 2, generator=generator)
    kept = (torch.rand(shape, generator=generator) >= config.missing).to(inputs.confidence)
    points = inputs.points + jitter.to(inputs.points)
    return KeypointInputs(
        points, inputs.confidence * kept, inputs.landmarks, inputs.landmark_confidence, inputs.bearing
    )


def _crops(drawn: Drawn, crop: Crop, size: int) -> Tensor:
    cut = [cut_crops(photo_of(path), crop[row : row + 1], size) for row, path in enumerate(drawn.photos)]
    return torch.cat(cut)


def _noisy(crops: Tensor, drawn: Drawn) -> Tensor:
    if drawn.config is None:
        return crops
    spread = drawn.config.channel_noise
    factor = 1.0 - spread + 2.0 * spread * torch.rand(len(crops), 3, 1, 1, generator=drawn.generator)
    return (crops * factor.to(crops)).clamp(0.0, 1.0)


def _proxies(known: Detections, crop: Crop, drawn: Drawn, size: int) -> Tensor:
    crops = _noisy(_crops(drawn, crop, size), drawn)
    silhouettes = cut_silhouettes(known, crop, size)
    return make_proxy(crops, to_crop(known.keypoints, crop), known.confidence, silhouettes)


def photo_of(path: Path | None) -> Image:
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
