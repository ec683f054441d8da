"""Options of the main job over a folder."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from fitloop.data.addresses import address_of
from fitloop.pipelines.chain.config import StagesConfig
from fitloop.pipelines.video.config import ClipsConfig

Output = Literal["meshes", "overlays", "page", "bvh", "rigged"]


@dataclass(frozen=True, kw_only=True)
class FolderConfig:
    """Which folder of photos, and what of it is written where."""

    images: Path
    """Folder of photos and clips, or an address such as s3://bucket/photos; folders below it are read too. Or one photo
    or one clip."""
    out: Path = Path("out")
    """Folder of the results, or an address; a run that was interrupted continues there."""
    outputs: tuple[Output, ...] = ("meshes", "overlays", "page")
    """What to write beside the results files."""
    batch_size: int = 8
    """Photos whose people are fitted together."""
    workers: int | None = None
    """So many processes of this machine share the photos (docs/scale.md); this process alone if not given.
    Needs `pip install fitloop[scale]`."""
    scheduler: str | None = None
    """Address of a Dask scheduler, such as tcp://node1:8786, whose workers share the photos. Needs
    `pip install fitloop[scale]`."""


# The folder comes second so that its options come first in --help.
@dataclass(frozen=True, kw_only=True)
class RunConfig(StagesConfig, ClipsConfig, FolderConfig):
    """A folder of photos in, posed bodies out: finds people, guesses their bodies (HMR), corrects them (SMPLify)."""

    def __post_init__(self) -> None:
        super().__post_init__()
        # Impossible times are told before anything is read.
        _ = self.sampling
        if self.batch_size < 1:
            raise ValueError(f"--batch-size must be at least 1, got {self.batch_size}.")
        if self.workers is not None and self.workers < 1:
            raise ValueError(f"--workers must be at least 1, got {self.workers}.")
        if self.workers is not None and self.scheduler is not None:
            raise ValueError("Give --workers for processes of this machine or --scheduler for a cluster, not both.")

    @property
    def scaled(self) -> bool:
        """Whether photos or results lie at an address, or several processes share the work."""
        asked = self.workers is not None or self.scheduler is not None
        return asked or address_of(self.images) is not None or address_of(self.out) is not None
