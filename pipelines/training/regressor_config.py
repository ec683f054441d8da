"""Options of training a regressor."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from fitloop.data.keypoint_samples import KeypointSampling
from fitloop.pipelines.lessons.image_sampling import ImageSampling
from fitloop.regressor import PRESETS, HMRConfig, LossConfig
from fitloop.regressor.hmr import HeadConfig


@dataclass(frozen=True, kw_only=True)
class TrainConfig:
    """How a regressor is trained. Started again with the same ``out``, training goes on where it stopped."""

    mocap: Path
    """The poses, ``cmu_poses.npz``; docs/training.md says where they come from."""
    out: Path = Path("runs/train")
    """Folder of checkpoints, metrics and the resolved config."""
    body: str = "open"
    """`open`, or the path of a SMPL file of yours."""
    model: HMRConfig = field(
        default_factory=lambda: HMRConfig(width=768, blocks=4, head=HeadConfig(3, 768, 0.0, uncertainty=256))
    )
    """The network."""
    loss: LossConfig = field(default_factory=lambda: PRESETS["keypoints"])
    """Weights of the losses."""
    sampling: KeypointSampling = field(default_factory=KeypointSampling)
    """People, cameras and detector mistakes to train the encoder of keypoints on."""
    detected: Path | None = None
    """For `keypoints`: folder of `fitloop train-refinement` with ``training/`` and ``held-out/``: drawn photos, and
    what the embedded detector really said of them."""
    detected_share: float = 0.3
    """Share of each batch that comes from there."""
    images: ImageSampling = field(default_factory=ImageSampling)
    """Photos to train the encoders of images on."""
    backbone: Path | None = None
    """Weights to start an encoder of images from: torchvision's, or others with its names."""
    segmenter: Path | None = None
    """For `parts`: weights of `fitloop train-parts`, which find parts in photos and stay as they are; not given, it
    learns from true part maps and cannot read photos."""
    start: str | None = None
    """For `keypoints` and `proxy`: what the network, or its keypoints half and head, start from: `keypoints` for the
    shipped weights, or a path."""
    start_rate: float = 0.1
    """Learning rate of what started from `start`, relative to that of the rest."""
    supervised: float = 1.0
    """Share of the people whose 3D joints and parameters are known; the others teach by their 2D keypoints alone."""
    silhouette_people: int = 16
    """People of each batch whose outlines are compared with masks, where `loss.silhouette` has a weight."""
    balanced: bool = True
    """Draw clips by the square root of their length; else every frame of the mocap is equally likely."""
    steps: int = 6000
    """Batches until the end."""
    batch_size: int = 1024
    """People per batch."""
    optimizer: Literal["adamw", "sgd"] = "adamw"
    """AdamW, or plain stochastic gradient descent."""
    momentum: float = 0.0
    """Of `sgd`."""
    learning_rate: float = 1e-3
    """Of the optimiser, after the warm-up."""
    warmup: int = 200
    """Steps over which the learning rate rises from 0."""
    flat: float = 0.3
    """Share of the steps with the full learning rate; after it follows a cosine to 0."""
    weight_decay: float = 0.01
    """Of the optimiser."""
    clip: float = 1.0
    """Longest gradient that is not shortened."""
    average: float = 0.998
    """Decay of the moving average of the weights, which is what is evaluated and kept."""
    discriminator_rate: float = 1e-4
    """Learning rate of the discriminator, where the loss has an adversarial weight."""
    precision: str = "bfloat16"
    """Of the layers: `bfloat16` or `float32`. Rotations and losses are always float32."""
    seed: int = 0
    """Of the weights and of all batches."""
    evaluate_every: int = 500
    """Steps between looks at held-out subjects; the best weights so far are kept."""
    evaluate_people: int = 4096
    """How many people of held-out subjects."""
    score: Literal["mpjpe", "pve"] = "mpjpe"
    """Held-out error by which the best weights are chosen and training stops early: of joints, or the mean distance of
    vertices, which takes a mesh per person."""
    patience: int = 20
    """Evaluations without a better result until training stops early."""
    stop_at: float | None = None
    """Bound of that error, mm: training stops as soon as held-out people are no worse."""
    save_every: int = 250
    """Steps between checkpoints to go on from."""
    device: str = "cpu"
    """Where to compute: `cpu`, `cuda`, `cuda:1`, ..."""
    threads: int | None = None
    """CPU threads; as many as there are cores if not given."""
    tensorboard: bool = False
    """Write curves to `out` for TensorBoard (`pip install fitloop[train]`)."""

    def __post_init__(self) -> None:
        """Refuse what cannot run."""
        self._check_encoder()
        if self.precision not in ("bfloat16", "float32"):
            raise ValueError(f"precision must be 'bfloat16' or 'float32', got {self.precision!r}.")
        if min(self.steps, self.batch_size, self.evaluate_every, self.save_every, self.patience) < 1:
            raise ValueError("steps, batch_size, evaluate_every, save_every and patience must be at least 1.")
        if not (self.learning_rate > 0 and 0 <= self.flat <= 1 and 0 <= self.average < 1 and 0 <= self.supervised <= 1):
            raise ValueError("learning_rate must be positive, flat and supervised in [0, 1] and average in [0, 1).")
        if not 0 <= self.momentum < 1 or (self.momentum and self.optimizer != "sgd"):
            raise ValueError(f"momentum is for the optimizer 'sgd' and in [0, 1), got {self.momentum}.")
        if self.stop_at is not None and not self.stop_at > 0:
            raise ValueError(f"stop_at is an error in millimetres, above 0, got {self.stop_at}.")
        if self.silhouette_people < 1:
            raise ValueError(f"silhouette_people must be at least 1, got {self.silhouette_people}.")
        if self.start_rate < 0:
            raise ValueError(f"start_rate must not be negative, got {self.start_rate}.")

    def _check_encoder(self) -> None:
        encoder = self.model.encoder
        if self.start is not None and encoder not in ("keypoints", "proxy"):
            raise ValueError("start is for the encoders 'keypoints' and 'proxy', which begin with a keypoints network.")
        if self.detected is not None and (encoder != "keypoints" or not 0.0 < self.detected_share <= 1.0):
            raise ValueError("detected is for the encoder 'keypoints', and detected_share in (0, 1].")
        if self.segmenter is not None and encoder != "parts":
            raise ValueError(f"segmenter is for the encoder 'parts', got {encoder!r}.")
        if encoder == "keypoints":
            if self.backbone is not None:
                raise ValueError("backbone is for encoders of images; the encoder of keypoints starts from nothing.")
            return
        if self.images.assets is None:
            raise ValueError(f"The encoder {encoder!r} learns from photos: give images.assets, their folder.")
