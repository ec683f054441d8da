"""Back ends that are present, and scenes small enough to check by hand."""

from collections.abc import Callable
from importlib.util import find_spec

import pytest
import torch
from torch import Tensor

from fitloop.geometry import Camera
from fitloop.rendering import Rasterizer, load_rasterizer

Mesh = tuple[Tensor, Tensor]


@pytest.fixture(
    params=(
        "numba",
        "torch",
        pytest.param(
            "pytorch3d", marks=pytest.mark.skipif(not find_spec("pytorch3d"), reason="PyTorch3D is not installed.")
        ),
    )
)
def rasterizer(request: pytest.FixtureRequest) -> Rasterizer:
    return load_rasterizer(request.param)


@pytest.fixture
def make_camera() -> Callable[..., Camera]:
    def make(focal: float = 100.0, x: float = 20.0, y: float = 15.0) -> Camera:
        return Camera(torch.tensor(focal), torch.tensor([x, y]))

    return make


@pytest.fixture
def make_soup() -> Callable[..., Mesh]:
    """Random triangles that cross one another, 2 to 4 m in front of the camera."""

    def make(*batch: int, faces: int = 60, seed: int = 0) -> Mesh:
        generator = torch.Generator().manual_seed(seed)
        place = torch.rand(*batch, faces, 1, 3, generator=generator) - 0.5
        corners = place + 0.4 * torch.randn(*batch, faces, 3, 3, generator=generator)
        vertices = corners * torch.tensor([0.6, 0.5, 0.4]) + torch.tensor([0.0, 0.0, 3.0])
        return vertices.flatten(-3, -2), torch.arange(3 * faces).view(faces, 3)

    return make


@pytest.fixture
def make_sphere() -> Callable[..., Mesh]:
    """A closed sphere with outward faces."""

    def make(rings: int = 24, radius: float = 0.5, center: tuple[float, float, float] = (0.0, 0.0, 3.0)) -> Mesh:
        latitude = torch.linspace(0.0, torch.pi, rings + 1)[1:-1, None].expand(-1, 2 * rings)
        longitude = torch.arange(2 * rings) * torch.pi / rings
        ring = torch.stack([latitude.sin() * longitude.cos(), latitude.cos(), latitude.sin() * longitude.sin()], -1)
        poles = torch.tensor([[0.0, 1.0, 0.0], [0.0, -1.0, 0.0]])
        vertices = torch.cat([ring.flatten(0, 1), poles])
        around, top = 2 * rings, len(vertices) - 2
        faces = []
        for a in range(around):
            b = (a + 1) % around
            faces += [(top, b, a), (top + 1, top - around + a, top - around + b)]
            for row in range(0, top - around, around):
                faces += [(row + a, row + b, row + a + around), (row + b, row + b + around, row + a + around)]
        return vertices * radius + torch.tensor(center), torch.tensor(faces)

    return make
