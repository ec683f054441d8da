"""Mesh files: glTF binary (.glb), Wavefront (.obj) and Stanford (.ply), written whole or not at all."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Int, UInt8
from PIL import Image as Picture
from torch import Tensor

from fitloop.body.files import whole_file
from fitloop.rendering.interpolation import smooth_normals


@dataclass(frozen=True)
class Material:
    """What covers a surface: one colour per vertex, or a texture; plain light grey without either."""

    vertex_colors: Float[Tensor, "vertices 3"] | None = None
    """sRGB in [0, 1]."""
    texture: UInt8[np.ndarray, "rows columns 3"] | None = None
    """RGB, row 0 at the top. Needs ``uv`` and ``uv_faces``."""
    uv: Float[Tensor, "texels 2"] | None = None
    """Texture coordinates, (0, 0) bottom left."""
    uv_faces: Int[Tensor, "faces 3"] | None = None
    """Texture coordinate of each face corner."""

    def __post_init__(self) -> None:
        if self.texture is not None and (self.uv is None or self.uv_faces is None):
            raise ValueError("A texture needs uv and uv_faces, which say where on it each face lies.")


def export_glb(
    path: str | Path,
    vertices: Float[Tensor, "*people vertices 3"],
    faces: Int[Tensor, "faces 3"],
    appearance: Material | tuple[Material, ...] = Material(),
) -> None:
    """Write one body or several to a binary glTF 2.0 file with smooth normals.

    glTF has x right, y up, z towards the viewer, in metres; camera-frame points are turned by pi about x:
    (x, y, z) becomes (x, -y, -z). Each body is a mesh of its own (``person_0``, ...) at its place in the camera frame,
    so that files of one photo fit together.

    Args:
        path: Ends in .glb.
        vertices: Camera frame, metres; one body without a leading axis, else one row per person.
        faces: Counter-clockwise seen from outside.
        appearance: For all, or one per person.

    Raises:
        ValueError: If the name ends otherwise, a vertex is not finite, or the number of appearances is not the number
            of bodies.
        OSError: If the file cannot be written; then none is left behind.
    """
    path = checked_path(path, ".glb")
    people = _to_file_axes(vertices).reshape(-1, *vertices.shape[-2:])
    looks = appearance if isinstance(appearance, tuple) else (appearance,) * len(people)
    if len(looks) != len(people):
        raise ValueError(f"There are {len(people)} bodies and {len(looks)} appearances; give one for all or one each.")
    from trimesh import Scene
    from trimesh.exchange.gltf import export_glb as encode

    scene = Scene()
    for index, (body, look) in enumerate(zip(people, looks, strict=True)):
        name = f"person_{index}"
        scene.add_geometry(_gltf_mesh(body, faces.cpu(), look), node_name=name, geom_name=name)
    _write(path, encode(scene, include_normals=True))


def export_ply(
    path: str | Path,
    vertices: Float[Tensor, "vertices 3"],
    faces: Int[Tensor, "faces 3"],
    colors: Float[Tensor, "vertices 3"] | None = None,
) -> None:
    """Write one body to a binary .ply file with normals and, if given, sRGB colours in [0, 1]; axes as in `export_glb`.

    Raises:
        ValueError: As `export_glb`.
        OSError: As `export_glb`.
    """
    path = checked_path(path, ".ply")
    from trimesh.exchange.ply import export_ply as encode
    from trimesh.visual import ColorVisuals

    mesh = _plain_mesh(_to_file_axes(vertices), faces.cpu())
    if colors is not None:
        mesh.visual = ColorVisuals(mesh, vertex_colors=_to_bytes(colors))
    _write(path, encode(mesh, vertex_normal=True))


def export_obj(path: str | Path, vertices: Float[Tensor, "vertices 3"], faces: Int[Tensor, "faces 3"]) -> None:
    """Write one body to a .obj file with normals; axes as in `export_glb`, vertices in their own order.

    Raises:
        ValueError: As `export_glb`.
        OSError: As `export_glb`.
    """
    path = checked_path(path, ".obj")
    from trimesh.exchange.obj import export_obj as encode

    mesh = _plain_mesh(_to_file_axes(vertices), faces.cpu())
    _write(path, str(encode(mesh, include_normals=True, include_color=False, header="fitloop")).encode())


def to_gltf_axes(points: Float[Tensor, "*batch 3"]) -> Float[Tensor, "*batch 3"]:
    """Turn camera-frame points (y down, z forward) to glTF's axes (y up, z towards the viewer); its own inverse."""
    return points * points.new_tensor([1.0, -1.0, -1.0])


def _to_file_axes(vertices: Tensor) -> Tensor:
    if not bool(vertices.isfinite().all()):
        raise ValueError("A mesh file needs finite vertices; leave out the bodies that have others.")
    return to_gltf_axes(vertices.detach().cpu().float())


def _gltf_mesh(vertices: Tensor, faces: Tensor, look: Material) -> Any:
    from trimesh.visual import TextureVisuals
    from trimesh.visual.material import PBRMaterial

    normals = smooth_normals(vertices, faces)
    material = PBRMaterial(metallicFactor=0.0, roughnessFactor=0.75)
    visual = TextureVisuals(material=material)
    if look.texture is not None and look.uv is not None and look.uv_faces is not None:
        # A vertex on a seam has several texture coordinates, and glTF wants one: it is written once for each.
        pairs = torch.stack([faces.flatten(), look.uv_faces.cpu().flatten()], dim=1)
        split, corner = pairs.unique(dim=0, return_inverse=True)
        material.baseColorTexture = Picture.fromarray(look.texture)
        visual = TextureVisuals(uv=look.uv.cpu()[split[:, 1]].numpy(), material=material)
        vertices, normals, faces = vertices[split[:, 0]], normals[split[:, 0]], corner.reshape(-1, 3)
    elif look.vertex_colors is not None:
        # glTF reads vertex colours as linear, unlike textures.
        visual.vertex_attributes["color"] = _to_bytes(look.vertex_colors**2.2)
    else:
        material.baseColorFactor = np.array([150, 150, 156, 255], np.uint8)
    mesh = _plain_mesh(vertices, faces, normals)
    mesh.visual = visual
    return mesh


def _plain_mesh(vertices: Tensor, faces: Tensor, normals: Tensor | None = None) -> Any:
    from trimesh import Trimesh

    normals = smooth_normals(vertices, faces) if normals is None else normals
    return Trimesh(vertices.numpy(), faces.numpy(), vertex_normals=normals.numpy(), process=False, validate=False)


def _to_bytes(colors: Tensor) -> np.ndarray:
    levels = (colors.detach().cpu().clamp(0, 1) * 255).round().byte()
    return torch.cat([levels, torch.full_like(levels[:, :1], 255)], dim=1).numpy()


def checked_path(path: str | Path, suffix: str) -> Path:
    """The path, or a `ValueError` if its name ends otherwise."""
    path = Path(path)
    if path.suffix.lower() != suffix:
        raise ValueError(f"{path.name} should end in {suffix}.")
    return path


def _write(path: Path, content: bytes) -> None:
    with whole_file(path) as part:
        part.write_bytes(content)
