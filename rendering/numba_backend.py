"""The CPU rasterizer: a z-buffer compiled by numba."""

import math
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from fitloop.geometry import Camera
from fitloop.rendering.rasterizer import MIN_DOUBLE_AREA, NEAR, Fragments, check_meshes


class NumbaRasterizer:
    """Walks over the faces and keeps the nearest at each pixel; see `Rasterizer` for the rules.

    Uses as many threads as torch does (`torch.set_num_threads`): one image each, or one band of rows each where there
    are fewer images than threads. Plain threads without the interpreter lock rather than numba's own parallel loops,
    whose thread layers do not survive a fork. Meshes on another device are copied to the CPU and the result back.
    """

    name = "numba"

    def __call__(
        self,
        vertices: Float[Tensor, "*batch vertices 3"],
        faces: Int[Tensor, "faces 3"],
        camera: Camera,
        size: tuple[int, int],
    ) -> Fragments:
        """Rasterize one mesh per batch row; arguments and errors as in `Rasterizer`."""
        from fitloop.rendering.kernels import draw_faces, weigh_corners

        checked = check_meshes(vertices, faces, camera, size)
        screen = checked.screen.cpu().numpy()
        corners = np.ascontiguousarray(faces.cpu().numpy())
        meshes, (height, width) = len(screen), size
        face_ids = np.empty((meshes, height, width), np.int64)
        depth = np.empty((meshes, height, width), np.float32)
        barycentrics = np.zeros((meshes, height, width, 3), np.float32)

        def draw(job: tuple[int, int, int]) -> None:
            mesh, start, stop = job
            ids, band = face_ids[mesh, start:stop], depth[mesh, start:stop]
            draw_faces(screen[mesh], corners, start, (NEAR, MIN_DOUBLE_AREA), ids, band)
            weigh_corners(screen[mesh], corners, start, ids, band, barycentrics[mesh, start:stop])

        threads = torch.get_num_threads()
        _run(draw, _jobs(meshes, height, threads), threads)
        return checked.fragments(*map(torch.from_numpy, (face_ids, barycentrics, depth)))


def _jobs(meshes: int, height: int, threads: int) -> list[tuple[int, int, int]]:
    bands = 1 if meshes == 0 else min(height, max(1, math.ceil(threads / meshes)))
    # Bands of rows share nothing, so that threads need no locks.
    edges = [height * band // bands for band in range(bands + 1)]
    return [(mesh, start, stop) for mesh in range(meshes) for start, stop in zip(edges, edges[1:], strict=False)]


def _run(draw, jobs: list[tuple[int, int, int]], threads: int) -> None:
    if threads == 1 or len(jobs) < 2:
        for job in jobs:
            draw(job)
        return
    with ThreadPoolExecutor(min(threads, len(jobs))) as pool:
        list(pool.map(draw, jobs))
