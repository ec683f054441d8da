"""Sentences about bodies that are hardly those of people: what a user should look at first."""

from dataclasses import replace

import torch
from jaxtyping import Float
from torch import Tensor

from fitloop.body.kinematics import usable_keypoints
from fitloop.fitting import Status
from fitloop.fitting.terms import pose_prior
from fitloop.geometry import project, rotmat_to_rotvec
from fitloop.pipelines.chain.known import kinematics_of, usual_prior
from fitloop.pipelines.chain.people import People

FARTHEST = 0.04
"""Mean distance of the body from its keypoints, over the longer side of the person's box. Of 57 people in 40 everyday
photos half lie below 0.014 and all below 0.028. Their keypoints under COCO's names shuffled four times lie beyond the
limit in 93 to 100 of 100 cases, reversed in 84, arms named as legs in 63, arms with their sides exchanged in 30; with
all sides exchanged nobody is noticed, since a body can be turned around."""
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
    off = distance_from_keypoints(people)
    pose = pose_prior(rotmat_to_rotvec(params.body_pose).flatten(-2), usual_prior())
    shape = params.betas.abs().amax(-1)
    # Written so that a NaN is doubtful too.
    for row in judged.nonzero()[:, 0].tolist():
        if not bool(off[row] <= FARTHEST):
            told.append(
                f"Person {row} is probably wrong: the body lies far from its keypoints ({100 * off[row]:.1f} % of the "
                f"box on average, usual are 1 to 3). Check the keypoints' names and order, and the focal length."
            )
        elif not bool(pose[row] <= MOST_POSE):
            told.append(f"Person {row} is doubtful: hardly anybody bends limbs like that (pose {pose[row]:.0f}).")
        elif not bool(shape[row] <= MOST_SHAPE):
            told.append(f"Person {row} is doubtful: its bones are longer or shorter than people's.")
    return replace(people, notices=people.notices + tuple(told))


def distance_from_keypoints(people: People) -> Float[Tensor, "people"]:
    """Mean distance of each fitted body from its keypoints over the longer side of its box; squared confidences count.

    NaN where nothing was observed or the body is not finite.

    Args:
        people: After the fit.
    """
    assert people.fitted is not None
    usable = usable_keypoints(people.body, people.detections.convention)
    columns = list(usable.keypoints)
    estimate = people.fitted.estimate
    bodies = project(kinematics_of(people.body, usable.landmarks)(estimate.params), estimate.camera)
    weight = people.detections.confidence[:, columns].square()
    off = (bodies - people.detections.keypoints[:, columns]).norm(dim=-1)
    mean = torch.where(weight > 0, weight * off, 0.0).sum(-1) / weight.sum(-1)
    boxes = people.detections.boxes
    return (mean / (boxes[:, 2:] - boxes[:, :2]).amax(-1).clamp_min(1.0)).detach().cpu()
