"""Which back end draws."""

from importlib.util import find_spec
from typing import Literal

import torch

from fitloop.rendering.rasterizer import Rasterizer

Backend = Literal["auto", "numba", "torch", "pytorch3d"]


def load_rasterizer(name: Backend = "auto", device: torch.device | str = "cpu") -> Rasterizer:
    """Choose a back end.

    Args:
        name: ``numba`` (CPU), ``torch`` (CUDA; also runs on a CPU), ``pytorch3d`` (if installed), or ``auto``: numba
            on a CPU, PyTorch3D on CUDA where it is installed, else torch.
        device: Where the meshes will lie; only ``auto`` looks at it.

    Raises:
        ValueError: If there is no back end of this name.
        ModuleNotFoundError: If PyTorch3D is asked for and not installed.
    """
    if name == "auto":
        on_cpu = torch.device(device).type == "cpu"
        name = "numba" if on_cpu else "pytorch3d" if find_spec("pytorch3d") else "torch"
    match name:
        case "numba":
            from fitloop.rendering.numba_backend import NumbaRasterizer

            return NumbaRasterizer()
        case "torch":
            from fitloop.rendering.torch_backend import TorchRasterizer

            return TorchRasterizer()
        case "pytorch3d":
            from fitloop.rendering.pytorch3d_backend import PyTorch3DRasterizer

            return PyTorch3DRasterizer()
    raise ValueError(f"There is no rasterizer {name!r}; known: auto, numba, torch, pytorch3d.")
