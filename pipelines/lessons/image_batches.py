"""Batches for the encoders of images: synthetic people, looked at as training looks."""

from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from functools import cached_property
from multiprocessing import get_context

import torch
from torch import Tensor

from fitloop.body import Body, Detections, KeypointKinematics
from fitloop.body.mirror import mirror_points
from fitloop.body.part_maps import NOBODY, mirror_parts
from fitloop.data.augmentation import Occluders, augment_pixels, draw_occluders
from fitloop.data.keypoint_samples import KeypointSampler, KeypointSampling, mocap_poses
from fitloop.data.mocap import Mocap
from fitloop.data.part_noise import disturb_parts, sample_labels
from fitloop.data.silhouette_noise import disturb_silhouettes
from fitloop.data.synthetic import StoredPeople, SyntheticPeople, SyntheticPeopleBatch, collate
from fitloop.data.synthetic.config import Split
from fitloop.data.synthetic.dataset import CROPS
from fitloop.data.synthetic.parts import PartStore
from fitloop.geometry import Crop, crop_of_box
from fitloop.geometry.crops import sampling_grid, to_crop
from fitloop.pipelines.lessons.image_sampling import PHOTOS, ImageSampling
from fitloop.pipelines.lessons.keypoint_batches import RegressorBatch, known_where
from fitloop.pipelines.lessons.rarity import rarity
from fitloop.regressor import HMRConfig
from fitloop.regressor.keypoint_encoder import KEYPOINT_NAMES, tight_boxes
from fitloop.regressor.looks import (
    MIRRORED_KEYPOINTS,
    AugmentedView,
    Changes,
    augmented_keypoint_view,
    augmented_view,
    draw_changes,
    into_augmented_view,
    keypoint_inputs_of,
    no_changes,
)
from fitloop.regressor.losses import Supervision
from fitloop.regressor.parts import PartInputs
from fitloop.regressor.proxy import ProxyInputs, joint_maps, make_proxy
from fitloop.regressor.resnet import normalize_rgb
from fitloop.regressor.views import project_in_view

_BOX_SHIFT = 0.08
"""Largest shift of the edges of a detector's box, share of its longer side."""


@dataclass(frozen=True)
class PartBatch:
    """Crops of photos with true part maps."""

    crops: Tensor
    """(people, 3, size, size), normalised RGB."""
    labels: Tensor
    """(people, size, size), labels of `fitloop.body.part_maps`."""


class ImageBatches:
    """Draws people, cuts them out and tells the truth in the same view."""

    def __init__(
        self,
        body: Body,
        mocap: Mocap,
        config: ImageSampling,
        network: HMRConfig,
        split: Split = "training",
        supervised: float = 1.0,
    ) -> None:
        """Prepare the photos.

        Args:
            body: The open body, which the photos are of.
            mocap: Unpaired poses for the adversarial prior.
            config: Photos and changes.
            network: Which encoder.
            split: ``training``, or ``held-out`` subjects, garments and places, which are looked at as they are.
            supervised: Share of the photos whose 3D joints and parameters are known; always the same ones.

        Raises:
            ValueError: If no assets are given, or the folder to keep photos in holds others.
        """
        if config.assets is None:
            raise ValueError(f"The encoder {network.encoder!r} learns from photos: give images.assets, their folder.")
        self.body, self.config, self.network, self.held_out = body, config, network, split == "held-out"
        self._kept = None if config.keep is None else config.keep / split
        self.photos = (self.held_out and config.held_out_photos) or config.photos
        self.draw_poses, self.supervised = mocap_poses(mocap), supervised
        self.kinematics = KeypointKinematics(body, KEYPOINT_NAMES)
        sampling = KeypointSampling(noise=config.noise)
        if network.encoder == "parts":
            # Its heat maps are of COCO's joints, which a detector of another convention would not all name.
            sampling = replace(sampling, conventions=(("coco17", 1.0),))
        self.detector = KeypointSampler(body, KEYPOINT_NAMES, self.draw_poses, sampling)
        scene = replace(CROPS, height=config.side, width=config.side, split=split)
        people = SyntheticPeople(config.assets, PHOTOS, 0, scene, config.texture_side)
        self._draw = people.__getitem__
        if self._kept is not None:
            self._draw = StoredPeople(self._kept, people).__getitem__
        self._rarity = self._rarities() if config.resampled and not self.held_out else None
        self._pool = ProcessPoolExecutor(config.workers, get_context("spawn")) if config.workers else None

    def __call__(self, count: int, generator: torch.Generator) -> RegressorBatch:
        """Draw people, the same ones for the same generator state."""
        indices, people, changes = self._photos(count, generator)
        match self.network.encoder:
            case "proxy":
                augmented, inputs = self._proxies(people, changes, generator)
            case "parts":
                augmented, inputs = self._parts(indices, people, changes, generator)
            case _:
                augmented, inputs = self._crops(people, changes, generator)
        batch = RegressorBatch(inputs, augmented.view, self._truth(people, augmented))
        return known_where(torch.tensor(indices) < self.supervised * self.photos, batch)

    def segmentation(self, count: int, generator: torch.Generator) -> PartBatch:
        """Draw people with their parts, at the size of a segmentation network's crops."""
        indices, people, changes = self._photos(count, generator)
        crop = _crop(people.boxes, changes.scale, changes.angle)
        crops, occluders = self._cut(people, crop, generator)
        labels = self._labels(indices, people, crop, occluders, crops.shape[-1])
        flip = changes.flipped[:, None, None]
        crops = normalize_rgb(torch.where(flip[:, None], crops.flip(-1), crops))
        return PartBatch(crops, torch.where(flip, mirror_parts(labels), labels))

    def _photos(self, count: int, generator: torch.Generator) -> tuple[list[int], SyntheticPeopleBatch, Changes]:
        indices = torch.randint(self.photos, (count,), generator=generator)
        if self._rarity is not None:
            rare = torch.multinomial(self._rarity, count, replacement=True, generator=generator)
            indices = torch.where(torch.rand(count, generator=generator) < self.config.resampled, rare, indices)
        rows = indices.tolist()
        draw: Callable = map if self._pool is None else self._pool.map
        people = collate(list(draw(self._draw, rows)))
        changes = no_changes(count) if self.held_out else draw_changes(count, self.config.views, generator)
        return rows, people, changes

    @cached_property
    def _part_maps(self) -> Callable[[list[int], SyntheticPeopleBatch], Tensor]:
        return PartStore(self.body, self._kept)

    def _parts(
        self, indices: list[int], people: SyntheticPeopleBatch, changes: Changes, generator: torch.Generator
    ) -> tuple[AugmentedView, PartInputs]:
        augmented = augmented_view(people.boxes, people.camera, changes)
        crop, size = _crop(people.boxes, changes.scale, changes.angle), self.network.image_size
        flip = changes.flipped[:, None, None]
        labels, photos, joints = None, None, None
        if self.network.segmenter is None:
            occluders = self._occluders(len(indices), generator)
        else:
            crops, occluders = self._cut(people, crop, generator)
            photos = normalize_rgb(torch.where(flip[:, None], crops.flip(-1), crops))
        if self.network.parts and photos is None:
            labels = disturb_parts(self._labels(indices, people, crop, occluders, size), self.config.parts, generator)
            labels = torch.where(flip, mirror_parts(labels), labels)
        if self.network.part_joints:
            seen = self.detector.detect(people.params, people.camera, generator)
            points, confidence = to_crop(seen.keypoints, crop), seen.confidence
            confidence = confidence * occluders.hide(points)
            joints = joint_maps(
                torch.where(flip, mirror_points(points, MIRRORED_KEYPOINTS), points),
                torch.where(flip[..., 0], confidence[:, MIRRORED_KEYPOINTS], confidence),
                size,
            )
        return augmented, PartInputs(labels, photos, joints)

    def _labels(
        self, indices: list[int], people: SyntheticPeopleBatch, crop: Crop, occluders: Occluders, size: int
    ) -> Tensor:
        """True part maps on the grid of the crops; what lies in front hides parts."""
        maps = self._part_maps(indices, people)
        labels = sample_labels(maps, sampling_grid(crop, size, *maps.shape[-2:]))
        return torch.where(occluders.masks(size) > 0, NOBODY, labels)

    def _rarities(self) -> Tensor:
        return rarity(torch.stack([self._draw(index).params.body_pose for index in range(self.photos)]))

    def _crops(
        self, people: SyntheticPeopleBatch, changes: Changes, generator: torch.Generator
    ) -> tuple[AugmentedView, Tensor]:
        augmented = augmented_view(people.boxes, people.camera, changes)
        crops, _ = self._cut(people, _crop(people.boxes, augmented.scale, augmented.angle), generator)
        crops = normalize_rgb(crops)
        seen = torch.where(augmented.flipped[:, None, None, None], crops.flip(-1), crops)
        # A step of a ResNet takes a quarter less time on a CPU when the colours of a pixel lie side by side.
        return augmented, seen.contiguous(memory_format=torch.channels_last)

    def _proxies(
        self, people: SyntheticPeopleBatch, changes: Changes, generator: torch.Generator
    ) -> tuple[AugmentedView, ProxyInputs]:
        seen = self.detector.detect(people.params, people.camera, generator)
        detected = Detections(
            seen.keypoints, seen.confidence, people.boxes, "smpl24", seen.landmarks, seen.landmark_confidence
        )
        boxes = people.boxes if self.held_out else self._boxes(detected, generator)
        crop = _crop(boxes, changes.scale, changes.angle)
        crops, occluders = self._cut(people, crop, generator)
        points = to_crop(detected.keypoints, crop)
        if not self.held_out:
            # Some detectors say what they cannot see.
            guessed = torch.rand(len(points), 1, generator=generator) < 0.4
            shown = torch.maximum(occluders.hide(points), guessed.float())
            detected = replace(
                detected,
                confidence=detected.confidence * shown,
                landmark_confidence=seen.landmark_confidence * shown,
            )
        size = self.network.image_size
        grid = sampling_grid(crop, size, *people.masks.shape[-2:])
        masks = torch.nn.functional.grid_sample(people.masks[:, None].float(), grid, align_corners=False)[:, 0]
        silhouettes = disturb_silhouettes(masks * (1.0 - occluders.masks(size)), self.config.silhouettes, generator)
        flip, confidence = changes.flipped, detected.confidence
        # Mirrored before they become maps, of which there are many.
        maps = make_proxy(
            torch.where(flip[:, None, None, None], crops.flip(-1), crops),
            torch.where(flip[:, None, None], mirror_points(points, MIRRORED_KEYPOINTS), points),
            torch.where(flip[:, None], confidence[:, MIRRORED_KEYPOINTS], confidence),
            torch.where(flip[:, None, None], silhouettes.flip(-1), silhouettes),
        )
        # The keypoints are looked at in their own square, as always, but turned and mirrored as the crop is.
        augmented = augmented_keypoint_view(
            detected, people.camera, replace(changes, scale=torch.ones_like(changes.scale))
        )
        return augmented, ProxyInputs(maps, keypoint_inputs_of(detected, people.camera, augmented))

    def _boxes(self, detected: Detections, generator: torch.Generator) -> Tensor:
        """Boxes as detectors draw them: around the person or around the keypoints, never exactly."""
        people = len(detected.boxes)
        tight = tight_boxes(detected.keypoints, detected.confidence, detected.boxes)
        boxes = torch.where(torch.rand(people, 1, generator=generator) < 0.4, tight, detected.boxes)
        side = (boxes[:, 2:] - boxes[:, :2]).amax(-1, keepdim=True)
        return boxes + _BOX_SHIFT * side * (2.0 * torch.rand(people, 4, generator=generator) - 1.0)

    def _cut(self, people: SyntheticPeopleBatch, crop: Crop, generator: torch.Generator) -> tuple[Tensor, Occluders]:
        """Crops of the photos, with other colours and things in front, and these things."""
        size, config = self.network.photo_size, self.config
        pixels = people.pixels.permute(0, 3, 1, 2).float() / 255.0
        grid = sampling_grid(crop, size, *pixels.shape[-2:])
        crops = torch.nn.functional.grid_sample(pixels, grid, align_corners=False)
        occluders = self._occluders(len(crops), generator)
        if self.held_out:
            return crops, occluders
        return augment_pixels(crops, occluders, config.pixels, generator), occluders

    def _occluders(self, count: int, generator: torch.Generator) -> Occluders:
        if self.held_out:
            return Occluders(torch.zeros(count, 4))
        return draw_occluders(count, self.config.pixels, generator)

    def _truth(self, people: SyntheticPeopleBatch, augmented: AugmentedView) -> Supervision:
        params = into_augmented_view(people.params, augmented, self.body)
        points = self.kinematics(params)
        visible = (points[..., 2] > 0.2).to(points.dtype)
        return Supervision(
            points_2d=project_in_view(points, augmented.view).clamp(-5.0, 5.0),
            confidence_2d=visible,
            points_3d=points,
            confidence_3d=torch.ones_like(visible),
            rotations=params.rotations,
            betas=params.betas,
            confidence_params=torch.ones_like(visible[:, 0]),
        )


def _crop(boxes: Tensor, scale: Tensor, angle: Tensor) -> Crop:
    usual = crop_of_box(boxes)
    return Crop(usual.center, usual.side * scale, angle)
