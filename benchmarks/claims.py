"""What the literature claims of training regressors, tried on the keypoints encoder with synthetic detections.

python -m benchmarks claims --mocap cmu_poses.npz --out claims/ [--steps 120] [--seeds 2]

Every row is a training run of the same length from scratch. Writes claims.json and claims.md, one table per claim, each
figure the mean over seeds with the half range in brackets. A claim holds, or does not, if every choice of one seed per
row says so; else it is not told apart from noise. Runs that are there already are not repeated.
"""

import hashlib
import json
import sys
from collections.abc import Callable
from dataclasses import dataclass, replace
from itertools import product
from pathlib import Path

import torch
from roma import rotmat_to_unitquat
from torch import Tensor

from fitloop.body import load_body
from fitloop.body.files import whole_file
from fitloop.data.detector_noise import NoiseConfig
from fitloop.data.keypoint_samples import KeypointSampling, mocap_poses
from fitloop.data.mocap import NUM_MOCAP_JOINTS, load_mocap
from fitloop.geometry.rotations import geodesic_angle, project_to_rotation
from fitloop.pipelines.console.options import config_to_tree, parse
from fitloop.pipelines.lessons.keypoint_batches import KeypointBatches, RegressorBatch, joint_errors
from fitloop.pipelines.train import train
from fitloop.pipelines.training.regressor_config import TrainConfig
from fitloop.regressor import PRESETS, HeadConfig, HMRConfig, LossConfig, load_weights
from fitloop.regressor.hmr import HMR
from fitloop.regressor.keypoint_encoder import KEYPOINT_NAMES
from fitloop.regressor.losses import Criterion, output_params
from fitloop.regressor.views import project_in_view

COLUMNS = {
    "mpjpe": "MPJPE mm",
    "pa_mpjpe": "PA-MPJPE mm",
    "pckh": "PCKh %",
    "quaternion": "quaternion error",
    "monsters": "monsters %",
}
"""Figures of each row: 3D joints, 2D keypoints within half a head, mean distance of unit quaternions, and joints turned
further from the mocap's mean than 99.9 % of the mocap's."""
LIMBS_2D = [
    KEYPOINT_NAMES.index(f"{side}_{joint}")
    for side in ("left", "right")
    for joint in ("shoulder", "elbow", "wrist", "hip", "knee", "ankle")
]

_BODY_JOINTS = slice(1, NUM_MOCAP_JOINTS)
"""Without the root, which may turn anyhow, and the hands, which the mocap holds still."""


@dataclass(frozen=True, kw_only=True)
class ClaimsConfig:
    """Options."""

    mocap: Path
    """The poses, ``cmu_poses.npz``."""
    out: Path = Path("claims")
    """Folder of the runs and the tables."""
    steps: int = 120
    """Batches per run."""
    batch_size: int = 128
    """People per batch."""
    seeds: int = 2
    """Runs per row."""
    people: int = 1024
    """Held-out people that the figures are of."""


Figures = dict[str, float]
Rows = dict[str, Figures]


@dataclass(frozen=True)
class Claim:
    """A sentence, the runs that test it, and when it came out."""

    sentence: str
    rows: dict[str, TrainConfig]
    came_out: Callable[[Rows], bool]


def claims(config: ClaimsConfig) -> list[Claim]:
    """The claims of the field, each with its runs."""
    model = HMRConfig(width=256, blocks=3, head=HeadConfig(3, 256, 0.0))
    base = TrainConfig(
        mocap=config.mocap,
        model=model,
        loss=PRESETS["nbf-all"],
        steps=config.steps,
        batch_size=config.batch_size,
        learning_rate=2e-3,
        warmup=config.steps // 10,
        discriminator_rate=1e-3,
        evaluate_every=config.steps,
        evaluate_people=256,
        save_every=config.steps,
        sampling=KeypointSampling(noise=NoiseConfig(landmarks=0.0), tumbled=0.0),
        threads=torch.get_num_threads(),
    )
    flat = LossConfig(1.0, 0.0, 0.0, 0.0)
    clean = NoiseConfig(landmarks=0.0, missed_limb=0.0, missed_keypoint=0.0, occluder=0.0, crop=0.0).scaled(1e-3)
    plain = replace(base.sampling, noise=clean, pose_spread=0.0, hand_spread=0.0)
    losses = {name: replace(base, loss=PRESETS[name]) for name in ("nbf-2d", "nbf-3d", "nbf-latent", "nbf-all")}
    unpaired = {
        "2d": replace(base, loss=flat),
        "2d + adversarial": replace(base, loss=replace(flat, adversarial=1 / 60)),
    }
    squared = replace(PRESETS["nbf-all"], norm="l2", pose_norm="l2")
    return [
        Claim(
            "2D supervision alone gives a good 2D and a useless 3D (Omran et al. 2018, table of losses)",
            losses,
            lambda rows: (
                rows["nbf-2d"]["mpjpe"] > 1.25 * rows["nbf-all"]["mpjpe"]
                and rows["nbf-2d"]["pckh"] > rows["nbf-all"]["pckh"] - 5.0
            ),
        ),
        Claim(
            "Only latent supervision gives right rotations (Omran et al. 2018)",
            losses,
            lambda rows: rows["nbf-3d"]["quaternion"] > 1.2 * rows["nbf-latent"]["quaternion"],
        ),
        Claim(
            "Without 3D the regressor makes monsters; an adversarial prior on unpaired mocap halves them at least "
            "(Kanazawa et al. 2018)",
            unpaired,
            lambda rows: rows["2d + adversarial"]["monsters"] < 0.5 * rows["2d"]["monsters"],
        ),
        Claim(
            "The adversarial prior makes the 3D of 2D supervision better (Kanazawa et al. 2018)",
            unpaired,
            lambda rows: rows["2d + adversarial"]["mpjpe"] < rows["2d"]["mpjpe"],
        ),
        Claim(
            "Absolute differences teach better than squared ones (Pang et al. 2022)",
            {"l1": base, "l2": replace(base, loss=squared)},
            lambda rows: rows["l1"]["pa_mpjpe"] < rows["l2"]["pa_mpjpe"],
        ),
        Claim(
            "A little 3D supervision is nearly as good as much (Omran et al. 2018)",
            {f"3d for {share:.0%}": replace(base, supervised=share) for share in (0.0, 0.01, 0.05, 0.2, 1.0)},
            lambda rows: rows["3d for 20%"]["mpjpe"] < 1.1 * rows["3d for 100%"]["mpjpe"],
        ),
        Claim(
            "More rounds of iterative error feedback are better (Kanazawa et al. 2018 use 3)",
            {f"{n} rounds": replace(base, model=replace(model, head=HeadConfig(n, 256, 0.0))) for n in (1, 3, 5)},
            lambda rows: rows["3 rounds"]["mpjpe"] < rows["1 rounds"]["mpjpe"],
        ),
        Claim(
            "Augmentation, missing keypoints above all, carries over to imperfect detections (Pang et al. 2022)",
            {"as detected": base, "without augmentation": replace(base, sampling=plain)},
            lambda rows: rows["as detected"]["mpjpe"] < rows["without augmentation"]["mpjpe"],
        ),
        Claim(
            "Resampling near-identical frames helps on other subjects",
            {"clips balanced": base, "all frames alike": replace(base, balanced=False)},
            lambda rows: rows["clips balanced"]["mpjpe"] < rows["all frames alike"]["mpjpe"],
        ),
    ]


class Examination:
    """Held-out people and the range of the mocap's rotations."""

    def __init__(self, config: ClaimsConfig) -> None:
        """Draw the people once, for every row."""
        self.people = config.people
        body, mocap = load_body(), load_mocap(config.mocap)
        sampling = KeypointSampling(
            noise=NoiseConfig(landmarks=0.0), tumbled=0.0, pose_spread=0.0, hand_spread=0.0, size=(0.15, 0.75)
        )
        batches, generator = KeypointBatches(body, mocap.held_out(), sampling), torch.Generator().manual_seed(11)
        self.batches: list[RegressorBatch] = [batches(config.people, generator)]
        self.criterion = Criterion(body, KEYPOINT_NAMES, LossConfig())
        poses = mocap_poses(mocap.training())(20000, torch.Generator().manual_seed(0))[:, _BODY_JOINTS]
        self.mean = project_to_rotation(poses.mean(0))
        self.limit = geodesic_angle(poses, self.mean.expand_as(poses)).quantile(0.999, dim=0)

    @torch.no_grad()
    def __call__(self, model: HMR) -> Figures:
        """Figures of a network, as `COLUMNS` names them."""
        errors = joint_errors(model, self.batches, self.criterion)
        batch = self.batches[0]
        output = model(batch.inputs)
        points = self.criterion.kinematics(output_params(output, batch.view, self.criterion.body))
        distance = (project_in_view(points, batch.view) - batch.truth.points_2d).norm(dim=-1)
        truth = batch.truth.points_2d
        head = truth[:, KEYPOINT_NAMES.index("head_top")] - truth[:, KEYPOINT_NAMES.index("neck_lsp")]
        near = distance[:, LIMBS_2D] < 0.5 * head.norm(dim=-1, keepdim=True)
        body_pose = output.rotations[:, _BODY_JOINTS]
        turned = geodesic_angle(body_pose, self.mean.expand_as(body_pose)) > self.limit
        return {
            "mpjpe": errors["mpjpe"],
            "pa_mpjpe": errors["pa_mpjpe"],
            "pckh": 100.0 * float(near.float().mean()),
            "quaternion": float(_quaternion_distance(output.rotations, batch.truth.rotations).mean()),
            "monsters": 100.0 * float(turned.float().mean()),
        }


def _quaternion_distance(first: Tensor, second: Tensor) -> Tensor:
    one, other = rotmat_to_unitquat(first), rotmat_to_unitquat(second)
    return torch.minimum((one - other).norm(dim=-1), (one + other).norm(dim=-1))


def try_claims(config: ClaimsConfig) -> dict[str, dict]:
    """Train every row with every seed; return tables by claim."""
    examination, tables = Examination(config), {}
    for claim in claims(config):
        runs: dict[str, list[Figures]] = {}
        for row, training in claim.rows.items():
            for seed in range(config.seeds):
                runs.setdefault(row, []).append(_figures(replace(training, seed=seed), config.out, examination))
        tables[claim.sentence] = {"rows": runs, "verdict": verdict(claim, runs)}
    return tables


def verdict(claim: Claim, runs: dict[str, list[Figures]]) -> str:
    """Whether a claim holds, asked of every choice of one run per row: seeds must agree.

    Args:
        claim: What to ask.
        runs: Figures of every row, one per seed.
    """
    answers = [claim.came_out(dict(zip(runs, chosen, strict=True))) for chosen in product(*runs.values())]
    if all(answers):
        return "holds"
    return "not told apart from noise" if any(answers) else "does not hold"


def _figures(training: TrainConfig, out: Path, examination: Examination) -> Figures:
    """Train and examine, unless the same run was made before, for another claim or another time."""
    tree = {name: value for name, value in config_to_tree(training).items() if name not in ("out", "threads", "mocap")}
    key = hashlib.sha256(json.dumps([tree, examination.people]).encode()).hexdigest()[:12]
    training = replace(training, out=out / "runs" / key)
    done = training.out / "figures.json"
    if not done.is_file():
        train(training)
        figures = examination(load_weights(training.out / "best.safetensors").model)
        with whole_file(done) as temporary:
            temporary.write_text(json.dumps(figures))
    return json.loads(done.read_text())


def to_markdown(tables: dict[str, dict], config: ClaimsConfig) -> str:
    """One table per claim."""
    lines = [f"Every row: {config.steps} batches of {config.batch_size} people, {config.seeds} seeds.", ""]
    for sentence, table in tables.items():
        lines += [f"**{sentence}: {table['verdict']}.**", ""]
        lines += ["| | " + " | ".join(COLUMNS.values()) + " |", "|---" * (len(COLUMNS) + 1) + "|"]
        for row, found in table["rows"].items():
            cells = []
            for column in COLUMNS:
                values = [figures[column] for figures in found]
                digits = 3 if column == "quaternion" else 1
                spread = (max(values) - min(values)) / 2
                cells.append(f"{sum(values) / len(values):.{digits}f} ({spread:.{digits}f})")
            lines.append(f"| {row} | " + " | ".join(cells) + " |")
        lines.append("")
    return "\n".join(lines)


def main(arguments: list[str] | None = None) -> int:
    """Try every claim and write the tables."""
    config = parse(ClaimsConfig, arguments, __doc__)
    tables = try_claims(config)
    (config.out / "claims.json").write_text(json.dumps(tables, indent=2) + "\n")
    (config.out / "claims.md").write_text(to_markdown(tables, config))
    print(to_markdown(tables, config))
    return 0


if __name__ == "__main__":
    sys.exit(main())
