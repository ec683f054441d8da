"""SMPL's joints on the MakeHuman rig: where they lie and which vertices they carry."""

import numpy as np
from scipy.sparse import coo_matrix

from fitloop.body.build.source import BaseMesh
from fitloop.body.params import JOINT_NAMES, JOINT_PARENTS

JOINT_CUBES = {
    "pelvis": "joint-spine-4",
    "spine1": "joint-spine-3",
    "spine2": "joint-spine-2",
    "spine3": "joint-spine-1",
    "neck": "joint-neck",
    "head": "joint-head",
    "hip": "joint-{}-upper-leg",
    "knee": "joint-{}-knee",
    "ankle": "joint-{}-ankle",
    "foot": "joint-{}-foot-1",
    "collar": "joint-{}-clavicle",
    "shoulder": "joint-{}-shoulder",
    "elbow": "joint-{}-elbow",
    "wrist": "joint-{}-hand",
    "hand": "joint-{}-finger-3-1",
}
"""Helper cube of the base mesh whose centre is the joint; `{}` is l or r."""

BONE_JOINTS = {
    **dict.fromkeys(("root", "pelvis", "spine05", "spine04"), "pelvis"),
    **{"spine03": "spine1", "spine02": "spine2", "spine01": "spine3", "breast": "spine2"},
    **dict.fromkeys(("neck01", "neck02", "neck03"), "neck"),
    **dict.fromkeys(("clavicle", "shoulder01"), "collar"),
    **dict.fromkeys(("upperarm01", "upperarm02"), "shoulder"),
    **dict.fromkeys(("lowerarm01", "lowerarm02"), "elbow"),
    **dict.fromkeys(("wrist", "metacarpal1", "metacarpal2", "metacarpal3", "metacarpal4"), "wrist"),
    **dict.fromkeys(("upperleg01", "upperleg02"), "hip"),
    **dict.fromkeys(("lowerleg01", "lowerleg02"), "knee"),
    "foot": "ankle",
}
"""MakeHuman bone, without its side, to SMPL joint, without its side. Fingers, toes and face follow by prefix."""

_PREFIX_JOINTS = {"finger1": "wrist", "finger": "hand", "toe": "foot"}

SMOOTHING_STEPS = 4
SMALLEST_WEIGHT = 1e-3

BENDING_JOINTS = ("left_knee", "right_knee", "left_elbow", "right_elbow")
"""Joints for which the rig's cube and the crease of the skinning weights lie some centimetres apart."""


def side_of(name: str) -> str | None:
    """`left`, `right` or None from a SMPL joint name."""
    side = name.split("_")[0]
    return side if side in ("left", "right") else None


def joint_of_bone(bone: str) -> str:
    """SMPL joint that a bone of MakeHuman's default rig folds into."""
    stem, _, letter = bone.partition(".")
    joint = BONE_JOINTS.get(stem)
    if joint is None:
        joint = next((j for prefix, j in _PREFIX_JOINTS.items() if stem.startswith(prefix)), "head")
    side = {"L": "left_", "R": "right_"}.get(letter, "")
    return joint if joint in JOINT_NAMES else side + joint


def cube_of_joint(joint: str) -> str:
    """Helper cube of a SMPL joint."""
    side = side_of(joint)
    if side is None:
        return JOINT_CUBES[joint]
    return JOINT_CUBES[joint.removeprefix(side + "_")].format(side[0])


def cube_vertices(mesh: BaseMesh) -> np.ndarray:
    """(24, 8) vertices whose mean is each joint."""
    return np.stack([mesh.group_vertices(cube_of_joint(joint)) for joint in JOINT_NAMES])


def fold_weights(bone_weights: dict[str, np.ndarray], mesh: BaseMesh) -> np.ndarray:
    """Skinning weights on SMPL's joints: smooth, symmetric, at most 4 per vertex, rows sum to 1.

    The fifth largest weight of a vertex is subtracted from all of them, so that weights fade out where
    a sharp choice of the four largest would tear the skin.

    Args:
        bone_weights: Per bone of the default rig, (vertices,).
        mesh: The base mesh.

    Returns:
        (vertices, 24).
    """
    weights = np.zeros((len(mesh.vertices), len(JOINT_NAMES)))
    for bone, column in bone_weights.items():
        weights[:, JOINT_NAMES.index(joint_of_bone(bone))] += column
    weights = _smooth(weights, mesh, SMOOTHING_STEPS)
    weights = (weights + weights[mesh.mirror][:, mirrored_joints()]) / 2
    fifth = np.sort(weights, axis=1)[:, -5:-4]
    weights = np.maximum(weights - np.maximum(fifth, SMALLEST_WEIGHT), 0)
    return weights / weights.sum(1, keepdims=True)


def _smooth(weights: np.ndarray, mesh: BaseMesh, steps: int) -> np.ndarray:
    """Moves each vertex's weights halfway to the mean of its neighbours, several times."""
    quads = np.concatenate([faces[..., 0] for faces in mesh.group_faces.values()])
    edges = np.concatenate([quads[:, [side, (side + 1) % 4]] for side in range(4)])
    edges = np.unique(np.concatenate([edges, edges[:, ::-1]]), axis=0)
    ones = np.ones(len(edges))
    neighbours = coo_matrix((ones, (edges[:, 0], edges[:, 1])), (len(weights), len(weights))).tocsr()
    degree = np.asarray(neighbours.sum(1))
    alone = degree[:, 0] == 0
    for _ in range(steps):
        mean = (neighbours @ weights) / np.maximum(degree, 1)
        mean[alone] = weights[alone]
        weights = (weights + mean) / 2
    return weights


def crease_weights(weights: np.ndarray, joint: int, allowed: np.ndarray) -> np.ndarray:
    """(V,) weights, sum 1, whose mean of vertices is the middle of the ring where a joint's skin starts to follow it.

    Args:
        weights: (V, 24) skinning weights.
        joint: Index of the joint.
        allowed: (V,) vertices that may carry weight.
    """
    subtree = {joint}
    for index, parent in enumerate(JOINT_PARENTS):
        if parent in subtree:
            subtree.add(index)
    follows = weights[:, sorted(subtree)].sum(1) * allowed
    ring = follows * (1 - follows) * allowed
    return ring / ring.sum()


def mirrored_joints() -> np.ndarray:
    """(24,) index of each joint's mirror image."""
    swap = {"left": "right", "right": "left"}
    names = []
    for name in JOINT_NAMES:
        side = side_of(name)
        names.append(name if side is None else swap[side] + name.removeprefix(side))
    return np.array([JOINT_NAMES.index(name) for name in names])


def sparse_weights(weights: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The four largest weights per vertex: indices (V, 4) uint8, weights (V, 4) float32, rows sum to 1."""
    order = np.argsort(-weights, axis=1, kind="stable")[:, :4]
    values = np.take_along_axis(weights, order, axis=1)
    return order.astype(np.uint8), (values / values.sum(1, keepdims=True)).astype(np.float32)
