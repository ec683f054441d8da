"""Bodies as they stand, each a mesh of its own, for a binary glTF file."""

import io
from typing import Any

import numpy as np
import torch
from PIL import Image as Picture
from torch import Tensor

from fitloop.rendering.gltf_file import INDICES, VERTICES, GltfFile
from fitloop.rendering.interpolation import smooth_normals
from fitloop.rendering.material import Material, to_bytes

_GREY = (150 / 255, 150 / 255, 156 / 255, 1.0)


def encode_bodies(people: Tensor, faces: Tensor, looks: tuple[Material, ...]) -> bytes:
    """The file of bodies (people, vertices, 3) in its own axes, with smooth normals.

    Args:
        people: x right, y up, z towards the viewer, metres; on the CPU.
        faces: Counter-clockwise seen from outside; on the CPU.
        looks: One per person.
    """
    file, indices = GltfFile(), None
    tree: dict[str, Any] = {"asset": {"version": "2.0", "generator": "fitloop"}, "scene": 0, "meshes": []}
    tree |= {"scenes": [{"nodes": list(range(len(people)))}], "nodes": [], "materials": []}
    for number, (vertices, look) in enumerate(zip(people, looks, strict=True)):
        name = f"person_{number}"
        if look.texture is not None and look.uv is not None and look.uv_faces is not None:
            primitive = _textured(file, tree, (vertices, faces), look)
        else:
            # Bodies of one kind share their faces.
            indices = _faces(file, faces) if indices is None else indices
            primitive = {"attributes": _surface(file, vertices, smooth_normals(vertices, faces)), "indices": indices}
            color = {"baseColorFactor": _GREY} if look.vertex_colors is None else {}
            if look.vertex_colors is not None:
                # glTF reads vertex colours as linear, unlike textures.
                colors = to_bytes(look.vertex_colors**2.2)
                primitive["attributes"]["COLOR_0"] = file.add(colors, "VEC4", VERTICES, normalized=True, bounds=True)
            tree["materials"].append(_material(color))
        tree["nodes"].append({"name": name, "mesh": number})
        tree["meshes"].append({"name": name, "primitives": [{**primitive, "material": number}]})
    return file.encode(tree)


def _textured(file: GltfFile, tree: dict[str, Any], mesh: tuple[Tensor, Tensor], look: Material) -> dict[str, Any]:
    """Primitive of a body with a texture, which the tree gets."""
    assert look.uv is not None and look.uv_faces is not None and look.texture is not None
    vertices, faces = mesh
    # A vertex on a seam has several texture coordinates, and glTF wants one: it is written once for each.
    pairs = torch.stack([faces.flatten(), look.uv_faces.cpu().flatten()], dim=1)
    split, corner = pairs.unique(dim=0, return_inverse=True)
    attributes = _surface(file, vertices[split[:, 0]], smooth_normals(vertices, faces)[split[:, 0]])
    # glTF counts from the top of the picture.
    uv = look.uv.cpu()[split[:, 1]].float() * torch.tensor([1.0, -1.0]) + torch.tensor([0.0, 1.0])
    attributes["TEXCOORD_0"] = file.add(uv.numpy(), "VEC2", VERTICES)
    png = io.BytesIO()
    Picture.fromarray(look.texture).save(png, format="PNG")
    images = tree.setdefault("images", [])
    images.append({"bufferView": file.attach(png.getvalue()), "mimeType": "image/png"})
    tree.setdefault("textures", []).append({"source": len(images) - 1})
    tree["materials"].append(_material({"baseColorTexture": {"index": len(images) - 1}}))
    return {"attributes": attributes, "indices": _faces(file, corner.reshape(-1, 3))}


def _surface(file: GltfFile, vertices: Tensor, normals: Tensor) -> dict[str, int]:
    return {
        "POSITION": file.add(vertices.numpy(), "VEC3", VERTICES, bounds=True),
        "NORMAL": file.add(normals.numpy(), "VEC3", VERTICES),
    }


def _faces(file: GltfFile, faces: Tensor) -> int:
    return file.add(faces.flatten().numpy().astype(np.uint32), "SCALAR", INDICES)


def _material(color: dict[str, Any]) -> dict[str, Any]:
    return {"pbrMetallicRoughness": {**color, "metallicFactor": 0.0, "roughnessFactor": 0.75}}
