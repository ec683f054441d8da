"""What is known exactly about the people of a synthetic photo."""

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Bool, Float, Int, UInt8

from fitloop.body import JOINT_NAMES, Body, BodyMesh, BodyParams
from fitloop.body.keypoints import SURFACE_LANDMARKS
from fitloop.data.synthetic.drawing import View

LANDMARKS = (*JOINT_NAMES, *SURFACE_LANDMARKS)
"""Landmarks of which every sample gives the place: the joints, then the points on the surface."""
OUTSIDE, HIDDEN, VISIBLE = 0, 1, 2
_JOINT_DEPTH = 0.16
_SURFACE_DEPTH = 0.06
"""Metres by which a landmark may lie behind what its pixel shows and still count as visible: joints are inside."""


@dataclass(frozen=True)
class Person:
    """One person of a synthetic photo."""

    params: BodyParams
    """Camera frame; no batch axes."""
    joints: Float[np.ndarray, "24 3"]
    """Camera frame, metres."""
    landmarks_3d: Float[np.ndarray, "landmarks 3"]
    """In the order of `LANDMARKS`."""
    landmarks_2d: Float[np.ndarray, "landmarks 2"]
    """Pixels."""
    visibility: UInt8[np.ndarray, "landmarks"]
    """0: outside the picture, 1: hidden by something or by the person, 2: visible (depth test)."""
    mask: Bool[np.ndarray, "height width"]
    """Visible pixels, clothes and hair included."""
    full_mask: Bool[np.ndarray, "height width"] | None
    """Pixels if nothing were in front; None unless maps were asked for."""
    box: Float[np.ndarray, "4"]
    """x y x y of the bare body's projection, clipped to the picture."""
    garments: tuple[str, ...]

    @property
    def visible_share(self) -> float:
        """Visible pixels per pixel that nothing in front would hide; 1 if that was not drawn."""
        if self.full_mask is None or not self.full_mask.any():
            return 1.0
        return float(self.mask.sum() / self.full_mask.sum())


@dataclass(frozen=True)
class Maps:
    """What each pixel of a synthetic photo shows; exact at pixel centres."""

    owners: Int[np.ndarray, "height width"]
    """Person; -1 for the background, -2 for a thing."""
    parts: Int[np.ndarray, "height width"]
    """Joint that moves the surface most (`fitloop.body.JOINT_NAMES`); -1 where there is no person."""
    depth: Float[np.ndarray, "height width"]
    """Metres; 0 where there is only background."""
    normals: Float[np.ndarray, "height width 3"]
    """Unit vectors in the camera frame, towards the camera; 0 where there is only background."""


@dataclass(frozen=True)
class SyntheticPhoto:
    """A photo of synthetic people and all that is known of it."""

    pixels: UInt8[np.ndarray, "height width 3"]
    view: View
    people: tuple[Person, ...]
    """The main person first."""
    background: str
    maps: Maps | None


@dataclass(frozen=True)
class Landmarks:
    """Landmarks of one person before anything is known of what is visible."""

    joints: Float[np.ndarray, "24 3"]
    points: Float[np.ndarray, "landmarks 3"]
    pixels: Float[np.ndarray, "landmarks 2"]
    box: Float[np.ndarray, "4"]


def place_landmarks(body: Body, params: BodyParams, vertices: Float[np.ndarray, "vertices 3"], view: View) -> Landmarks:
    """Landmarks and box of a posed body.

    Args:
        body: The body model.
        params: Of one person.
        vertices: Of the bare body, camera frame, metres.
        view: The camera.
    """
    from fitloop.body.model import forward_kinematics

    joints = forward_kinematics(params.rotations, body.rest_joints(params.betas))[1] + params.transl
    mesh = BodyMesh(torch.from_numpy(vertices), joints)
    points = np.concatenate([joints.numpy(), body.place(mesh, SURFACE_LANDMARKS).numpy()])
    height, width = view.size
    projected = view.screen(vertices)[:, :2]
    limit = np.array([width, height], np.float64)
    low, high = projected.min(0).clip(0.0, limit), projected.max(0).clip(0.0, limit)
    return Landmarks(
        joints.numpy(),
        points,
        view.screen(points)[:, :2].astype(np.float32),
        np.concatenate([low, high]).astype(np.float32),
    )


def see_landmarks(
    landmarks: Landmarks, person: int, owners: Int[np.ndarray, "height width"], depth: Float[np.ndarray, "height width"]
) -> UInt8[np.ndarray, "landmarks"]:
    """Decide which landmarks are outside the picture, hidden or visible.

    A landmark is visible if its pixel shows its person no more than a few centimetres nearer than itself, or the
    background (a joint of thin limbs may project just beside them).

    Args:
        landmarks: Of the person.
        person: Number of the person in ``owners``.
        owners: Person that each pixel shows, -1 for the background, -2 for a thing.
        depth: Metres, 0 for the background.
    """
    height, width = owners.shape
    pixels = np.floor(landmarks.pixels).astype(int)
    inside = (pixels >= 0).all(1) & (pixels[:, 0] < width) & (pixels[:, 1] < height) & (landmarks.points[:, 2] > 0)
    x, y = pixels[:, 0].clip(0, width - 1), pixels[:, 1].clip(0, height - 1)
    tolerance = np.where(np.arange(len(LANDMARKS)) < len(JOINT_NAMES), _JOINT_DEPTH, _SURFACE_DEPTH)
    own = (owners[y, x] == person) & (landmarks.points[:, 2] - depth[y, x] < tolerance)
    visible = own | (owners[y, x] == -1)
    return np.where(inside, np.where(visible, VISIBLE, HIDDEN), OUTSIDE).astype(np.uint8)
