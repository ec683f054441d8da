"""Sampled adults as meshes in the T-pose."""

from dataclasses import dataclass, replace

import numpy as np

from fitloop.body.build.shapes import People, target_coefficients
from fitloop.body.build.source import BaseMesh, Targets
from fitloop.body.build.tpose import pose_transforms, tpose_rotations, unpose
from fitloop.body.params import JOINT_NAMES


@dataclass(frozen=True)
class Bodies:
    """Sampled bodies in the T-pose, pelvis joint at the origin, metres."""

    vertices: np.ndarray
    """(samples, 19158, 3)."""
    joints: np.ndarray
    """(samples, 24, 3)."""
    rotations: np.ndarray
    """(samples, 24, 3, 3) of each joint, from the modelled pose to the T-pose."""


def model_bodies(mesh: BaseMesh, targets: Targets, people: People) -> np.ndarray:
    """(samples, 19158, 3) in MakeHuman's pose, symmetric, with the wanted stature."""
    fields = targets.displacements.reshape(len(targets.words), -1)

    def shaped(height: np.ndarray) -> np.ndarray:
        parameters = {**people.parameters, "height": height}
        coefficients = target_coefficients(replace(people, parameters=parameters), targets)
        vertices = (coefficients @ fields).reshape(len(height), -1, 3)
        vertices += mesh.vertices
        vertices += vertices[:, mesh.mirror] * np.array([-1.0, 1.0, 1.0])
        vertices /= 2
        return vertices

    skin = mesh.group_vertices("body")
    ends = [np.ptp(shaped(np.full(len(people.stature), h))[:, skin, 1], axis=1) for h in (0.0, 1.0)]
    height = (people.stature - ends[0]) / (ends[1] - ends[0])
    return shaped(np.clip(height, 0, 1))


def stand_in_tpose(mesh: BaseMesh, modelled: np.ndarray, joints: np.ndarray, weights: np.ndarray) -> Bodies:
    """Puts modelled bodies into the T-pose.

    Args:
        mesh: The base mesh.
        modelled: (samples, 19158, 3) in MakeHuman's pose.
        joints: (samples, 24, 3) likewise.
        weights: (19158, 24) skinning weights.
    """
    knuckles = [
        np.concatenate([mesh.group_vertices(f"joint-{side}-finger-{finger}-1") for side in "lr"]).reshape(2, -1)
        for finger in (2, 5)
    ]
    pelvis = JOINT_NAMES.index("pelvis")
    vertices, all_joints, all_rotations = np.empty_like(modelled), [], []
    for row, body in enumerate(modelled):
        rotations = tpose_rotations(joints[row], *(body[k].mean(1) for k in knuckles))
        posed, translations = pose_transforms(joints[row], rotations)
        vertices[row] = unpose(body, weights, rotations, translations) - posed[pelvis]
        all_joints.append(posed - posed[pelvis])
        all_rotations.append(rotations)
    return Bodies(vertices, np.stack(all_joints), np.stack(all_rotations))
