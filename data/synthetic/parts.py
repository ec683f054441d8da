"""Part maps of synthetic people, drawn from their bodies and kept beside their photos."""

import os
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Int
from scipy.ndimage import distance_transform_edt
from torch import Tensor

from fitloop.body import Body
from fitloop.body.part_maps import NOBODY, check_masks
from fitloop.data.synthetic.dataset import SyntheticPeopleBatch
from fitloop.rendering import load_rasterizer, part_map

_NOT_DRAWN, _OFFSET = 0, 2
"""What a byte of the file means: 0 was not drawn, all else is a label plus 2."""


def draw_parts(
    body: Body, people: SyntheticPeopleBatch, face_parts: Int[Tensor, "faces"] | None = None
) -> Int[Tensor, "people height width"]:
    """Which part of the body each pixel of the person shows, clothes and hair included.

    The bare body is drawn and cut with the person's mask. What only the mask shows, clothes and hair, gets the label of
    the nearest pixel of the body.

    Args:
        body: Of the people.
        people: One row each.
        face_parts: `Body.face_parts`, where it is known already.

    Returns:
        Labels of `fitloop.body.part_maps`, int8.

    Raises:
        ValueError: If masks have another size than the photos, or one is empty.
    """
    size = (int(people.pixels.shape[-3]), int(people.pixels.shape[-2]))
    check_masks(people.masks, size)
    fragments = load_rasterizer("numba")(body(people.params).vertices, body.faces, people.camera, size)
    bare = part_map(fragments, body.face_parts if face_parts is None else face_parts).to(torch.int8)
    return torch.stack([_clothed(one, mask) for one, mask in zip(bare, people.masks.bool(), strict=True)])


def _clothed(bare: Tensor, mask: Tensor) -> Tensor:
    there = (bare > NOBODY) & mask
    if not bool(there.any()):
        return torch.full_like(bare, NOBODY)
    found = np.asarray(distance_transform_edt(~there.numpy(), return_distances=False, return_indices=True))
    rows, columns = torch.from_numpy(found).long()
    return torch.where(mask, bare[rows, columns], NOBODY)


class PartStore:
    """Part maps by the number of the photo; with a folder each is drawn once and kept in a file, a byte per pixel."""

    def __init__(self, body: Body, folder: Path | None = None) -> None:
        """Open the store.

        Args:
            body: Of the people.
            folder: Where their photos are kept, which gets ``parts.bin``; None draws every time.
        """
        self.body, self._face_parts = body, body.face_parts
        self._path = None if folder is None else folder / "parts.bin"
        if self._path is not None:
            self._path.touch()

    def __call__(self, indices: list[int], people: SyntheticPeopleBatch) -> Int[Tensor, "people height width"]:
        """Part maps of photos.

        Args:
            indices: Numbers of the photos.
            people: Their people, one row each.

        Raises:
            OSError: If a map cannot be kept, for example because the disk is full.
        """
        return torch.stack([self._one(index, people[row : row + 1]) for row, index in enumerate(indices)])

    def _one(self, index: int, person: SyntheticPeopleBatch) -> Tensor:
        height, width = person.pixels.shape[-3:-1]
        found = self._read(index, height * width)
        if found is not None:
            return found.reshape(height, width)
        # A person wholly hidden behind things has no part to show; that is no mistake of the photo.
        nothing = torch.full((height, width), NOBODY, dtype=torch.int8)
        drawn = draw_parts(self.body, person, self._face_parts)[0] if bool(person.masks.any()) else nothing
        self._write(index, drawn)
        return drawn

    def _read(self, index: int, size: int) -> Tensor | None:
        if self._path is None:
            return None
        with self._path.open("rb", buffering=0) as file:
            raw = os.pread(file.fileno(), size, index * size)
        found = np.frombuffer(raw, np.int8)
        return torch.from_numpy(found - _OFFSET) if len(raw) == size and bool((found != _NOT_DRAWN).all()) else None

    def _write(self, index: int, labels: Tensor) -> None:
        if self._path is None:
            return
        raw = (labels + _OFFSET).numpy().tobytes()
        with self._path.open("r+b", buffering=0) as file:
            if os.pwrite(file.fileno(), raw, index * len(raw)) < len(raw):
                raise OSError(f"{self._path} did not take a whole part map: the disk is full.")
