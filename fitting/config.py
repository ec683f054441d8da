"""How `fit` works, as data: weights, stages, starts."""

from dataclasses import dataclass
from typing import Literal

from fitting.solver import SolverConfig

Group = Literal["global_orient", "transl", "body_pose", "betas"]
Start = Literal["init", "side", "mean", "yaw90", "back", "yaw270"]
GROUPS: tuple[Group, ...] = ("global_orient", "transl", "body_pose", "betas")


@dataclass(frozen=True)
class StageConfig:
    """One minimisation. Weights are linear on residuals as in SMPLify, so their squares multiply the energies."""

    free: tuple[Group, ...] = GROUPS
    """What may move."""
    keypoints: Literal["all", "torso"] = "all"
    """Which keypoints count: SMPLify's camera stage looks at hips and shoulders only."""
    pose_prior: float = 4.78
    """Of the Gaussian mixture over poses."""
    angle_prior: float = 15.2
    """Of elbows and knees bending the wrong way."""
    shape_prior: float = 5.0
    """Of the shape coefficients."""
    depth_prior: float = 0.0
    """Per metre that the depth departs from the stage's start: 100 in SMPLify's camera stage."""
    landmarks: float = 0.0
    """Per metre of distance to the detector's 3D landmarks, where it gave any."""
    start_prior: float = 0.0
    """Per radian and unit of shape away from the start."""
    solver: SolverConfig = SolverConfig()

    def __post_init__(self) -> None:
        unknown = [group for group in self.free if group not in GROUPS]
        if unknown or not self.free:
            raise ValueError(f"free must name some of {', '.join(GROUPS)}; got {list(self.free)}.")
        for name in ("pose_prior", "angle_prior", "shape_prior", "depth_prior", "landmarks", "start_prior"):
            if not getattr(self, name) >= 0:
                raise ValueError(f"{name} must not be negative, got {getattr(self, name)}.")


DEFAULT_STAGES = (
    StageConfig(free=("global_orient", "transl"), solver=SolverConfig(max_steps=10, tolerance=1e-2)),
    StageConfig(solver=SolverConfig(max_steps=30, tolerance=1e-3)),
)


@dataclass(frozen=True)
class FitConfig:
    """How `fit` turns detections into a body. Energies are in squared pixels of a person scaled to a 224-pixel crop."""

    stages: tuple[StageConfig, ...] = DEFAULT_STAGES
    """Run in order; the weights of the last one define the energy that is reported and compared."""
    starts: tuple[Start, ...] = ("init",)
    """Tried side by side; the lowest energy wins. ``init`` is the caller's."""
    robust_scale: float = 100.0
    """Geman-McClure scale, in pixels of the 224-pixel crop (SMPLify and SPIN: 100)."""
    camera_init: Literal["none", "torso", "least_squares"] = "least_squares"
    """How the translation starts: as given, by similar triangles over the torso (SMPLify), or in closed form."""
    ignored: tuple[str, ...] = ()
    """Keypoints of the convention that are left out, by name."""
    min_keypoints: int = 4
    """With fewer observed keypoints a row keeps its start and is flagged."""
    pose_prior: str = "open"
    """``open`` or the path of a file as SMPLify's gmm_08.pkl."""

    def __post_init__(self) -> None:
        if not self.robust_scale > 0:
            raise ValueError(f"robust_scale must be positive, got {self.robust_scale}.")
        if not self.stages:
            raise ValueError("stages is empty; give at least one StageConfig.")
        if not self.starts:
            raise ValueError("starts is empty; give at least one, for example 'init'.")
