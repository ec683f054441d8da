"""Pictures from fragments: whatever is known at vertices, corners or faces, looked up at every pixel."""

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn.functional import embedding_bag, grid_sample, normalize

from fitloop.rendering.rasterizer import Fragments


def interpolate(
    fragments: Fragments, values: Float[Tensor, "*any values channels"], faces: Int[Tensor, "faces 3"]
) -> Float[Tensor, "*batch height width channels"]:
    """Spread values known at the corners of the faces over the pixels; 0 where there is no surface.

    Differentiable in ``values``. Values per vertex come with the mesh's own faces, texture coordinates with their
    ``uv_faces``, values per corner with ``torch.arange(3 * F).view(F, 3)``.

    Args:
        fragments: From a `Rasterizer`.
        values: One table for the whole batch (two axes), or one per mesh.
        faces: Which three values each face takes, in the order of the rasterized faces.

    Raises:
        ValueError: If the batch axes disagree.
    """
    batch = tuple(fragments.face_ids.shape[:-2])
    if values.ndim > 2 and tuple(values.shape[:-2]) != batch:
        raise ValueError(
            f"The values have the batch shape {tuple(values.shape[:-2])}, the fragments {batch}; "
            "give one table for all or one per mesh."
        )
    height, width = fragments.face_ids.shape[-2:]
    ids = fragments.face_ids.reshape(-1)
    place = (ids >= 0).nonzero()[:, 0]
    rows = faces.to(ids.device)[ids[place]].long()
    if values.ndim > 2:
        rows = rows + (place // (height * width) * values.shape[-2])[:, None]
    weights = fragments.barycentrics.reshape(-1, 3)[place].to(values.dtype)
    # A weighted sum of table rows without the table of gathered rows: ten times faster on a CPU.
    seen = embedding_bag(rows, values.reshape(-1, values.shape[-1]), per_sample_weights=weights, mode="sum")
    picture = seen.new_zeros(len(ids), values.shape[-1]).index_copy(0, place, seen)
    return picture.view(*batch, height, width, -1)


def vertex_normals(
    vertices: Float[Tensor, "*batch vertices 3"], faces: Int[Tensor, "faces 3"]
) -> Float[Tensor, "*batch vertices 3"]:
    """Unit normals, outward for faces that are counter-clockwise seen from outside; faces weigh by their area.

    A vertex without a face of positive area gets 0.
    """
    corners = vertices[..., faces, :]
    normals = torch.linalg.cross(corners[..., 1, :] - corners[..., 0, :], corners[..., 2, :] - corners[..., 0, :])
    spread = normals[..., :, None, :].expand(corners.shape).flatten(-3, -2)
    return normalize(torch.zeros_like(vertices).index_add(-2, faces.flatten(), spread), dim=-1, eps=1e-20)


def smooth_normals(
    vertices: Float[Tensor, "*batch vertices 3"], faces: Int[Tensor, "faces 3"]
) -> Float[Tensor, "*batch vertices 3"]:
    """`vertex_normals` for what is drawn or written: compiled loops on a CPU, and there the last bit may differ."""
    if not can_be_compiled(vertices, faces):
        return vertex_normals(vertices, faces)
    from fitloop.rendering.surface_kernels import add_normals

    corners = np.ascontiguousarray(faces.numpy())
    normals = np.zeros(vertices.shape, np.float32)
    for row in np.ndindex(*vertices.shape[:-2]):
        add_normals(vertices[row].contiguous().numpy(), corners, normals[row])
    return torch.from_numpy(normals)


def can_be_compiled(vertices: Float[Tensor, "*batch vertices 3"], faces: Int[Tensor, "faces 3"]) -> bool:
    """Whether compiled loops take a mesh: single precision on a CPU, no gradient to keep, faces of its own vertices."""
    if vertices.device.type != "cpu" or vertices.dtype != torch.float32 or vertices.requires_grad:
        return False
    # Compiled loops do not check where they write.
    return faces.numel() == 0 or (int(faces.min()) >= 0 and int(faces.max()) < vertices.shape[-2])


def normal_map(
    fragments: Fragments, vertices: Float[Tensor, "*batch vertices 3"], faces: Int[Tensor, "faces 3"]
) -> Float[Tensor, "*batch height width 3"]:
    """Unit normals in the camera frame, smooth across faces; 0 where there is no surface."""
    return normalize(interpolate(fragments, vertex_normals(vertices, faces), faces), dim=-1, eps=1e-20)


def part_map(fragments: Fragments, face_parts: Int[Tensor, "faces"]) -> Int[Tensor, "*batch height width"]:
    """Part label of each pixel's face (`Body.face_parts`); -1 where there is no surface."""
    labels = face_parts.to(fragments.face_ids.device)[fragments.face_ids.clamp_min(0)]
    return torch.where(fragments.covered, labels, -1)


def unique_vertex_colors(template: Float[Tensor, "vertices 3"]) -> Float[Tensor, "vertices 3"]:
    """A colour in [0, 1] that tells each place on the body: where it lies in the T-pose's bounding box."""
    low, high = template.amin(0), template.amax(0)
    return (template - low) / (high - low).clamp_min(1e-9)


def sample_texture(
    texture: Float[Tensor, "*batch rows columns channels"], uv: Float[Tensor, "*batch height width 2"]
) -> Float[Tensor, "*batch height width channels"]:
    """Look a texture up bilinearly; differentiable in both.

    Args:
        texture: Row 0 is the top, as pictures are stored.
        uv: Texture coordinates, (0, 0) bottom left and (1, 1) top right; beyond that the border continues.
    """
    batch = texture.shape[:-3]
    flat = texture.reshape(-1, *texture.shape[-3:]).permute(0, 3, 1, 2)
    grid = (uv * 2.0 - 1.0) * uv.new_tensor([1.0, -1.0])
    grid = grid.reshape(-1, *uv.shape[-3:])
    sampled = grid_sample(flat, grid, mode="bilinear", padding_mode="border", align_corners=False)
    return sampled.permute(0, 2, 3, 1).reshape(*batch, *uv.shape[-3:-1], texture.shape[-1])
