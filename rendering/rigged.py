"""A coloured body with its skeleton as binary glTF, for animation programs: rest pose, skin weights, and held poses."""

from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from fitloop.body import Body
from fitloop.body.files import whole_file
from fitloop.body.params import JOINT_PARENTS
from fitloop.geometry.rotations import rotmat_to_unitquat
from fitloop.rendering.export import checked_path, to_gltf_axes
from fitloop.rendering.gltf_file import INDICES, VERTICES, GltfFile
from fitloop.rendering.interpolation import vertex_normals

SECONDS_PER_POSE = 1.0
_BONES = 4


def srgb_to_linear(colors: Float[Tensor, "*any 3"]) -> Float[Tensor, "*any 3"]:
    """Linear RGB of sRGB in [0, 1] (IEC 61966-2-1); glTF wants vertex colours linear."""
    low = colors / 12.92
    high = ((colors.clamp_min(0.04045) + 0.055) / 1.055) ** 2.4
    return torch.where(colors <= 0.04045, low, high)


def export_rigged_glb(
    path: str | Path,
    body: Body,
    betas: Float[Tensor, "betas"],
    colors: Float[Tensor, "vertices 3"],
    poses: Float[Tensor, "poses joints 3 3"] | None = None,
) -> None:
    """Write a body in T-pose with vertex colours, joints and skin weights to a binary glTF 2.0 file.

    Metres, y up, facing z, the soles at height 0 and the pelvis' joints named as in SMPL. Poses become one animation
    ``poses``: each is held for `SECONDS_PER_POSE`, about the pelvis, which stays where it is. Linear blend skinning is
    all that glTF has: SMPL's pose correctives are left out.

    Args:
        path: Ends in .glb.
        body: The body model.
        betas: Shape.
        colors: sRGB in [0, 1].
        poses: All joints in the order of `Body.joint_names`, the first into the camera frame (y down, z forward).

    Raises:
        ValueError: If the name ends otherwise, or the numbers of colours, joints or coefficients are not the body's.
        OSError: If the file cannot be written; then none is left behind.
    """
    path = checked_path(path, ".glb")
    file = GltfFile()
    tree = rigged_tree(file, body, betas, colors)
    if poses is not None and len(poses):
        poses = poses.detach().cpu().float()
        upright = torch.cat([to_gltf_axes(poses[:, :1].mT).mT, poses[:, 1:]], 1)
        tree["animations"] = [_held_poses(file, upright)]
    content = file.encode(tree)
    with whole_file(path) as part:
        part.write_bytes(content)


def rigged_tree(
    file: GltfFile, body: Body, betas: Float[Tensor, "betas"], colors: Float[Tensor, "vertices 3"]
) -> dict[str, Any]:
    """The tree of a file with one body in T-pose: y up, facing z, the soles at height 0; node 1 is the pelvis.

    Args:
        file: Gets the arrays.
        body: The body model.
        betas: Shape.
        colors: sRGB in [0, 1].

    Raises:
        ValueError: If the numbers of colours or coefficients are not the body's.
    """
    if len(colors) != len(body.template) or len(betas) != body.num_betas:
        raise ValueError(
            f"Body {body.name!r} has {len(body.template)} vertices and {body.num_betas} betas, "
            f"got {len(colors)} colours and {len(betas)} betas."
        )
    body, betas, colors = body.to("cpu"), betas.detach().cpu().float(), colors.detach().cpu()
    vertices = body.template + torch.einsum("vcb,b->vc", body.shapedirs, betas)
    floor = vertices.new_tensor([0.0, float(vertices[:, 1].min()), 0.0])
    joints = body.rest_joints(betas) - floor
    return {
        "asset": {"version": "2.0", "generator": "fitloop"},
        "scene": 0,
        "scenes": [{"nodes": [0, 1]}],
        "nodes": [{"name": "person", "mesh": 0, "skin": 0}, *_joint_nodes(body, joints)],
        "meshes": [{"name": "person", "primitives": [_primitive(file, body, vertices - floor, colors)]}],
        "materials": [{"pbrMetallicRoughness": {"metallicFactor": 0.0, "roughnessFactor": 0.9}}],
        "skins": [_skin(file, joints)],
    }


def _primitive(file: GltfFile, body: Body, vertices: Tensor, colors: Tensor) -> dict[str, Any]:
    weights, bones = body.lbs_weights.topk(_BONES, dim=1)
    # Where fewer joints move a vertex, glTF wants the spare ones to name joint 0.
    bones = torch.where(weights > 0, bones, 0)
    linear = torch.cat([srgb_to_linear(colors.float().clamp(0.0, 1.0)), torch.ones(len(colors), 1)], 1)
    return {
        "attributes": {
            "POSITION": file.add(vertices.numpy(), "VEC3", VERTICES, bounds=True),
            "NORMAL": file.add(vertex_normals(vertices, body.faces).numpy(), "VEC3", VERTICES),
            # 16 bits: in 8, linear light would leave next to no steps for dark clothes.
            "COLOR_0": file.add((linear * 65535).round().numpy().astype(np.uint16), "VEC4", VERTICES, normalized=True),
            "JOINTS_0": file.add(bones.numpy().astype(np.uint8), "VEC4", VERTICES),
            "WEIGHTS_0": file.add((weights / weights.sum(1, keepdim=True)).numpy(), "VEC4", VERTICES),
        },
        "indices": file.add(body.faces.flatten().numpy().astype(np.uint32), "SCALAR", INDICES),
        "material": 0,
    }


def _joint_nodes(body: Body, joints: Tensor) -> list[dict[str, Any]]:
    """Node 1 and on: the skeleton, each joint below its parent."""
    # Rest rotations are none, so a joint's place below its parent is the plain difference.
    nodes = []
    for number, (name, parent) in enumerate(zip(body.joint_names, JOINT_PARENTS, strict=True)):
        place = joints[number] - joints[parent] if parent >= 0 else joints[number]
        children = [child + 1 for child, its_parent in enumerate(JOINT_PARENTS) if its_parent == number]
        nodes.append({"name": name, "translation": place.tolist()} | ({"children": children} if children else {}))
    return nodes


def _skin(file: GltfFile, joints: Tensor) -> dict[str, Any]:
    inverse = torch.eye(4).repeat(len(joints), 1, 1)
    inverse[:, :3, 3] = -joints
    matrices = file.add(inverse.mT.numpy(), "MAT4")
    return {"joints": list(range(1, len(joints) + 1)), "skeleton": 1, "inverseBindMatrices": matrices}


def rotation_channels(
    file: GltfFile, clock: int, rotations: Float[Tensor, "keys joints 3 3"], interpolation: str
) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Samplers and channels that turn the joints of a `rigged_tree`, one of each per joint.

    Args:
        file: Gets the quaternions.
        clock: Accessor of the seconds of the keys.
        rotations: Of each joint relative to its parent, the first into the file's axes.
        interpolation: Between keys, as glTF names it.
    """
    quaternions = rotmat_to_unitquat(rotations)
    samplers = [
        {"input": clock, "output": file.add(quaternions[:, joint].numpy(), "VEC4"), "interpolation": interpolation}
        for joint in range(rotations.shape[1])
    ]
    channels = [
        {"sampler": joint, "target": {"node": joint + 1, "path": "rotation"}} for joint in range(rotations.shape[1])
    ]
    return samplers, channels


def _held_poses(file: GltfFile, rotations: Tensor) -> dict[str, Any]:
    # The last one is written twice, so that it is held too.
    rotations = torch.cat([rotations, rotations[-1:]])
    times = SECONDS_PER_POSE * torch.arange(len(rotations), dtype=torch.float32)
    clock = file.add(times.numpy(), "SCALAR", bounds=True)
    samplers, channels = rotation_channels(file, clock, rotations, "STEP")
    return {"name": "poses", "samplers": samplers, "channels": channels}
