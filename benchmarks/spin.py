"""Fitting in the loop, measured: against static fits and 2D supervision alone, and what share of a step fitting takes.

A network that knows upright people only, to start from, and people turned anyhow to learn from:

fitloop train --config configs/train/keypoints.yaml --mocap cmu_poses.npz --out upright --steps 1500 \
    --sampling.tumbled 0 --sampling.pitch -10 10 --sampling.roll 5

python -m benchmarks.spin synthetic --mocap cmu_poses.npz --out spin-bench
python -m benchmarks.spin compare --data spin-bench/people.npz --apart spin-bench/apart.npz --out spin-bench/people \
    --regressor upright/best.safetensors --epochs 20 --learning-rate 5e-4 --seeds 0 1 2
python -m benchmarks.spin timing --data lspet_dev.npz --images lspet_dev --out spin-bench/timing
"""

import json
import sys
from dataclasses import dataclass, replace
from pathlib import Path
from time import perf_counter
from typing import Any

import torch
import tyro

from fitloop.body import KeypointKinematics, load_body
from fitloop.body.files import whole_file
from fitloop.body.keypoints import SPIN_24
from fitloop.data.detector_noise import NoiseConfig
from fitloop.data.keypoint_samples import KeypointSampler, KeypointSampling, mocap_poses
from fitloop.data.mocap import load_mocap
from fitloop.data.spin_format import SpinDataset, write_spin
from fitloop.fitting import FitConfig
from fitloop.pipelines.console.provenance import commit, hardware, versions
from fitloop.pipelines.spin.config import SpinConfig
from fitloop.pipelines.spin.quirks import Quirks
from fitloop.pipelines.spin.report import Epoch, table
from fitloop.pipelines.spin.run import open_run
from fitloop.pipelines.spin.training import SpinTraining
from fitloop.pipelines.train_spin import train_spin
from fitloop.pipelines.training.loop import descend
from fitloop.regressor import HMRConfig, Weights, build_hmr, save_weights
from fitloop.regressor.keypoint_encoder import KEYPOINT_NAMES

MODES: dict[str, dict[str, Any]] = {
    "loop": {"mode": "loop"},
    "static": {"mode": "static"},
    "static-mean": {"mode": "static", "fit": FitConfig(starts=("mean",))},
    "keypoints": {"mode": "keypoints"},
    "truth": {"mode": "keypoints", "use_truth": True},
}
"""SPIN; fits made once from the first network; made once from the mean pose, as SPIN's static ones; 2D keypoints alone;
and the true 3D, which none of these sees."""


@dataclass(frozen=True)
class Synthetic:
    """Write people whose 3D truth is known but not learned from: acrobats before random cameras."""

    mocap: Path
    """``cmu_poses.npz``; only subjects kept for testing are used."""
    out: Path
    people: int = 1000
    """To learn from."""
    apart: int = 500
    """To measure on."""
    seed: int = 7

    def __call__(self) -> None:
        """Write ``people.npz`` and ``apart.npz``."""
        body = load_body()
        noise = replace(NoiseConfig(), swap=0.01, outliers=0.01, landmarks=0.0, crop=0.05, missed_limb=0.03)
        # Everybody is turned anyhow: the shipped network has seen few such people.
        sampling = KeypointSampling(noise=noise, tumbled=1.0, conventions=(("spin24", 1.0),), size=(0.4, 1.0))
        poses = mocap_poses(load_mocap(self.mocap).held_out())
        sampler = KeypointSampler(body, KEYPOINT_NAMES, poses, sampling)
        generator = torch.Generator().manual_seed(self.seed)
        for name, count in (("people", self.people), ("apart", self.apart)):
            write_spin(
                _dataset(name, count, sampler, KeypointKinematics(body, _names()), generator), self.out / f"{name}.npz"
            )


def _names() -> tuple[str, ...]:
    return tuple(str(name) for name in SPIN_24.landmarks)


def _dataset(
    name: str, count: int, sampler: KeypointSampler, kinematics: KeypointKinematics, generator: torch.Generator
) -> SpinDataset:
    drawn = sampler(2 * count, generator)
    seen = drawn.detections(KEYPOINT_NAMES, SPIN_24.name)
    # People of whom less than half was seen are left out, as annotators leave them out.
    kept = ((seen.confidence > 0).sum(-1) >= 12).nonzero()[:count, 0]
    seen, people = seen[kept], drawn[kept]
    points = kinematics(people.params)
    hips = points[:, [SPIN_24.index("left_hip"), SPIN_24.index("right_hip")]].mean(1, keepdim=True)
    low, high = seen.boxes[:, :2], seen.boxes[:, 2:]
    return SpinDataset(
        name,
        tuple(f"{name}/{row:06d}.jpg" for row in range(len(kept))),
        ((low + high) / 2.0).numpy(),
        (1.2 * (high - low).amax(1) / 200.0).numpy(),
        torch.cat([seen.keypoints, (seen.confidence > 0).float()[..., None]], -1).numpy(),
        joints_3d=torch.cat([points - hips, torch.ones_like(points[..., :1])], -1).numpy(),
        photo_sizes=(2.0 * people.camera.principal_point).numpy(),
        body="open",
    )


@dataclass(frozen=True)
class Compare:
    """Train from the same network on 2D keypoints alone, in each of `MODES`."""

    data: Path
    apart: Path
    out: Path
    epochs: int = 10
    batch_size: int = 50
    learning_rate: float = 5e-5
    regressor: str = "keypoints"
    """Where all of them start."""
    seeds: tuple[int, ...] = (0,)
    modes: tuple[str, ...] = tuple(MODES)
    threads: int = 1

    def __post_init__(self) -> None:
        """Refuse unknown modes."""
        unknown = [mode for mode in self.modes if mode not in MODES]
        if unknown:
            raise ValueError(f"Unknown modes {unknown}; there are {', '.join(MODES)}.")

    def __call__(self) -> None:
        """Write ``compare.json`` and ``compare.md``; runs that are there already are not repeated."""
        results: dict[str, list[Epoch]] = {}
        for seed in self.seeds:
            for mode in self.modes:
                config = SpinConfig(
                    data=(self.data,),
                    held_out=(self.apart,),
                    out=self.out / f"{mode}-{seed}",
                    **{"use_truth": False, **MODES[mode]},
                    epochs=self.epochs,
                    batch_size=self.batch_size,
                    learning_rate=self.learning_rate,
                    regressor=self.regressor,
                    seed=seed,
                    threads=self.threads,
                    held_out_people=100000,
                )
                results[f"{mode}-{seed}"] = train_spin(config)
        _write_comparison(self.out, results)


def _write_comparison(out: Path, results: dict[str, list[Epoch]]) -> None:
    names = sorted({name for epochs in results.values() for epoch in epochs for name in epoch.network})
    lines = ["| run | epoch | " + " | ".join(names) + " |", "|---|---:|" + "---:|" * len(names)]
    for run, epochs in results.items():
        for epoch in epochs:
            cells = " | ".join(f"{epoch.network.get(name, float('nan')):.1f}" for name in names)
            lines.append(f"| {run} | {epoch.number} | {cells} |")
    lines += ["", *(f"## {run}\n\n{table(epochs)}\n" for run, epochs in results.items())]
    about = {"commit": commit(), "hardware": hardware(), "versions": versions()}
    with whole_file(out / "compare.md") as path:
        path.write_text("\n".join(lines), encoding="utf-8")
    with whole_file(out / "compare.json") as path:
        tree = {**about, "runs": {run: [epoch.tree() for epoch in epochs] for run, epochs in results.items()}}
        path.write_text(json.dumps(tree, indent=1), encoding="utf-8")


@dataclass(frozen=True)
class Timing:
    """Share of a training step that fitting takes: ours and SPIN's fitter, keypoints and photos, in one run."""

    data: Path
    images: Path
    out: Path
    batch_size: int = 16
    steps: int = 3
    """Measured steps; one more is made before them."""
    threads: int = 1

    def __call__(self) -> None:
        """Print and write ``timing.json``."""
        self.out.mkdir(parents=True, exist_ok=True)
        fresh = self.out / "resnet50.safetensors"
        torch.manual_seed(0)
        network = HMRConfig("resnet50", width=64)
        save_weights(fresh, Weights(build_hmr(network), network, load_body().name))
        rows = []
        variants: tuple[tuple[str, Quirks], ...] = (
            ("fast", Quirks()),
            ("fast", Quirks(fit_from_augmented=False)),
            ("reference", Quirks()),
        )
        for encoder, source in (("resnet50", str(fresh)), ("proxy", "proxy"), ("keypoints", "keypoints")):
            for fitter, quirks in variants:
                found = self._measure(encoder, fitter, source, quirks)
                second = quirks.fit_from_augmented is False
                rows.append({"encoder": encoder, "fitter": fitter, "second look forced": second, **found})
                print(rows[-1], flush=True)
        about = {"commit": commit(), "hardware": hardware(), "versions": versions()}
        with whole_file(self.out / "timing.json") as path:
            path.write_text(json.dumps({**about, "rows": rows}, indent=1), encoding="utf-8")

    def _measure(self, encoder: str, fitter: str, source: str, quirks: Quirks) -> dict[str, float]:
        torch.set_num_threads(self.threads)
        config = SpinConfig(
            data=(self.data,),
            images=(self.images,),
            out=self.out / f"{encoder}-{fitter}-{quirks.fit_from_augmented}",
            regressor=source,
            quirks=quirks,
            fitter=fitter,  # pyright: ignore[reportArgumentType]
            batch_size=self.batch_size,
        )
        run = open_run(config)
        training = SpinTraining(run)
        descend(training, config.learning_rate, config.clip)
        run.loop.tally.counts.clear()
        begun = perf_counter()
        for _ in range(self.steps if fitter == "fast" else 1):
            descend(training, config.learning_rate, config.clip)
        seconds, counts = perf_counter() - begun, run.loop.tally.counts
        return {
            "seconds_per_step": seconds / counts["steps"],
            "fitting_share_percent": 100.0 * counts["seconds_fitting"] / seconds,
            "fits_per_second": counts["people"] / counts["seconds_fitting"],
        }


def main() -> int:
    """Run what the command line names."""
    command = tyro.extras.subcommand_cli_from_dict({"synthetic": Synthetic, "compare": Compare, "timing": Timing})
    command()
    return 0


if __name__ == "__main__":
    sys.exit(main())
