"""Puts a MakeHuman body, modelled with its arms half down, into SMPL's T-pose.

Each bone gets the rotation that brings it onto its axis of the T-pose. A vertex is moved so that skinning the result
back to the original pose gives exactly the original vertex: the modelled shape is kept where photos show people, with
arms down.
"""

import numpy as np

from fitloop.body.params import JOINT_NAMES, JOINT_PARENTS

DOWN = np.array([0.0, -1.0, 0.0])
FORWARD = np.array([0.0, 0.0, 1.0])


def _index(name: str) -> int:
    return JOINT_NAMES.index(name)


def _unit(vector: np.ndarray) -> np.ndarray:
    return vector / np.linalg.norm(vector, axis=-1, keepdims=True)


def _frame(primary: np.ndarray, secondary: np.ndarray) -> np.ndarray:
    """Orthonormal columns: along `primary`, towards `secondary`, and their cross product."""
    first = _unit(primary)
    second = _unit(secondary - (secondary * first).sum(-1, keepdims=True) * first)
    return np.stack([first, second, np.cross(first, second)], axis=-1)


def tpose_rotations(joints: np.ndarray, index_knuckle: np.ndarray, pinky_knuckle: np.ndarray) -> np.ndarray:
    """World rotation of every joint from the modelled pose to the T-pose.

    Args:
        joints: (24, 3) in the modelled pose.
        index_knuckle: (2, 3) base of the left and right index finger.
        pinky_knuckle: (2, 3) base of the left and right little finger.

    Returns:
        (24, 3, 3). Spine, neck, head and collars keep their modelled orientation.
    """
    rotations = np.tile(np.eye(3), (len(JOINT_NAMES), 1, 1))
    for row, side in enumerate(("left", "right")):
        hip, knee, ankle, foot, shoulder, elbow, wrist, hand = (
            _index(f"{side}_{name}") for name in ("hip", "knee", "ankle", "foot", "shoulder", "elbow", "wrist", "hand")
        )
        heading = joints[foot] - joints[ankle]
        for upper, lower in ((hip, knee), (knee, ankle)):
            rotations[upper] = _rotation(joints[lower] - joints[upper], heading, DOWN, FORWARD)
        level = heading * [1, 0, 1]
        rotations[ankle] = rotations[foot] = _rotation(level, -DOWN, FORWARD, -DOWN)
        outward = np.array([1.0 if side == "left" else -1.0, 0.0, 0.0])
        forearm = joints[wrist] - joints[elbow]
        rotations[shoulder] = _rotation(joints[elbow] - joints[shoulder], forearm, outward, FORWARD)
        across = index_knuckle[row] - pinky_knuckle[row]
        rotations[wrist] = _rotation(joints[hand] - joints[wrist], across, outward, FORWARD)
        rotations[hand] = rotations[wrist]
        rotations[elbow] = _forearm(rotations[shoulder], rotations[wrist], forearm, outward)
    return rotations


def _rotation(primary: np.ndarray, secondary: np.ndarray, onto: np.ndarray, towards: np.ndarray) -> np.ndarray:
    return _frame(onto, towards) @ _frame(primary, secondary).T


def _minimal(direction: np.ndarray, onto: np.ndarray) -> np.ndarray:
    """Smallest rotation of one unit direction onto another (Rodrigues)."""
    axis, cosine = np.cross(direction, onto), float(direction @ onto)
    skew = np.array([[0, -axis[2], axis[1]], [axis[2], 0, -axis[0]], [-axis[1], axis[0], 0]])
    return np.eye(3) + skew + skew @ skew / (1 + cosine)


def _forearm(shoulder: np.ndarray, wrist: np.ndarray, forearm: np.ndarray, outward: np.ndarray) -> np.ndarray:
    """Forearm along `outward`, its twist halfway between those of upper arm and hand."""
    straight = _minimal(_unit(shoulder @ forearm), outward) @ shoulder
    rest = straight @ wrist.T
    twist = np.arctan2(rest[2, 1] - rest[1, 2], rest[1, 1] + rest[2, 2])
    cosine, sine = np.cos(-twist / 2), np.sin(-twist / 2)
    return np.array([[1, 0, 0], [0, cosine, -sine], [0, sine, cosine]]) @ straight


def pose_transforms(joints: np.ndarray, rotations: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Chains world rotations into rigid transforms about the joints.

    Returns:
        Posed joints (24, 3), and translations (24, 3) such that joint j carries x to rotations[j] x + translations[j].
    """
    posed = np.empty_like(joints)
    for joint, parent in enumerate(JOINT_PARENTS):
        if parent < 0:
            posed[joint] = joints[joint]
        else:
            posed[joint] = posed[parent] + rotations[parent] @ (joints[joint] - joints[parent])
    return posed, posed - np.einsum("jab,jb->ja", rotations, joints)


def unpose(vertices: np.ndarray, weights: np.ndarray, rotations: np.ndarray, translations: np.ndarray) -> np.ndarray:
    """Vertices of the T-pose that skinning brings back exactly to the given ones.

    Args:
        vertices: (V, 3) in the modelled pose.
        weights: (V, 24) skinning weights.
        rotations: (24, 3, 3) from the modelled pose to the T-pose.
        translations: (24, 3) likewise.
    """
    back = np.swapaxes(rotations, -1, -2)
    offsets = -np.einsum("jab,jb->ja", back, translations)
    blended = (weights @ back.reshape(len(back), 9)).reshape(-1, 3, 3)
    return np.linalg.solve(blended, (vertices - weights @ offsets)[..., None])[..., 0]
