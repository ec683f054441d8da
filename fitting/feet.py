"""Feet that rest stay where they are: the root follows the feet that carry, and each leg makes up for the rest.

After Kovar, Schreiner and Gleicher, "Footskate cleanup for motion capture editing" (2002): the legs are solved in
closed form, hip and knee only, the feet keep their turn.
"""

from dataclasses import replace

import numpy as np
import roma
import torch
from jaxtyping import Bool, Float
from scipy.ndimage import gaussian_filter1d
from torch import Tensor

from fitloop.body import JOINT_NAMES, Body, BodyParams, KeypointKinematics
from fitloop.body.params import JOINT_PARENTS
from fitloop.fitting.contacts import foot_points, runs
from fitloop.geometry import rotmat_to_rotvec, rotvec_to_rotmat

_SWING = 0.05
"""How much a foot in the air counts for where the root goes, beside one that carries."""
_ROOT_SECONDS = 0.1
"""Standard deviation over which the root's correction is smoothed."""
_REACH = 0.998
"""Of the leg's length: farther, the knee would lock."""
_PIVOT = 0.35
"""Radians: a foot that turns farther during a stance is left to turn."""
_LEGS = (("left_hip", "left_knee", "left_ankle"), ("right_hip", "right_knee", "right_ankle"))


def hold_feet(
    body: Body, params: BodyParams, resting: Bool[np.ndarray, "frames feet points"], frame_rate: float
) -> BodyParams:
    """Correct a motion so that points of the feet do not move while they rest.

    Args:
        body: The body model.
        params: One row per frame, frame of a camera that stands still.
        resting: See `fitloop.fitting.contacts.resting_points`.
        frame_rate: Frames per second.
    """
    if not resting.any():
        return params
    for foot, leg in enumerate(_LEGS):
        params = _still_foot(params, JOINT_NAMES.index(leg[-1]), resting[:, foot].all(-1))
    points = foot_points(body, params).detach().double().cpu().numpy()
    shifts = np.stack([_shift(points[:, foot], resting[:, foot]) for foot in range(2)], 1)
    carries = resting.any(-1) + _SWING
    root = (shifts * carries[..., None]).sum(1) / carries.sum(1)[:, None]
    root = gaussian_filter1d(root, _ROOT_SECONDS * frame_rate, axis=0, mode="nearest")
    like = params.transl
    moved = replace(params, transl=like + torch.from_numpy(root).to(like))
    for foot, leg in enumerate(_LEGS):
        moved = _bend(body, moved, leg, torch.from_numpy(shifts[:, foot] - root).to(like))
    return moved


def _still_foot(params: BodyParams, ankle: int, flat: Bool[np.ndarray, "frames"]) -> BodyParams:
    """Keep the turn of a foot that rests on heel and toe; between stances the correction goes over evenly."""
    turns = _global_rotations(params)
    own = turns[:, ankle]
    correction, known = np.zeros((len(flat), 3)), np.zeros(len(flat), dtype=bool)
    for start, end in runs(flat):
        mean = roma.special_procrustes(own[start:end].mean(0))
        turned = rotmat_to_rotvec(mean @ own[start:end].mT)
        # Who turns on the spot does turn.
        if float(turned.norm(dim=-1).max()) < _PIVOT:
            correction[start:end], known[start:end] = turned.detach().cpu().numpy(), True
    held = rotvec_to_rotmat(torch.from_numpy(_between_known(correction, known)).to(own)) @ own
    pose = params.body_pose.clone()
    pose[:, ankle - 1] = turns[:, JOINT_PARENTS[ankle]].mT @ held
    return replace(params, body_pose=pose)


def _between_known(values: Float[np.ndarray, "frames 3"], known: Bool[np.ndarray, "frames"]) -> np.ndarray:
    """Values of frames that have none, evenly between their neighbours'."""
    if not known.any():
        return values
    every, there = np.arange(len(values)), np.flatnonzero(known)
    return np.stack([np.interp(every, there, values[there, axis]) for axis in range(3)], -1)


def _shift(
    points: Float[np.ndarray, "frames points 3"], resting: Bool[np.ndarray, "frames points"]
) -> Float[np.ndarray, "frames 3"]:
    """How far a foot must be moved in each frame so that what rests stays; between stances it goes over evenly."""
    shift = np.zeros((len(points), 3))
    known = np.zeros(len(points), dtype=bool)
    for start, end in runs(resting.any(-1)):
        for frame in range(start + 1, end):
            staying = resting[frame] & resting[frame - 1]
            step = (points[frame] - points[frame - 1])[staying].mean(0) if staying.any() else np.zeros(3)
            shift[frame] = shift[frame - 1] - step
        # The place where the foot rests is its mean place: half of the drift is corrected each way.
        shift[start:end] -= shift[start:end].mean(0)
        known[start:end] = True
    return _between_known(shift, known)


def _bend(body: Body, params: BodyParams, leg: tuple[str, str, str], shift: Float[Tensor, "frames 3"]) -> BodyParams:
    """Move an ankle by bending hip and knee; the foot keeps its turn in the camera frame."""
    hip, knee, ankle = (JOINT_NAMES.index(name) for name in leg)
    at = KeypointKinematics(body, JOINT_NAMES)(params)
    turns = _global_rotations(params)
    thigh, shank = at[:, knee] - at[:, hip], at[:, ankle] - at[:, knee]
    goal = at[:, ankle] + shift - at[:, hip]
    long, short = thigh.norm(dim=-1), shank.norm(dim=-1)
    reach = goal.norm(dim=-1).clamp(min=(long - short).abs() + 1e-3)
    reach = torch.minimum(reach, torch.maximum(_REACH * (long + short), (thigh + shank).norm(dim=-1)))
    # The knee turns about its own hinge, so a leg that is nearly straight bends the way knees do.
    hinge = torch.linalg.cross(thigh, shank)
    hinge = torch.where(hinge.norm(dim=-1, keepdim=True) > 0.05 * (long * short)[:, None], hinge, turns[:, hip, :, 0])
    hinge = torch.nn.functional.normalize(hinge, dim=-1)
    before = _outer_angle(long, short, (thigh + shank).norm(dim=-1))
    flexed = rotvec_to_rotmat(hinge * (_outer_angle(long, short, reach) - before)[:, None])
    whole = thigh + (flexed @ shank[..., None])[..., 0]
    swung = _between(whole, goal)
    new_hip = swung @ turns[:, hip]
    new_knee = swung @ flexed @ turns[:, knee]
    pose = params.body_pose.clone()
    parent = JOINT_PARENTS[hip]
    pose[:, hip - 1] = turns[:, parent].mT @ new_hip
    pose[:, knee - 1] = new_hip.mT @ new_knee
    pose[:, ankle - 1] = new_knee.mT @ turns[:, ankle]
    return replace(params, body_pose=pose)


def _global_rotations(params: BodyParams) -> Float[Tensor, "frames joints 3 3"]:
    found: list[Tensor] = []
    for joint, parent in enumerate(JOINT_PARENTS):
        own = params.rotations[:, joint]
        found.append(own if parent < 0 else found[parent] @ own)
    return torch.stack(found, 1)


def _outer_angle(long: Tensor, short: Tensor, reach: Tensor) -> Tensor:
    """How far the knee is bent, radians, where hip and ankle are this far apart: 0 for a straight leg."""
    cosine = (reach.square() - long.square() - short.square()) / (2.0 * long * short)
    return torch.acos(cosine.clamp(-1.0, 1.0))


def _between(first: Float[Tensor, "frames 3"], second: Float[Tensor, "frames 3"]) -> Float[Tensor, "frames 3 3"]:
    """The smallest rotation from one direction to another."""
    a, b = (torch.nn.functional.normalize(vector, dim=-1) for vector in (first, second))
    axis = torch.linalg.cross(a, b)
    angle = torch.atan2(axis.norm(dim=-1), (a * b).sum(-1))
    return rotvec_to_rotmat(torch.nn.functional.normalize(axis, dim=-1) * angle[:, None])
