"""Options of the main job over a folder."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from fitloop.pipelines.chain.config import StagesConfig
from fitloop.pipelines.video.config import ClipsConfig

Output = Literal["meshes", "overlays", "page", "bvh", "rigged"]


@dataclass(frozen=True, kw_only=True)
class FolderConfig:
    """Which folder of photos, and what of it is written where."""

    images: Path
    """Folder of photos; folders below it are read too."""
    out: Path = Path("out")
    """Folder of the results; a run that was interrupted continues there."""
    outputs: tuple[Output, ...] = ("meshes", "overlays", "page")
    """What to write beside the results files."""
    batch_size: int = 8
    """Photos whose people are fitted together."""


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
