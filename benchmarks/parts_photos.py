"""Body parts on real photos: how well the silhouette is found, a picture of the parts, and bodies from them in 3D.

    python -m benchmarks parts_photos --segmenter parts.safetensors --photos PHOTOS --picture parts.png
    python -m benchmarks parts_photos --real3d REAL3D --regressors mean keypoints best.safetensors

Photos have annotated masks of people (COCO's layout: ``images/``, ``annotations.json``): the silhouette, which is all
parts together; nobody annotated parts. Bodies are measured as `benchmarks.real3d` does, in the boxes around OpenPose's
keypoints, as regressed and as fitted from there to the embedded detector's keypoints.
"""

import colorsys
import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
import tyro
from PIL import Image
from torch import Tensor

from benchmarks.real3d import Scene, errors_of, load_scenes
from benchmarks.refinement_photos import annotated_people
from fitloop.body import Body, Detections, load_body
from fitloop.body.part_maps import NOBODY
from fitloop.data import load_image
from fitloop.detection import MediapipeConfig, MediapipeDetector
from fitloop.evaluation.part_scores import part_scores
from fitloop.fitting import AFTER_REGRESSION, fit
from fitloop.geometry import concatenate, crop_of_box
from fitloop.geometry.crops import sampling_grid
from fitloop.regressor import load_regressor
from fitloop.regressor.crops import cut_crops
from fitloop.regressor.parts import PartNet, load_part_net
from fitloop.regressor.resnet import normalize_rgb

_HUES = [colorsys.hsv_to_rgb(5 * number / 24 % 1.0, 0.8, 1.0) for number in range(24)]
COLORS = np.array([(30, 30, 30), *([round(255 * part) for part in hue] for hue in _HUES)], np.uint8)
"""Of nobody, then of each part; neighbours differ."""
_SHOWN, _COLUMNS = 24, 8


@dataclass(frozen=True, kw_only=True)
class PartsPhotosConfig:
    """Look at real photos."""

    segmenter: Path | None = None
    """Weights of `fitloop train-parts`."""
    photos: Path | None = None
    """Folder with images/ and annotations.json."""
    picture: Path | None = None
    """Where to draw photos and found parts."""
    real3d: Path | None = None
    """Folder with frames/ and truth.npz."""
    regressors: tuple[str, ...] = ("mean", "keypoints")
    """Names, or files of weights, to measure there."""


@dataclass(frozen=True)
class Found:
    """One person of a photo."""

    crop: Tensor
    """(3, size, size), RGB in [0, 1]."""
    labels: Tensor
    mask: Tensor
    """Annotated, on the grid of the crop."""


@torch.no_grad()
def look(network: PartNet, folder: Path) -> list[Found]:
    """Everybody who is annotated and at least 100 pixels tall."""
    tree, found = json.loads((folder / "annotations.json").read_text(encoding="utf-8")), list[Found]()
    size = network.config.image_size
    for entry in tree["images"]:
        people = annotated_people(tree, entry)
        if not people:
            continue
        image = load_image(folder / "images" / entry["file_name"])
        crop = crop_of_box(torch.stack([person.box for person in people]))
        crops = cut_crops(image, crop, size)
        labels = network.labels(normalize_rgb(crops))
        for row, person in enumerate(people):
            grid = sampling_grid(crop[row], size, *person.mask.shape)[None]
            mask = torch.nn.functional.grid_sample(person.mask[None, None].float(), grid, align_corners=False)
            found.append(Found(crops[row], labels[row], mask[0, 0] > 0.5))
    return found


def silhouette_scores(found: list[Found]) -> dict[str, float]:
    """Overlap of the parts together with the annotated masks."""
    labels = torch.stack([person.labels for person in found])
    masks = torch.stack([person.mask for person in found])
    return part_scores(labels, torch.where(masks, 0, NOBODY), 1)


def draw(found: list[Found], path: Path) -> None:
    """Write photos with the found parts beneath."""
    step = max(1, len(found) // _SHOWN)
    shown, rows = found[::step][:_SHOWN], list[np.ndarray]()
    for start in range(0, len(shown) // _COLUMNS * _COLUMNS, _COLUMNS):
        people = shown[start : start + _COLUMNS]
        rows.append(np.concatenate([(255 * person.crop).permute(1, 2, 0).byte().numpy() for person in people], 1))
        rows.append(np.concatenate([COLORS[(person.labels - NOBODY).numpy()] for person in people], 1))
    sheet = Image.fromarray(np.concatenate(rows))
    sheet.resize((2 * sheet.width, 2 * sheet.height), Image.Resampling.NEAREST).save(path)


def real_errors(names: tuple[str, ...], scenes: list[Scene], body: Body) -> list[tuple[str, float, float]]:
    """Name, MPJPE and PA-MPJPE in millimetres of bodies regressed, and of bodies fitted from there."""
    detector = MediapipeDetector(MediapipeConfig(threads=1))
    seen = [detector.in_boxes(scene.image, scene.openpose.boxes) for scene in scenes]
    cameras = [scene.image.camera.map(lambda value: value[None]) for scene in scenes]
    everybody: Detections = concatenate(seen)
    rows = []
    for name in names:
        regressor = load_regressor(name, body)
        one_by_one = zip(scenes, seen, cameras, strict=True)
        guess = concatenate([regressor(scene.image, person, camera) for scene, person, camera in one_by_one])
        fitted = fit(body, everybody, guess, AFTER_REGRESSION).estimate
        for label, estimate in ((name, guess), (f"{name}, fitted", fitted)):
            errors = errors_of(scenes, body, estimate)
            rows.append((label, float(errors.mpjpe.mean()), float(errors.pa_mpjpe.mean())))
    return rows


def main(arguments: list[str]) -> int:
    """Measure and print; return the exit code."""
    config = tyro.cli(PartsPhotosConfig, args=arguments)
    torch.set_num_threads(1)
    if config.photos is not None:
        if config.segmenter is None:
            print("parts_photos finds parts with --segmenter, weights of fitloop train-parts.")
            return 2
        found = look(load_part_net(config.segmenter), config.photos)
        scores = silhouette_scores(found)
        print(f"{len(found)} people: silhouette IoU {scores['iou']:.1f} %, F-score {scores['f_score']:.1f} %")
        if config.picture is not None:
            draw(found, config.picture)
    if config.real3d is not None:
        scenes = load_scenes(config.real3d, "known")
        for name, plain, aligned in real_errors(config.regressors, scenes, load_body()):
            print(f"{name:40s} MPJPE {plain:6.1f} mm   PA-MPJPE {aligned:6.1f} mm")
    return 0
