"""What fits make of the network's guess, without any training: from the photo, from augmented views, best of several.

python -m benchmarks.spin synthetic --mocap cmu_poses.npz --out spin-bench
python -m benchmarks.spin_starts --data spin-bench/people.npz
"""

import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
import tyro
from torch import Tensor

from fitloop.body import BodyEstimate, BodyParams, load_body
from fitloop.data.spin_format import read_spin
from fitloop.fitting import Fit, FitConfig, StageConfig, fit
from fitloop.pipelines.spin.config import LOOP_FIT, SpinConfig
from fitloop.pipelines.spin.inputs import draw_augmentation, view_and_inputs
from fitloop.pipelines.spin.loop import estimate_all
from fitloop.pipelines.spin.measure import errors_of, summary
from fitloop.pipelines.spin.run import Run, open_run_of
from fitloop.pipelines.spin.samples import make_crowd
from fitloop.regressor.looks import out_of_augmented_view
from fitloop.regressor.losses import output_params

FITS = {
    "pose prior 8.5": FitConfig(),
    "pose prior 4": LOOP_FIT,
    "pose prior 4, start 10": FitConfig(stages=(StageConfig(pose_prior=4.0, start_prior=10.0),)),
    "pose prior 8.5, from the mean pose": FitConfig(starts=("mean",)),
}


@dataclass(frozen=True)
class Starts:
    """Errors of guesses and of fits on people whose 3D truth is known."""

    data: Path
    """Made by `benchmarks.spin synthetic`."""
    people: int = 300
    views: int = 5
    regressor: str = "keypoints"
    threads: int = 1

    def __call__(self) -> None:
        """Print a line per way."""
        torch.set_num_threads(self.threads)
        body = load_body()
        crowd = make_crowd([read_spin(self.data).take(np.arange(self.people))], [None], body)
        with tempfile.TemporaryDirectory() as out:
            config = SpinConfig(data=(self.data,), out=Path(out), regressor=self.regressor)
            run = open_run_of(config, body, crowd, crowd)
            run.state.model.eval()
            guess = estimate_all(run.state.model, run.loop, crowd.samples, crowd.photos)
            views = [seen_anew(run, seed) for seed in range(self.views)]
            tell(run, "guess, photo", guess.params)
            tell(run, "guess, augmented view", views[0].params)
            for name, settings in FITS.items():
                self._fits(run, name, settings, guess, views)

    def _fits(self, run: Run, name: str, settings: FitConfig, guess: BodyEstimate, views: list[BodyEstimate]) -> None:
        samples = run.crowd.samples
        tell(run, f"{name}, photo", fit(run.loop.body, samples.evidence, guess, settings).estimate.params)
        fits = [fit(run.loop.body, samples.evidence, view, settings) for view in views]
        tell(run, f"{name}, augmented view", fits[0].estimate.params)
        tell(run, f"{name}, lowest energy of {self.views} views", lowest(fits, lambda one: one.energy))

        def reprojection(one: Fit) -> Tensor:
            return run.loop.reprojection(one.estimate.params, samples.evidence, samples.camera)

        tell(run, f"{name}, lowest reprojection of {self.views} views", lowest(fits, reprojection))


def seen_anew(run: Run, seed: int) -> BodyEstimate:
    """What the network says of everybody's augmented view, in the photo's frame."""
    samples, loop = run.crowd.samples, run.loop
    with torch.no_grad():
        drawn = draw_augmentation(len(samples), run.crowd.photos, loop.config.teaching.augmentation, seed)
        augmented, inputs = view_and_inputs(samples, drawn, loop.network)
        params: BodyParams = out_of_augmented_view(
            output_params(run.state.model(inputs).to(torch.float32), augmented.view, loop.body), augmented, loop.body
        )
    return BodyEstimate(params, samples.camera, loop.body.name)


def lowest(fits: list[Fit], score: Callable[[Fit], Tensor]) -> BodyParams:
    """The fit of each person that scores lowest."""
    best = torch.stack([score(one) for one in fits]).argmin(0)
    people = torch.arange(len(best))
    parts = [one.estimate.params for one in fits]
    stacked = {name: torch.stack([getattr(part, name) for part in parts])[best, people] for name in vars(parts[0])}
    return replace(parts[0], **stacked)


def tell(run: Run, name: str, params: BodyParams) -> None:
    """Print mean errors."""
    found = summary(errors_of(params, run.crowd.samples, run.loop))
    told = ", ".join(f"{key} {found[key]:.1f}" for key in ("mpjpe", "pa_mpjpe", "error_2d", "pose_prior"))
    print(f"{name}: {told}", flush=True)


def main() -> int:
    """Run what the command line names."""
    tyro.cli(Starts)()
    return 0


if __name__ == "__main__":
    sys.exit(main())
