"""Mesh files: glTF binary (.glb), Wavefront (.obj) and Stanford (.ply), written whole or not at all."""

from pathlib import Path
from typing import Any

from jaxtyping import Float, Int
from torch import Tensor

from fitloop.body.files import whole_file
from fitloop.rendering.gltf_bodies import encode_bodies
from fitloop.rendering.interpolation import smooth_normals
from fitloop.rendering.material import Material as Material
from fitloop.rendering.material import to_bytes


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
        ValueError: If the name ends otherwise, there is no body, a vertex is not finite, or the number of appearances
            is not the number of bodies.
        OSError: If the file cannot be written; then none is left behind.
    """
    path = checked_path(path, ".glb")
    people = _to_file_axes(vertices).reshape(-1, *vertices.shape[-2:])
    looks = appearance if isinstance(appearance, tuple) else (appearance,) * len(people)
    if len(looks) != len(people):
        raise ValueError(f"There are {len(people)} bodies and {len(looks)} appearances; give one for all or one each.")
    if len(people) == 0:
        raise ValueError("A mesh file needs at least one body.")
    _write(path, encode_bodies(people, faces.cpu(), looks))


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
        mesh.visual = ColorVisuals(mesh, vertex_colors=to_bytes(colors))
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


def _plain_mesh(vertices: Tensor, faces: Tensor) -> Any:
    from trimesh import Trimesh

    normals = smooth_normals(vertices, faces)
    return Trimesh(vertices.numpy(), faces.numpy(), vertex_normals=normals.numpy(), process=False, validate=False)


def checked_path(path: str | Path, suffix: str) -> Path:
    """The path, or a `ValueError` if its name ends otherwise."""
    path = Path(path)
    if path.suffix.lower() != suffix:
        raise ValueError(f"{path.name} should end in {suffix}.")
    return path


def _write(path: Path, content: bytes) -> None:
    with whole_file(path) as part:
        part.write_bytes(content)
