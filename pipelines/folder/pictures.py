"""The pictures of one photo: full-size overlay, and small ones for the page."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
from PIL import Image as PillowImage

from fitloop.body import BodyEstimate
from fitloop.body.files import whole_file
from fitloop.geometry import Camera
from fitloop.pipelines.chain.people import People
from fitloop.pipelines.folder.config import RunConfig
from fitloop.rendering import draw_overlay
from fitloop.rendering.flow import draw_flow

OVERLAY_SIDE = 2400
"""Longer side of the overlay at most, pixels; larger photos are shrunk for it."""
PAGE_SIDE = 720
"""Longer side of the page's pictures, pixels."""
QUALITY = 88


def write_pictures(config: RunConfig, people: People, read: Callable[[], np.ndarray]) -> None:
    """Write the pictures that the options ask for.

    Args:
        config: Names the outputs and the folder.
        people: May be empty; the page then shows the photo alone.
        read: Gives the photo's pixels (height, width, 3) RGB uint8; called only if needed.
    """
    if not {"overlays", "page"} & set(config.outputs):
        return
    pixels = read()
    if len(people) == 0:
        if "page" in config.outputs:
            _save(shrink(pixels, PAGE_SIDE)[0], page_picture(config.out, people.name, "photo"))
        return
    last = overlay(*shrink(pixels, OVERLAY_SIDE), people)
    if "overlays" in config.outputs:
        _save(last, config.out / "overlays" / f"{people.name}.jpg")
    if "page" in config.outputs:
        for name, picture in _page_pictures(*shrink(pixels, PAGE_SIDE), people).items():
            _save(picture, page_picture(config.out, people.name, name))
        stage = "clothed" if people.offsets is not None else [name for name, _ in people.stages()][-1]
        _save(shrink(last, PAGE_SIDE)[0], page_picture(config.out, people.name, stage))


def _page_pictures(small: np.ndarray, scale: float, people: People) -> dict[str, np.ndarray]:
    """The photo, every stage but the last, and what moved the bodies, by name."""
    found, stages = {"photo": small}, list(people.stages())
    for stage, estimate in stages if people.offsets is not None else stages[:-1]:
        found[stage] = overlay(small, scale, people, estimate)
    if people.refined is not None:
        found["flow"] = draw_flow(small, scale, people.refined.flow)
    return found


def page_picture(out: Path, photo: str, stage: str) -> Path:
    """Where the page's picture of a stage lies."""
    return out / "page" / f"{photo}.{stage}.jpg"


def overlay(pixels: np.ndarray, scale: float, people: People, estimate: BodyEstimate | None = None) -> np.ndarray:
    """Draw bodies over a photo; (height, width, 3) RGB uint8.

    Args:
        pixels: The photo, or a copy shrunk by ``scale``.
        scale: Pixels of ``pixels`` per full-image pixel.
        people: Whose bodies they are.
        estimate: Bodies of one stage; those of the last, clothed where offsets were taken, if not given.
    """
    vertices = people.surface() if estimate is None else people.body(estimate.params).vertices
    camera = (people.estimate if estimate is None else estimate).camera
    camera = Camera(camera.focal * scale, camera.principal_point * scale)
    return draw_overlay(pixels, vertices, people.body.faces, camera)


def shrink(pixels: np.ndarray, side: int) -> tuple[np.ndarray, float]:
    """Make the longer side at most ``side`` pixels; return the picture and the scale."""
    height, width = pixels.shape[:2]
    scale = min(1.0, side / max(height, width))
    if scale == 1.0:
        return pixels, scale
    rows, columns = shrunk_size(height, width, side)
    # The gap lets Pillow shrink by whole steps first: faster on large photos, and nobody sees a difference.
    resized = PillowImage.fromarray(pixels).resize((columns, rows), PillowImage.Resampling.BILINEAR, reducing_gap=2.0)
    return np.asarray(resized), scale


def shrunk_size(height: int, width: int, side: int = PAGE_SIDE) -> tuple[int, int]:
    """Height and width of a photo after `shrink`."""
    scale = min(1.0, side / max(height, width))
    return max(1, round(height * scale)), max(1, round(width * scale))


def _save(pixels: np.ndarray, path: Path) -> None:
    with whole_file(path) as file:
        PillowImage.fromarray(pixels).save(file, format="JPEG", quality=QUALITY)
