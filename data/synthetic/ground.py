"""Shade on the ground: where people keep the sky and the sun away from it."""

import numpy as np
from jaxtyping import Float
from scipy.ndimage import gaussian_filter

from fitloop.data.synthetic.drawing import View
from fitloop.data.synthetic.lighting import Light

_STEP = 2
_BALL = 0.1
"""Metres: radius of the balls at the joints that stand for the body when the sky is counted."""


def shade_on_ground(
    view: View, down: Float[np.ndarray, "3"], meshes: list[tuple[np.ndarray, np.ndarray, np.ndarray]], light: Light
) -> Float[np.ndarray, "height width"]:
    """Share of its light that each pixel of the ground keeps; 1 above the horizon and far from everybody.

    Args:
        view: The camera.
        down: Direction of gravity, camera frame.
        meshes: Vertices, faces and joints of every person; each stands on a plane through its own lowest point.
        light: In the camera frame.
    """
    height, width = view.size
    rows, columns = -(-height // _STEP), -(-width // _STEP)
    y, x = np.mgrid[0:rows, 0:columns]
    focal, (cx, cy) = view.focal, view.principal_point
    rays = np.stack([((x + 0.5) * _STEP - cx) / focal, ((y + 0.5) * _STEP - cy) / focal, np.ones((rows, columns))], -1)
    fall = rays @ down
    sky, sun = (float(part.mean()) for part in light.on(-down))
    kept = np.ones((rows, columns))
    for vertices, faces, joints in meshes:
        level = float((vertices @ down).max())
        reached = fall > 1e-3
        ground = rays * np.where(reached, level / np.where(reached, fall, 1.0), 0.0)[..., None]
        near = reached & (np.linalg.norm(ground - joints.mean(0), axis=-1) < 4.0)
        around = np.ones((rows, columns))
        around[near] = _open_sky(ground[near], joints, down)
        direct = np.ones((rows, columns))
        if sun > 0.05 * sky:
            direct = 1.0 - _cast(view, down, (vertices, faces), light.sun_direction, (rows, columns)) * near
        kept *= (sky * around + sun * direct) / max(sky + sun, 1e-9)
    full = np.repeat(np.repeat(kept, _STEP, 0), _STEP, 1)[:height, :width]
    return gaussian_filter(full, 1.0).astype(np.float32)


def _open_sky(points: np.ndarray, joints: np.ndarray, down: np.ndarray) -> np.ndarray:
    """Product over balls of what each leaves of the sky: 1 - cos(angle) radius^2 / distance^2."""
    towards = joints[None] - points[:, None]
    distance = np.maximum(np.linalg.norm(towards, axis=-1), _BALL)
    cosine = np.maximum(-(towards @ down) / distance, 0.0)
    cosine = np.maximum(cosine, 0.25)
    return np.prod(1.0 - np.minimum(cosine * (_BALL / distance) ** 2, 0.9), axis=-1)


def _cast(
    view: View, down: np.ndarray, mesh: tuple[np.ndarray, np.ndarray], sun: np.ndarray, shape: tuple[int, int]
) -> np.ndarray:
    """Share of each pixel that lies in the shadow cast on the plane, blurred like that of a wide sun."""
    from fitloop.data.synthetic import kernels

    vertices, faces = mesh
    level = float((vertices @ down).max())
    rise = float(-(sun @ down))
    if rise < 0.12:
        return np.zeros(shape)
    height = level - vertices @ down
    flat = vertices - sun * (height / rise)[:, None]
    screen = view.screen(flat, 1.0 / _STEP)
    near = screen[:, 2] > 0.3
    used = faces[near[faces].all(1)].astype(np.int32)
    depth = np.full(shape, np.inf, np.float32)
    kernels.draw_depth(screen, used, depth)
    return gaussian_filter(np.isfinite(depth).astype(np.float64), 1.5)
