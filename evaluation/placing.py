"""Where a protocol's joints of each person are, whatever the file held: parameters, joints or keypoints."""

from collections.abc import Mapping
from dataclasses import dataclass, field, fields

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from fitloop.body import Body, BodyParams, KeypointKinematics, convention_named
from fitloop.body.keypoints import CONVENTIONS, DERIVED_LANDMARKS
from fitloop.evaluation.people import ScoredPeople
from fitloop.evaluation.protocols import Protocol
from fitloop.evaluation.surfaces import Surface, surface_of
from fitloop.geometry import project

H36M_TO_3DHP = (6, 5, 4, 1, 2, 3, 16, 15, 14, 11, 12, 13, 8, 10, 0, 7, 9)
"""Rows of Human3.6M's regressor in the order of the 17 test joints (SPIN, ``H36M_TO_J17``)."""
GENDERS = ("male", "female")


@dataclass(frozen=True)
class Bodies:
    """The bodies that parameters are posed with."""

    by_name: Mapping[str, Body]
    """By the name that files carry; ``smpl`` for SPIN's files, ``male`` and ``female`` for gendered truth."""
    h36m_regressor: Float[Tensor, "17 vertices"] | None = None
    """``J_regressor_h36m`` of the user; named landmarks stand in for it where it is not given."""
    kinematics: dict[tuple[str, tuple[str, ...]], KeypointKinematics] = field(default_factory=dict)
    surfaces: dict[str, Surface] = field(default_factory=dict)

    def body(self, name: str) -> Body:
        """Look up a body.

        Raises:
            ValueError: If it was not loaded; names those that were and says how to give it.
        """
        if name not in self.by_name:
            option = f"--{name}-body" if name in GENDERS else "--body"
            raise ValueError(
                f"Body {name!r} is needed to pose these parameters; loaded: {', '.join(self.by_name)}. "
                f"Give the path of its file with {option}."
            )
        return self.by_name[name]

    def fitting(self, name: str, params: BodyParams) -> Body:
        """The body that parameters are of.

        Raises:
            ValueError: If it was not loaded, or has another number of shape coefficients.
        """
        body = self.body(name)
        if params.betas.shape[-1] != body.num_betas:
            raise ValueError(
                f"The parameters have {params.betas.shape[-1]} shape coefficients, body {name!r} has {body.num_betas}: "
                "they belong to another body, or were cut."
            )
        return body

    def placing(self, name: str, landmarks: tuple[str, ...]) -> KeypointKinematics:
        """Kinematics of some landmarks, made once."""
        key = (name, landmarks)
        if key not in self.kinematics:
            self.kinematics[key] = KeypointKinematics(self.body(name), landmarks)
        return self.kinematics[key]

    def surface(self, name: str) -> Surface:
        """A body's mesh, prepared for comparing, made once."""
        if name not in self.surfaces:
            self.surfaces[name] = surface_of(self.body(name))
        return self.surfaces[name]


@dataclass(frozen=True)
class Placed:
    """A protocol's joints of some people."""

    joints: Float[Tensor, "people joints 3"]
    """Metres, relative to the protocol's root."""
    weights: Float[Tensor, "people joints"]
    """1 where the joint is known."""
    root: Float[Tensor, "people 3"]
    """What was subtracted, camera frame; meaningless where the joints came centred."""
    pixels: Float[Tensor, "people joints 2"]
    """Full-image pixels."""
    pixel_weights: Float[Tensor, "people joints"]

    def take(self, rows: np.ndarray) -> "Placed":
        """Choose people."""
        index = torch.from_numpy(rows)
        return Placed(*(getattr(self, item.name)[index] for item in fields(self)))


def names_of(convention: str, protocol: Protocol) -> tuple[str, ...]:
    """Names of a file's points; ``protocol`` are the protocol's own, ``3dhp17[:14]`` the first 14."""
    if convention == "protocol":
        return protocol.joints
    name, _, count = convention.partition("[:")
    names = convention_named(name).keypoints
    return names[: int(count.rstrip("]"))] if count else names


def landmarks_of(protocol: Protocol, body: Body) -> tuple[str | None, ...]:
    """The body's landmark for each joint of a protocol; None where the body has none."""
    known = {*body.joint_names, *body.landmark_names, *DERIVED_LANDMARKS}
    convention = CONVENTIONS[protocol.convention]
    wanted = [convention.landmarks[convention.index(name)] for name in protocol.joints]
    return tuple(landmark if landmark in known else None for landmark in wanted)


def place(people: ScoredPeople, protocol: Protocol, bodies: Bodies) -> Placed:
    """Find a protocol's joints of some people, in metres and in pixels; what a file does not say has weight 0.

    Args:
        people: A chunk; its parameters are used where it has no joints of the protocol.
        protocol: Names joints and root.
        bodies: Pose the parameters.

    Raises:
        ValueError: If a body is needed that was not given.
    """
    count, joints = len(people), len(protocol.joints)
    blank = Placed(
        torch.zeros(count, joints, 3),
        torch.zeros(count, joints),
        torch.zeros(count, 3),
        torch.zeros(count, joints, 2),
        torch.zeros(count, joints),
    )
    if count == 0 or joints == 0:
        return blank
    points, weights, root = blank.joints, blank.weights, blank.root
    absolute = None
    if people.params is not None:
        absolute, weights, root = _from_params(people, protocol, bodies)
        points = absolute - root[:, None]
    if people.joints is not None and set(names_of(people.joints.convention, protocol)) & set(protocol.joints):
        points, weights, root = _from_joints(people, protocol)
    pixels, pixel_weights = blank.pixels, blank.pixel_weights
    # The projected body is what is scored in 2D; keypoints beside it are what it was fitted to.
    if absolute is not None and people.camera is not None:
        pixels, pixel_weights = project(absolute, people.camera), weights
    elif people.keypoints is not None:
        names = names_of(people.keypoints.convention, protocol)
        pixels, pixel_weights = _pick(people.keypoints.points, people.keypoints.confidence, names, protocol.joints)
    return Placed(points * weights[..., None], weights, root, pixels, pixel_weights)


def _pick(points: Tensor, confidence: Tensor, names: tuple[str, ...], wanted: tuple[str, ...]) -> tuple[Tensor, Tensor]:
    if points.shape[1] != len(names):
        raise ValueError(f"The file has {points.shape[1]} points per person, but its convention names {len(names)}.")
    index = [names.index(name) if name in names else 0 for name in wanted]
    present = torch.tensor([name in names for name in wanted])
    weights = (confidence[:, index] > 0) & present
    return points[:, index], weights.to(points.dtype)


def _from_joints(people: ScoredPeople, protocol: Protocol) -> tuple[Tensor, Tensor, Tensor]:
    assert people.joints is not None
    names = names_of(people.joints.convention, protocol)
    points, weights = _pick(people.joints.points, people.joints.confidence, names, protocol.joints)
    if people.joints.centred:
        return points, weights, torch.zeros(len(people), 3)
    parts = [part for landmark in protocol.root for part in DERIVED_LANDMARKS.get(landmark, (landmark,))]
    # A protocol that scores the pelvis takes it as root: the middle of the hips is another point.
    if "pelvis" in names and "pelvis" in protocol.joints:
        parts = ["pelvis"]
    missing = [part for part in parts if part not in names]
    if missing:
        raise ValueError(
            f"{people.joints.convention} lacks {', '.join(missing)}, the root of {protocol.name}; add it or mark the "
            "joints as relative to the root (array centred)."
        )
    index = [names.index(part) for part in parts]
    root = people.joints.points[:, index].mean(1)
    # Without its root a person has no place to be compared from.
    known = (people.joints.confidence[:, index] > 0).all(1)
    return points - root[:, None], weights * known[:, None].to(weights.dtype), root


def _from_params(people: ScoredPeople, protocol: Protocol, bodies: Bodies) -> tuple[Tensor, Tensor, Tensor]:
    assert people.params is not None
    count = len(people)
    points, weights = torch.zeros(count, len(protocol.joints), 3), torch.zeros(count, len(protocol.joints))
    root = torch.zeros(count, 3)
    for name, rows in body_rows(people):
        params = people.params[rows]
        body = bodies.fitting(name, params)
        if protocol.regressor == "h36m" and bodies.h36m_regressor is not None:
            table = bodies.h36m_regressor
            regressed = torch.einsum("jv,nvc->njc", table, body(params).vertices)
            points[rows] = regressed[:, list(H36M_TO_3DHP[: len(protocol.joints)])]
            weights[rows], root[rows] = 1.0, regressed[:, 0]
            continue
        wanted = landmarks_of(protocol, body)
        known = tuple(landmark for landmark in wanted if landmark is not None)
        placed = bodies.placing(name, known + protocol.root)(params)
        columns = [column for column, landmark in enumerate(wanted) if landmark is not None]
        points[rows[:, None], torch.tensor(columns)] = placed[:, : len(known)]
        weights[rows[:, None], torch.tensor(columns)] = 1.0
        root[rows] = placed[:, len(known) :].mean(1)
    return points, weights, root


def body_rows(people: ScoredPeople) -> list[tuple[str, Tensor]]:
    """Rows of each body: gendered where the file names a gender, else the one the parameters belong to."""
    if "gender" not in people.labels:
        return [(people.body or "", torch.arange(len(people)))]
    genders = people.labels["gender"]
    groups = [(name, [row for row, gender in enumerate(genders) if gender == name]) for name in GENDERS]
    # Whoever has no gender in the file is posed with the neutral body, or would drop out of every score.
    groups.append((people.body or "", [row for row, gender in enumerate(genders) if gender not in GENDERS]))
    return [(name, torch.tensor(rows)) for name, rows in groups if rows]


def root_of(params: BodyParams, name: str, protocol: Protocol, bodies: Bodies) -> Tensor:
    """The protocol's root of bodies, (people, 3) in the camera frame."""
    return bodies.placing(name, protocol.root)(params).mean(1)
