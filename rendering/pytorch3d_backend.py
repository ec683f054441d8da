"""The rasterizer of PyTorch3D behind this project's protocol, for those who have it installed.

Written against PyTorch3D 0.7.8: ``MeshRasterizer`` with ``PerspectiveCameras`` in screen space, whose principal point
is measured from the top left corner of the top left pixel, as ours is. Its view axes are x left, y up, z forward. A
pixel centre exactly on an edge belongs to no face there, so such pixels can differ from the embedded back ends.
"""

from importlib import import_module

import torch
from jaxtyping import Float, Int
from torch import Tensor

from fitloop.geometry import Camera
from fitloop.rendering.rasterizer import MIN_DOUBLE_AREA, NEAR, CheckedMeshes, Fragments, check_meshes


class PyTorch3DRasterizer:
    """Face ids, barycentrics and depth from PyTorch3D; see `Rasterizer` for the rules.

    On a CPU PyTorch3D tests every face at every pixel: seconds per picture for a body. On CUDA it sorts faces into up
    to 16 x 16 bins; each is given room for all faces, so that none is lost: 28 MB per mesh of 27,000 faces.

    Raises:
        ModuleNotFoundError: If PyTorch3D is not installed; says what to use instead.
    """

    name = "pytorch3d"

    def __init__(self) -> None:
        try:
            self._renderer = import_module("pytorch3d.renderer")
            self._structures = import_module("pytorch3d.structures")
        except ModuleNotFoundError as error:
            raise ModuleNotFoundError(
                "PyTorch3D is not installed (https://pytorch3d.org; without a wheel it is built from source). "
                "Use the rasterizer 'auto', 'numba' or 'torch' instead."
            ) from error

    def __call__(
        self,
        vertices: Float[Tensor, "*batch vertices 3"],
        faces: Int[Tensor, "faces 3"],
        camera: Camera,
        size: tuple[int, int],
    ) -> Fragments:
        """Rasterize one mesh per batch row; arguments and errors as in `Rasterizer`."""
        checked = check_meshes(vertices, faces, camera, size)
        faces = faces.to(checked.vertices.device)
        kept = _kept_faces(checked, faces)
        counts = kept.sum(1)
        shape = (len(checked.vertices), *size)
        if int(counts.sum()) == 0:
            blank = checked.vertices.new_zeros(shape)
            return checked.fragments(blank.long() - 1, blank[..., None].expand(*shape, 3), blank)
        found = self._rasterize(checked, [faces[row] for row in kept], size)
        packed, seen = found.pix_to_face[..., 0], found.pix_to_face[..., 0] >= 0
        # PyTorch3D numbers the faces of all meshes in one row; ours begin anew in each mesh and count those left out.
        numbers = kept.nonzero()[:, 1]
        face_ids = torch.where(seen, numbers[packed.clamp_min(0)], -1)
        barycentrics = torch.where(seen[..., None], found.bary_coords[..., 0, :], 0.0)
        return checked.fragments(face_ids, barycentrics, torch.where(seen, found.zbuf[..., 0], 0.0))

    def _rasterize(self, checked: CheckedMeshes, faces: list[Tensor], size: tuple[int, int]):
        meshes, device = len(checked.vertices), checked.vertices.device
        cameras = self._renderer.PerspectiveCameras(
            focal_length=checked.camera.focal.float(),
            principal_point=checked.camera.principal_point.float(),
            R=torch.diag(torch.tensor([-1.0, -1.0, 1.0], device=device)).expand(meshes, 3, 3),
            T=torch.zeros(meshes, 3, device=device),
            in_ndc=False,
            image_size=torch.tensor([size], device=device).expand(meshes, 2),
            device=device,
        )
        settings = self._renderer.RasterizationSettings(
            image_size=size,
            blur_radius=0.0,
            faces_per_pixel=1,
            max_faces_per_bin=max(len(rows) for rows in faces),
            perspective_correct=True,
            cull_backfaces=False,
        )
        # Corners of left-out faces may be anything, but not infinite: they pass through PyTorch3D's projection.
        vertices = checked.vertices.float().nan_to_num(0.0, 0.0, 0.0)
        mesh = self._structures.Meshes(verts=list(vertices), faces=faces)
        return self._renderer.MeshRasterizer(cameras=cameras, raster_settings=settings)(mesh)


def _kept_faces(checked: CheckedMeshes, faces: Tensor) -> Tensor:
    """Boolean, per mesh and face: not degenerate, finite, and wholly in front of the camera."""
    triangles = checked.screen[:, faces]
    a, b, c = triangles[..., :2].unbind(-2)
    ab, ac = b - a, c - a
    double_area = (ab[..., 0] * ac[..., 1] - ab[..., 1] * ac[..., 0]).abs()
    in_front = (triangles[..., 2] >= NEAR).all(-1)
    return in_front & (double_area >= MIN_DOUBLE_AREA) & double_area.isfinite() & triangles.isfinite().all((-2, -1))
