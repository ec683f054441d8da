"""Which photos the encoders of images learn from, and how they are changed."""

from dataclasses import dataclass, field
from pathlib import Path

from fitloop.data.augmentation import PixelAugmentation
from fitloop.data.detector_noise import NoiseConfig
from fitloop.data.part_noise import PartNoise
from fitloop.data.silhouette_noise import SilhouetteNoise
from fitloop.regressor.looks import AugmentationConfig

PHOTOS = 2**31 - 1
"""So many different ones there are at most: as good as without end."""


@dataclass(frozen=True)
class ImageSampling:
    """What the photos are like, and how they are changed."""

    assets: Path | None = None
    """Folder of skins, garments, backgrounds and poses (docs/synthetic.md); needed for encoders of images."""
    side: int = 256
    """Of the square photos, pixels."""
    texture_side: int = 256
    """Texels along the finest level of each texture."""
    photos: int = PHOTOS
    """Different photos to learn from."""
    held_out_photos: int | None = None
    """Different photos to measure on, of those kept apart; as many as ``photos`` if not given."""
    keep: Path | None = None
    """Folder in which photos are kept once drawn (68 kB each at 128 pixels); none draws them anew each time."""
    resampled: float = 0.0
    """Share of each batch that is drawn by how rare a pose is among the photos, so that near-identical ones do not
    drown the rest; draws and looks through all ``photos`` first."""
    views: AugmentationConfig = field(default_factory=AugmentationConfig)
    """Flip, turn and size of the crop."""
    pixels: PixelAugmentation = field(default_factory=PixelAugmentation)
    """Colours and occluders."""
    noise: NoiseConfig = field(default_factory=NoiseConfig)
    """Of the detector that the `proxy` encoder listens to."""
    silhouettes: SilhouetteNoise = field(default_factory=SilhouetteNoise)
    """Of the same detector."""
    parts: PartNoise = field(default_factory=PartNoise)
    """Of the segmentation that the `parts` encoder is given, where it does not find parts itself."""
    workers: int = 0
    """Processes that draw photos; 0 draws them where training runs."""

    def __post_init__(self) -> None:
        """Refuse what cannot be drawn."""
        if not 0.0 <= self.resampled <= 1.0:
            raise ValueError(f"resampled is a share in [0, 1], got {self.resampled}.")
        if self.resampled and (self.keep is None or self.photos == PHOTOS):
            raise ValueError("resampled looks through all photos first: give images.photos and images.keep.")
        if not 1 <= self.photos <= PHOTOS:
            raise ValueError(f"photos lies between 1 and {PHOTOS}, got {self.photos}.")
        if self.held_out_photos is not None and not 1 <= self.held_out_photos <= PHOTOS:
            raise ValueError(f"held_out_photos lies between 1 and {PHOTOS}, got {self.held_out_photos}.")
