"""Adapt a regressor to the user's own photos: fitting in the loop on a folder, measured on photos kept apart.

fitloop adapt --images photos/ --out adapted/
fitloop run --images photos/ --regressor adapted/final.safetensors
"""

if __name__ == "__main__":
    from fitloop.pipelines.cli import run_program

    run_program("adapt")

import hashlib
import logging
from dataclasses import dataclass, field, replace
from pathlib import Path

import torch

from fitloop.body import Body, BodyParams, Detections, load_body
from fitloop.body.files import whole_file
from fitloop.data.images import UnreadableImage, find_images, load_image
from fitloop.detection import BadKeypoints, Detector, KeypointFile
from fitloop.fitting.plausibility import GRID, PlausibilityConfig
from fitloop.geometry import Camera, concatenate
from fitloop.geometry.cameras import field_of_view_to_focal
from fitloop.pipelines.chain.config import SourcesConfig
from fitloop.pipelines.chain.sources import choose_detector
from fitloop.pipelines.console.endings import end_well
from fitloop.pipelines.console.options import parse, save_config
from fitloop.pipelines.console.progress import Progress
from fitloop.pipelines.spin.config import Mode, SpinConfig, TeachingConfig
from fitloop.pipelines.spin.report import Epoch
from fitloop.pipelines.spin.run import open_run_of
from fitloop.pipelines.spin.samples import Crowd, ObservedPeople
from fitloop.pipelines.spin.training import FINAL, go_on
from fitloop.pipelines.training.devices import training_device
from fitloop.pipelines.training.loop import BEST
from fitloop.regressor import LossConfig
from fitloop.regressor.looks import AugmentationConfig

MIN_KEYPOINTS = 6
"""People of whom fewer keypoints were seen teach nothing and are left out."""
MIN_PHOTOS = 4
SMALL_SIDE = 32.0
"""People whose box is smaller than this many pixels are left out."""

_logger = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class AdaptConfig(SourcesConfig):
    """Adapt a regressor to your own photos; a share of them is kept apart to measure on."""

    images: Path
    """Folder of photos; folders below it are read too."""
    out: Path = Path("adapted")
    """Folder of the adapted weights, the fits and the report."""
    held_out: float = 0.2
    """Share of the photos that are only measured on; which ones depends on their names."""
    epochs: int = 10
    """Passes over the photos."""
    batch_size: int = 32
    """People per step; fewer where the folder has fewer."""
    learning_rate: float = 5e-5
    """Of Adam."""
    mode: Mode = "loop"
    """`loop`: as SPIN. `static`: fits are made once. `keypoints` and `keypoints+silhouettes`: no fits, the keypoints
    alone, or with the silhouettes that the detector sees."""
    refine: bool = False
    """Move each new fit on to the photo's pixels before it teaches (docs/refinement.md)."""
    gate: PlausibilityConfig = PlausibilityConfig()
    """Which fits are believed."""
    loss: LossConfig = field(default_factory=lambda: TeachingConfig().loss)
    """Weights of the losses."""
    augmentation: AugmentationConfig = AugmentationConfig()
    """How samples are changed."""
    seed: int = 0
    """Of everything random."""
    tensorboard: bool = False
    """Write curves to `out` for TensorBoard (`pip install fitloop[train]`)."""

    def __post_init__(self) -> None:
        """Refuse what cannot run."""
        super().__post_init__()
        if not 0.0 < self.held_out < 1.0:
            raise ValueError(f"--held-out is a share between 0 and 1, got {self.held_out}.")
        if self.regressor == "mean":
            raise ValueError("The mean pose cannot be adapted; give a network, for example --regressor keypoints.")


def adapt(config: AdaptConfig) -> list[Epoch]:
    """Run the loop on a folder of photos.

    Returns:
        What was measured before and after every epoch.

    Raises:
        FileNotFoundError: If a file is missing.
        ValueError: If the folder has too few usable people, or keypoints and weights do not fit.
        TrainingStopped: If the loss is not finite, the error on photos kept apart stays far above the start, or a
            checkpoint cannot be written.
    """
    training_device(config.device, config.threads)
    body = load_body(config.body)
    crowd, apart = gather(config, body, choose_detector(config))
    spin = SpinConfig(
        data=(config.images,),
        images=(config.images,),
        refine=config.refine,
        mode=config.mode,
        out=config.out,
        body=config.body,
        regressor=config.regressor,
        epochs=config.epochs,
        batch_size=min(config.batch_size, len(crowd)),
        learning_rate=config.learning_rate,
        gate=config.gate,
        loss=config.loss,
        augmentation=config.augmentation,
        seed=config.seed,
        device=config.device,
        threads=config.threads,
    )
    epochs = go_on(open_run_of(spin, body, crowd, apart), config.tensorboard)
    save_config(config, config.out / "config.yaml")
    with whole_file(config.out / "summary.md") as path:
        path.write_text(before_and_after(epochs, len(crowd), len(apart)), encoding="utf-8")
    return epochs


def gather(config: AdaptConfig, body: Body, detector: Detector) -> tuple[Crowd, Crowd]:
    """Find the people of all photos and keep a share of the photos apart.

    Raises:
        ValueError: If there are too few photos with usable people.
    """
    found: list[tuple[Path, ObservedPeople]] = []
    names = find_images(config.images)
    if isinstance(detector, KeypointFile):
        detector.expect(names)
    with Progress(len(names), "photo") as progress:
        for name in names:
            samples = _people_of(config, body, detector, name)
            if samples is not None:
                found.append((config.images / name, samples))
            progress.advance(1)
    marks = [int(hashlib.sha256(path.name.encode()).hexdigest()[:8], 16) / 2**32 for path, _ in found]
    if len(found) < MIN_PHOTOS:
        raise ValueError(
            f"{config.images} has {len(names)} photos, {len(found)} of them with a person of whom at least "
            f"{MIN_KEYPOINTS} keypoints were seen; at least {MIN_PHOTOS} are needed."
        )
    # The rank of a mark, not its value, so that the share holds for few photos too.
    limit = sorted(marks)[max(1, round(config.held_out * len(found))) - 1]
    chosen = [mark <= limit for mark in marks]
    apart = _crowd("held_out", [one for one, mark in zip(found, chosen, strict=True) if mark])
    return _crowd("photos", [one for one, mark in zip(found, chosen, strict=True) if not mark]), apart


def _people_of(config: AdaptConfig, body: Body, detector: Detector, name: str) -> ObservedPeople | None:
    try:
        image = load_image(config.images / name, name, config.focal_length)
    except UnreadableImage as error:
        _logger.warning("%s It was left out.", error)
        return None
    camera = image.camera
    if config.field_of_view is not None:
        width = image.pixels.shape[1]
        focal = field_of_view_to_focal(config.field_of_view, width)
        camera = Camera(torch.tensor(focal), camera.principal_point)
    try:
        report = detector.detect_with_notices(image)
    except BadKeypoints as error:
        _logger.warning("%s %s was left out.", error, name)
        return None
    for notice in report.notices:
        _logger.warning("%s: %s", name, notice)
    seen = report.detections
    large = (seen.boxes[:, 2:] - seen.boxes[:, :2]).amax(-1) >= SMALL_SIDE
    usable = ((seen.confidence > 0).sum(-1) >= MIN_KEYPOINTS) & large
    if not bool(usable.any()):
        return None
    kept: Detections = seen[usable]
    people = len(kept.boxes)
    eye = torch.eye(3).expand(people, 24, 3, 3)
    nothing = BodyParams(eye[:, 0], eye[:, 1:], torch.zeros(people, body.num_betas), torch.zeros(people, 3))
    one_each = camera.map(lambda value: value.expand(people, *value.shape))
    return ObservedPeople(kept, one_each, nothing, torch.zeros(people), torch.zeros(people, 24, 4))


def _crowd(name: str, found: list[tuple[Path, ObservedPeople]]) -> Crowd:
    photos = tuple(path for path, samples in found for _ in range(len(samples)))
    conventions = sorted({samples.evidence.convention for _, samples in found})
    if len(conventions) > 1:
        raise ValueError(
            f"The keypoints are of several conventions, {', '.join(conventions)}; give one kind at a time."
        )
    parts = [replace(samples, evidence=complete(samples.evidence)) for _, samples in found]
    return Crowd(concatenate(parts), photos, (name,), (len(photos),))


def complete(evidence: Detections) -> Detections:
    """Give detections everything a detector may give, marked as not observed where it did not."""
    people, like = len(evidence.boxes), evidence.keypoints
    landmarks, sure = evidence.landmarks, evidence.landmark_confidence
    if landmarks is None:
        landmarks, sure = like.new_zeros(*like.shape[:2], 3), torch.zeros_like(evidence.confidence)
    grids, boxes = evidence.silhouettes, evidence.silhouette_boxes
    if grids is None or boxes is None:
        grids, boxes = like.new_zeros(people, GRID, GRID), evidence.boxes
    elif grids.shape[1:] != (GRID, GRID):
        grids = torch.nn.functional.interpolate(grids[:, None], (GRID, GRID), mode="bilinear", antialias=True)[:, 0]
    known = evidence.confidence if sure is None else sure
    return replace(evidence, landmarks=landmarks, landmark_confidence=known, silhouettes=grids, silhouette_boxes=boxes)


_LABELS = {
    "error_2d": "2D error, pixels of a 224-pixel crop",
    "pck": "keypoints within a tenth of the crop, %",
    "pose_prior": "energy of the pose prior, median",
    "monsters": "implausible poses, %",
}


def before_and_after(epochs: list[Epoch], people: int, apart: int) -> str:
    """A Markdown table of the network before and after, on photos that it did not learn from."""
    first, last = epochs[0].network, epochs[-1].network
    rows = [f"| {label} | {first[name]:.1f} | {last[name]:.1f} |" for name, label in _LABELS.items() if name in first]
    head = f"Measured on {apart} people of photos kept apart; learned from {people} people."
    lines = ["# Before and after", "", head, "", "| | before | after |", "|---|---:|---:|", *rows]
    lines += ["", "The table of all epochs is in report.md."]
    return "\n".join(lines) + "\n"


def main(arguments: list[str] | None = None) -> int:
    """Adapt as the command line says; return the exit code."""
    logging.basicConfig(level=logging.WARNING, format="%(message)s")
    config = parse(AdaptConfig, arguments)

    def work() -> str:
        epochs = adapt(config)
        first, last = epochs[0].network["error_2d"], epochs[-1].network["error_2d"]
        return (
            f"2D error on photos kept apart: {first:.1f} before, {last:.1f} after (pixels of a 224-pixel crop).\n"
            f"Use it: fitloop run --images {config.images} --regressor {config.out / FINAL} (the last weights; "
            f"{BEST} beside it holds those that were best on photos kept apart)"
        )

    return end_well(work, config.out)
