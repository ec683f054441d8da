"""What each encoder is worth: on synthetic people that training never saw, and on photos.

    python -m benchmarks encoders --truth open-bench/
    python -m benchmarks encoders --lspet DIR --photos DIR

``--truth`` is a folder of `fitloop synthesize --preset open-bench`: other subjects, garments and places than training
has. People are given with a drawn detector's keypoints and the disturbed mask of what is visible, and as MediaPipe sees
them in their true boxes. Errors over 22 joints and all vertices, pelvis on pelvis.

``--lspet`` (images/, joints.npz) and ``--photos`` (images/, annotations.json in COCO's layout) have annotated keypoints
only: the error is their distance from the body's, % of the longer side of the box around them, mean and median over
people. Evidence is MediaPipe's, or for LSP Extended also the annotated joints themselves.
"""

import sys
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import PIL.Image
import torch
from torch import Tensor

from benchmarks.lspet import joint_errors
from benchmarks.photographed import Photographed, annotated_people, evenly, lspet_people
from benchmarks.scores import score
from fitloop.body import Body, BodyEstimate, BodyParams, Detections, Image, load_body
from fitloop.data.detector_noise import NoiseConfig
from fitloop.data.images import load_image
from fitloop.data.keypoint_samples import KeypointSampler, KeypointSampling
from fitloop.data.silhouette_noise import SilhouetteNoise, disturb_silhouettes
from fitloop.detection import MediapipeConfig
from fitloop.detection.mediapipe import MediapipeDetector
from fitloop.fitting import fit
from fitloop.geometry import Camera, concatenate
from fitloop.geometry.crops import crop_of_box, sampling_grid
from fitloop.pipelines.chain.sources import fit_after
from fitloop.pipelines.console.options import parse
from fitloop.regressor import load_regressor
from fitloop.regressor.keypoint_encoder import KEYPOINT_NAMES

GRID = 128
"""Rows and columns of drawn silhouettes, as MediaPipe's."""


@dataclass(frozen=True, kw_only=True)
class EncodersConfig:
    """Options."""

    truth: Path | None = None
    """Synthetic people with their truth."""
    lspet: Path | None = None
    """Photos of LSP Extended."""
    photos: Path | None = None
    """Everyday photos."""
    regressors: tuple[str, ...] = ("mean", "keypoints", "proxy")
    """Names of shipped regressors or paths of weights."""
    people: int = 500
    """At most so many of each source, spread evenly over it."""
    fit: bool = True
    """Also fit from each guess."""
    landmarks: bool = False
    """Also tell networks the detector's 3D landmarks."""
    forget: bool = False
    """Also fit without holding on to the guess."""

    def __post_init__(self) -> None:
        """Refuse to measure nothing."""
        if self.truth is None and self.lspet is None and self.photos is None:
            raise ValueError("Give --truth, --lspet or --photos: what to measure on.")


Row = tuple[str, ...]
Seen = list[tuple[Image, Detections]]
"""Each person with the photo."""


def synthetic_rows(config: EncodersConfig, body: Body) -> list[Row]:
    """Errors in 2D and 3D of people whose truth is known."""
    assert config.truth is not None
    truth, shown = read_truth(config.truth, config.people, body)
    drawn = {
        "drawn, 2D": draw_detections(body, truth, shown, "coco17", 0.0),
        "drawn, 2D and landmarks": draw_detections(body, truth, shown, "mediapipe33", 1.0),
        "MediaPipe": see(shown.images, shown.boxes),
    }
    rows: list[Row] = []
    for evidence, detections in drawn.items():
        for name, estimate in guesses(config, body, shown.images, detections, truth.camera):
            figures = score(body, estimate, truth, "coco17")
            rows.append((evidence, name, *(f"{value:.1f}" for value in figures)))
    return rows


def photo_rows(config: EncodersConfig, body: Body) -> list[Row]:
    """Errors in 2D of people whose keypoints are annotated."""
    rows: list[Row] = []
    for source, folder, read in (("lspet", config.lspet, lspet_people), ("photos", config.photos, annotated_people)):
        if folder is None:
            continue
        found = read(folder, config.people)
        images = [load_image(path) for path in found.paths]
        camera = stack([image.camera for image in images])
        evidence = {"MediaPipe": see(images, found.boxes)}
        if source == "lspet":
            evidence["annotated joints"] = found.annotations
        for kind, detections in evidence.items():
            for name, estimate in guesses(config, body, images, detections, camera):
                rows.append((f"{source}, {kind}", name, *_error_2d(body, estimate, found)))
    return rows


def _error_2d(body: Body, estimate: BodyEstimate, found: Photographed) -> Row:
    errors = 100.0 * joint_errors(body, estimate, found.annotations)
    return f"{float(errors.mean()):.1f}", f"{float(errors.median()):.1f}"


def guesses(
    config: EncodersConfig, body: Body, images: list[Image], detections: Detections, camera: Camera
) -> list[tuple[str, BodyEstimate]]:
    """What each regressor says, and the fit that starts there."""
    result = []
    for name in config.regressors:
        regressor = load_regressor(name, body, config.landmarks)
        found = [regressor(image, detections[row : row + 1], camera[row : row + 1]) for row, image in enumerate(images)]
        guess = concatenate(found)
        result.append((name, guess))
        if config.fit:
            result.append((f"{name}, fitted", fit(body, detections, guess, fit_after(regressor)).estimate))
        if config.forget:
            result.append((f"{name}, fitted without holding on", fit(body, detections, guess).estimate))
    return result


def see(images: list[Image], boxes: Tensor) -> Detections:
    """What MediaPipe sees in each box."""
    detector = MediapipeDetector(MediapipeConfig(threads=1))
    return concatenate([detector.in_boxes(image, boxes[row : row + 1]) for row, image in enumerate(images)])


def stack(cameras: list[Camera]) -> Camera:
    """One row per camera."""
    return concatenate([camera.map(lambda value: value[None]) for camera in cameras])


@dataclass(frozen=True)
class Shown:
    """What pictures show of synthetic people."""

    images: list[Image]
    boxes: Tensor
    masks: Tensor
    """(people, GRID, GRID): visible pixels in the square around the box."""


def read_truth(folder: Path, people: int, body: Body) -> tuple[BodyEstimate, Shown]:
    """Bodies, and what is seen of them.

    Raises:
        ValueError: If the people have another body.
    """
    with np.load(folder / "truth.npz", allow_pickle=False) as file:
        rows = evenly(len(file["boxes"]), people)
        arrays: dict[str, Any] = {
            key: file[key][rows] for key in file.files if file[key].shape[:1] == file["boxes"].shape[:1]
        }
        if str(file["body"]) != body.name:
            raise ValueError(f"{folder} shows body {file['body']}, measured is {body.name}.")
    tensors = {key: torch.from_numpy(arrays[key]) for key in ("global_orient", "body_pose", "betas", "transl")}
    camera = Camera(torch.from_numpy(arrays["focal"]), torch.from_numpy(arrays["principal_point"]))
    images, masks = [], []
    for row, (photo, person) in enumerate(zip(arrays["photo"], arrays["person"], strict=True)):
        image = load_image(folder / "photos" / str(photo))
        images.append(replace(image, camera=camera[row]))
        with PIL.Image.open((folder / "masks" / str(photo)).with_suffix(".png")) as mask:
            own = torch.from_numpy(np.asarray(mask) == int(str(person).rpartition("-")[2]) + 1).float()
        grid = sampling_grid(crop_of_box(torch.from_numpy(arrays["boxes"][row])), GRID, *own.shape)
        masks.append(torch.nn.functional.grid_sample(own[None, None], grid[None], align_corners=False)[0, 0])
    shown = Shown(images, torch.from_numpy(arrays["boxes"]), torch.stack(masks))
    return BodyEstimate(BodyParams(**tensors), camera, body.name), shown


def draw_detections(body: Body, truth: BodyEstimate, seen: Shown, convention: str, landmarks: float) -> Detections:
    """What a detector that errs as in training would say of people.

    Args:
        body: Of the people.
        truth: The people.
        seen: Their boxes and pixels.
        convention: Of the keypoints.
        landmarks: 1 for 3D landmarks too, 0 for none.
    """
    sampling = KeypointSampling(noise=NoiseConfig(landmarks=landmarks), conventions=((convention, 1.0),))
    generator = torch.Generator().manual_seed(3)
    sampler = KeypointSampler(body, KEYPOINT_NAMES, _nobody, sampling)
    samples = sampler.detect(truth.params, truth.camera, generator)
    detections = samples.detections(KEYPOINT_NAMES, convention)
    silhouettes = disturb_silhouettes(seen.masks, SilhouetteNoise(missing=0.0), generator)
    return replace(detections, silhouettes=silhouettes, silhouette_boxes=_squares(seen.boxes), boxes=seen.boxes)


def _nobody(count: int, generator: torch.Generator) -> Tensor:
    del generator
    return torch.eye(3).repeat(count, 24, 1, 1)


def _squares(boxes: Tensor) -> Tensor:
    crop = crop_of_box(boxes)
    half = crop.side[:, None] / 2.0
    return torch.cat([crop.center - half, crop.center + half], -1)


def table(head: Row, rows: list[Row]) -> str:
    """Markdown."""
    lines = ["| " + " | ".join(head) + " |", "|---" * len(head) + "|"]
    return "\n".join(lines + ["| " + " | ".join(row) + " |" for row in rows])


def main(arguments: list[str] | None = None) -> int:
    """Print the tables; return 0."""
    config = parse(EncodersConfig, arguments, __doc__)
    torch.set_num_threads(1)
    body = load_body()
    if config.truth is not None:
        head = ("detections", "body from", "2D error %", "MPJPE mm", "PA-MPJPE mm", "PVE mm")
        print(table(head, synthetic_rows(config, body)), flush=True)
    if config.lspet is not None or config.photos is not None:
        head = ("photos, detections", "body from", "2D error %, mean", "median")
        print(table(head, photo_rows(config, body)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
