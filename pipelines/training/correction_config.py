"""Options of training the correction network."""

from dataclasses import dataclass
from pathlib import Path

from fitloop.pipelines.lessons.erring_fits import KINDS
from fitloop.refinement.correction import CorrectionConfig


@dataclass(frozen=True, kw_only=True)
class CorrectionTrainConfig:
    """Train the network that corrects pose and shape by what was seen of them."""

    samples: tuple[Path, ...]
    """Folders of ``fitloop train-refinement``, with ``training`` and ``held-out`` photos in them. All are looked at
    equally often, however many photos they have."""
    displacement: Path | None = None
    """Weights of the displacement network whose features are read; the shipped ones if not given."""
    out: Path = Path("runs/correction")
    """What was seen, checkpoints and weights; a run that was interrupted continues there."""
    regressor: str = "keypoints"
    """Whose guesses are fitted: `keypoints`, `mean`, or a file of weights that need no picture."""
    kinds: tuple[str, ...] = ("detected", "coco17", "clean")
    """Which keypoints people are fitted to: the detector's, or true ones disturbed more or less."""
    unguessed: float = 0.1
    """Share of the people of whom the network is not told where their fit started."""
    start: Path | None = None
    """Weights to start from, of the same width; numbers that they do not read count for nothing at first."""
    blind: bool = False
    """Leave out what was seen in the photo: how much is won by knowing how fits err, without looking?"""
    width: int = CorrectionConfig.width
    """Of the network's tokens."""
    layers: int = CorrectionConfig.layers
    uncertainty: int = 64
    """Width of the layer that says how sure the network is of each joint; 0 leaves it out."""
    epochs: float = 8.0
    """Times that each person is looked at, straight and mirrored counted apart."""
    batch_size: int = 128
    hidden: float = 0.1
    """Share of the numbers that the network does not see in a step."""
    learning_rate: float = 1e-3
    """Of AdamW, after the warm-up; falls to 0 along a cosine."""
    warmup: int = 100
    """Steps."""
    weight_decay: float = 0.05
    average: float = 0.998
    """Decay of the moving average of the weights, which is what is evaluated and kept."""
    evaluate_every: int = 400
    """Steps; a checkpoint is written then, too."""
    seed: int = 0
    device: str = "cpu"
    """Where to look and learn: `cpu`, `cuda`, `cuda:1`, ..."""
    threads: int | None = None
    """CPU threads; as many as there are cores if not given."""
    tensorboard: bool = False
    """Write curves to `out` for TensorBoard (`pip install fitloop[train]`)."""

    def __post_init__(self) -> None:
        """Refuse what cannot run."""
        for folder in self.samples:
            if not (folder / "training").is_dir() or not (folder / "held-out").is_dir():
                raise ValueError(
                    f"{folder} has no folders training and held-out; make them with fitloop train-refinement --out."
                )
        unknown = [name for name in self.kinds if name not in KINDS]
        if unknown or not self.kinds or not self.samples:
            raise ValueError(
                f"samples must name a folder and kinds some of {', '.join(KINDS)}; "
                f"got {[str(folder) for folder in self.samples]} and {list(self.kinds)}."
            )
        if min(self.batch_size, self.evaluate_every) < 1 or not self.epochs > 0 or self.uncertainty < 0:
            raise ValueError("batch_size and evaluate_every are at least 1, uncertainty 0, and epochs is positive.")
        if not 0 <= self.hidden < 1 or not 0 <= self.unguessed <= 1:
            raise ValueError(f"hidden is in [0, 1) and unguessed in [0, 1], got {self.hidden} and {self.unguessed}.")
