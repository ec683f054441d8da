"""What Neural Body Fitting (Omran et al. 2018) asks, as short trainings, and what it answers, as claims."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from benchmarks.claims import Rows
from fitloop.data.detector_noise import NoiseConfig
from fitloop.data.part_noise import PartNoise
from fitloop.pipelines.lessons.image_sampling import ImageSampling
from fitloop.pipelines.training.regressor_config import TrainConfig
from fitloop.regressor import PRESETS, HeadConfig, HMRConfig

LEVELS = (0.25, 0.5, 0.75, 1.0)
"""Of how bad part maps are made, beside true ones."""
TAUGHT = (0.25, 0.5, 1.0)
"""Those that a network is also trained on."""
SHARES = (0.0, 0.01, 0.05, 0.2, 1.0)
LOSSES = {
    # Shapes are many times larger numbers than rotations, and would be all that short trainings learn.
    name: replace(PRESETS[name], betas=0.05 * PRESETS[name].betas)
    for name in ("nbf-2d", "nbf-3d", "nbf-latent", "nbf-all")
}
PARTS = (1, 3, 6, 12, 24)
OWN, TRUE = "found by the network", "24 parts"
"""Rows of part maps that `fitloop train-parts` finds, and of true ones."""


@dataclass(frozen=True, kw_only=True)
class PartsConfig:
    """Short trainings on drawn people that are kept on the disk."""

    mocap: Path
    """The file cmu_poses.npz."""
    assets: Path
    """Folder of skins, garments, backgrounds and poses."""
    keep: Path
    """Folder of drawn photos; what is missing is drawn."""
    segmenter: Path
    """Weights of `fitloop train-parts`."""
    out: Path = Path("runs/nbf")
    """Folder of runs, tables and curves; runs that are there already are not repeated."""
    photos: int = 3000
    """Different people to learn from."""
    held_out: int = 600
    """Different people to measure on."""
    people: int = 512
    """How many of them, drawn with repetition."""
    side: int = 128
    """Of the drawn photos, pixels."""
    size: int = 64
    """Of what the encoders read, pixels."""
    width: int = 16
    """Channels of the encoders' first stage; 64 as published."""
    steps: int = 300
    """Batches per run."""
    batch_size: int = 32
    """People per batch."""
    seeds: int = 2
    """Runs per row."""
    trained: bool = False
    """Tell of the runs that are there already, and train no others."""


@dataclass(frozen=True)
class Row:
    """A training, and what part maps it is measured on."""

    training: TrainConfig
    noise: PartNoise = PartNoise()
    """Of the part maps when measured."""
    finds: bool = False
    """Whether the segmentation network's own maps are measured on."""


@dataclass(frozen=True)
class Question:
    """A table."""

    title: str
    rows: dict[str, Row]


@dataclass(frozen=True)
class Answer:
    """A sentence, the rows that it is about, and when it came out."""

    sentence: str
    rows: tuple[str, ...]
    came_out: Callable[[Rows], bool]


def noise_at(level: float) -> PartNoise:
    """Part maps from true (0) to hardly any use (1): borders, resolution and labels get worse together."""
    return PartNoise(0.08 * level, 1 + round(7 * level), 0.4 * level)


def questions(config: PartsConfig) -> list[Question]:
    """Every row, by question; rows of one name are one run."""
    base = _base(config)
    network = base.model

    def seen(**changes: object) -> TrainConfig:
        return replace(base, model=replace(network, **changes))

    photo = replace(base, model=replace(network, encoder="resnet18"))
    inputs = {"photo": photo} | {name_of(parts): seen(parts=parts) for parts in PARTS}
    inputs |= {"joints": seen(parts=0, part_joints=True), "24 parts and joints": seen(part_joints=True)}
    own = replace(base, segmenter=config.segmenter)
    good = {TRUE: Row(base), OWN: Row(own, finds=True), f"true maps, tested on those {OWN}": Row(base, finds=True)}
    for level in LEVELS:
        noise = noise_at(level)
        good[f"true maps, tested at {level:g}"] = Row(base, noise)
        if level in TAUGHT:
            good[f"degraded by {level:g}"] = Row(replace(base, images=replace(base.images, parts=noise)), noise)
    shares = {f"3D for {share:.0%}": Row(replace(base, supervised=share)) for share in SHARES}
    # Without 3D for anybody only the 2D loss is left: the same run.
    shares["3D for 0%"] = Row(replace(base, loss=LOSSES["nbf-2d"]))
    losses = {name: Row(replace(base, loss=loss)) for name, loss in LOSSES.items()}
    return [
        Question("Which representation", {name: Row(training) for name, training in inputs.items()}),
        Question("How good must the segmentation be", good),
        Question("How much 3D supervision (2D for everybody)", shares),
        Question("Which losses", losses),
    ]


def name_of(parts: int) -> str:
    """Of the row."""
    return "silhouette" if parts == 1 else f"{parts} parts"


def _base(config: PartsConfig) -> TrainConfig:
    """24 true parts, everything supervised."""
    exact = NoiseConfig(missed_limb=0.0, missed_keypoint=0.0, occluder=0.0, crop=0.0).scaled(1e-3)
    images = ImageSampling(
        assets=config.assets,
        side=config.side,
        photos=config.photos,
        held_out_photos=config.held_out,
        keep=config.keep,
        noise=exact,
    )
    return TrainConfig(
        mocap=config.mocap,
        model=HMRConfig("parts", width=config.width, image_size=config.size, head=HeadConfig(3, 256, 0.0)),
        loss=LOSSES["nbf-all"],
        images=images,
        steps=config.steps,
        batch_size=config.batch_size,
        learning_rate=1e-3,
        warmup=config.steps // 10,
        average=0.98,
        evaluate_every=config.steps,
        evaluate_people=64,
        save_every=config.steps,
        threads=1,
    )


def answers() -> list[Answer]:
    """What the paper says, or what follows from it."""

    def error(rows: Rows, name: str) -> float:
        return rows[name]["mpjpe"]

    return [
        Answer(
            "Coloured parts are a better input than the photo",
            ("photo", "12 parts", TRUE),
            lambda rows: max(error(rows, "12 parts"), error(rows, TRUE)) < error(rows, "photo"),
        ),
        Answer(
            "A silhouette is not enough: 12 parts take a tenth off the error at least",
            ("silhouette", "12 parts"),
            lambda rows: error(rows, "12 parts") < 0.9 * error(rows, "silhouette"),
        ),
        Answer(
            "Telling left from right is what counts: six parts beat three",
            ("3 parts", "6 parts"),
            lambda rows: error(rows, "6 parts") < error(rows, "3 parts"),
        ),
        Answer(
            "12 parts are enough: 24 take less than 3 % off",
            ("12 parts", TRUE),
            lambda rows: error(rows, "12 parts") < 1.03 * error(rows, TRUE),
        ),
        Answer(
            "24 parts are as good as exact joints (within 3 %)",
            ("joints", TRUE),
            lambda rows: error(rows, TRUE) < 1.03 * error(rows, "joints"),
        ),
        Answer(
            "Parts and joints together are better than either",
            ("joints", TRUE, "24 parts and joints"),
            lambda rows: error(rows, "24 parts and joints") < min(error(rows, TRUE), error(rows, "joints")),
        ),
        Answer(
            "The better the segmentation, the better the body",
            (TRUE, *(f"degraded by {level:g}" for level in TAUGHT)),
            lambda rows: list(found := [row["mpjpe"] for row in rows.values()]) == sorted(found),
        ),
        Answer(
            "Found parts, too, are a better input than the photo",
            ("photo", OWN),
            lambda rows: error(rows, OWN) < error(rows, "photo"),
        ),
        Answer(
            "One must train on maps as they will be: true maps alone carry over badly to found ones (5 % at least)",
            (OWN, f"true maps, tested on those {OWN}"),
            lambda rows: error(rows, f"true maps, tested on those {OWN}") > 1.05 * error(rows, OWN),
        ),
        Answer(
            "A fifth of the 3D is nearly as good as all of it (within a tenth)",
            ("3D for 20%", "3D for 100%"),
            lambda rows: error(rows, "3D for 20%") < 1.1 * error(rows, "3D for 100%"),
        ),
        Answer(
            "2D alone gives a good 2D and a useless 3D",
            ("nbf-2d", "nbf-all"),
            lambda rows: (
                error(rows, "nbf-2d") > 1.25 * error(rows, "nbf-all")
                and rows["nbf-2d"]["error_2d"] < 1.2 * rows["nbf-all"]["error_2d"]
            ),
        ),
        Answer(
            "Without the latent loss rotations are wrong",
            ("nbf-3d", "nbf-latent"),
            lambda rows: rows["nbf-3d"]["turned"] > 1.2 * rows["nbf-latent"]["turned"],
        ),
    ]
