"""What every photo of a run is measured with, made once."""

from functools import lru_cache

from fitloop.body import Body, KeypointKinematics
from fitloop.fitting import FitConfig
from fitloop.fitting.prior import PosePrior, load_pose_prior
from fitloop.fitting.vae_prior import VaePrior


@lru_cache(maxsize=8)
def kinematics_of(body: Body, landmarks: tuple[str, ...]) -> KeypointKinematics:
    """Bodies to landmarks."""
    return KeypointKinematics(body, landmarks)


@lru_cache(maxsize=1)
def usual_prior() -> PosePrior | VaePrior:
    """The prior that every fit uses unless told otherwise; whichever a run fits with, poses are judged by this one."""
    return load_pose_prior(FitConfig().pose_prior)
