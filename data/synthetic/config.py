"""What a synthetic photo is like."""

from dataclasses import dataclass
from typing import Literal

Split = Literal["training", "held-out"]


@dataclass(frozen=True)
class SceneConfig:
    """How scenes are drawn at random; every range is a least and a greatest value."""

    height: int = 480
    """Pixels."""
    width: int = 640
    """Pixels."""
    split: Split = "training"
    """Which subjects, garments, skins and places may appear."""
    people: tuple[int, int] = (1, 3)
    """How many; the first is the main person."""
    person_height: tuple[float, float] = (0.4, 0.85)
    """Height of the main person on the picture, in heights of the picture."""
    focal: tuple[float, float] = (0.8, 2.2)
    """Focal length in diagonals of the picture."""
    free_camera: float = 0.2
    """Share of scenes seen from any height, with a background that does not match in perspective."""
    free_pitch: tuple[float, float] = (-30.0, 45.0)
    """Downward tilt of a free camera, degrees."""
    roll: float = 2.0
    """Standard deviation of the camera's roll, degrees."""
    airborne: float = 0.1
    """Share of people who do not touch the ground."""
    acrobatic: float = 0.1
    """Share of people in the hardest poses."""
    loose: float = 0.15
    """Share of people in coats, dresses and skirts."""
    truncated: float = 0.15
    """Share of main people cut by the border of the picture."""
    occluded: float = 0.2
    """Share of main people with something in front of them."""
    pose_noise: float = 0.05
    """Standard deviation of turns added to every joint, radians."""
    shape: float = 1.25
    """Standard deviation of the shape coefficients."""
    same_person: bool = False
    """Photos whose seeds differ in the last number only show one main person: shape, skin and clothes."""
    cc0_only: bool = False
    """Leave out garments whose licence asks for the author to be named."""
    maps: bool = True
    """Also give part labels, depth, normals and the silhouettes without occlusion."""

    def __post_init__(self) -> None:
        if min(self.height, self.width) < 32:
            raise ValueError(f"A picture needs at least 32 x 32 pixels, got {self.height} x {self.width}.")
        for name in ("people", "person_height", "focal", "free_pitch"):
            low, high = getattr(self, name)
            if low > high:
                raise ValueError(f"{name} runs from its least to its greatest value, got {low} to {high}.")
        if self.people[0] < 1:
            raise ValueError(f"A scene needs at least 1 person, got {self.people[0]}.")
        if self.person_height[0] <= 0 or self.focal[0] <= 0:
            raise ValueError("person_height and focal must be positive.")
        for name in ("free_camera", "airborne", "acrobatic", "loose", "truncated", "occluded"):
            if not 0.0 <= getattr(self, name) <= 1.0:
                raise ValueError(f"{name} is a share between 0 and 1, got {getattr(self, name)}.")
