"""Options of training with fitting in the loop."""

import math
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from fitting import FitConfig, StageConfig
from regressor import PRESETS, LossConfig


@dataclass(frozen=True)
class Quirks:
    """What the original does and nobody would do on purpose; each can be had alone (docs/spin.md)."""

    compare_reprojection_only: bool = False
    """The better fit is the one with the lower reprojection; priors have no say, so a monster may replace a person."""
    place_old_fit_anew: bool = False
    """The stored fit is compared at a least-squares camera over the annotated joints, the new one at its own camera."""
    mean_over_unseen: bool = False
    """Reprojection and keypoint losses are averaged over all keypoints, so people of whom little is seen count less."""
    ignore_detected: bool = False
    """Keypoints of OpenPose have weight 0 in the 2D loss."""
    betas_all_or_none: bool = False
    """One shape coefficient beyond the limit sets all ten to 0 for supervision, instead of limiting each."""
    learn_in_2d_and_parameters_only: bool = False
    """3D joints of fits teach nothing; only annotated 3D joints do."""
    no_gate: bool = False
    """Nothing but the comparison decides whether a fit is kept."""
    fit_from_augmented: bool | None = None
    """Fits start from what the network says of the augmented view, which is a worse guess than that of the photo as it
    is but saves a second look. If not given, encoders that read pixels do so: that look is a third of a step."""


SPIN_QUIRKS = Quirks(True, True, True, True, True, True, True, True)
LOOP_FIT = FitConfig(stages=(StageConfig(pose_prior=4.0),))
"""Less prior than the fitter's own default: networks know depth better than the prior over poses (docs/spin.md)."""


@dataclass(frozen=True)
class GateConfig:
    """When a fit is not believed, however well its keypoints fall into place; 0 switches a test off."""

    pose_prior: float = 120.0
    """Largest energy of the pose above the prior's lowest; 99.9 % of the motion capture lies below 116."""
    interpenetration: float = 0.09
    """Deepest that two limbs may overlap, metres."""
    landmarks: float = 0.15
    """Largest mean distance to the detector's 3D landmarks after similarity alignment, metres, where it gave any."""
    silhouette: float = 0.4
    """Smallest intersection over union with the detector's silhouette, where it gave any."""

    def __post_init__(self) -> None:
        """Refuse negative limits."""
        for name in ("pose_prior", "interpenetration", "landmarks", "silhouette"):
            if not getattr(self, name) >= 0:
                raise ValueError(f"{name} must not be negative, got {getattr(self, name)}.")


@dataclass(frozen=True)
class AugmentationConfig:
    """How training samples are changed (SPIN's values); fits are always made and stored for the photo as it is."""

    flip: float = 0.5
    """Chance of a mirror image."""
    rotation: float = 30.0
    """Standard deviation of the turn in the image plane, degrees, cut at twice that."""
    upright: float = 0.6
    """Chance of no turn at all."""
    scale: float = 0.25
    """Standard deviation of the crop's size around 1, cut at once that (encoders of images: keypoints have no crop)."""
    channel_noise: float = 0.4
    """Colour channels are multiplied by 1 plus or minus up to this (encoders of images)."""
    missing: float = 0.1
    """Chance of each keypoint to be hidden from the network (encoder of keypoints)."""
    jitter: float = 0.01
    """Standard deviation of keypoints shown to the network, share of half the crop (encoder of keypoints)."""


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
