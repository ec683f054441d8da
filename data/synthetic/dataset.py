"""Endless synthetic people for training: any number of workers, the same sample for the same index."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float, Int, UInt8
from torch import Tensor
from torch.utils.data import Dataset

from fitloop.body import BodyParams
from fitloop.data.synthetic.assets import load_assets
from fitloop.data.synthetic.config import SceneConfig
from fitloop.data.synthetic.scenes import render_person_scene
from fitloop.data.synthetic.truth import SyntheticPhoto
from fitloop.geometry import Camera, TensorRecord

CROPS = SceneConfig(height=256, width=256, people=(1, 2), person_height=(0.55, 0.95), maps=False)
"""Square photos that one person fills: what training needs."""


@dataclass(frozen=True)
class SyntheticPeopleBatch(TensorRecord):
    """The main person of each photo."""

    pixels: UInt8[Tensor, "*batch height width 3"]
    """RGB."""
    params: BodyParams
    """Camera frame."""
    camera: Camera
    landmarks_2d: Float[Tensor, "*batch landmarks 2"]
    """Pixels, in the order of `LANDMARKS`."""
    landmarks_3d: Float[Tensor, "*batch landmarks 3"]
    """Camera frame, metres."""
    visibility: Int[Tensor, "*batch landmarks"]
    """0: outside the picture, 1: hidden, 2: visible."""
    boxes: Float[Tensor, "*batch 4"]
    """x y x y of the bare body, clipped to the picture."""
    masks: Tensor
    """(*batch, height, width) boolean: pixels of the person."""


class SyntheticPeople(Dataset[SyntheticPeopleBatch]):
    """Photos by index; give it to a `torch.utils.data.DataLoader` with `collate`.

    The assets are read when the first sample is asked for, in each worker that was not forked after that.
    """

    def __init__(
        self, folder: str | Path, length: int, seed: int = 0, config: SceneConfig = CROPS, texture_side: int = 256
    ) -> None:
        """Say which photos to draw.

        Args:
            folder: Of the assets (docs/synthetic.md).
            length: How many photos; index ``i`` is the same photo whatever the length.
            seed: Of the first index.
            config: What the photos are like.
            texture_side: Texels along the finest level of each texture.

        Raises:
            ValueError: If the length is negative.
        """
        if length < 0:
            raise ValueError(f"The number of photos is at least 0, got {length}.")
        self.folder, self.length, self.seed = Path(folder), length, seed
        self.config, self.texture_side = config, texture_side

    def __len__(self) -> int:
        return self.length

    def __getitem__(self, index: int) -> SyntheticPeopleBatch:
        """Draw photo ``index``; no batch axes.

        Raises:
            IndexError: If there is no such photo.
        """
        if not -self.length <= index < self.length:
            raise IndexError(f"There are {self.length} photos, asked for number {index}.")
        assets = load_assets(self.folder, self.texture_side)
        return main_person(render_person_scene(assets, (self.seed, index % self.length), self.config))


def main_person(photo: SyntheticPhoto) -> SyntheticPeopleBatch:
    """Tensors of the main person of a photo."""
    person, view = photo.people[0], photo.view
    return SyntheticPeopleBatch(
        pixels=torch.from_numpy(photo.pixels),
        params=person.params,
        camera=Camera(torch.tensor(view.focal), torch.tensor(view.principal_point)),
        landmarks_2d=torch.from_numpy(person.landmarks_2d),
        landmarks_3d=torch.from_numpy(person.landmarks_3d),
        visibility=torch.from_numpy(person.visibility.astype(np.int64)),
        boxes=torch.from_numpy(person.box),
        masks=torch.from_numpy(person.mask),
    )


def collate(samples: list[SyntheticPeopleBatch]) -> SyntheticPeopleBatch:
    """Stack samples along a new first axis."""
    from fitloop.geometry import concatenate

    return concatenate([sample.map(lambda tensor: tensor[None]) for sample in samples])
