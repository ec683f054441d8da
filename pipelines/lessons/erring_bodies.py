"""Photos of synthetic people beside bodies as the pipeline really errs: what the displacement network learns from.

Each photo gets several estimates, each made by the real stages: keypoints (the embedded detector's on the drawn photo,
or true ones disturbed as detectors err), the regressor, the fit. They are kept in chunks of plain arrays, so that
training reads them as fast as a disk gives them and may begin before the last one is drawn.
"""

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Bool, Float, UInt8
from torch import Tensor

from fitloop.body import Body, BodyEstimate, BodyParams, Detections, Image
from fitloop.body.files import whole_file
from fitloop.data.detector_noise import NoiseConfig
from fitloop.data.synthetic import SyntheticPhoto, load_assets, render_person_scene
from fitloop.data.synthetic.config import SceneConfig, Split
from fitloop.data.synthetic.dataset import CROPS
from fitloop.detection import MediapipeDetector
from fitloop.geometry import Camera, concatenate, project
from fitloop.geometry.cameras import default_focal
from fitloop.pipelines.lessons.erring_fits import ErringFits
from fitloop.pipelines.lessons.windows import Window, moved_detections, moved_estimate, window_around
from fitloop.regressor import Regressor
from fitloop.rendering import Rasterizer, load_rasterizer

CHUNK = 128
"""Photos per file."""
ESTIMATES = ("detected", "coco17", "mediapipe33", "regressed")
"""Fitted to the detector's keypoints, to disturbed ones of two conventions, and only regressed."""
_ARRAYS = ("photos", "masks", "silhouettes", "detected", "visible", "keypoints", "truth", "estimates")
_SILHOUETTE = 128
_HIDDEN = 0.025
"""Metres by which a vertex must lie behind what its pixel shows to be hidden."""


@dataclass(frozen=True)
class SampleConfig:
    """What the photos are like."""

    assets: Path
    """Folder of skins, garments, backgrounds and poses (docs/synthetic.md)."""
    seed: int = 0
    split: Split = "training"
    side: int = 256
    """Of the square photos, pixels."""
    cut_from: tuple[int, int] | None = None
    """Height and width of whole photos that the squares are cut from; by default they are drawn as squares."""
    texture_side: int = 256
    """Texels along the finest level of each texture."""
    known_focal: float = 0.5
    """Share of the estimates that know the true focal length; the others take the photo's diagonal."""
    noise: NoiseConfig = NoiseConfig()
    """Of the keypoints that are true ones disturbed."""

    @property
    def scene(self) -> SceneConfig:
        """What is drawn."""
        if self.cut_from is not None:
            return SceneConfig(*self.cut_from, split=self.split, maps=False)
        return replace(CROPS, height=self.side, width=self.side, split=self.split)


@dataclass(frozen=True)
class PhotoChunk:
    """Photos, truths and estimates; rows are photos."""

    photos: UInt8[np.ndarray, "rows height width 3"]
    masks: UInt8[np.ndarray, "rows height width"]
    """1 where the person is seen, clothes and hair included."""
    silhouettes: UInt8[np.ndarray, "rows grid grid"]
    """The detector's probability over the whole photo, times 255."""
    detected: Bool[np.ndarray, "rows"]
    """Whether the detector gave a silhouette."""
    visible: UInt8[np.ndarray, "rows bytes"]
    """Packed bits, one per vertex: the true body's vertex is seen."""
    keypoints: Float[np.ndarray, "rows keypoints parts"]
    """The detector's, by `keypoint_rows`."""
    truth: Float[np.ndarray, "rows numbers"]
    """Packed by `estimates_to_rows`."""
    estimates: Float[np.ndarray, "rows estimates numbers"]
    """In the order of `ESTIMATES`."""

    def save(self, folder: Path, number: int) -> None:
        """Write a chunk; files appear whole, the photos last."""
        folder.mkdir(parents=True, exist_ok=True)
        for name in reversed(_ARRAYS):
            with whole_file(folder / f"{name}-{number:05d}.npy") as path, path.open("wb") as file:
                np.save(file, getattr(self, name))


def has_chunk(folder: Path, number: int) -> bool:
    """Whether a chunk is finished."""
    return (folder / f"photos-{number:05d}.npy").is_file()


def load_chunks(folder: Path) -> list[PhotoChunk]:
    """All chunks of a folder that are finished, read when used."""
    numbers = sorted(path.stem.rsplit("-", 1)[1] for path in folder.glob("photos-*.npy"))
    return [PhotoChunk(*(np.load(folder / f"{name}-{n}.npy", mmap_mode="r") for name in _ARRAYS)) for n in numbers]


def keypoint_rows(seen: Detections) -> Float[Tensor, "people keypoints parts"]:
    """x, y, confidence of each keypoint and x, y, z, confidence of its 3D landmark, as one row of numbers."""
    assert seen.landmarks is not None and seen.landmark_confidence is not None
    parts = [seen.keypoints, seen.confidence[..., None], seen.landmarks, seen.landmark_confidence[..., None]]
    return torch.cat(parts, -1)


def estimates_to_rows(estimate: BodyEstimate) -> Float[Tensor, "people numbers"]:
    """24 rotations, betas, transl, focal length, principal point as one row of numbers per person."""
    params, camera = estimate.params, estimate.camera
    parts = [params.rotations.flatten(1), params.betas, params.transl, camera.focal[:, None], camera.principal_point]
    return torch.cat(parts, -1)


def rows_to_estimates(numbers: Float[Tensor, "people numbers"], body: str) -> BodyEstimate:
    """Inverse of `estimates_to_rows`."""
    rotations = numbers[:, :216].reshape(-1, 24, 3, 3)
    params = BodyParams(rotations[:, 0], rotations[:, 1:], numbers[:, 216:-6], numbers[:, -6:-3])
    return BodyEstimate(params, Camera(numbers[:, -3], numbers[:, -2:]), body)


class SampleMaker:
    """Draws photos and runs the pipeline's stages on them."""

    def __init__(self, config: SampleConfig, body: Body, regressor: Regressor) -> None:
        self.config, self.body, self.fits = config, body, ErringFits(body, regressor, config.noise)
        self.assets = load_assets(config.assets, config.texture_side)
        self.detector = MediapipeDetector()
        self.rasterizer = load_rasterizer("auto")

    def __call__(self, number: int) -> PhotoChunk:
        """Make a chunk, the same for the same number and config."""
        generator = torch.Generator().manual_seed(1_000_003 * self.config.seed + number)
        photos = [
            render_person_scene(self.assets, (self.config.seed, number * CHUNK + row), self.config.scene)
            for row in range(CHUNK)
        ]
        truth = truths_of(photos, self.body)
        cameras = [self._guess_camera(truth.camera, generator) for _ in ESTIMATES]
        seen = self._detected(photos, generator)
        size = 2.0 * truth.camera.principal_point
        found = {
            name: self.fits.of_kind(name, seen, truth, size, camera, generator).fitted
            for name, camera in zip(ESTIMATES[:3], cameras[:3], strict=True)
        }
        disturbed = self.fits.disturbed(truth, "body25", size, generator)
        found["regressed"] = self.fits.regressor(None, disturbed, cameras[3])
        masks = np.stack([photo.people[0].mask for photo in photos])
        visible = visible_vertices(self.body, truth, torch.from_numpy(masks), self.rasterizer)
        whole = photos[0].pixels.shape
        windows = [window_around(photo.people[0].box, (whole[0], whole[1]), self.config.side) for photo in photos]
        if self.config.cut_from is None:
            windows = [Window((0, 0), self.config.side, self.config.side)] * len(photos)
        seen, truth = moved_detections(seen, windows), moved_estimate(truth, windows)
        silhouettes = torch.stack([whole_silhouette(seen, row, self.config.side) for row in range(len(photos))])
        return PhotoChunk(
            np.stack([window.cut(photo.pixels) for window, photo in zip(windows, photos, strict=True)]),
            np.stack(
                [window.cut(255 * mask.astype(np.uint8)) > 127 for window, mask in zip(windows, masks, strict=True)]
            ).astype(np.uint8),
            (255.0 * silhouettes).round().byte().numpy(),
            (seen.confidence > 0.5).any(-1).numpy(),
            np.packbits(visible.numpy(), axis=1),
            keypoint_rows(seen).numpy(),
            estimates_to_rows(truth).numpy(),
            torch.stack([estimates_to_rows(moved_estimate(found[name], windows)) for name in ESTIMATES], 1).numpy(),
        )

    def _guess_camera(self, camera: Camera, generator: torch.Generator) -> Camera:
        known = torch.rand(len(camera.focal), generator=generator) < self.config.known_focal
        scene = self.config.scene
        guess = torch.full_like(camera.focal, default_focal(scene.width, scene.height))
        middle = torch.tensor([scene.width / 2.0, scene.height / 2.0]).expand_as(camera.principal_point)
        return Camera(
            torch.where(known, camera.focal, guess), torch.where(known[:, None], camera.principal_point, middle)
        )

    def _detected(self, photos: list[SyntheticPhoto], generator: torch.Generator) -> Detections:
        """What the embedded detector makes of the main people, told roughly where they are."""
        found = []
        for photo in photos:
            box = torch.from_numpy(photo.people[0].box)
            wobble = 0.05 * (box[2:] - box[:2]).repeat(2) * torch.randn(4, generator=generator)
            camera = Camera(torch.tensor(photo.view.focal), torch.tensor(photo.view.principal_point))
            found.append(self.detector.in_boxes(Image(photo.pixels, camera, ""), (box + wobble)[None]))
        return concatenate(found)


def truths_of(photos: list[SyntheticPhoto], body: Body) -> BodyEstimate:
    """The main people of photos."""
    people = concatenate([photo.people[0].params.map(lambda tensor: tensor[None]) for photo in photos])
    focal = torch.tensor([photo.view.focal for photo in photos], dtype=torch.float32)
    middle = torch.tensor([photo.view.principal_point for photo in photos], dtype=torch.float32)
    return BodyEstimate(people, Camera(focal, middle), body.name)


def whole_silhouette(seen: Detections, row: int, side: int) -> Float[Tensor, "grid grid"]:
    """A detector's silhouette sampled over the whole square photo."""
    assert seen.silhouettes is not None and seen.silhouette_boxes is not None
    box = seen.silhouette_boxes[row]
    ticks = (torch.arange(_SILHOUETTE) + 0.5) / _SILHOUETTE * side
    y, x = torch.meshgrid(ticks, ticks, indexing="ij")
    grid = 2.0 * (torch.stack([x, y], -1) - box[:2]) / (box[2:] - box[:2]).clamp_min(1.0) - 1.0
    return torch.nn.functional.grid_sample(seen.silhouettes[row][None, None], grid[None], align_corners=False)[0, 0]


def visible_vertices(
    body: Body, truth: BodyEstimate, masks: Bool[Tensor, "people height width"], rasterizer: Rasterizer
) -> Bool[Tensor, "people vertices"]:
    """Which vertices of the true bodies the photo shows, or shows the clothes of.

    Hidden are those outside the photo, behind another part of the body, and where the person's visible pixels are not.
    """
    height, width = masks.shape[-2:]
    vertices = body(truth.params).vertices
    depth = rasterizer(vertices, body.faces, truth.camera, (height, width)).depth
    pixels = project(vertices, truth.camera)
    place = pixels.floor().long()
    inside = ((pixels >= 0) & (pixels < torch.tensor([width, height]))).all(-1) & (vertices[..., 2] > 0.05)
    flat = place[..., 1].clamp(0, height - 1) * width + place[..., 0].clamp(0, width - 1)
    near = depth.flatten(1).gather(1, flat)
    shown = torch.nn.functional.max_pool2d(masks[:, None].float(), 3, 1, 1).flatten(1).gather(1, flat) > 0
    return inside & shown & ((near == 0) | (vertices[..., 2] < near + _HIDDEN))
