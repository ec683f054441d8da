"""Pictures of a report: crops of photos with bodies over them, small enough to live inside the page."""

import base64
import io

import numpy as np
import torch
from PIL import Image

from fitloop.body import BodyEstimate, upright
from fitloop.evaluation.placing import Bodies, landmarks_of
from fitloop.evaluation.protocols import Protocol
from fitloop.geometry import Camera, project
from fitloop.rendering import draw_overlay, load_rasterizer

SIDE = 256
"""Pixels of a crop's side."""
PHOTO = 400
"""Pixels of the longer side of the photo behind a 3D view."""


def data_address(pixels: np.ndarray, kind: str = "JPEG") -> str:
    """A picture as an address that needs no file."""
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, kind, quality=78)
    return f"data:image/{kind.lower()};base64,{base64.b64encode(buffer.getvalue()).decode('ascii')}"


def small_photo(pixels: np.ndarray) -> str:
    """The whole photo, at most `PHOTO` pixels wide or high."""
    image = Image.fromarray(pixels)
    image.thumbnail((PHOTO, PHOTO))
    return data_address(np.array(image))


def crop(pixels: np.ndarray, box: tuple[float, float, float, float]) -> np.ndarray:
    """Cut a square box out of a photo, (SIDE, SIDE, 3); grey where it leaves the photo."""
    left, top, right, bottom = box
    scale = (right - left) / SIDE
    image = Image.fromarray(pixels)
    cut = image.transform(
        (SIDE, SIDE),
        Image.Transform.AFFINE,
        (scale, 0.0, left, 0.0, scale, top),
        Image.Resampling.BILINEAR,
        fillcolor=(128, 128, 128),
    )
    return np.array(cut)


def overlay(
    background: np.ndarray, box: tuple[float, float, float, float], estimate: BodyEstimate, bodies: Bodies
) -> np.ndarray:
    """Draw one person over a crop made by `crop` with the same box."""
    body = bodies.body(estimate.body)
    scale = SIDE / (box[2] - box[0])
    corner = torch.tensor([box[0], box[1]])
    camera = Camera(estimate.camera.focal * scale, (estimate.camera.principal_point - corner) * scale)
    vertices = body(estimate.params).vertices
    return draw_overlay(background, vertices, body.faces, camera)


def body_figure(protocol: Protocol, bodies: Bodies, name: str) -> tuple[str, tuple[int, int], np.ndarray]:
    """A body in T-pose to write joint errors on.

    Args:
        protocol: Names the joints.
        bodies: Holds the body.
        name: Of the body.

    Returns:
        The picture with a transparent background, its width and height, and each joint's place (joints, 2) in it; NaN
        for joints that the body has not.
    """
    body = bodies.body(name)
    width, height = 520, 540
    params = upright()
    params.transl[2] = 4.0
    mesh = body(params)
    middle = (mesh.vertices.amax(0) + mesh.vertices.amin(0)) / 2.0
    camera = Camera(torch.tensor(1050.0), torch.tensor([width / 2.0, height / 2.0]))
    centred = mesh.vertices - torch.tensor([middle[0], middle[1], 0.0])
    drawn = draw_overlay(np.full((height, width, 3), 255, np.uint8), centred[None], body.faces, camera)
    covered = load_rasterizer()(centred, body.faces, camera, (height, width)).covered.numpy()
    # Grey, so that the colours of the errors on it are the only ones; transparent, so that it suits light and dark.
    grey = drawn.mean(-1, keepdims=True).astype(np.uint8)
    picture = np.concatenate([grey, grey, grey, (255 * covered[..., None]).astype(np.uint8)], -1)
    wanted = landmarks_of(protocol, body)
    known = tuple(landmark for landmark in wanted if landmark is not None)
    points = bodies.placing(name, known)(params) - torch.tensor([middle[0], middle[1], 0.0])
    places = np.full((len(wanted), 2), np.nan)
    places[[landmark is not None for landmark in wanted]] = project(points, camera).numpy()
    return data_address(picture, "PNG"), (width, height), places
