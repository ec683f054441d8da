"""Options of training with fitting in the loop: small parts, and the whole that a command line or a file fills.

A run is opened with the whole (`pipelines.spin.run`); from there on every module gets the part that is its own.
"""

from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Literal, TypeVar

from fitloop.fitting import FitConfig, StageConfig
from fitloop.fitting.plausibility import PlausibilityConfig
from fitloop.pipelines.spin.quirks import Quirks
from fitloop.pipelines.training.loop import Rhythm, Schedule
from fitloop.regressor import PRESETS, LossConfig
from fitloop.regressor.looks import AugmentationConfig

LOOP_FIT = FitConfig(stages=(StageConfig(pose_prior=4.0),))
"""Less prior than the fitter's own default: networks know depth better than the prior over poses (docs/spin.md)."""


Mode = Literal["loop", "static", "keypoints", "keypoints+silhouettes"]
SILHOUETTE = 0.3
"""Weight of outlines over that of keypoints, where the mode asks for them and the losses do not say."""


@dataclass(frozen=True, kw_only=True)
class DataConfig:
    """Who is learned from, and who is measured on."""

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

    def __post_init__(self) -> None:
        """Refuse what cannot be read."""
        if not self.data:
            raise ValueError("data is empty; give at least one .npz in SPIN's format.")
        for name in ("weights", "images"):
            given = getattr(self, name)
            if given and len(given) != len(self.data):
                raise ValueError(f"{name} has {len(given)} entries for {len(self.data)} data sets; give one for each.")
        if self.held_out_people < 1:
            raise ValueError("held_out_people must be at least 1.")


@dataclass(frozen=True, kw_only=True)
class NetworkConfig:
    """What is trained."""

    body: str = "open"
    """`open`, or the path of a SMPL file of yours."""
    regressor: str = "keypoints"
    """Where to start: the name of a shipped regressor or the path of a checkpoint."""
    frozen_statistics: bool = True
    """Keep the running statistics of batch normalisation; small batches spoil them, and processes would differ."""


@dataclass(frozen=True, kw_only=True)
class FitterConfig:
    """How the network's guesses are fitted."""

    fitter: Literal["fast", "reference"] = "fast"
    """Who fits: Levenberg-Marquardt, or SPIN's own way (Adam on the full mesh; a hundred times slower, needs smplx)."""
    fit: FitConfig = LOOP_FIT
    """Settings of the fast fitter."""
    refine: bool = False
    """Move each new fit on to the photo's pixels before it teaches (docs/refinement.md); needs `images`."""
    spin_compat: bool = False
    """All of the original's quirks, its losses, and no gate."""


@dataclass(frozen=True, kw_only=True)
class FitsConfig:
    """Which fits are kept."""

    mode: Mode = "loop"
    """`loop`: as SPIN. `static`: fits are made once and never improved. `keypoints`: 2D loss alone, for comparison;
    `keypoints+silhouettes`: and the people's outlines, where there are masks (docs/training.md)."""
    static_fits: Path | None = None
    """Folder with SPIN's `<dataset>_fits.npy` to begin with."""
    static_fits_body: str = "smpl"
    """Body of those fits: SPIN's files do not say."""
    gate: PlausibilityConfig = PlausibilityConfig()
    """Which fits are believed."""
    margin: float = 0.0
    """Share of the old energy that a new fit must gain to replace it."""

    @property
    def teaches(self) -> bool:
        """Whether fits are what is learned from."""
        return self.mode in ("loop", "static")

    def __post_init__(self) -> None:
        """Refuse a margin that no fit can gain."""
        if not 0.0 <= self.margin < 1.0:
            raise ValueError(f"margin is a share in [0, 1), got {self.margin}.")


@dataclass(frozen=True, kw_only=True)
class TeachingConfig:
    """How the network learns from fits and annotations."""

    loss: LossConfig = field(default_factory=lambda: PRESETS["keypoints"])
    """Weights of the losses."""
    augmentation: AugmentationConfig = AugmentationConfig()
    """How samples are changed."""
    valid_below: float = 100.0
    """A fit teaches only if its mean robust reprojection is lower, squared pixels of a 224-pixel crop (SPIN: 100)."""
    max_beta: float = 3.0
    """Limit of shape coefficients in supervision; what is stored is not limited."""
    use_truth: bool = True
    """Learn from pose, shape and 3D joints where the data set has them; off, they only measure."""


@dataclass(frozen=True, kw_only=True)
class ScheduleConfig:
    """How many steps are taken, how large they are, and when their result is saved."""

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
    seed: int = 0
    """Of everything random."""
    save_every: int = 100
    """Steps between checkpoints of network and store."""

    def __post_init__(self) -> None:
        """Refuse what cannot run."""
        if self.batch_size < 1 or self.shards < 1 or self.batch_size % self.shards:
            raise ValueError(f"batch_size must be a multiple of shards, got {self.batch_size} and {self.shards}.")
        if min(self.epochs, self.save_every) < 1:
            raise ValueError("epochs and save_every must be at least 1.")

    def rhythm(self, steps_per_epoch: int) -> Rhythm:
        """When to measure and save: after every epoch, and every so many steps."""
        return Rhythm(self.epochs * steps_per_epoch, steps_per_epoch, self.save_every)

    def rates(self, steps_per_epoch: int) -> Schedule:
        """Learning rate by step."""
        steps = self.epochs * steps_per_epoch
        return Schedule(self.learning_rate, steps, self.warmup * steps, 1.0 if self.schedule == "constant" else 0.0)


Part = TypeVar("Part")
PARTS = (DataConfig, NetworkConfig, FitterConfig, FitsConfig, TeachingConfig, ScheduleConfig)


@dataclass(frozen=True, kw_only=True)
class SpinConfig(ScheduleConfig, TeachingConfig, FitsConfig, FitterConfig, NetworkConfig, DataConfig):
    """Train with fitting in the loop: predict, fit from the prediction, learn from the better fit.

    Started again with the same ``out``, training goes on where it stopped.
    """

    out: Path = Path("runs/spin")
    """Folder of checkpoints, fits, report and the resolved config."""
    quirks: Quirks = Quirks()
    """The original's quirks one by one."""
    device: str = "cpu"
    """Where to compute: `cpu`, `cuda`, `cuda:1`, ..."""
    threads: int | None = None
    """CPU threads; as many as there are cores if not given."""
    tensorboard: bool = False
    """Write curves to `out` for TensorBoard (`pip install fitloop[train]`)."""

    def __post_init__(self) -> None:
        """Refuse what a part refuses, and parts that do not go together."""
        for kind in PARTS:
            self.part(kind)
        if self.refine and not self.images:
            raise ValueError("refine compares bodies with photos: give their folders with images.")

    def part(self, kind: type[Part]) -> Part:
        """The options of one part alone."""
        return kind(**{one.name: getattr(self, one.name) for one in fields(kind)})  # pyright: ignore[reportArgumentType]
