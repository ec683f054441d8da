"""What silhouettes teach where no 3D is known: short trainings by 2D keypoints alone, and with what is added to them.

    python -m benchmarks silhouettes --mocap cmu_poses.npz --out runs/silhouettes --pictures pictures

Small networks from scratch, the same people and as many steps for all, no 3D joint and no parameter told. Measured on
held-out subjects: MPJPE and PA-MPJPE, PVE-T (vertices of the T-pose, so the shape alone), and the share of monsters
(pose prior above 120). The mean pose in the place of the answers says what any learning is worth. A picture shows one
held-out person as every row sees them, from the camera and from the side, with the outline of the true body.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
import tyro
from PIL import Image
from torch import Tensor

from benchmarks.metrics import Metric, write_metrics
from fitloop.body import Body, BodyParams, load_body
from fitloop.data.mocap import load_mocap
from fitloop.evaluation import mpjpe, pa_mpjpe
from fitloop.evaluation.joints import pve
from fitloop.fitting import load_pose_prior
from fitloop.fitting.terms import pose_prior
from fitloop.geometry import Camera, rotmat_to_rotvec
from fitloop.pipelines.console.endings import TrainingStopped
from fitloop.pipelines.lessons.keypoint_batches import KeypointBatches, RegressorBatch
from fitloop.pipelines.train import train
from fitloop.pipelines.training.loop import LAST
from fitloop.pipelines.training.regressor_config import TrainConfig
from fitloop.regressor import HeadConfig, HMRConfig, HMROutput, LossConfig, build_hmr
from fitloop.regressor.checkpoints import read_torch_file
from fitloop.regressor.keypoint_encoder import KEYPOINT_NAMES
from fitloop.regressor.losses import Criterion, output_params, truth_params
from fitloop.regressor.regressor import mean_rotations
from fitloop.rendering import draw_overlay, draw_side_view, load_rasterizer

FLAT = LossConfig(1.0, 0.0, 0.0, 0.0)
ROWS = {
    "keypoints": FLAT,
    "keypoints+silhouettes": replace(FLAT, silhouette=0.3),
    "keypoints+adversarial": replace(FLAT, adversarial=0.05),
    "keypoints+silhouettes+adversarial": replace(FLAT, silhouette=0.3, adversarial=0.05),
}
MONSTER = 120.0
SIDE = 220
"""Of the pictures, pixels."""


@dataclass(frozen=True, kw_only=True)
class SilhouettesConfig:
    """Train without 3D and measure in 3D."""

    mocap: Path
    """The file cmu_poses.npz."""
    out: Path
    """Folder of the runs; those that are there are gone on with, or only measured."""
    steps: int = 1500
    """Of each run."""
    batch_size: int = 64
    """People per step; the outlines of 16 of them are compared."""
    rows: tuple[str, ...] = tuple(ROWS)
    """Which ones to train."""
    seeds: tuple[int, ...] = (0, 1)
    """Of weights and batches; all are trained, means are printed last."""
    pictures: Path | None = None
    """Draw three held-out people by the networks of the first seed into this folder."""
    json: Path | None = None
    """Write the metrics here."""


def main(arguments: list[str]) -> int:
    """Train, measure and print; return the exit code."""
    config, body = tyro.cli(SilhouettesConfig, args=arguments), load_body()
    batch = held_out_people(body, config.mocap, 1024)
    tell("mean pose", measure(body, batch, mean_answer(batch)))
    found: dict[str, list[dict[str, float]]] = {name: [] for name in config.rows}
    for seed in config.seeds:
        for name in config.rows:
            training = training_of(config, name, seed)
            try:
                train(training)
            except TrainingStopped as stopped:
                print(f"{name}, seed {seed}: {stopped}", flush=True)
                continue
            found[name].append(measure(body, batch, answer_of(training)(batch)))
            tell(f"{name}, seed {seed}", found[name][-1])
    metrics: list[Metric] = []
    for name, seeds in found.items():
        if not seeds:
            continue
        mean = {key: sum(one[key] for one in seeds) / len(seeds) for key in seeds[0]}
        tell(f"{name}, mean of {len(seeds)}", mean)
        metrics += [Metric(f"silhouettes.{name}.{key}", value, "mm or %", "lower") for key, value in mean.items()]
    if config.pictures is not None:
        runs = [training_of(config, name, config.seeds[0]) for name in config.rows if found[name]]
        draw_people(body, batch, runs, config.pictures)
    if config.json is not None:
        write_metrics(metrics, config.json)
    return 0


def tell(name: str, found: dict[str, float]) -> None:
    """Print a row."""
    print(f"{name:44s} " + "  ".join(f"{key} {value:.1f}" for key, value in found.items()), flush=True)


def training_of(config: SilhouettesConfig, name: str, seed: int) -> TrainConfig:
    """The options of one row."""
    network = HMRConfig(width=256, blocks=2, head=HeadConfig(3, 256, 0.0))
    return TrainConfig(
        mocap=config.mocap,
        out=config.out / f"{name}-{seed}",
        model=network,
        loss=ROWS[name],
        supervised=0.0,
        steps=config.steps,
        batch_size=config.batch_size,
        warmup=50,
        average=0.98,
        evaluate_every=config.steps,
        evaluate_people=1024,
        save_every=config.steps,
        precision="float32",
        threads=1,
        seed=seed,
    )


def held_out_people(body: Body, mocap: Path, count: int) -> RegressorBatch:
    """People of subjects that nothing was trained on."""
    held_out = load_mocap(mocap).held_out()
    batches = KeypointBatches(body, held_out, TrainConfig(mocap=mocap).sampling)
    return batches(count, torch.Generator().manual_seed(5))


def answer_of(training: TrainConfig) -> Callable[[RegressorBatch], HMROutput]:
    """What a network says at the end of its training; the best weights are chosen by 3D, which nobody has here."""
    model = build_hmr(training.model)
    model.load_state_dict(read_torch_file(training.out / LAST)["average"])
    model.eval()
    return torch.no_grad()(lambda batch: model(batch.inputs))


def mean_answer(batch: RegressorBatch) -> HMROutput:
    """The mean pose and shape, facing the camera."""
    count = len(batch.truth.betas)
    weak = torch.tensor([0.9, 0.0, 0.0]).expand(count, 3)
    return HMROutput(mean_rotations().expand(count, 24, 3, 3), torch.zeros_like(batch.truth.betas), weak)


@torch.no_grad()
def measure(body: Body, batch: RegressorBatch, output: HMROutput) -> dict[str, float]:
    """Errors on held-out subjects."""
    criterion, truth = Criterion(body, KEYPOINT_NAMES, FLAT), batch.truth
    points = criterion.kinematics(output_params(output, batch.view, body))[:, :24]
    exact = truth.points_3d[:, :24]
    points, exact = points - points[:, :1], exact - exact[:, :1]
    rows = slice(0, 256)
    shapes = [at_rest(body, betas[rows]) for betas in (output.betas, truth.betas)]
    energy = pose_prior(rotmat_to_rotvec(output.rotations[:, 1:]).flatten(1).double(), load_pose_prior())
    return {
        "mpjpe": float(mpjpe(points, exact).mean()),
        "pa_mpjpe": float(pa_mpjpe(points, exact).mean()),
        "pve_t": float(pve(*shapes).mean()),
        "monsters": 100.0 * float((energy > MONSTER).float().mean()),
    }


def at_rest(body: Body, betas: Tensor) -> Tensor:
    """Vertices of the T-pose, pelvis at the origin."""
    eye = torch.eye(3).expand(len(betas), 24, 3, 3)
    mesh = body(BodyParams(eye[:, 0], eye[:, 1:], betas, torch.zeros(len(betas), 3)))
    return mesh.vertices - mesh.joints[:, :1]


def draw_people(body: Body, batch: RegressorBatch, runs: list[TrainConfig], folder: Path, people: int = 3) -> None:
    """A picture for each of the first people that are wholly in view: the truth, then each row, and all from the side.

    Args:
        body: Of the networks.
        batch: Held-out people.
        runs: A finished training for each row.
        folder: Where the pictures go.
        people: How many.
    """
    folder.mkdir(parents=True, exist_ok=True)
    whole = (batch.truth.points_2d.abs().amax((1, 2)) < 0.95).nonzero()[:people, 0].tolist()
    answers = [output_params(answer_of(one)(batch), batch.view, body) for one in runs]
    pelvis = batch.truth.points_3d[:, KEYPOINT_NAMES.index("pelvis")]
    truth = truth_params(batch.truth)
    truth = replace(truth, transl=pelvis - body(truth).joints[:, 0])
    for number, row in enumerate(whole):
        camera = Camera(0.5 * SIDE / batch.view.half_size[row, None], torch.full((1, 2), 0.5 * SIDE))
        meshes = [body(params[row : row + 1]).vertices for params in (truth, *answers)]
        outline = _outline(load_rasterizer()(meshes[0], body.faces, camera, (SIDE, SIDE)).covered[0].numpy())
        tiles = [_with(draw_overlay(_paper(), mesh, body.faces, camera), outline) for mesh in meshes]
        sides = [draw_side_view(mesh[0], body.faces, (SIDE, SIDE)) for mesh in meshes]
        Image.fromarray(np.concatenate([_row(tiles), _row(sides)])).save(folder / f"silhouettes_{number}.png")


def _paper() -> np.ndarray:
    return np.full((SIDE, SIDE, 3), 245, np.uint8)


def _row(tiles: Iterable[np.ndarray]) -> np.ndarray:
    return np.concatenate([np.asarray(tile)[:SIDE, :SIDE] for tile in tiles], 1)


def _outline(mask: np.ndarray) -> np.ndarray:
    """Pixels of a mask that have a neighbour outside."""
    padded = np.pad(mask, 1)
    inner = padded[:-2, 1:-1] & padded[2:, 1:-1] & padded[1:-1, :-2] & padded[1:-1, 2:]
    return mask & ~inner


def _with(picture: np.ndarray, outline: np.ndarray) -> np.ndarray:
    marked = picture.copy()
    marked[outline] = (220, 30, 60)
    return marked
