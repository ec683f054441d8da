"""What every rasterizer back end takes, gives and agrees on."""

from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import torch
from jaxtyping import Float, Int
from torch import Tensor

from fitloop.geometry import Camera, TensorRecord, project

NEAR = 0.01
"""Metres. A face with a corner closer to the camera plane than this, or behind it, is left out."""
MIN_DOUBLE_AREA = 1e-9
"""Square pixels. A face whose projection spans less than half of this is degenerate and left out."""


@dataclass(frozen=True)
class Fragments(TensorRecord):
    """What each pixel sees: the nearest surface under its centre."""

    face_ids: Int[Tensor, "*batch height width"]
    """Index of the visible face; -1 where there is none."""
    barycentrics: Float[Tensor, "*batch height width 3"]
    """Weights of the face's corners at the surface point (perspective-correct), sum 1; 0 where there is no face."""
    depth: Float[Tensor, "*batch height width"]
    """Metres along the camera's z; 0 where there is no face."""

    @property
    def covered(self) -> Tensor:
        """Boolean silhouette, ``(*batch, height, width)``."""
        return self.face_ids >= 0


@runtime_checkable
class Rasterizer(Protocol):
    """Finds the face that each pixel sees.

    Pixel column i and row j have their centre at (i + 0.5, j + 0.5). A face covers a pixel if the centre lies inside or
    on its border; the nearest covering face wins, and among equally near ones (1 / depth in float32) the one with the
    lowest index. Both sides of a face are seen. Left out are degenerate faces, faces with a corner that is not finite,
    and faces with a corner less than `NEAR` in front of the camera plane.
    """

    name: str

    def __call__(
        self,
        vertices: Float[Tensor, "*batch vertices 3"],
        faces: Int[Tensor, "faces 3"],
        camera: Camera,
        size: tuple[int, int],
    ) -> Fragments:
        """Rasterize one mesh per batch row.

        No gradient flows through the result; values interpolated with it are differentiable.

        Args:
            vertices: Camera frame, metres.
            faces: Corner indices, shared by the batch.
            camera: One for all, or one per batch row.
            size: Height and width in pixels of the picture, whose top left corner is the pixel (0, 0) of the camera.

        Raises:
            ValueError: If an index points past the vertices, the batch of the camera differs, or the size is not
                positive.
        """
        ...


@dataclass(frozen=True)
class CheckedMeshes:
    """Checked input of a back end, batch axes flattened to one."""

    vertices: Float[Tensor, "meshes vertices 3"]
    """Camera frame, metres."""
    faces: Int[Tensor, "faces 3"]
    camera: Camera
    """One per mesh."""
    batch: tuple[int, ...]
    """The caller's batch axes."""

    @property
    def screen(self) -> Float[Tensor, "meshes vertices 3"]:
        """Pixel x, pixel y, and depth in metres, in double precision so that all back ends decide alike."""
        vertices, camera = self.vertices.double(), self.camera.to(torch.float64)
        return torch.cat([project(vertices, camera), vertices[..., 2:]], dim=-1)

    def fragments(self, face_ids: Tensor, barycentrics: Tensor, depth: Tensor) -> Fragments:
        """Give flat results the caller's batch axes, device and floating type."""
        # Whoever drew, the caller gets what he would get from a back end of his own device.
        flat = Fragments(face_ids, barycentrics, depth).to(self.vertices.device, self.vertices.dtype)
        return flat.map(lambda tensor: tensor.reshape(*self.batch, *tensor.shape[1:]))


def check_meshes(vertices: Tensor, faces: Tensor, camera: Camera, size: tuple[int, int]) -> CheckedMeshes:
    """Check what a rasterizer was given and flatten its batch axes.

    Raises:
        ValueError: As `Rasterizer` says.
    """
    if min(size) < 1:
        raise ValueError(f"A picture needs a height and width of at least 1 pixel, got {size[0]} x {size[1]}.")
    count = vertices.shape[-2]
    if faces.numel() and (int(faces.min()) < 0 or int(faces.max()) >= count):
        raise ValueError(
            f"Faces name vertices {int(faces.min())} to {int(faces.max())}, but the mesh has {count}; "
            "give the faces that belong to these vertices."
        )
    batch = tuple(vertices.shape[:-2])
    if camera.focal.ndim and tuple(camera.focal.shape) != batch:
        raise ValueError(
            f"The camera has the batch shape {tuple(camera.focal.shape)}, the vertices {batch}; "
            "give one camera for all or one per mesh."
        )
    # Back ends know one batch axis, and one camera per mesh.
    rows = Camera(camera.focal.expand(batch).reshape(-1), camera.principal_point.expand(*batch, 2).reshape(-1, 2))
    flat = vertices.detach().reshape(-1, count, 3)
    return CheckedMeshes(flat, faces, rows.detach().to(flat.device), batch)
