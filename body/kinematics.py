"""Joints and keypoints straight from the parameters, with analytic derivatives and without the mesh.

A landmark is an average of vertices, ``k = sum_v w_v x_v``, and every vertex is an average over joints of rigid motions
of its rest position. Exchanging the sums leaves, for each landmark and each joint ``j`` that moves it, one weight
``m = sum_v w_v b_vj`` and one rest point ``p = sum_v w_v b_vj x_v`` (b: skinning weights), linear in the shape:

    k = sum_j  R_j (p_j - m_j J_j) + m_j t_j,

with ``R_j, t_j`` rotation and position of joint j in the camera frame and ``J_j`` its rest position. This is exact;
pose correctives add a term to ``p`` that is linear in the rotation matrices.
"""

from dataclasses import dataclass
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from fitloop.body.keypoints import DERIVED_LANDMARKS, convention_named
from fitloop.body.model import Body, forward_kinematics
from fitloop.body.params import JOINT_PARENTS, NUM_JOINTS, BodyParams
from fitloop.geometry.rotations import skew


@dataclass(frozen=True)
class Linearization:
    """Landmarks and their derivatives at one set of parameters."""

    points: Float[Tensor, "*batch landmarks 3"]
    """Camera frame, metres."""
    by_rotation: Float[Tensor, "*batch landmarks 3 joints 3"]
    """Per right perturbation ``R_i exp(d)`` of each joint's local rotation, radians, root first."""
    by_betas: Float[Tensor, "*batch landmarks 3 betas"]
    """Per shape coefficient. The derivative by ``transl`` is the identity."""


class KeypointKinematics:
    """Places a fixed set of landmarks of one body.

    Attributes:
        landmarks: Their names, in order.
        body: Name of the body they belong to.
    """

    def __init__(self, body: Body, landmarks: tuple[str, ...], vertices: tuple[int, ...] = ()) -> None:
        """Precompute the moments of ``landmarks`` and ``vertices``.

        Args:
            body: Any skinned body.
            landmarks: Names of joints, derived points or surface landmarks of the body.
            vertices: Single vertices, placed after the landmarks.

        Raises:
            ValueError: If the body cannot place one of them.
        """
        count = len(body.template)
        if any(not 0 <= vertex < count for vertex in vertices):
            raise ValueError(
                f"Body {body.name!r} has vertices 0 to {count - 1}, got {min(vertices)} to {max(vertices)}."
            )
        self.landmarks = landmarks + tuple(f"vertex {vertex}" for vertex in vertices)
        self.body = body.name
        self.joint_template = body.joint_regressor @ body.template
        self.joint_dirs = torch.einsum("jv,vcb->jcb", body.joint_regressor, body.shapedirs)
        rows: list[tuple[int, int, Tensor, Tensor, Tensor, Tensor | None]] = []
        for number, name in enumerate(landmarks):
            rows += [(number, *moment) for moment in self._moments(body, name)]
        for number, vertex in enumerate(vertices, start=len(landmarks)):
            only = torch.tensor([vertex], device=body.template.device)
            rows += [(number, *moment) for moment in _averaged(body, only, torch.ones_like(body.template[:1, 0]))]
        device = body.template.device
        self.pair_landmark = torch.tensor([row[0] for row in rows], device=device)
        self.pair_joint = torch.tensor([row[1] for row in rows], device=device)
        self.pair_mass = torch.stack([row[2] for row in rows])
        self.pair_point = torch.stack([row[3] for row in rows])
        self.pair_dirs = torch.stack([row[4] for row in rows])
        correctives = [row[5] for row in rows if row[5] is not None]
        self.pair_correctives = torch.stack(correctives) if correctives else None
        dtype = body.template.dtype
        self.gather = torch.zeros(len(self.landmarks), len(rows), dtype=dtype, device=device)
        self.gather[self.pair_landmark, torch.arange(len(rows), device=device)] = 1.0
        self.moved_by = _ancestry(dtype, device)[self.pair_joint]
        self.subtree_mass = torch.einsum("kp,p,pi->ki", self.gather, self.pair_mass, self.moved_by)

    def _moments(self, body: Body, name: str) -> list[tuple[int, Tensor, Tensor, Tensor, Tensor | None]]:
        if name in body.landmark_names:
            weights = body.landmark_weights[body.landmark_names.index(name)]
            used = weights.nonzero()[:, 0]
            return _averaged(body, used, weights[used])
        joints = DERIVED_LANDMARKS.get(name, (name,))
        unknown = [joint for joint in joints if joint not in body.joint_names]
        if unknown:
            known = ", ".join(body.joint_names + tuple(DERIVED_LANDMARKS) + body.landmark_names)
            raise ValueError(f"Body {body.name!r} has no landmark {name!r}; known: {known}.")
        mass = torch.tensor(1.0 / len(joints), dtype=body.template.dtype, device=body.template.device)
        numbers = [body.joint_names.index(joint) for joint in joints]
        blank = None if body.posedirs is None else body.posedirs.new_zeros(3, body.posedirs.shape[-1])
        return [
            (number, mass, mass * self.joint_template[number], mass * self.joint_dirs[number], blank)
            for number in numbers
        ]

    def __call__(self, params: BodyParams) -> Float[Tensor, "*batch landmarks 3"]:
        """Place the landmarks: camera frame, metres."""
        return self._pose(params)[0]

    def _pose(self, params: BodyParams) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Landmarks, their share per pair, joint rotations and joint positions, without shape derivatives."""
        rest = self.joint_template + torch.einsum("jcb,...b->...jc", self.joint_dirs, params.betas)
        world, joints = forward_kinematics(params.rotations, rest)
        joints = joints + params.transl[..., None, :]
        local = self.pair_point + torch.einsum("pcb,...b->...pc", self.pair_dirs, params.betas)
        if self.pair_correctives is not None:
            eye = torch.eye(3, dtype=local.dtype, device=local.device)
            feature = (params.body_pose - eye).flatten(-3)
            local = local + torch.einsum("pcf,...f->...pc", self.pair_correctives, feature)
        mass = self.pair_mass[:, None]
        local = local - mass * rest[..., self.pair_joint, :]
        turned = (world[..., self.pair_joint, :, :] @ local[..., None])[..., 0]
        shares = turned + mass * joints[..., self.pair_joint, :]
        return self.gather @ shares, shares, world, joints

    def linearize(self, params: BodyParams) -> Linearization:
        """Place the landmarks and differentiate them.

        A joint's rotation moves everything below it rigidly about the joint, so the derivative of a landmark by the
        joint's local tangent is a cross product with the lever arm of the landmark's share in that joint's subtree.
        """
        points, shares, world, joints = self._pose(params)
        below = torch.einsum("kp,...pc,pi->...kic", self.gather, shares, self.moved_by)
        levers = below - self.subtree_mass[..., None] * joints[..., None, :, :]
        by_rotation = torch.einsum("...kicd,...ide->...kcie", -skew(levers), world)
        if self.pair_correctives is not None:
            by_rotation = by_rotation + self._corrective_derivative(params, world)
        return Linearization(points, by_rotation, self._by_betas(world))

    def _by_betas(self, world: Tensor) -> Tensor:
        bones = [self.joint_dirs[0].expand(*world.shape[:-3], *self.joint_dirs.shape[1:])]
        for joint, parent in enumerate(JOINT_PARENTS[1:], start=1):
            bones.append(bones[parent] + world[..., parent, :, :] @ (self.joint_dirs[joint] - self.joint_dirs[parent]))
        moved = torch.stack(bones, dim=-3)[..., self.pair_joint, :, :]
        mass = self.pair_mass[:, None, None]
        local = self.pair_dirs - mass * self.joint_dirs[self.pair_joint]
        by_pair = world[..., self.pair_joint, :, :] @ local + mass * moved
        return torch.einsum("kp,...pcb->...kcb", self.gather, by_pair)

    def _corrective_derivative(self, params: BodyParams, world: Tensor) -> Tensor:
        assert self.pair_correctives is not None
        basis = skew(torch.eye(3, dtype=world.dtype, device=world.device))
        turned = torch.einsum("...jab,ebc->...jace", params.body_pose, basis)
        directions = self.pair_correctives.unflatten(-1, (NUM_JOINTS - 1, 3, 3))
        local = torch.einsum("pcjab,...jabe->...pcje", directions, turned)
        camera = torch.einsum("...pdc,...pcje->...pdje", world[..., self.pair_joint, :, :], local)
        body_part = torch.einsum("kp,...pdje->...kdje", self.gather, camera)
        root = torch.zeros_like(body_part[..., :1, :])
        return torch.cat([root, body_part], dim=-2)


def _averaged(body: Body, used: Tensor, weights: Tensor) -> list[tuple[int, Tensor, Tensor, Tensor, Tensor | None]]:
    """Moments of a weighted average of vertices: per joint its number, mass, point, shape and pose directions."""
    shares = weights[:, None] * body.lbs_weights[used]
    found = []
    for joint in (shares.sum(0) > 1e-6).nonzero()[:, 0].tolist():
        share = shares[:, joint]
        correctives = None if body.posedirs is None else torch.einsum("v,vcp->cp", share, body.posedirs[used])
        dirs = torch.einsum("v,vcb->cb", share, body.shapedirs[used])
        found.append((joint, share.sum(), share @ body.template[used], dirs, correctives))
    return found


def _ancestry(dtype: torch.dtype, device: torch.device) -> Tensor:
    """(joints, joints): row j holds 1 at every joint i whose rotation moves j, itself included."""
    table = torch.eye(NUM_JOINTS, dtype=dtype, device=device)
    for joint, parent in enumerate(JOINT_PARENTS[1:], start=1):
        table[joint] += table[parent]
    return table


class Usable(NamedTuple):
    """Keypoints of a convention that a body can place."""

    keypoints: tuple[int, ...]
    """Their numbers in the convention."""
    landmarks: tuple[str, ...]
    """What each is on the body."""


def usable_keypoints(body: Body, convention: str, ignored: tuple[str, ...] = ()) -> Usable:
    """Find the keypoints that can be fitted.

    Args:
        body: The body to be fitted.
        convention: Name in `fitloop.body.keypoints.CONVENTIONS`.
        ignored: Names of keypoints to leave out.

    Raises:
        ValueError: If the convention or an ignored keypoint is unknown, or the body can place none.
    """
    table = convention_named(convention)
    left_out = {table.index(name) for name in ignored}
    known = {*body.joint_names, *body.landmark_names, *DERIVED_LANDMARKS}
    pairs = [(k, name) for k, name in enumerate(table.landmarks) if name in known and k not in left_out]
    if not pairs:
        raise ValueError(
            f"Body {body.name!r} can place none of the keypoints of {convention!r}; nothing can be fitted."
        )
    return Usable(tuple(k for k, _ in pairs), tuple(str(name) for _, name in pairs))
