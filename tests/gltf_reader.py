"""Rigged bodies read back as glTF says and posed by its rules."""

import json
import struct

import numpy as np

KINDS = {5121: np.uint8, 5123: np.uint16, 5125: np.uint32, 5126: np.float32}
WIDTHS = {"SCALAR": (), "VEC3": (3,), "VEC4": (4,), "MAT4": (4, 4)}


def read(path):
    """The tree of a GLB and all its arrays."""
    content = path.read_bytes()
    magic, version, length, size, kind = struct.unpack("<4sII I4s", content[:20])
    assert (magic, version, length, kind) == (b"glTF", 2, len(content), b"JSON")
    tree = json.loads(content[20 : 20 + size])
    data = content[28 + size :]
    arrays = []
    for accessor in tree["accessors"]:
        view, shape = tree["bufferViews"][accessor["bufferView"]], (accessor["count"], *WIDTHS[accessor["type"]])
        assert view["byteOffset"] % 4 == 0 and view["byteOffset"] + view["byteLength"] <= len(data)
        kind = KINDS[accessor["componentType"]]
        arrays.append(np.frombuffer(data, kind, int(np.prod(shape)), view["byteOffset"]).reshape(shape))
    return tree, arrays


def posed(tree, arrays, pose):
    """Vertices by the nodes' transforms, quaternions of one key frame and the skin."""
    nodes, skin = tree["nodes"], tree["skins"][0]
    turns = {}
    for channel in tree["animations"][0]["channels"]:
        sampler = tree["animations"][0]["samplers"][channel["sampler"]]
        turns[channel["target"]["node"]] = arrays[sampler["output"]][pose]
    world = {}

    def walk(node, parent):
        x, y, z, w = turns.get(node, (0, 0, 0, 1))
        local = np.eye(4)
        local[:3, :3] = [
            [1 - 2 * (y * y + z * z), 2 * (x * y - z * w), 2 * (x * z + y * w)],
            [2 * (x * y + z * w), 1 - 2 * (x * x + z * z), 2 * (y * z - x * w)],
            [2 * (x * z - y * w), 2 * (y * z + x * w), 1 - 2 * (x * x + y * y)],
        ]
        local[:3, 3] = nodes[node]["translation"]
        world[node] = parent @ local
        for child in nodes[node].get("children", ()):
            walk(child, world[node])

    walk(skin["skeleton"], np.eye(4))
    inverse = arrays[skin["inverseBindMatrices"]].transpose(0, 2, 1)
    transforms = np.stack([world[node] for node in skin["joints"]]) @ inverse
    names = tree["meshes"][0]["primitives"][0]["attributes"]
    blended = np.einsum("vk,vkab->vab", arrays[names["WEIGHTS_0"]], transforms[arrays[names["JOINTS_0"]]])
    places = np.concatenate([arrays[names["POSITION"]], np.ones((len(arrays[names["POSITION"]]), 1))], 1)
    return np.einsum("vab,vb->va", blended, places)[:, :3]
