"""Options of the main job."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from fitloop.refinement.person_texture import photo_and_person
from fitloop.rendering.backends import Backend


@dataclass(frozen=True, kw_only=True)
class StagesConfig:
    """Which stages run, and with what."""

    detector: Literal["mediapipe", "mmpose", "rtmlib"] = "mediapipe"
    """Who finds people and their keypoints in the photo."""
    detector_config: str | None = None
    """mmpose: the model's config file."""
    detector_weights: str | None = None
    """mmpose: the model's checkpoint; rtmlib: an ONNX file, or `lightweight`, `balanced`, `performance`."""
    boxes: Path | None = None
    """mmpose and rtmlib: a file with the people's boxes; the embedded detector finds them if not given."""
    keypoints: Path | None = None
    """Keypoints or boxes from a file or folder instead of a detector: OpenPose JSON, COCO keypoint JSON, boxes."""
    regressor: str = "keypoints"
    """`keypoints`, `proxy`, the path of a checkpoint, or `mean` for the mean pose."""
    fit: bool = True
    """Correct the regressed bodies by SMPLify."""
    refine: bool = False
    """Correct the fitted bodies by what the photo's pixels show, where that helps."""
    offsets: bool = False
    """Move the refined bodies' vertices out to hair and clothes, where the silhouette shows them."""
    rasterizer: Backend = "auto"
    """Who draws bodies for refinement to compare: `numba` (CPU), `torch`, `pytorch3d` where it is installed; `auto`
    takes numba on a CPU, on CUDA PyTorch3D where it is installed, else torch."""
    texture: Path | None = None
    """A person's texture from `fitloop texture`, for refinement to compare with: the largest person of each photo
    wears it."""
    texture_people: tuple[str, ...] = ()
    """Who wears the texture instead, each as PHOTO:PERSON, such as `a.jpg:0 b.jpg:1`; nobody does in other photos."""
    body: str = "open"
    """`open`, or the path of a SMPL file of yours."""
    focal_length: float | None = None
    """Focal length in pixels for every photo; EXIF or the photo's diagonal if not given."""
    field_of_view: float | None = None
    """Horizontal field of view in degrees instead of a focal length."""
    device: str = "cpu"
    """Where networks and fitting run: `cpu` or `cuda`."""
    threads: int | None = None
    """CPU threads of networks and fitting; as many as there are cores if not given."""

    def __post_init__(self) -> None:
        if self.refine and not self.fit:
            raise ValueError("--refine starts from fitted bodies: leave out --no-fit.")
        if self.offsets and not self.refine:
            raise ValueError("--offsets clothe refined bodies: add --refine.")
        if self.rasterizer != "auto" and not self.refine:
            raise ValueError("--rasterizer says who draws for refinement: add --refine.")
        self._check_texture()
        if self.focal_length is not None and self.field_of_view is not None:
            raise ValueError("Give --focal-length or --field-of-view, not both.")
        if self.focal_length is not None and not self.focal_length > 0:
            raise ValueError(f"--focal-length must be positive pixels, got {self.focal_length}.")
        if self.field_of_view is not None and not 0 < self.field_of_view < 180:
            raise ValueError(f"--field-of-view must lie between 0 and 180 degrees, got {self.field_of_view}.")

    def _check_texture(self) -> None:
        if self.texture is not None and not self.refine:
            raise ValueError("--texture is for refinement to compare with: add --refine.")
        if self.texture_people and self.texture is None:
            raise ValueError("--texture-people says who wears a texture: add --texture.")
        for name in self.texture_people:
            photo_and_person(name)
