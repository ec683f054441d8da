"""Batches for the encoders of images: synthetic people, drawn on the fly, looked at as training looks."""

from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field, replace
from multiprocessing import get_context
from pathlib import Path

import torch
from torch import Tensor

from body import Body, Detections, KeypointKinematics
from data.augmentation import Occluders, PixelAugmentation, augment_pixels, draw_occluders
from data.detector_noise import DetectorNoise, NoiseConfig
from data.keypoint_samples import mocap_poses
from data.mocap import Mocap
from data.synthetic import SyntheticPeople, SyntheticPeopleBatch, collate
from data.synthetic.config import Split
from data.synthetic.dataset import CROPS
from geometry import Crop, crop_of_box, project
from geometry.crops import sampling_grid, to_crop
from pipelines.spin_config import AugmentationConfig
from pipelines.spin_views import Look, draw_changes, into_look, look_at, no_changes
from pipelines.train_batches import Batch
from regressor import HMRConfig
from regressor.keypoint_encoder import KEYPOINT_NAMES
from regressor.losses import Supervision
from regressor.proxy import make_proxy, mirror_proxy
from regressor.resnet import normalize_rgb
from regressor.views import project_in_view

PHOTOS = 2**31 - 1


@dataclass(frozen=True)
class ImageSampling:
    """What the photos are like, and how they are changed."""

    assets: Path | None = None
    """Folder of skins, garments, backgrounds and poses (docs/synthetic.md); needed for encoders of images."""
    side: int = 256
    """Of the square photos, pixels."""
    texture_side: int = 256
    """Texels along the finest level of each texture."""
    views: AugmentationConfig = field(default_factory=AugmentationConfig)
    """Flip, turn and size of the crop."""
    pixels: PixelAugmentation = field(default_factory=PixelAugmentation)
    """Colours and occluders."""
    noise: NoiseConfig = field(default_factory=NoiseConfig)
    """Of the detector that the `proxy` encoder listens to."""
    no_silhouette: float = 0.3
    """Share of people whose detector gives no silhouette."""
    workers: int = 0
    """Processes that draw photos; 0 draws them where training runs."""


class ImageBatches:
    """Draws people, cuts them out and tells the truth in the same view."""

    def __init__(
        self, body: Body, mocap: Mocap, config: ImageSampling, network: HMRConfig, split: Split = "training"
    ) -> None:
        """Prepare the photos.

        Args:
            body: The open body, which the photos are of.
            mocap: Unpaired poses for the adversarial prior.
            config: Photos and changes.
            network: Which encoder.
            split: ``training``, or ``held-out`` subjects, garments and places, which are looked at as they are.

        Raises:
            ValueError: If no assets are given.
        """
        if config.assets is None:
            raise ValueError(f"The encoder {network.encoder!r} learns from photos: give images.assets, their folder.")
        self.body, self.config, self.network, self.held_out = body, config, network, split == "held-out"
        self.draw_poses = mocap_poses(mocap)
        self.kinematics = KeypointKinematics(body, KEYPOINT_NAMES)
        self.noise = DetectorNoise(KEYPOINT_NAMES, config.noise)
        scene = replace(CROPS, height=config.side, width=config.side, split=split)
        self._draw = SyntheticPeople(config.assets, PHOTOS, 0, scene, config.texture_side).__getitem__
        self._pool = ProcessPoolExecutor(config.workers, get_context("spawn")) if config.workers else None

    def __call__(self, count: int, generator: torch.Generator) -> Batch:
        """Draw people, the same ones for the same generator state."""
        indices = torch.randint(PHOTOS, (count,), generator=generator).tolist()
        draw: Callable = map if self._pool is None else self._pool.map
        people = collate(list(draw(self._draw, indices)))
        changes = no_changes(count) if self.held_out else draw_changes(count, self.config.views, generator)
        look = look_at(people.boxes, people.camera, changes)
        usual = crop_of_box(people.boxes)
        crop = Crop(usual.center, usual.side * look.scale, look.angle)
        inputs = self._inputs(people, crop, generator)
        mirror = mirror_proxy(inputs) if self.network.encoder == "proxy" else inputs.flip(-1)
        inputs = torch.where(look.flipped[:, None, None, None], mirror, inputs)
        return Batch(inputs, look.view, self._truth(people, look))

    def _inputs(self, people: SyntheticPeopleBatch, crop: Crop, generator: torch.Generator) -> Tensor:
        size, config = self.network.image_size, self.config
        pixels = people.pixels.permute(0, 3, 1, 2).float() / 255.0
        grid = sampling_grid(crop, size, *pixels.shape[-2:])
        crops = torch.nn.functional.grid_sample(pixels, grid, align_corners=False)
        empty = Occluders(crop.side.new_zeros(len(crops), 4))
        occluders = empty if self.held_out else draw_occluders(len(crops), config.pixels, generator)
        if not self.held_out:
            crops = augment_pixels(crops, occluders, config.pixels, generator)
        if self.network.encoder != "proxy":
            return normalize_rgb(crops)
        masks = torch.nn.functional.grid_sample(people.masks[:, None].float(), grid, align_corners=False)[:, 0]
        has_silhouette = torch.rand(len(crops), 1, 1, generator=generator) >= config.no_silhouette
        silhouettes = masks * (1.0 - occluders.masks(size)) * has_silhouette
        detected = self._detected(people, generator)
        points = to_crop(detected.keypoints, crop)
        return make_proxy(crops, points, detected.confidence * occluders.hide(points), silhouettes)

    def _detected(self, people: SyntheticPeopleBatch, generator: torch.Generator) -> Detections:
        truth = project(self.kinematics(people.params), people.camera)
        tall = 1.7 * people.camera.focal / people.params.transl[:, 2].clamp_min(0.3)
        keypoints, confidence = self.noise.pixels(truth, tall, generator)
        size = 2.0 * people.camera.principal_point[:, None]
        seen = self.noise.seen(truth, generator) & ((truth > 0) & (truth < size)).all(-1)
        return Detections(keypoints, confidence * seen, people.boxes, "smpl24")

    def _truth(self, people: SyntheticPeopleBatch, look: Look) -> Supervision:
        params = into_look(people.params, look, self.body)
        points = self.kinematics(params)
        visible = (points[..., 2] > 0.2).to(points.dtype)
        return Supervision(
            points_2d=project_in_view(points, look.view).clamp(-5.0, 5.0),
            confidence_2d=visible,
            points_3d=points,
            confidence_3d=torch.ones_like(visible),
            rotations=params.rotations,
            betas=params.betas,
            confidence_params=torch.ones_like(visible[:, 0]),
        )
