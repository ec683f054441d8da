"""Rasterizer back ends side by side in one run, and what is drawn with them.

    python -m benchmarks.rendering --quick

PyTorch3D is timed on CUDA. On a CPU one picture takes it 10 to 40 seconds: it is left out there unless asked for by
``--pytorch3d``, and then draws one picture of 224 pixels, once.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from importlib.util import find_spec

import numpy as np
import torch
import tyro
from torch import Tensor

from fitloop.body import Body, load_body, upright
from fitloop.geometry import Camera, rotvec_to_rotmat
from fitloop.rendering import draw_overlay, export_glb, load_rasterizer, normal_map
from fitloop.rendering.backends import Backend

Metric = tuple[str, float, str, str]
"""Key, value, unit, and which way is better."""


@dataclass(frozen=True)
class RenderingBenchmark:
    """Time the back ends and what is drawn with them."""

    quick: bool = False
    """Three rounds instead of fifteen."""
    device: str = "cpu"
    """Where the meshes lie: `cpu` or `cuda`."""
    pytorch3d: bool = False
    """On a CPU too, let PyTorch3D draw one picture of 224 pixels, once."""


def run(config: RenderingBenchmark = RenderingBenchmark()) -> list[Metric]:
    """Time every back end present on the open body, pictures of 224 and 512 pixels, one and eight at a time.

    Each round times every case once, so that all suffer alike from a busy machine; the least time counts. Uses as many
    threads as torch does.
    """
    body = load_body().to(config.device)
    cases = _cases(body)
    for work in cases.values():
        work()
    best = dict.fromkeys(cases, float("inf"))
    for _ in range(3 if config.quick else 15):
        for key, work in cases.items():
            best[key] = min(best[key], _seconds(work))
    if config.pytorch3d and body.template.device.type == "cpu":
        best["rasterize/pytorch3d/224px/batch1"] = _seconds(_rasterizing(body, "pytorch3d", _people(body, 1), 224))
    return [(key, 1e3 * seconds / _pictures(key), "ms", "lower") for key, seconds in best.items()]


def _seconds(work: Callable[[], object]) -> float:
    start = time.perf_counter()
    work()
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    return time.perf_counter() - start


def _rasterizing(body: Body, name: Backend, vertices: Tensor, side: int) -> Callable[[], object]:
    camera = Camera(torch.tensor(1.25 * side), torch.tensor([side / 2, side / 2])).to(vertices.device)
    return _job(load_rasterizer(name), vertices, body.faces, camera, (side, side))


def _cases(body: Body) -> dict[str, Callable[[], object]]:
    device = body.template.device
    there = find_spec("pytorch3d") is not None and device.type == "cuda"
    names: list[Backend] = ["numba", "torch", *(["pytorch3d"] if there else [])]
    vertices, cases = _people(body, 8), {}
    for side in (224, 512):
        camera = Camera(torch.tensor(1.25 * side), torch.tensor([side / 2, side / 2])).to(device)
        for count in (1, 8):
            for name in names:
                cases[f"rasterize/{name}/{side}px/batch{count}"] = _rasterizing(body, name, vertices[:count], side)
        fragments = load_rasterizer("numba")(vertices, body.faces, camera, (side, side))
        cases[f"normals/{side}px/batch8"] = _job(normal_map, fragments, vertices, body.faces)
    for width, height in ((1000, 750), (4000, 3000)):
        photo = np.full((height, width, 3), 90, np.uint8)
        camera = Camera(torch.tensor(1.25 * height), torch.tensor([width / 2, height / 2])).to(device)
        cases[f"overlay/{width}x{height}/3 people"] = _job(draw_overlay, photo, vertices[:3], body.faces, camera)
    cases["glb/1 person"] = _job(_export, vertices[0], body.faces)
    return cases


def _job(work: Callable[..., object], *arguments: object) -> Callable[[], object]:
    return lambda: work(*arguments)


def _export(vertices: Tensor, faces: Tensor) -> None:
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        export_glb(f"{folder}/person.glb", vertices, faces)


def _people(body: Body, count: int) -> Tensor:
    """Bodies in random poses that fill two thirds of the picture's height."""
    generator = torch.Generator().manual_seed(0)
    params = upright(count)
    turns = rotvec_to_rotmat(0.3 * torch.randn(count, 23, 3, generator=generator))
    places = torch.tensor([0.0, 0.1, 3.2]) + 0.1 * torch.randn(count, 3, generator=generator)
    return body(replace(params, body_pose=turns, transl=places).to(body.template.device)).vertices


def _pictures(key: str) -> int:
    return 8 if key.endswith("batch8") else 1


if __name__ == "__main__":
    chosen = tyro.cli(RenderingBenchmark)
    if chosen.pytorch3d and find_spec("pytorch3d") is None:
        raise SystemExit("PyTorch3D is not installed: build it as docs/rendering.md says, or leave out --pytorch3d.")
    for key, value, unit, _ in run(chosen):
        print(f"{key:40s} {value:9.2f} {unit}")
    if chosen.device == "cpu" and not chosen.pytorch3d:
        print("PyTorch3D is left out: on a CPU a picture takes it 10 to 40 s; --pytorch3d draws one.")
