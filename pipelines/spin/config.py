"""Options of training with fitting in the loop."""

import math
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from fitloop.fitting import FitConfig, StageConfig
from fitloop.fitting.plausibility import GateConfig
from fitloop.pipelines.spin.quirks import SPIN_QUIRKS, Quirks
from fitloop.regressor import PRESETS, LossConfig
from fitloop.regressor.looks import AugmentationConfig

LOOP_FIT = FitConfig(stages=(StageConfig(pose_prior=4.0),))
"""Less prior than the fitter's own default: networks know depth better than the prior over poses (docs/spin.md)."""


@dataclass(frozen=True, kw_only=True)
class SpinConfig:
    """Train with fitting in the loop: predict, fit from the prediction, learn from the better fit.

    Started again with the same ``out``, training goes on where it stopped.
    """

    data: tuple[Path, ...]
    """Data sets in SPIN's format (`fitloop prepare`)."""
    weights: tuple[float, ...] = ()
    """How often each data set is drawn from; in proportion to its size if not given."""
    spin_mixture: bool = False
    """Draw 30 % from h36m*, 10 % from mpi-inf-3dhp* and 60 % from the others, as SPIN does."""
    images: tuple[Path, ...] = ()
    """Folder of each data set's photos. Encoders of images need them; others take the camera from the photos' sizes."""
    held_out: tuple[Path, ...] = ()
    """Data sets to measure on; if not given, a tenth of the photos of `data` is kept apart."""
    held_out_people: int = 1000
    """At most so many are measured."""
    out: Path = Path("runs/spin")
    """Folder of checkpoints, fits, report and the resolved config."""
    body: str = "open"
    """`open`, or the path of a SMPL file of yours."""
    regressor: str = "keypoints"
    """Where to start: the name of a shipped regressor or the path of a checkpoint."""
    mode: Literal["loop", "static", "keypoints"] = "loop"
    """`loop`: as SPIN. `static`: fits are made once and never improved. `keypoints`: 2D loss alone, for comparison."""
    static_fits: Path | None = None
    """Folder with SPIN's `<dataset>_fits.npy` to begin with."""
    static_fits_body: str = "smpl"
    """Body of those fits: SPIN's files do not say."""
    spin_compat: bool = False
    """All of the original's quirks, its losses, and no gate."""
    quirks: Quirks = Quirks()
    """The original's quirks one by one."""
    fitter: Literal["fast", "reference"] = "fast"
    """Who fits: Levenberg-Marquardt, or SPIN's own way (Adam on the full mesh; a hundred times slower, needs smplx)."""
    fit: FitConfig = LOOP_FIT
    """Settings of the fast fitter."""
    refine: bool = False
    """Move each new fit on to the photo's pixels before it teaches (docs/refinement.md); needs `images`."""
    gate: GateConfig = GateConfig()
    """Which fits are believed."""
    loss: LossConfig = field(default_factory=lambda: PRESETS["keypoints"])
    """Weights of the losses."""
    augmentation: AugmentationConfig = AugmentationConfig()
    """How samples are changed."""
    valid_below: float = 100.0
    """A fit teaches only if its mean robust reprojection is lower, squared pixels of a 224-pixel crop (SPIN: 100)."""
    margin: float = 0.0
    """Share of the old energy that a new fit must gain to replace it."""
    max_beta: float = 3.0
    """Limit of shape coefficients in supervision; what is stored is not limited."""
    use_truth: bool = True
    """Learn from pose, shape and 3D joints where the data set has them; off, they only measure."""
    epochs: int = 10
    batch_size: int = 64
    """People per step, all processes together."""
    shards: int = 1
    """Parts that data and store are dealt into: a multiple of the number of processes. Results depend on it alone."""
    learning_rate: float = 5e-5
    """Of Adam, after the warm-up."""
    warmup: float = 0.05
    """Share of the steps over which the learning rate rises from 0."""
    schedule: Literal["cosine", "constant"] = "cosine"
    """What follows the warm-up; SPIN's is constant."""
    average: float = 0.98
    """Decay of the moving average of the weights, which is what is measured and written; 0 in SPIN."""
    clip: float = 1.0
    """Longest gradient that is not shortened."""
    frozen_statistics: bool = True
    """Keep the running statistics of batch normalisation; small batches spoil them, and processes would differ."""
    seed: int = 0
    """Of everything random."""
    save_every: int = 100
    """Steps between checkpoints of network and store."""
    device: str = "cpu"
    """`cpu` or `cuda`."""
    threads: int | None = None
    """CPU threads; as many as there are cores if not given."""

    def __post_init__(self) -> None:
        """Refuse what cannot run."""
        if not self.data:
            raise ValueError("data is empty; give at least one .npz in SPIN's format.")
        for name in ("weights", "images"):
            given = getattr(self, name)
            if given and len(given) != len(self.data):
                raise ValueError(f"{name} has {len(given)} entries for {len(self.data)} data sets; give one for each.")
        if self.refine and not self.images:
            raise ValueError("refine compares bodies with photos: give their folders with images.")
        if self.batch_size < 1 or self.shards < 1 or self.batch_size % self.shards:
            raise ValueError(f"batch_size must be a multiple of shards, got {self.batch_size} and {self.shards}.")
        if min(self.epochs, self.save_every, self.held_out_people) < 1:
            raise ValueError("epochs, save_every and held_out_people must be at least 1.")
        if not 0.0 <= self.margin < 1.0:
            raise ValueError(f"margin is a share in [0, 1), got {self.margin}.")

    @property
    def longest_gradient(self) -> float:
        """`clip`, which SPIN does not know."""
        return math.inf if self.spin_compat else self.clip

    @property
    def odd(self) -> Quirks:
        """The quirks that apply."""
        return SPIN_QUIRKS if self.spin_compat else self.quirks

    def rate(self, step: int, steps: int) -> float:
        """Learning rate of a step out of all steps."""
        if self.spin_compat:
            return self.learning_rate
        rise = min(1.0, (step + 1) / max(1.0, self.warmup * steps))
        fall = 0.5 * (1.0 + math.cos(math.pi * step / steps)) if self.schedule == "cosine" else 1.0
        return self.learning_rate * rise * fall

    @property
    def losses(self) -> LossConfig:
        """The losses that apply."""
        return PRESETS["spin"] if self.spin_compat else self.loss
