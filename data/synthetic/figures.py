"""Dressed people as meshes: body and garments, shaped, posed, with their textures named."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from jaxtyping import Bool, Float, Int

from fitloop.body import Body, BodyParams
from fitloop.body.assets import asset_path
from fitloop.body.model import forward_kinematics
from fitloop.data.synthetic.garments import Binding, Garment

_EYE_VERTICES = (14598, 14742)
"""Rows of the base mesh that the eyeballs take."""
_HIP_BAND = 0.03


@dataclass(frozen=True)
class Layer:
    """What one slot of a mesh is drawn with."""

    texture: str
    recolor: Float[np.ndarray, "3 5"]
    """A 3 x 3 change of linear colour, a shift, and the gloss."""
    bias: float
    """Metres by which it wins against what lies in front of it."""


@dataclass(frozen=True)
class Figure:
    """A posed mesh with one or more slots; a person with clothes, or a thing."""

    vertices: Float[np.ndarray, "vertices 3"]
    """Camera frame, metres."""
    faces: Int[np.ndarray, "faces 3"]
    slots: Int[np.ndarray, "faces"]
    """Index in `layers`."""
    corner_uv: Float[np.ndarray, "faces 3 2"]
    parts: Int[np.ndarray, "faces"]
    """Joint that moves the face most; -1 for things."""
    layers: tuple[Layer, ...]


@dataclass(frozen=True)
class Dressmaker:
    """Turns parameters and garments into meshes; made once."""

    body: Body
    template: Float[np.ndarray, "base 3"]
    """T-pose of every vertex of the base mesh, helpers included, metres."""
    shapedirs: Float[np.ndarray, "coordinates betas"]
    skinning: Float[np.ndarray, "base joints"]
    body_rows: Int[np.ndarray, "vertices"]
    """Which base vertices are the body's."""
    faces: Int[np.ndarray, "faces 3"]
    corner_uv: Float[np.ndarray, "faces 3 2"]
    face_parts: Int[np.ndarray, "faces"]
    is_eye: Bool[np.ndarray, "faces"]
    hip_ends: tuple[int, int]
    """Base vertices at the left and right of the hips."""

    def shaped(self, betas: Float[np.ndarray, "betas"]) -> Float[np.ndarray, "base 3"]:
        """Every base vertex in the T-pose of a shape, metres."""
        return self.template + (self.shapedirs @ betas).reshape(-1, 3)

    def is_feminine(self, betas: Float[np.ndarray, "betas"]) -> bool:
        """Whether the hips are wider, for these shoulders, than those of the mean shape."""
        return self._hip_share(betas) > self._mean_hip_share

    @cached_property
    def _mean_hip_share(self) -> float:
        return self._hip_share(np.zeros(self.body.num_betas, np.float32))

    def _hip_share(self, betas: np.ndarray) -> float:
        base = self.shaped(betas)
        joints = self.body.rest_joints(torch.from_numpy(betas))
        names = self.body.joint_names
        shoulders = joints[names.index("left_shoulder")] - joints[names.index("right_shoulder")]
        left, right = self.hip_ends
        return float(np.linalg.norm(base[left] - base[right])) / float(shoulders.norm())

    def dress(self, params: BodyParams, outfit: list[tuple[Garment, Layer]], skin: Layer, eyes: Layer) -> Figure:
        """Pose a body and its garments.

        Args:
            params: One person, no batch axes.
            outfit: Garments and what they are drawn with.
            skin: Of the body.
            eyes: Of the eyeballs.
        """
        base = self.shaped(params.betas.numpy())
        transforms = self._transforms(params)
        bare = _skin(base[self.body_rows], self.skinning[self.body_rows], transforms)
        hidden = np.zeros(len(base), bool)
        for garment, _ in outfit:
            hidden[garment.hides] = True
        shown = ~hidden[self.body_rows[self.faces]].any(1)
        pieces = [
            (
                bare,
                self.faces[shown],
                self.is_eye[shown].astype(np.int64),
                self.corner_uv[shown],
                self.face_parts[shown],
            )
        ]
        for slot, (garment, _) in enumerate(outfit, start=2):
            vertices = _skin(garment.rest(base), garment.skinning, transforms)
            kept = _shown_under(garment, [outer for outer, _ in outfit])
            faces = garment.faces[kept]
            pieces.append((vertices, faces, np.full(len(faces), slot), garment.corner_uv[kept], garment.parts[kept]))
        return join_pieces(pieces, (skin, eyes, *(layer for _, layer in outfit)))

    def bare(self, params: BodyParams) -> Float[np.ndarray, "vertices 3"]:
        """Vertices of the body without clothes, camera frame, metres; equal to those of the body model."""
        base = self.shaped(params.betas.numpy())
        return _skin(base[self.body_rows], self.skinning[self.body_rows], self._transforms(params))

    def _transforms(self, params: BodyParams) -> Float[np.ndarray, "joints 3 4"]:
        rest = self.body.rest_joints(params.betas)
        world, joints = forward_kinematics(params.rotations, rest)
        shift = joints - (world @ rest[..., None])[..., 0] + params.transl
        return torch.cat([world, shift[..., None]], dim=-1).numpy()


def join_pieces(pieces: list[tuple[np.ndarray, ...]], layers: tuple[Layer, ...]) -> Figure:
    """Make one mesh of several (vertices, faces, slots, corner uv, parts)."""
    starts = np.cumsum([0, *(len(piece[0]) for piece in pieces)])
    return Figure(
        vertices=np.concatenate([piece[0] for piece in pieces]),
        faces=np.concatenate([piece[1] + start for piece, start in zip(pieces, starts, strict=False)]),
        slots=np.concatenate([piece[2] for piece in pieces]),
        corner_uv=np.concatenate([piece[3] for piece in pieces]),
        parts=np.concatenate([piece[4] for piece in pieces]),
        layers=layers,
    )


def _shown_under(garment: Garment, outfit: list[Garment]) -> np.ndarray:
    """Which faces of a garment no coat lies over."""
    kept = np.ones(len(garment.faces), bool)
    for outer in outfit:
        if outer.kind == "coat" and garment.kind not in ("coat", "hair", "hat", "glasses"):
            kept &= ~np.isin(garment.nearest, outer.hides)[garment.faces].any(1)
    return kept


def _skin(rest: np.ndarray, skinning: np.ndarray, transforms: np.ndarray) -> np.ndarray:
    blended = (skinning @ transforms.reshape(-1, 12)).reshape(-1, 3, 4)
    return np.einsum("vab,vb->va", blended[..., :3], rest) + blended[..., 3]


def make_dressmaker(body: Body) -> Dressmaker:
    """Prepare a body for dressing.

    Args:
        body: Made from the base mesh that garments are bound to: the open body.

    Raises:
        ValueError: If it is another body.
    """
    if body.base_vertices is None or body.uv is None or body.uv_faces is None:
        raise ValueError(
            f"Garments do not fit body {body.name!r}: it is not made from MakeHuman's base mesh; use the open body."
        )
    with np.load(asset_path("wardrobe.npz"), allow_pickle=False) as file:
        arrays = {key: file[key] for key in file.files}
    template = arrays["template"].astype(np.float32)
    skinning = np.zeros((len(template), len(body.joint_names)), np.float32)
    np.add.at(skinning, (np.arange(len(template))[:, None], arrays["lbs_indices"].astype(int)), arrays["lbs_weights"])
    rows, faces = body.base_vertices.numpy(), body.faces.numpy().astype(np.int64)
    corner_uv = np.ascontiguousarray(body.uv.numpy()[body.uv_faces.numpy()])
    is_eye = ((rows >= _EYE_VERTICES[0]) & (rows < _EYE_VERTICES[1]))[faces].all(1)
    corner_uv[is_eye] = _eye_uv(template[rows], faces[is_eye])
    return Dressmaker(
        body=body,
        template=template,
        shapedirs=np.ascontiguousarray(arrays["shapedirs"].astype(np.float32).reshape(-1, body.num_betas)),
        skinning=skinning,
        body_rows=rows,
        faces=faces,
        corner_uv=corner_uv,
        face_parts=body.face_parts.numpy(),
        is_eye=np.asarray(is_eye),
        hip_ends=_hip_ends(body),
    )


def binding_of(dressmaker: Dressmaker, base: Float[np.ndarray, "base 3"]) -> Binding:
    """What garments made on ``base`` (metres) are bound to."""
    with np.load(asset_path("wardrobe.npz"), allow_pickle=False) as file:
        turns = file["offset_rotations"].astype(np.float32)
    return Binding(base.astype(np.float32), dressmaker.skinning, dressmaker.body_rows, turns)


def _eye_uv(template: np.ndarray, faces: np.ndarray) -> np.ndarray:
    """Look at each eyeball from the front: the iris is the middle of the texture."""
    corners = template[faces]
    uv = np.empty((*corners.shape[:2], 2), np.float32)
    for side in (corners[:, 0, 0] > 0, corners[:, 0, 0] <= 0):
        ball = corners[side]
        middle, radius = (ball.min((0, 1)) + ball.max((0, 1))) / 2.0, np.ptp(ball[..., 1]) / 2.0
        uv[side] = 0.5 + 0.5 * (ball - middle)[..., :2] / radius
    return uv


def _hip_ends(body: Body) -> tuple[int, int]:
    template = body.template.numpy()
    assert body.base_vertices is not None
    joints = (body.joint_regressor @ body.template).numpy()
    hip = joints[body.joint_names.index("left_hip"), 1]
    band = np.flatnonzero((np.abs(template[:, 1] - hip) < _HIP_BAND) & (np.abs(template[:, 0]) < 0.35))
    ends = band[template[band, 0].argmax()], band[template[band, 0].argmin()]
    return int(body.base_vertices[int(ends[0])]), int(body.base_vertices[int(ends[1])])
