"""Random people from held-out motion capture, as a detector would see them.

Noise is that of a good detector on people of middling size, counted in sides of the person's box: Gaussian, 2 %, at
wrists, ankles, hands and toes 4 %. Each keypoint is missed with 10 % and lies anywhere in the box with 3 %. In 3 % of
the people the arms are swapped below the shoulders, in 3 % the legs below the hips. Confidences fall with the noise
that was drawn, imperfectly.
"""

from dataclasses import dataclass, replace
from math import pi
from pathlib import Path

import torch
from torch import Tensor

from fitloop.body import Body, BodyEstimate, BodyParams, Detections, KeypointKinematics, convention_named, upright
from fitloop.data.mocap import full_pose, load_mocap
from fitloop.fitting import load_pose_prior
from fitloop.geometry import Camera, TensorRecord, project, rotvec_to_rotmat

NOISE = 0.02
NOISE_ENDS = 0.04
MISSED = 0.1
OUTLIERS = 0.03
SWAPPED = 0.03
ENDS = ("wrist", "ankle", "toe", "heel", "pinky", "index", "thumb", "hand", "foot")


@dataclass(frozen=True)
class People(TensorRecord):
    """Bodies, what was seen of them, and two places to start from."""

    truth: BodyEstimate
    detections: Detections
    near: BodyEstimate
    """As a regressor would start: right up to about 100 mm."""
    mean: BodyEstimate
    """The prior's mean pose, facing the camera."""


def make_people(body: Body, mocap: Path, count: int, convention: str = "body25", seed: int = 0) -> People:
    """Draw people.

    Args:
        body: Whose shapes.
        mocap: The file cmu_poses.npz; only held-out subjects are used.
        count: How many.
        convention: What the detector speaks.
        seed: Of everything.
    """
    generator = torch.Generator().manual_seed(seed)
    poses = full_pose(load_mocap(mocap).held_out().sample(count, generator))
    truth = _place(body, poses, generator)
    detections = detect(body, truth, convention, generator)
    return People(truth, detections, _near(truth, generator), _mean(truth))


def _place(body: Body, poses: Tensor, generator: torch.Generator) -> BodyEstimate:
    """Cameras of everyday photos: 35 to 75 degrees across 1000 pixels, level to within 15 degrees, 2.5 to 8 m away."""
    count = len(poses)

    def uniform(low: float, high: float) -> Tensor:
        return low + (high - low) * torch.rand(count, generator=generator)

    zero = torch.zeros(count)
    turn = rotvec_to_rotmat(torch.stack([zero, uniform(-pi, pi), zero], -1))
    tilt = rotvec_to_rotmat(torch.stack([0.13 * torch.randn(count, generator=generator), zero, zero], -1))
    facing = torch.diag(torch.tensor([1.0, -1.0, -1.0]))
    orient = tilt @ facing @ turn @ rotvec_to_rotmat(poses[:, 0])
    focal = 500.0 / torch.tan(0.5 * torch.deg2rad(uniform(35.0, 75.0)))
    depth = uniform(2.5, 8.0)
    across = torch.stack([uniform(-0.25, 0.25) * depth, uniform(-0.1, 0.1) * depth], -1)
    betas = torch.randn(count, body.num_betas, generator=generator)
    pelvis = torch.cat([across, depth[:, None]], -1)
    transl = pelvis - body.rest_joints(betas)[:, 0]
    params = BodyParams(orient, rotvec_to_rotmat(poses[:, 1:]), betas, transl)
    return BodyEstimate(params, Camera(focal, torch.full((count, 2), 500.0)), body.name)


def detect(body: Body, truth: BodyEstimate, convention: str, generator: torch.Generator) -> Detections:
    """See people as a detector does, in 2D and, as mediapipe, in 3D.

    Args:
        body: Of ``truth``.
        truth: The people.
        convention: What the detector speaks.
        generator: Source of randomness.
    """
    table = convention_named(convention)
    names = tuple(name or "pelvis" for name in table.landmarks)
    points = KeypointKinematics(body, names)(truth.params)
    exact = project(points, truth.camera)
    boxes = torch.cat([exact.amin(-2), exact.amax(-2)], -1)
    side = (boxes[:, 2:] - boxes[:, :2]).amax(-1)[:, None, None]
    ends = torch.tensor([any(end in name for end in ENDS) for name in table.keypoints])
    level = torch.where(ends, NOISE_ENDS, NOISE)[:, None]
    drawn = torch.randn(exact.shape, generator=generator)
    keypoints = exact + drawn * level * side
    anywhere = (
        boxes[:, None, :2] + torch.rand(exact.shape, generator=generator) * (boxes[:, 2:] - boxes[:, :2])[:, None]
    )
    outlier = torch.rand(exact.shape[:2], generator=generator) < OUTLIERS
    keypoints = torch.where(outlier[..., None], anywhere, keypoints)
    keypoints = _swap(keypoints, table.keypoints, generator)
    confidence = 1.0 - 0.15 * drawn.norm(dim=-1) - 0.3 * outlier * torch.rand(outlier.shape, generator=generator)
    missed = torch.rand(exact.shape[:2], generator=generator) < MISSED
    confidence = torch.where(missed, 0.0, confidence.clamp(0.2, 1.0))
    root = KeypointKinematics(body, ("mid_hip",))(truth.params)
    landmarks = points - root
    # A detector's depth is worse than its image coordinates, and its people are all of one size.
    wrong = torch.randn(points.shape, generator=generator) * torch.tensor([0.04, 0.04, 0.09])
    size = 1.0 + 0.1 * torch.randn(len(points), 1, 1, generator=generator)
    return Detections(keypoints, confidence, boxes, convention, (landmarks + wrong) * size, torch.ones_like(confidence))


def _swap(keypoints: Tensor, names: tuple[str, ...], generator: torch.Generator) -> Tensor:
    swapped = torch.rand(len(keypoints), 2, generator=generator) < SWAPPED
    result = keypoints.clone()
    for column, parts in enumerate((("elbow", "wrist"), ("knee", "ankle"))):
        for part in parts:
            if f"left_{part}" not in names:
                continue
            left, right = names.index(f"left_{part}"), names.index(f"right_{part}")
            rows = swapped[:, column].nonzero()[:, 0]
            result[rows, left], result[rows, right] = keypoints[rows, right], keypoints[rows, left]
    return result


def _near(truth: BodyEstimate, generator: torch.Generator) -> BodyEstimate:
    """A regressor's guess: every joint off by about 17 degrees, the root by 10, the mean shape, 3 % off in place."""
    params = truth.params
    count = len(params.transl)
    turns = rotvec_to_rotmat(0.17 * torch.randn(count, 24, 3, generator=generator))
    shift = 0.03 * params.transl[:, 2:] * torch.randn(count, 3, generator=generator)
    guess = replace(
        params,
        global_orient=params.global_orient @ turns[:, 0],
        body_pose=params.body_pose @ turns[:, 1:],
        betas=torch.zeros_like(params.betas),
        transl=params.transl + shift,
    )
    return replace(truth, params=guess)


def _mean(truth: BodyEstimate) -> BodyEstimate:
    count = len(truth.params.transl)
    pose = load_pose_prior().mean.to(torch.float32).view(-1, 3)
    start = replace(upright(count), body_pose=rotvec_to_rotmat(pose).expand(count, -1, 3, 3))
    return replace(truth, params=replace(start, transl=truth.params.transl))
