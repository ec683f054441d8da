"""Sentences about bodies that are hardly those of people: what a user should look at first."""

from dataclasses import replace

import torch

from fitloop.fitting import FitConfig, Status
from fitloop.fitting.prior import load_pose_prior
from fitloop.fitting.terms import pose_prior
from fitloop.geometry import rotmat_to_rotvec
from fitloop.pipelines.chain.people import People

MOST_ENERGY = 500.0
"""Energy of the fit per keypoint seen, squared confidences counted. Of 53 people in the samples and 20 everyday photos
half lie below 34, all below 284. Two people of a street photo in Human3.6M's order or shuffled five times, under COCO's
names, lie at 455 to 762, 3 of 14 below the limit; reversed at 226 to 254, with swapped arms or legs at 93 to 145, with
all sides swapped as low as rightly named: these stay unnoticed."""
MOST_POSE = 120.0
"""Energy of the pose over the prior's lowest: 99.9 % of the motion capture lies below 116, the 53 people below 79."""
MOST_SHAPE = 5.0
"""Standard deviations of a shape coefficient, from which bones are no longer as long as people's: at most 1.7 there."""


def with_doubts(people: People) -> People:
    """Add a notice for each person whose fit is far worse than usual or whose limbs are impossible.

    Args:
        people: After their last stage; people without enough evidence have a status that says so, and no notice.
    """
    if people.fitted is None or len(people) == 0:
        return people
    told: list[str] = []
    status, params = people.fitted.status.cpu(), people.params.detach().to("cpu", torch.float32)
    judged = (status != int(Status.NOT_ENOUGH_EVIDENCE)) & (status != int(Status.DEGENERATE))
    seen = people.detections.confidence.detach().cpu().square().sum(-1).clamp_min(1.0)
    energy = people.fitted.energy.detach().cpu() / seen
    pose = pose_prior(rotmat_to_rotvec(params.body_pose).flatten(-2), load_pose_prior(FitConfig().pose_prior))
    shape = params.betas.abs().amax(-1)
    # Written so that a NaN is doubtful too.
    for row in judged.nonzero()[:, 0].tolist():
        if not bool(energy[row] <= MOST_ENERGY):
            told.append(
                f"Person {row} is probably wrong: the body lies far from its keypoints (energy {energy[row]:.0f} per "
                f"keypoint, usual are 10 to 100). Check the keypoints' names and order, and the focal length."
            )
        elif not bool(pose[row] <= MOST_POSE):
            told.append(f"Person {row} is doubtful: hardly anybody bends limbs like that (pose {pose[row]:.0f}).")
        elif not bool(shape[row] <= MOST_SHAPE):
            told.append(f"Person {row} is doubtful: its bones are longer or shorter than people's.")
    return replace(people, notices=people.notices + tuple(told))
