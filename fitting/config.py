"""How `fit` works, as data: weights, stages, starts."""

from dataclasses import dataclass
from typing import Literal

from fitloop.fitting.solver import SolverConfig

Group = Literal["global_orient", "transl", "body_pose", "betas"]
Start = Literal["init", "side", "mean", "yaw90", "back", "yaw270"]
Limb = Literal["left_arm", "right_arm", "left_leg", "right_leg"]
GROUPS: tuple[Group, ...] = ("global_orient", "transl", "body_pose", "betas")


@dataclass(frozen=True)
class StageConfig:
    """One minimisation. Weights are linear on residuals as in SMPLify, so their squares multiply the energies."""

    free: tuple[Group, ...] = GROUPS
    """What may move."""
    keypoints: Literal["all", "torso"] = "all"
    """Which keypoints count: SMPLify's camera stage looks at hips and shoulders only."""
    pose_prior: float = 8.5
    """Of the Gaussian mixture over poses (SPIN: 4.78)."""
    angle_prior: float = 3.0
    """Of elbows and knees bending the wrong way (SPIN: 15.2)."""
    shape_prior: float = 2.25
    """Of the shape coefficients (SPIN: 5)."""
    robust_scale: float | None = None
    """Geman-McClure scale of this stage; None: that of `FitConfig`."""
    depth_prior: float = 0.0
    """Per metre that the depth departs from the stage's start: 100 in SMPLify's camera stage."""
    landmarks: float = 30.0
    """Per metre of distance to the detector's 3D landmarks, where it gave any."""
    surface: float = 0.35
    """Of the distance between vertices and where they were seen, where the caller says where."""
    surface_scale: float = 12.0
    """Geman-McClure scale of that distance, in pixels of the 224-pixel crop."""
    interpenetration: float = 0.0
    """Per metre that the capsules of two limbs overlap."""
    start_prior: float = 0.0
    """Per radian that the root or a joint turns away from the start, and per unit of shape."""
    usual_turn: float | None = None
    """Where the start says how sure it is: the standard deviation, in radians, of a joint that is held just as firmly
    as `start_prior` says; surer ones are held more. None holds all alike."""
    usual_shape: float = 0.5
    """The same of the shape coefficients."""
    firmest: float = 2.5
    """At most so many times more, or less, firmly."""
    place_prior: float = 0.0
    """Per metre away from the start."""
    solver: SolverConfig = SolverConfig(max_steps=20, tolerance=3e-3, damping=0.1)

    def __post_init__(self) -> None:
        unknown = [group for group in self.free if group not in GROUPS]
        if unknown or not self.free:
            raise ValueError(f"free must name some of {', '.join(GROUPS)}; got {list(self.free)}.")
        for name in (
            "pose_prior",
            "angle_prior",
            "shape_prior",
            "depth_prior",
            "landmarks",
            "start_prior",
            "place_prior",
            "interpenetration",
            "surface",
        ):
            if not getattr(self, name) >= 0:
                raise ValueError(f"{name} must not be negative, got {getattr(self, name)}.")
        for name, least in (("surface_scale", 0.0), ("usual_shape", 0.0), ("firmest", 1.0)):
            if not getattr(self, name) > least:
                raise ValueError(f"{name} must be more than {least:g}, got {getattr(self, name)}.")
        if self.usual_turn is not None and not self.usual_turn > 0:
            raise ValueError(f"usual_turn must be positive or None, got {self.usual_turn}.")


_CAMERA_STAGE = StageConfig(
    free=("global_orient", "transl"),
    keypoints="torso",
    pose_prior=0.0,
    angle_prior=0.0,
    shape_prior=0.0,
    depth_prior=100.0,
    landmarks=0.0,
)
"""Where the body stands and how it is turned, from the torso: the first stage of both schedules."""
SMPLIFY_STAGES = (
    _CAMERA_STAGE,
    StageConfig(pose_prior=404.0, angle_prior=0.317 * 404.0, shape_prior=100.0, landmarks=0.0),
    StageConfig(pose_prior=404.0, angle_prior=0.317 * 404.0, shape_prior=50.0, landmarks=0.0),
    StageConfig(pose_prior=57.4, angle_prior=0.317 * 57.4, shape_prior=10.0, landmarks=0.0),
    StageConfig(pose_prior=4.78, angle_prior=0.317 * 4.78, shape_prior=5.0, landmarks=0.0),
)
"""The schedule of the original SMPLify (Bogo et al. 2016): the camera over the torso, then four body stages."""
SPIN_STAGES = (
    _CAMERA_STAGE,
    StageConfig(
        free=("global_orient", "body_pose", "betas"), pose_prior=4.78, angle_prior=15.2, shape_prior=5.0, landmarks=0.0
    ),
)
"""The schedule of SPIN's in-loop fitter (Kolotouros et al. 2019): the camera over the torso, then the body."""


@dataclass(frozen=True)
class FitConfig:
    """How `fit` turns detections into a body. Energies are in squared pixels of a person scaled to a 224-pixel crop.

    config = fitloop.FitConfig(starts=("init", "mean"))
    found = fitloop.fit(body, seen, guess, config)
    """

    stages: tuple[StageConfig, ...] = (StageConfig(),)
    """Run in order; the weights of the last one define the energy that is reported and compared."""
    told_stages: tuple[StageConfig, ...] = ()
    """Run instead where the start says how sure it is; if there are none, `stages` run for such starts too."""
    starts: tuple[Start, ...] = ("init",)
    """Tried side by side; the lowest energy wins. ``init`` is the caller's."""
    robust_scale: float = 60.0
    """Geman-McClure scale, in pixels of the 224-pixel crop (SMPLify and SPIN: 100)."""
    doubtful_starts: tuple[Start, ...] = ()
    """Tried too for those whose start is unsure which way they face and of whom no 3D landmarks were seen."""
    doubtful_root: float = 0.8
    """Standard deviation of the root, radians, from which a start counts as unsure which way a person faces."""
    limb_flips: tuple[Limb, ...] = ()
    """Limbs whose depth is mirrored in the best fit, one by one, to see whether a fit from there is better."""
    camera_init: Literal["none", "torso", "least_squares"] = "least_squares"
    """How the translation starts: as given, by similar triangles over the torso (SMPLify), or in closed form."""
    ignored: tuple[str, ...] = ()
    """Keypoints of the convention that are left out, by name."""
    min_keypoints: int = 4
    """With fewer observed keypoints a row keeps its start and is flagged."""
    pose_prior: str = "open"
    """``open`` (a Gaussian mixture), ``vae`` (an autoencoder), ``both``, or the path of a file (`load_pose_prior`)."""

    def __post_init__(self) -> None:
        if not self.robust_scale > 0:
            raise ValueError(f"robust_scale must be positive, got {self.robust_scale}.")
        if not self.stages:
            raise ValueError("stages is empty; give at least one StageConfig.")
        if not self.starts:
            raise ValueError("starts is empty; give at least one, for example 'init'.")
        if not self.doubtful_root > 0:
            raise ValueError(f"doubtful_root must be positive, got {self.doubtful_root}.")


AFTER_REGRESSION = FitConfig(
    stages=(StageConfig(pose_prior=5.0, landmarks=20.0, start_prior=12.0),),
    told_stages=(StageConfig(pose_prior=2.0, landmarks=4.0, start_prior=12.0, usual_turn=0.25),),
    robust_scale=40.0,
)
"""For starts that a regressor guessed, as the main job has them: the guess itself is evidence of what 2D cannot tell.

A guess that says how sure it is of each joint replaces most of the prior over poses, and most of what the detector's 3D
landmarks tell, which the regressor has read. Weights by measurement on people with known 3D and on gymnasts' 2D joints
(docs/fitting.md).
"""
