"""The part of the base mesh that is the body: skin and eyes, triangulated, with texture coordinates."""

from dataclasses import dataclass

import numpy as np

from fitloop.body.build.source import BaseMesh

BODY_GROUPS = ("body", "helper-l-eye", "helper-r-eye")


@dataclass(frozen=True)
class Surface:
    """Triangles of the body over its own vertices."""

    base_vertices: np.ndarray
    """(V,) index of each vertex in the base mesh, ascending."""
    faces: np.ndarray
    """(F, 3) counter-clockwise from outside."""
    uv: np.ndarray
    """(T, 2)."""
    uv_faces: np.ndarray
    """(F, 3)."""


def body_surface(mesh: BaseMesh) -> Surface:
    """Skin and eyes as triangles."""
    quads = np.concatenate([mesh.group_faces[group] for group in BODY_GROUPS])
    triangles = np.stack([quads[:, [0, 1, 2]], quads[:, [0, 2, 3]]], axis=1).reshape(-1, 3, 2)
    base_vertices, faces = np.unique(triangles[..., 0], return_inverse=True)
    used_uv, uv_faces = np.unique(triangles[..., 1], return_inverse=True)
    return Surface(
        base_vertices=base_vertices,
        faces=faces.reshape(-1, 3),
        uv=mesh.uv[used_uv],
        uv_faces=uv_faces.reshape(-1, 3),
    )


def vertex_areas(vertices: np.ndarray, faces: np.ndarray) -> np.ndarray:
    """(V,) area that belongs to each vertex: a third of its triangles, square metres."""
    corners = vertices[faces]
    area = np.linalg.norm(np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]), axis=1) / 2
    return np.bincount(faces.ravel(), np.repeat(area / 3, 3), minlength=len(vertices))
