"""Options of the page in the browser."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from fitloop.pipelines.chain.config import StagesConfig
from fitloop.pipelines.folder.config import RunConfig

FASTEST = 30.0
"""Frames per second that are taken of a clip at most."""


@dataclass(frozen=True, kw_only=True)
class DemoConfig:
    """A page in the browser: drop a photo or a clip, turn its bodies around, take them away as files."""

    host: str = "127.0.0.1"
    """Address to listen at; by default only this machine's own browser gets in. There is no password."""
    port: int = 7860
    """Port to listen at; 0 takes a free one."""
    max_megabytes: float = 100.0
    """Larger files are refused."""
    max_megapixels: float = 50.0
    """Photos and frames with more pixels are refused from their header, before they are decoded."""
    max_seconds: float = 30.0
    """Longer clips are refused."""
    max_minutes: float = 15.0
    """Work on one file that takes longer is ended."""
    queue: int = 8
    """Files that may wait at a time; one is worked on."""
    keep_minutes: float = 30.0
    """Results are deleted after this time, uploads as soon as they have been worked on, all at the end."""
    detector: Literal["mediapipe", "rtmlib"] = "mediapipe"
    """Who finds people and their keypoints."""
    regressor: str = "keypoints"
    """Who guesses bodies: `keypoints`, `proxy`, the path of a checkpoint, or `mean` for the mean pose."""
    body: str = "open"
    """`open`, or the path of a SMPL file of yours; the page then hands its data to whoever looks."""
    refine: bool = True
    """Correct the fitted bodies of photos by what the pixels show, where that helps."""
    device: str = "cpu"
    """Where networks and fitting run: `cpu` or `cuda`."""
    threads: int | None = None
    """CPU threads of networks and fitting; as many as there are cores if not given."""

    def __post_init__(self) -> None:
        for name in ("max_megabytes", "max_megapixels", "max_seconds", "max_minutes", "keep_minutes"):
            if not getattr(self, name) > 0:
                raise ValueError(f"--{name.replace('_', '-')} must be positive, got {getattr(self, name)}.")
        if self.queue < 1:
            raise ValueError(f"--queue must be at least 1, got {self.queue}.")
        if not 0 <= self.port <= 65535:
            raise ValueError(f"--port lies between 0 and 65535, got {self.port}.")

    @property
    def stages(self) -> StagesConfig:
        """The same as the stages want it."""
        return StagesConfig(
            detector=self.detector,
            regressor=self.regressor,
            body=self.body,
            refine=self.refine,
            device=self.device,
            threads=self.threads,
        )

    def run(self, images: Path, out: Path, frame_rate: float | None = None) -> RunConfig:
        """The main job over a folder that holds one file.

        Args:
            images: The folder.
            out: Folder of its results.
            frame_rate: Frames per second of a clip, if it is one.
        """
        return RunConfig(
            images=images,
            out=out,
            outputs=("meshes", "page", "bvh", "rigged"),
            frames_per_second=None if frame_rate is None or frame_rate <= FASTEST else FASTEST,
            # A clip may be longer than it says.
            end=None if frame_rate is None else self.max_seconds,
            detector=self.detector,
            regressor=self.regressor,
            body=self.body,
            # Refinement is for photos.
            refine=self.refine and frame_rate is None,
            device=self.device,
            threads=self.threads,
        )
