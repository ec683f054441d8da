"""Batches for the displacement network: photo, renderings of a wrong body, and where its points really are."""

from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn.functional import avg_pool2d, interpolate

from fitloop.body import Body, BodyEstimate, BodyParams
from fitloop.geometry import Crop, project, rotvec_to_rotmat
from fitloop.pipelines.lessons.erring_bodies import PhotoChunk, load_chunks, rows_to_estimates
from fitloop.refinement.augmentation import Batch, blend, change_background, change_light, choose_rows, mirror, turn
from fitloop.refinement.crops import CROP_SIZE, crop_of_bodies, cut_photos
from fitloop.refinement.inputs import Appearance, Drawn, channel_slices, draw_bodies, network_input
from fitloop.refinement.texture import (
    body_cells,
    fill_unseen,
    look_up,
    merge_appearances,
    spread_over_cells,
    unknown_appearance,
)
from fitloop.rendering import interpolate as spread_over_pixels
from fitloop.rendering import load_rasterizer, unique_vertex_colors

FARTHEST = 60.0
"""Crop pixels; points displaced further are not learned from."""


@dataclass(frozen=True)
class BatchConfig:
    """How estimates, photos and what else is known are varied."""

    size: int = CROP_SIZE
    """Of the crops, pixels."""
    slots: tuple[float, ...] = (0.3, 0.25, 0.25, 0.2)
    """How often each of the estimates kept with a photo is taken."""
    blended: float = 0.4
    """Share of estimates moved part of the way to the truth, as later rounds find them."""
    turns: float = 3.0
    """Largest standard deviation of further turns of every joint, degrees; drawn per person."""
    textures: tuple[float, ...] = (0.1, 0.4, 0.4, 0.1)
    """How often no texture is known, its colours per part, a texture from other photos, another person's clothes."""
    silhouettes: tuple[float, ...] = (0.3, 0.4, 0.3)
    """How often there is no silhouette, the detector's, the true one disturbed."""
    light: float = 0.2
    """Standard deviation of exposure, and of other changes relative to it."""
    rolled: float = 15.0
    """Standard deviation of turns of the whole view in its plane, degrees."""
    moved: float = 0.4
    """Share of people put before another photo's background."""
    recolored: float = 0.3
    """Share of views whose red, green and blue change places, in photo and texture alike."""
    jitter: float = 0.06
    """Standard deviation of the crop's place and size, over its side."""


@dataclass(frozen=True)
class Rows:
    """Some photos with their people."""

    photos: Float[Tensor, "people 3 height width"]
    masks: Float[Tensor, "people height width"]
    silhouettes: Float[Tensor, "people grid grid"]
    detected: Tensor
    visible: Float[Tensor, "people vertices"]
    truth: BodyEstimate
    estimates: list[BodyEstimate]


@dataclass
class RefinementBatches:
    """Draws batches from a folder of samples."""

    folder: Path
    body: Body
    """Everything is computed where it lies; random numbers come from the CPU, so that they are the same everywhere."""
    config: BatchConfig = field(default_factory=BatchConfig)
    varied: bool = True
    """Whether to augment; without, photos and estimates are looked at as they are."""

    def __post_init__(self) -> None:
        self.device = self.body.template.device
        self.rasterizer = load_rasterizer("auto", self.device)
        self.cells = body_cells(self.body).to(self.device)
        self.refresh()

    def refresh(self) -> None:
        """Look which chunks there are by now."""
        self.chunks: list[PhotoChunk] = load_chunks(self.folder)
        if not self.chunks:
            raise ValueError(f"There are no samples in {self.folder}; draw some first.")

    def rows(self, picks: list[tuple[int, int]]) -> Rows:
        """Read (chunk, row) pairs."""

        def stacked(name: str) -> np.ndarray:
            return np.stack([getattr(self.chunks[chunk], name)[row] for chunk, row in picks])

        def moved(values: np.ndarray) -> Tensor:
            return torch.from_numpy(values).to(self.device)

        bits = np.unpackbits(stacked("visible"), axis=1)[:, : len(self.body.template)]
        return Rows(
            moved(stacked("photos")).permute(0, 3, 1, 2).float() / 255.0,
            moved(stacked("masks")).float(),
            moved(stacked("silhouettes")).float() / 255.0,
            moved(stacked("detected")),
            moved(bits).float(),
            rows_to_estimates(moved(stacked("truth")), self.body.name),
            [rows_to_estimates(one, self.body.name) for one in moved(stacked("estimates")).unbind(1)],
        )

    def __call__(self, count: int, generator: torch.Generator) -> Batch:
        """Draw a batch, the same for the same generator state and chunks."""
        chunks = torch.randint(len(self.chunks), (count,), generator=generator).tolist()
        picks = [(c, int(torch.randint(len(self.chunks[c].photos), (), generator=generator))) for c in chunks]
        rows = self.rows(picks)
        number = self._one_of(self.config.slots, count, generator)
        estimate = choose_rows(rows.estimates, number)
        if self.varied:
            estimate = self._disturb(estimate, rows.truth, generator)
        return self.batch(rows, estimate, generator)

    def batch(self, rows: Rows, estimate: BodyEstimate, generator: torch.Generator) -> Batch:
        """Look at estimates of some rows."""
        count, size = len(rows.photos), self.config.size
        vertices = self.body(estimate.params).vertices
        pixels = project(vertices, estimate.camera)
        crop = self._jitter(
            crop_of_bodies(pixels, vertices[..., 2], (rows.photos.shape[-2], rows.photos.shape[-1])), generator
        )
        drawn = draw_bodies(self.body, estimate, crop, size, self.rasterizer)
        whole = change_background(rows.photos, rows.masks, self.config.moved if self.varied else 0.0, generator)
        raw = cut_photos(whole, crop, size)
        photos = change_light(raw, self.config.light, generator) if self.varied else raw
        silhouette, has_silhouette = self._silhouettes(rows, crop, generator)
        appearance = self._appearance(rows, drawn, photos, (silhouette, has_silhouette), crop, generator)
        inputs = network_input(self.body, drawn, appearance, photos, silhouette, has_silhouette)
        true = draw_bodies(self.body, rows.truth, crop, size // 2, self.rasterizer)
        moved = 2.0 * project(true.vertices, true.camera) - project(drawn.vertices, drawn.camera)
        known = torch.cat([moved, rows.visible[..., None]], -1)
        seen = spread_over_pixels(drawn.fragments, known, self.body.faces).permute(0, 3, 1, 2)
        near = seen[:, :2].norm(dim=1) < FARTHEST
        learned = drawn.fragments.covered & (seen[:, 2] > 0.99) & near
        # What is not learned from may be infinitely far: true points at the camera.
        truth = torch.where(learned[:, None], seen[:, :2], 0.0)
        batch = Batch(inputs, truth, learned.float(), self._surface(rows, true, crop))
        flipped = (self._uniform(count, generator=generator) < 0.5 * self.varied).nonzero()[:, 0]
        for whole, part in zip(_tensors(batch), _tensors(mirror(batch[flipped])), strict=True):
            whole[flipped] = part
        return self._vary(batch, generator) if self.varied else batch

    def _surface(self, rows: Rows, true: Drawn, crop: Crop) -> Tensor:
        """Which point of the true body each pixel of the photo shows, at half the resolution."""
        place = unique_vertex_colors(self.body.template).expand(*true.vertices.shape)
        values = torch.cat([place, rows.visible[..., None]], -1)
        shown = spread_over_pixels(true.fragments, values, self.body.faces).permute(0, 3, 1, 2)
        known = (true.fragments.covered & (shown[:, 3] > 0.99)).float()
        person = cut_photos(rows.masks[:, None], crop, self.config.size // 2)
        return torch.cat([shown[:, :3], known[:, None], person], 1)

    def _vary(self, batch: Batch, generator: torch.Generator) -> Batch:
        count = len(batch.inputs)
        batch = turn(batch, torch.deg2rad(self.config.rolled * self._normal(count, generator=generator)))
        order = torch.rand(count, 3, generator=generator).argsort(-1)
        kept = torch.rand(count, 1, generator=generator) >= self.config.recolored
        order = torch.where(kept, torch.arange(3), order).to(self.device)
        rows, slices = torch.arange(count, device=self.device)[:, None], channel_slices()
        for name in ("photo", "texture"):
            start = slices[name].start
            batch.inputs[:, start : start + 3] = batch.inputs[rows, start + order]
        return batch

    def _jitter(self, crop: Crop, generator: torch.Generator) -> Crop:
        side = crop.side.clamp_min(16.0)
        if not self.varied:
            return replace(crop, side=side)
        shift = self.config.jitter * self._normal(len(side), 2, generator=generator)
        scale = torch.exp(self.config.jitter * self._normal(len(side), generator=generator))
        return replace(crop, center=crop.center + shift * side[:, None], side=side * scale)

    def _disturb(self, estimate: BodyEstimate, truth: BodyEstimate, generator: torch.Generator) -> BodyEstimate:
        count = len(estimate.params.betas)
        chosen = self._uniform(count, generator=generator) < self.config.blended
        share = torch.where(chosen, 0.2 + 0.7 * self._uniform(count, generator=generator), 0.0)
        estimate = blend(estimate, truth, share, self.body)
        params = estimate.params
        size = torch.deg2rad(self.config.turns * self._uniform(count, 1, 1, generator=generator))
        turned = params.rotations @ rotvec_to_rotmat(size * self._normal(count, 24, 3, generator=generator))
        betas = params.betas + 0.2 * self._normal(*params.betas.shape, generator=generator)
        shift = params.transl.new_tensor([0.004, 0.004, 0.015]) * self._normal(count, 3, generator=generator)
        transl = params.transl + shift * params.transl[:, 2:]
        return replace(estimate, params=BodyParams(turned[:, 0], turned[:, 1:], betas, transl))

    def _appearance(
        self,
        rows: Rows,
        drawn: Drawn,
        photos: Tensor,
        silhouettes: tuple[Tensor, Tensor],
        crop: Crop,
        generator: torch.Generator,
    ) -> Appearance:
        count = len(photos)
        nothing = unknown_appearance(count, len(self.body.template)).to(self.device)
        silhouette, given = silhouettes
        masks = torch.where(given[:, None, None] > 0, silhouette, 1.0)
        kind = self._one_of(self.config.textures, count, generator)
        one = (kind == 1).nonzero()[:, 0]
        if len(one):
            usual = spread_over_cells(look_up(drawn[one], photos[one], masks[one]), self.cells)
            nothing.colors[one], nothing.known[one] = usual.colors, usual.known
        many = (kind >= 2).nonzero()[:, 0]
        if len(many):
            other = self._other_photo(rows, many, photos, crop, generator)
            # Others' clothes come from the neighbour among those whose other photos were drawn.
            mine = torch.arange(len(many), device=self.device)
            giver = torch.where(kind[many] == 3, mine.roll(1), mine)
            nothing.colors[many], nothing.known[many] = other.colors[giver], other.known[giver]
        return nothing

    def _other_photo(
        self, rows: Rows, some: Tensor, photos: Tensor, crop: Crop, generator: torch.Generator
    ) -> Appearance:
        """As other photos of some of the people would tell: other light, and a body that is nearly aligned."""
        count = len(some)
        slot = torch.randint(3, (count,), generator=generator).to(self.device)
        share = 0.3 + 0.7 * self._uniform(count, generator=generator)
        estimates = [estimate[some] for estimate in rows.estimates]
        aligned = blend(choose_rows(estimates, slot), rows.truth[some], share, self.body)
        drawn = draw_bodies(self.body, aligned, crop[some], self.config.size, self.rasterizer)
        masks = cut_photos(rows.masks[some, None], crop[some], self.config.size)[:, 0]
        seen = fill_unseen(merge_appearances([look_up(drawn, photos[some], masks)]), self.cells)
        gain = torch.exp(0.7 * self.config.light * self._normal(count, 1, 3, generator=generator))
        shift = 0.3 * self.config.light * self._normal(count, 1, 1, generator=generator)
        return replace(seen, colors=(gain * seen.colors + shift).clamp(0.0, 1.0))

    def _silhouettes(self, rows: Rows, crop: Crop, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        count = len(rows.photos)
        shares = self.config.silhouettes if self.varied else (0.0, 1.0, 0.0)
        kind = self._one_of(shares, count, generator)
        kind = torch.where((kind == 1) & ~rows.detected, 0, kind)
        coarse = avg_pool2d(interpolate(rows.masks[:, None], rows.silhouettes.shape[-2:], mode="area"), 3, 1, 1)
        noise = interpolate(self._normal(count, 1, 8, 8, generator=generator), coarse.shape[-2:], mode="bilinear")
        coarse = (coarse + 0.25 * noise).clamp(0.0, 1.0)
        grids = torch.where((kind == 1)[:, None, None, None], rows.silhouettes[:, None], coarse)
        return cut_photos(grids, onto(crop, rows.photos, grids), self.config.size)[:, 0], (kind > 0).float()

    def _normal(self, *shape: int, generator: torch.Generator) -> Tensor:
        return torch.randn(shape, generator=generator).to(self.device)

    def _uniform(self, *shape: int, generator: torch.Generator) -> Tensor:
        return torch.rand(shape, generator=generator).to(self.device)

    def _one_of(self, shares: tuple[float, ...], count: int, generator: torch.Generator) -> Tensor:
        """Numbers from 0, each as often as its share says."""
        drawn = torch.multinomial(torch.tensor(shares), count, replacement=True, generator=generator)
        return drawn.to(self.device)


def onto(crop: Crop, photos: Tensor, grid: Tensor) -> Crop:
    """The same square in the coordinates of a coarser picture."""
    scale = grid.shape[-1] / photos.shape[-1]
    return replace(crop, center=crop.center * scale, side=crop.side * scale)


def _tensors(batch: Batch) -> tuple[Tensor, ...]:
    return batch.inputs, batch.truth, batch.weight, batch.surface
