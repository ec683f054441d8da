"""What the keypoints regressor is worth on people it never saw, and what HMR's head costs on top of its encoder.

python -m benchmarks regressor --mocap cmu_poses.npz [--weights FILE] [--people 8192] [--out results.json]

People: held-out subjects of the mocap as they are, any yaw, random cameras, distances and shapes. Detectors: the noise
that training uses, then more, less, with landmarks, with limbs missing. Errors over SMPL's 24 joints from the pelvis.
"""

import json
import sys
import time
from dataclasses import dataclass, replace
from pathlib import Path

import torch

from fitloop.body import load_body
from fitloop.data.detector_noise import NoiseConfig
from fitloop.data.keypoint_samples import KeypointSampling
from fitloop.data.mocap import load_mocap
from fitloop.pipelines.console.options import parse
from fitloop.pipelines.lessons.keypoint_batches import KeypointBatches, joint_errors
from fitloop.regressor import HMRConfig, LossConfig, build_hmr, load_weights
from fitloop.regressor.keypoint_encoder import KEYPOINT_NAMES
from fitloop.regressor.losses import Criterion

Metric = tuple[str, float, str, str]
"""Key, value, unit, and which way is better."""
SHIPPED = Path(__file__).parents[1] / "regressor/assets/keypoints.safetensors"
EVERYTHING_SEEN = {"missed_limb": 0.0, "missed_keypoint": 0.0, "occluder": 0.0, "crop": 0.0}


@dataclass(frozen=True, kw_only=True)
class RegressorBenchmark:
    """Options."""

    mocap: Path
    """The poses, ``cmu_poses.npz``."""
    weights: Path = SHIPPED
    """A ``.safetensors`` of the keypoints encoder."""
    people: int = 8192
    """Per setting."""
    out: Path | None = None
    """Where to write the figures as JSON."""


def settings() -> dict[str, KeypointSampling]:
    """Detectors and photos by name; people stand as the mocap has them."""
    noise = NoiseConfig(landmarks=0.0, guessing=0.0)
    people = KeypointSampling(noise=noise, tumbled=0.0, pose_spread=0.0, hand_spread=0.0)
    whole = replace(people, size=(0.15, 0.75), noise=replace(noise, **EVERYTHING_SEEN))
    missing = {
        f"2d only, {share:.0%} of keypoints missing": replace(whole, noise=replace(whole.noise, missed_keypoint=share))
        for share in (0.2, 0.4, 0.6)
    }
    noisier = {
        f"2d only, noise x {factor:g}": replace(whole, noise=replace(noise.scaled(factor), **EVERYTHING_SEEN))
        for factor in (0.01, 0.5, 2.0, 3.0)
    }
    return {
        "2d only": people,
        "2d and landmarks": replace(people, noise=replace(noise, landmarks=1.0)),
        "2d only, whole person seen": whole,
        "2d and landmarks, whole person seen": replace(whole, noise=replace(whole.noise, landmarks=1.0)),
        **noisier,
        **missing,
        "2d only, one limb in two missing": replace(whole, noise=replace(whole.noise, missed_limb=0.5)),
        "2d only, hidden ones guessed": replace(people, noise=replace(noise, guessing=1.0)),
        "2d and landmarks, hidden ones guessed": replace(people, noise=replace(noise, guessing=1.0, landmarks=1.0)),
        "2d only, coco17": replace(whole, conventions=(("coco17", 1.0),)),
        "2d only, lsp14": replace(whole, conventions=(("lsp14", 1.0),)),
        "2d only, tumbled anyhow": replace(whole, tumbled=1.0),
    }


def accuracy(config: RegressorBenchmark) -> list[Metric]:
    """Joint errors in every setting."""
    body, weights = load_body(), load_weights(config.weights)
    criterion = Criterion(body, KEYPOINT_NAMES, LossConfig())
    held_out = load_mocap(config.mocap).held_out()
    found: list[Metric] = []
    for name, sampling in settings().items():
        batches, generator = KeypointBatches(body, held_out, sampling), torch.Generator().manual_seed(7)
        drawn = [batches(min(1024, config.people), generator) for _ in range(max(1, config.people // 1024))]
        errors = joint_errors(weights.model, drawn, criterion)
        found.append((f"{name}/mpjpe", errors["mpjpe"], "mm", "lower"))
        found.append((f"{name}/pa_mpjpe", errors["pa_mpjpe"], "mm", "lower"))
    return found


@torch.no_grad()
def head_cost(rounds: int = 7) -> list[Metric]:
    """HMR's forward pass against its bare ResNet-50, alternating in one run, least times."""
    model = build_hmr(HMRConfig("resnet50", width=64)).eval()
    crops = torch.rand(4, 3, 224, 224)
    best = {"encoder": float("inf"), "hmr": float("inf")}
    for _ in range(rounds):
        for name, work in (("encoder", model.encoder), ("hmr", model)):
            start = time.perf_counter()
            work(crops)
            best[name] = min(best[name], time.perf_counter() - start)
    ratio = best["hmr"] / best["encoder"]
    return [("resnet50 forward/hmr over encoder", ratio, "times", "lower")]


def generation_rate(config: RegressorBenchmark, rounds: int = 5) -> list[Metric]:
    """People drawn, seen and put into views per second, ready to train on."""
    batches = KeypointBatches(load_body(), load_mocap(config.mocap).training(), KeypointSampling())
    generator = torch.Generator().manual_seed(0)
    best = float("inf")
    for _ in range(rounds):
        start = time.perf_counter()
        batches(1024, generator)
        best = min(best, time.perf_counter() - start)
    return [("training people generated", 1024 / best, "1/s", "higher")]


def main(arguments: list[str] | None = None) -> int:
    """Print a table of figures; write them too if asked."""
    config = parse(RegressorBenchmark, arguments, __doc__)
    metrics = accuracy(config) + head_cost() + generation_rate(config)
    for key, value, unit, _ in metrics:
        print(f"{key:<52} {value:8.2f} {unit}")
    if config.out is not None:
        config.out.write_text(json.dumps([list(metric) for metric in metrics], indent=2) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
