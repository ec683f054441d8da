"""Options of the main job."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from fitloop.pipelines.console.options import refuse_ignored
from fitloop.refinement.person_texture import photo_and_person
from fitloop.rendering.backends import Backend

Starts = Literal["auto", "one", "four"]
_LEAVE_IN = "so leave out --no-refine and --no-fit."


@dataclass(frozen=True, kw_only=True)
class SourcesConfig:
    """Who finds the people of photos, who guesses their bodies, and through which camera."""

    detector: Literal["mediapipe", "mmpose", "rtmlib"] = "mediapipe"
    """Who finds people and their keypoints in the photo."""
    detector_config: str | None = None
    """mmpose: the model's config file."""
    detector_weights: str | None = None
    """mmpose: the model's checkpoint; rtmlib: an ONNX file, `lightweight`, `balanced`, `performance`, or
    `rtmo-s`, `rtmo-m`, `rtmo-l`."""
    boxes: Path | None = None
    """mmpose and rtmlib: a file with the people's boxes; the embedded detector finds them if not given."""
    finder: str | None = None
    """rtmlib: who finds the people where no boxes are given: `yolox`, or the ONNX file of a YOLOX person detector; the
    embedded detector if not given."""
    keypoints: Path | None = None
    """Keypoints or boxes from a file or folder instead of a detector: OpenPose JSON, COCO keypoint JSON, boxes."""
    regressor: str = "keypoints"
    """Who guesses bodies: `keypoints`, `proxy`, the path of a checkpoint, or `mean` for the mean pose."""
    body: str = "open"
    """`open`, or the path of a SMPL file of yours."""
    focal_length: float | None = None
    """Focal length in pixels (not millimetres) for every photo; EXIF or the photo's diagonal if not given."""
    field_of_view: float | None = None
    """Horizontal field of view in degrees instead of a focal length."""
    device: str = "cpu"
    """Where networks and fitting run: `cpu` or `cuda`."""
    threads: int | None = None
    """CPU threads of networks and fitting; as many as there are cores if not given."""

    def __post_init__(self) -> None:
        if self.threads is not None and self.threads < 1:
            raise ValueError(f"--threads must be at least 1, got {self.threads}.")
        seen, listed = self.detector, self.keypoints is not None
        refuse_ignored(
            self,
            {
                "detector": (not listed, "--keypoints says who is in the photos."),
                "detector_config": (seen == "mmpose" and not listed, "only --detector mmpose has a config file."),
                "detector_weights": (seen != "mediapipe" and not listed, "it is for --detector mmpose or rtmlib."),
                "boxes": (
                    seen != "mediapipe" and not listed,
                    "it is for --detector mmpose or rtmlib; a file of boxes alone is given as --keypoints.",
                ),
                "finder": (
                    seen == "rtmlib" and not listed and self.boxes is None,
                    "it is for --detector rtmlib without --boxes.",
                ),
                "focal_length": (self.field_of_view is None, "give --focal-length or --field-of-view, not both."),
            },
        )
        if self.focal_length is not None and not self.focal_length > 0:
            raise ValueError(f"--focal-length must be positive pixels, got {self.focal_length}.")
        if self.field_of_view is not None and not 0 < self.field_of_view < 180:
            raise ValueError(f"--field-of-view must lie between 0 and 180 degrees, got {self.field_of_view}.")


@dataclass(frozen=True, kw_only=True)
class StagesConfig(SourcesConfig):
    """Which stages run, and with what."""

    test_time: bool = False
    """Tune the regressor's weights to each person's own keypoints and silhouette before fitting (Tung et al. 2017)."""
    test_time_steps: int = 10
    """Steps of that tuning; each takes about a twentieth of a second a person with the shipped regressor."""
    fit: bool = True
    """Correct the guessed bodies by SMPLify."""
    pose_prior: str = "open"
    """What fits know of poses: `open` (a Gaussian mixture), `vae` (an autoencoder), `both`, or the path of a prior."""
    starts: Starts = "auto"
    """Where the fit starts: `one`, the guess alone; `four`, also the mean pose in four turns; `auto`, the guess, turned
    around too where the regressor is unsure and nothing else tells front from back; `mean` always gets its four."""
    refine: bool = True
    """Correct the fitted bodies by what the photo's pixels show, where that helps; `--no-fit` leaves it out too."""
    correction: bool = False
    """Before refinement compares pixels, correct pose and shape by a network that learned on drawn people: better on
    drawn people, worse on the real ones whose 3D is known (docs/refinement.md)."""
    offsets: bool = False
    """Move the refined bodies' vertices out to hair and clothes, where the silhouette shows them."""
    rasterizer: Backend = "auto"
    """Who draws bodies for refinement to compare: `numba` (CPU), `torch`, `pytorch3d` where it is installed; `auto`
    takes numba on a CPU, on CUDA PyTorch3D where it is installed, else torch."""
    texture: Path | None = None
    """A person's texture (`fitloop texture`) for refinement to compare with, worn by each photo's largest person."""
    texture_people: tuple[str, ...] = ()
    """Who wears it instead, each as PHOTO:PERSON, such as `a.jpg:0 b.jpg:1`; nobody does in other photos."""

    def __post_init__(self) -> None:
        super().__post_init__()
        refuse_ignored(
            self,
            {
                "test_time_steps": (self.test_time, "they are those of --test-time, so add it."),
                "pose_prior": (self.fit, "it is for fits, so leave out --no-fit."),
                "starts": (self.fit, "they are the fit's, so leave out --no-fit."),
                "rasterizer": (self.refines, f"it says who draws for refinement, {_LEAVE_IN}"),
                "correction": (self.refines, f"it is a part of refinement, {_LEAVE_IN}"),
                "offsets": (self.refines, f"they clothe refined bodies, {_LEAVE_IN}"),
                "texture": (self.refines, f"it is for refinement to compare with, {_LEAVE_IN}"),
                "texture_people": (self.texture is not None, "they say who wears a texture, so add --texture."),
            },
        )
        if self.test_time and self.regressor == "mean":
            raise ValueError("--test-time tunes a network, and --regressor mean has none; leave one of them out.")
        if self.test_time_steps < 1:
            raise ValueError(f"--test-time-steps must be at least 1, got {self.test_time_steps}.")
        for name in self.texture_people:
            photo_and_person(name)

    @property
    def refines(self) -> bool:
        """Whether bodies are refined: asked for, and there are fitted ones to start from."""
        return self.refine and self.fit
