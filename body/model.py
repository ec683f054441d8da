"""Body models: anything that turns `BodyParams` into a mesh, and the linear-blend-skinned one of this project."""

from dataclasses import dataclass, fields, replace
from typing import Any, Protocol, TypeVar, runtime_checkable

import torch
from jaxtyping import Float, Int
from torch import Tensor

from fitloop.body.keypoints import DERIVED_LANDMARKS
from fitloop.body.params import JOINT_NAMES, JOINT_PARENTS, BodyParams
from fitloop.body.records import BodyMesh

AnyBody = TypeVar("AnyBody", bound="Body")


@runtime_checkable
class BodyModel(Protocol):
    """Anything that turns `BodyParams` into a mesh: the open body, SMPL, the stick figure in tests."""

    name: str
    joint_names: tuple[str, ...]

    def __call__(self, params: BodyParams) -> BodyMesh: ...


def forward_kinematics(
    rotations: Float[Tensor, "*batch joints 3 3"], rest_joints: Float[Tensor, "*batch joints 3"]
) -> tuple[Float[Tensor, "*batch joints 3 3"], Float[Tensor, "*batch joints 3"]]:
    """Chain local rotations along SMPL's tree.

    Args:
        rotations: Of each joint relative to its parent; the first relative to the camera.
        rest_joints: Joint positions in the T-pose, metres.

    Returns:
        Rotation of each joint in the camera frame, and its position (pelvis at its rest position).
    """
    world: list[Tensor] = [rotations[..., 0, :, :]]
    place: list[Tensor] = [rest_joints[..., 0, :]]
    for joint, parent in enumerate(JOINT_PARENTS[1:], start=1):
        bone = rest_joints[..., joint, :] - rest_joints[..., parent, :]
        place.append(place[parent] + (world[parent] @ bone[..., None])[..., 0])
        world.append(world[parent] @ rotations[..., joint, :, :])
    return torch.stack(world, dim=-3), torch.stack(place, dim=-2)


@dataclass(frozen=True, eq=False)
class Body:
    """A linear-blend-skinned body in SMPL's form (Loper et al. 2015, eq. 2 to 12).

        body: fitloop.Body = fitloop.load_body()
        mesh = body(people.params)
        mesh.vertices, mesh.joints, body.faces

    A body is equal to itself alone, so that what is prepared for it can be remembered by it.
    """

    name: str
    """Parameters, fits and checkpoints carry it; bodies of different names do not mix."""
    template: Float[Tensor, "vertices 3"]
    """T-pose of the mean shape, metres; x to the person's left, y up, facing z."""
    shapedirs: Float[Tensor, "vertices 3 betas"]
    """Metres per unit of each shape coefficient."""
    posedirs: Float[Tensor, "vertices 3 207"] | None
    """SMPL's pose correctives, per element of (R - I) of the 23 joints; the open body has none."""
    joint_regressor: Float[Tensor, "joints vertices"]
    """T-pose joints from T-pose vertices."""
    lbs_weights: Float[Tensor, "vertices joints"]
    faces: Int[Tensor, "faces 3"]
    """Counter-clockwise seen from outside."""
    landmark_names: tuple[str, ...]
    """Surface points this body can place, beside its joints."""
    landmark_weights: Float[Tensor, "landmarks vertices"]
    """Each landmark as an average of vertices."""
    uv: Float[Tensor, "texels 2"] | None = None
    """Texture coordinates, (0, 0) bottom left; None where the body file has none."""
    uv_faces: Int[Tensor, "faces 3"] | None = None
    """Texture coordinate of each face corner."""
    base_vertices: Int[Tensor, "vertices"] | None = None
    """Index of each vertex in the MakeHuman base mesh; None for SMPL."""
    joint_names: tuple[str, ...] = JOINT_NAMES

    @property
    def num_betas(self) -> int:
        """How many shape coefficients the body has."""
        return self.shapedirs.shape[-1]

    @property
    def vertex_parts(self) -> Int[Tensor, "vertices"]:
        """Index in `joint_names` of the joint that moves each vertex most."""
        return self.lbs_weights.argmax(-1)

    @property
    def face_parts(self) -> Int[Tensor, "faces"]:
        """Part label of each face: the joint that moves its corners most."""
        return self.lbs_weights[self.faces].sum(1).argmax(-1)

    def to(self: AnyBody, *args: Any) -> AnyBody:
        """Move or convert floating tensors as `torch.Tensor.to` does; index tensors only change device."""
        places = [a for a in args if not isinstance(a, torch.dtype)]
        changed = {}
        for field in fields(self):
            value = getattr(self, field.name)
            if isinstance(value, Tensor):
                changed[field.name] = value.to(*args) if value.is_floating_point() else value.to(*places)
        return replace(self, **changed)

    def rest_joints(self, betas: Float[Tensor, "*batch betas"]) -> Float[Tensor, "*batch joints 3"]:
        """Joints of the T-pose for a shape, metres."""
        directions = torch.einsum("jv,vcb->jcb", self.joint_regressor, self.shapedirs)
        return self.joint_regressor @ self.template + torch.einsum("jcb,...b->...jc", directions, betas)

    def __call__(self, params: BodyParams) -> BodyMesh:
        """Pose the body.

        Args:
            params: Of this body; any leading batch axes.

        Returns:
            The mesh in the camera frame, metres.

        Raises:
            ValueError: If the number of joints or shape coefficients is not this body's.
        """
        self.check(params)
        rotations = params.rotations
        rest = self.rest_joints(params.betas)
        world, joints = forward_kinematics(rotations, rest)
        shaped = self.template + torch.einsum("vcb,...b->...vc", self.shapedirs, params.betas)
        if self.posedirs is not None:
            eye = torch.eye(3, dtype=rotations.dtype, device=rotations.device)
            feature = (rotations[..., 1:, :, :] - eye).flatten(-3)
            shaped = shaped + torch.einsum("vcp,...p->...vc", self.posedirs, feature)
        shift = joints - (world @ rest[..., None])[..., 0]
        transforms = torch.cat([world, shift[..., None]], dim=-1).flatten(-2)
        blended = (self.lbs_weights @ transforms).unflatten(-1, (3, 4))
        vertices = (blended[..., :3] @ shaped[..., None])[..., 0] + blended[..., 3]
        transl = params.transl[..., None, :]
        return BodyMesh(vertices + transl, joints + transl)

    def check(self, params: BodyParams) -> None:
        """Raise a `ValueError` that names both sides unless ``params`` fit this body."""
        expected = (len(self.joint_names) - 1, self.num_betas)
        found = (params.body_pose.shape[-3], params.betas.shape[-1])
        if found != expected:
            raise ValueError(
                f"Body {self.name!r} has {expected[0]} body joints and {expected[1]} betas, "
                f"the parameters have {found[0]} and {found[1]}."
            )

    def place(self, mesh: BodyMesh, landmarks: tuple[str, ...]) -> Float[Tensor, "*batch landmarks 3"]:
        """Landmarks of a posed mesh, camera frame, metres; the plain twin of `KeypointKinematics`.

        Raises:
            ValueError: If this body cannot place one of them.
        """
        return torch.stack([self._place_one(mesh, name) for name in landmarks], dim=-2)

    def _place_one(self, mesh: BodyMesh, name: str) -> Tensor:
        return torch.einsum("s,...sc->...c", *_sources(self, mesh, name))


def _sources(body: Body, mesh: BodyMesh, name: str) -> tuple[Tensor, Tensor]:
    if name in body.landmark_names:
        return body.landmark_weights[body.landmark_names.index(name)], mesh.vertices
    joints = DERIVED_LANDMARKS.get(name, (name,))
    unknown = [joint for joint in joints if joint not in body.joint_names]
    if unknown:
        raise ValueError(
            f"Body {body.name!r} has no landmark {name!r}; known: {', '.join(body.joint_names + body.landmark_names)}."
        )
    weights = torch.zeros(len(body.joint_names), dtype=mesh.joints.dtype, device=mesh.joints.device)
    weights[[body.joint_names.index(joint) for joint in joints]] = 1.0 / len(joints)
    return weights, mesh.joints
