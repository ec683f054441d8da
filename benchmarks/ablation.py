"""Each term and each kind of start, on or off: what it does to the error in 2D and 3D.

Starts: `benchmarks.people`'s two, and what the shipped regressor says of the detections.

python -m benchmarks ablation --mocap FILE --json OUT
"""

import logging
from dataclasses import replace

from benchmarks.metrics import Metric
from benchmarks.people import People
from benchmarks.scores import score
from fitloop.body import Body
from fitloop.fitting import AFTER_REGRESSION, FitConfig, StageConfig, fit
from fitloop.fitting.config import SMPLIFY_STAGES, SPIN_STAGES, Start
from fitloop.regressor import load_regressor

logger = logging.getLogger(__name__)

DEFAULT = FitConfig(stages=(StageConfig(landmarks=0.0),))
YAWS: tuple[Start, ...] = ("mean", "yaw90", "back", "yaw270")


def _with(config: FitConfig = DEFAULT, **changes: float) -> FitConfig:
    stages, told = (tuple(replace(one, **changes) for one in some) for some in (config.stages, config.told_stages))
    return replace(config, stages=stages, told_stages=told)


FOUR = replace(DEFAULT, starts=YAWS)
VARIANTS: dict[str, tuple[str, FitConfig]] = {
    "default": ("near", DEFAULT),
    "no_pose_prior": ("near", _with(pose_prior=0.3)),
    "pose_prior_4.78": ("near", _with(pose_prior=4.78)),
    "pose_prior_12": ("near", _with(pose_prior=12.0)),
    "no_angle_prior": ("near", _with(angle_prior=0.0)),
    "angle_prior_15.2": ("near", _with(angle_prior=15.2)),
    "no_shape_prior": ("near", _with(shape_prior=0.3)),
    "shape_prior_5": ("near", _with(shape_prior=5.0)),
    "scale_100": ("near", replace(DEFAULT, robust_scale=100.0)),
    "scale_25": ("near", replace(DEFAULT, robust_scale=25.0)),
    "scale_1e4": ("near", replace(DEFAULT, robust_scale=1e4)),
    "start_prior_3": ("near", _with(start_prior=3.0)),
    "start_prior_10": ("near", _with(start_prior=10.0)),
    "interpenetration": ("near", _with(interpenetration=300.0)),
    "landmarks_30": ("near", _with(landmarks=30.0)),
    "landmarks_100": ("near", _with(landmarks=100.0)),
    "camera_torso": ("near", replace(DEFAULT, camera_init="torso")),
    "camera_given": ("near", replace(DEFAULT, camera_init="none")),
    "schedule_smplify": ("near", replace(DEFAULT, stages=SMPLIFY_STAGES, robust_scale=100.0)),
    "schedule_spin": ("near", replace(DEFAULT, stages=SPIN_STAGES, robust_scale=100.0)),
    "side_flip": ("near", replace(DEFAULT, starts=("init", "side"))),
    "limb_flips": ("near", replace(DEFAULT, limb_flips=("left_arm", "right_arm", "left_leg", "right_leg"))),
    "mean": ("mean", DEFAULT),
    "mean_four_yaws": ("mean", FOUR),
    "mean_four_yaws_landmarks_30": ("mean", _with(FOUR, landmarks=30.0)),
    "mean_four_yaws_landmarks_50": ("mean", _with(FOUR, landmarks=50.0)),
    "mean_four_yaws_limb_flips": (
        "mean",
        replace(FOUR, limb_flips=("left_arm", "right_arm", "left_leg", "right_leg")),
    ),
    "near_and_four_yaws": ("near", replace(DEFAULT, starts=("init", *YAWS))),
    "regressed": ("regressed", DEFAULT),
    "regressed_held": ("regressed", _with(AFTER_REGRESSION, landmarks=0.0)),
    "regressed_landmarks": ("regressed", FitConfig()),
    "regressed_landmarks_held": ("regressed", AFTER_REGRESSION),
}


def run(body: Body, people: People) -> list[Metric]:
    """Fit all people under every variant."""
    metrics = []
    plain = replace(people.detections, landmarks=None, landmark_confidence=None)
    regressor = load_regressor("keypoints", body)
    for name, (start, config) in VARIANTS.items():
        logger.info("%s ...", name)
        if start == "regressed":
            seen = people.detections if config.stages[-1].landmarks > 0 else plain
            init = regressor(None, seen, people.truth.camera)
        else:
            init = getattr(people, start)
        result = fit(body, people.detections, init, config)
        found = score(body, result.estimate, people.truth, people.detections.convention)
        metrics += [
            Metric(f"ablation.{name}.error_2d", found.error_2d, "% of box side", "lower", 0.05),
            Metric(f"ablation.{name}.mpjpe", found.mpjpe, "mm", "lower", 0.05),
            Metric(f"ablation.{name}.pa_mpjpe", found.pa_mpjpe, "mm", "lower", 0.05),
            Metric(f"ablation.{name}.steps", float(result.steps.float().mean()), "steps", "none"),
        ]
    return metrics
