"""A coloured body with its skeleton as binary glTF, for animation programs: rest pose, skin weights, and held poses."""

import json
import struct
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from fitloop.body import Body
from fitloop.body.files import whole_file
from fitloop.body.params import JOINT_PARENTS
from fitloop.geometry import rotmat_to_rotvec
from fitloop.rendering.export import to_gltf_axes
from fitloop.rendering.interpolation import vertex_normals

SECONDS_PER_POSE = 1.0
_BONES = 4
_UNSIGNED_BYTE, _UNSIGNED_SHORT, _UNSIGNED_INT, _FLOAT = 5121, 5123, 5125, 5126
_VERTICES, _INDICES = 34962, 34963
"""What a view of the buffer is for: programs may send it to the GPU as it is."""
_KINDS = {np.uint8: _UNSIGNED_BYTE, np.uint16: _UNSIGNED_SHORT, np.uint32: _UNSIGNED_INT, np.float32: _FLOAT}


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
    path = Path(path)
    if path.suffix.lower() != ".glb":
        raise ValueError(f"{path.name} should end in .glb.")
    if len(colors) != len(body.template) or len(betas) != body.num_betas:
        raise ValueError(
            f"Body {body.name!r} has {len(body.template)} vertices and {body.num_betas} betas, "
            f"got {len(colors)} colours and {len(betas)} betas."
        )
    body, betas, colors = body.to("cpu"), betas.detach().cpu().float(), colors.detach().cpu()
    vertices = body.template + torch.einsum("vcb,b->vc", body.shapedirs, betas)
    floor = vertices.new_tensor([0.0, float(vertices[:, 1].min()), 0.0])
    joints = body.rest_joints(betas) - floor
    file = _Glb()
    tree = {
        "asset": {"version": "2.0", "generator": "fitloop"},
        "scene": 0,
        "scenes": [{"nodes": [0, 1]}],
        "nodes": [{"name": "person", "mesh": 0, "skin": 0}, *_joint_nodes(body, joints)],
        "meshes": [{"name": "person", "primitives": [_primitive(file, body, vertices - floor, colors)]}],
        "materials": [{"pbrMetallicRoughness": {"metallicFactor": 0.0, "roughnessFactor": 0.9}}],
        "skins": [_skin(file, joints)],
    }
    if poses is not None and len(poses):
        tree["animations"] = [_animation(file, poses.detach().cpu().float())]
    content = file.encode(tree)
    with whole_file(path) as part:
        part.write_bytes(content)


@dataclass
class _Glb:
    """Collects arrays, each a view and accessor of its own."""

    accessors: list[dict[str, Any]] = field(default_factory=list)
    views: list[dict[str, Any]] = field(default_factory=list)
    data: bytearray = field(default_factory=bytearray)

    def add(
        self, values: np.ndarray, shape: str, target: int | None = None, normalized: bool = False, bounds: bool = False
    ) -> int:
        """Append an array of the glTF type ``shape``; return its accessor."""
        values = np.ascontiguousarray(values)
        use = {} if target is None else {"target": target}
        self.views.append({"buffer": 0, "byteOffset": len(self.data), "byteLength": values.nbytes, **use})
        # Arrays begin at multiples of four bytes, as glTF demands.
        self.data += values.tobytes() + b"\0" * (-values.nbytes % 4)
        accessor = {
            **{"bufferView": len(self.views) - 1, "type": shape, "count": len(values)},
            **{"componentType": _KINDS[values.dtype.type], "normalized": normalized},
        }
        if bounds:
            rows = values.reshape(len(values), -1)
            accessor |= {"min": rows.min(0).tolist(), "max": rows.max(0).tolist()}
        self.accessors.append(accessor)
        return len(self.accessors) - 1

    def encode(self, tree: dict[str, Any]) -> bytes:
        """The file: header, JSON padded by spaces, binary data."""
        tree = tree | {
            "accessors": self.accessors,
            "bufferViews": self.views,
            "buffers": [{"byteLength": len(self.data)}],
        }
        told = json.dumps(tree, separators=(",", ":"), allow_nan=False).encode()
        told += b" " * (-len(told) % 4)
        chunks = struct.pack("<I4s", len(told), b"JSON") + told
        chunks += struct.pack("<I4s", len(self.data), b"BIN\0") + bytes(self.data)
        return struct.pack("<4sII", b"glTF", 2, 12 + len(chunks)) + chunks


def _primitive(file: _Glb, body: Body, vertices: Tensor, colors: Tensor) -> dict[str, Any]:
    weights, bones = body.lbs_weights.topk(_BONES, dim=1)
    # Where fewer joints move a vertex, glTF wants the spare ones to name joint 0.
    bones = torch.where(weights > 0, bones, 0)
    linear = torch.cat([srgb_to_linear(colors.float().clamp(0.0, 1.0)), torch.ones(len(colors), 1)], 1)
    return {
        "attributes": {
            "POSITION": file.add(vertices.numpy(), "VEC3", _VERTICES, bounds=True),
            "NORMAL": file.add(vertex_normals(vertices, body.faces).numpy(), "VEC3", _VERTICES),
            # 16 bits: in 8, linear light would leave next to no steps for dark clothes.
            "COLOR_0": file.add((linear * 65535).round().numpy().astype(np.uint16), "VEC4", _VERTICES, normalized=True),
            "JOINTS_0": file.add(bones.numpy().astype(np.uint8), "VEC4", _VERTICES),
            "WEIGHTS_0": file.add((weights / weights.sum(1, keepdim=True)).numpy(), "VEC4", _VERTICES),
        },
        "indices": file.add(body.faces.flatten().numpy().astype(np.uint32), "SCALAR", _INDICES),
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


def _skin(file: _Glb, joints: Tensor) -> dict[str, Any]:
    inverse = torch.eye(4).repeat(len(joints), 1, 1)
    inverse[:, :3, 3] = -joints
    matrices = file.add(inverse.mT.numpy(), "MAT4")
    return {"joints": list(range(1, len(joints) + 1)), "skeleton": 1, "inverseBindMatrices": matrices}


def _animation(file: _Glb, poses: Tensor) -> dict[str, Any]:
    """One channel per joint, poses held one after another."""
    upright = torch.cat([to_gltf_axes(poses[:, :1].mT).mT, poses[:, 1:]], 1)
    turns = rotmat_to_rotvec(upright)
    angle = turns.norm(dim=-1, keepdim=True)
    quaternions = torch.cat([0.5 * torch.sinc(angle / (2.0 * torch.pi)) * turns, (angle / 2.0).cos()], -1)
    # The last one is written twice, so that it is held too.
    quaternions = torch.cat([quaternions, quaternions[-1:]])
    times = SECONDS_PER_POSE * torch.arange(len(quaternions), dtype=torch.float32)
    clock = file.add(times.numpy(), "SCALAR", bounds=True)
    joints = range(poses.shape[1])
    samplers = [
        {"input": clock, "output": file.add(quaternions[:, joint].numpy(), "VEC4"), "interpolation": "STEP"}
        for joint in joints
    ]
    channels = [{"sampler": joint, "target": {"node": joint + 1, "path": "rotation"}} for joint in joints]
    return {"name": "poses", "samplers": samplers, "channels": channels}
