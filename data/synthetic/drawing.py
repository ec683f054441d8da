"""Meshes to linear light: what each pixel sees, and how it is lit."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int

from fitloop.data.synthetic.figures import Figure
from fitloop.data.synthetic.lighting import Light
from fitloop.data.synthetic.textures import TexturePool

SUPERSAMPLING = 2
"""Pixels are drawn as squares of this many by this many and averaged."""
_OCCLUSION_REACH = 0.22
_SHADOW_MAP = 320
_SHADOW_BIAS = 0.015
_TO_LINEAR = (((np.arange(256) / 255.0 + 0.055) / 1.055) ** 2.4).astype(np.float32)
_TO_LINEAR[:11] = np.arange(11) / 255.0 / 12.92


def to_linear(pixels: np.ndarray) -> Float[np.ndarray, "*shape"]:
    """8-bit sRGB to linear light in [0, 1]."""
    return _TO_LINEAR[pixels]


def to_srgb(light: Float[np.ndarray, "*shape"]) -> Float[np.ndarray, "*shape"]:
    """Linear light to sRGB in [0, 1], clipped."""
    light = np.clip(light, 0.0, 1.0)
    return np.where(light <= 0.0031308, 12.92 * light, 1.055 * light ** (1.0 / 2.4) - 0.055)


@dataclass(frozen=True)
class View:
    """A pinhole camera and the picture it makes."""

    focal: float
    principal_point: tuple[float, float]
    size: tuple[int, int]
    """Height and width in pixels."""

    def screen(self, vertices: Float[np.ndarray, "vertices 3"], scale: float = 1.0) -> Float[np.ndarray, "vertices 3"]:
        """Pixel x, pixel y, depth; double precision.

        Args:
            vertices: Camera frame, metres.
            scale: Of the picture.
        """
        points = vertices.astype(np.float64)
        depth = np.maximum(points[:, 2], 1e-3)
        x = scale * (points[:, 0] / depth * self.focal + self.principal_point[0])
        y = scale * (points[:, 1] / depth * self.focal + self.principal_point[1])
        return np.stack([x, y, points[:, 2]], -1)


@dataclass(frozen=True)
class Stage:
    """All figures of a scene as one mesh."""

    vertices: Float[np.ndarray, "vertices 3"]
    faces: Int[np.ndarray, "faces 3"]
    slots: Int[np.ndarray, "faces"]
    corner_uv: Float[np.ndarray, "faces 3 2"]
    parts: Int[np.ndarray, "faces"]
    owners: Int[np.ndarray, "faces"]
    """Figure of each face."""
    slot_texture: Int[np.ndarray, "slots 3"]
    """First texel, side, whether to test alpha."""
    slot_color: Float[np.ndarray, "slots 3 5"]
    slot_bias: Float[np.ndarray, "slots"]
    normals: Float[np.ndarray, "vertices 3"]


def set_stage(figures: list[Figure], pool: TexturePool, view: View) -> Stage:
    """Join figures; each texture at the level that fits its size on the screen."""
    from fitloop.rendering.surface_kernels import add_normals

    starts = np.cumsum([0, *(len(figure.vertices) for figure in figures)])
    first_slot = np.cumsum([0, *(len(figure.layers) for figure in figures)])
    tables = []
    for figure in figures:
        depth = max(float(np.median(figure.vertices[:, 2])), 0.3)
        pixels_per_metre = SUPERSAMPLING * view.focal / depth
        for slot, layer in enumerate(figure.layers):
            texture = pool.index(layer.texture)
            density = _texels_per_metre(figure, slot) * pool.sides[texture, 0]
            level = pool.level(texture, density / pixels_per_metre)
            tables.append((pool.starts[texture, level], pool.sides[texture, level], int(pool.has_alpha[texture])))
    vertices = np.concatenate([figure.vertices for figure in figures]).astype(np.float32)
    faces = np.concatenate([f.faces + start for f, start in zip(figures, starts, strict=False)]).astype(np.int32)
    normals = np.zeros_like(vertices)
    add_normals(vertices, faces, normals)
    layers = [layer for figure in figures for layer in figure.layers]
    return Stage(
        vertices=vertices,
        faces=faces,
        slots=np.concatenate([f.slots + start for f, start in zip(figures, first_slot, strict=False)]).astype(np.int32),
        corner_uv=np.concatenate([figure.corner_uv for figure in figures]),
        parts=np.concatenate([figure.parts for figure in figures]),
        owners=np.repeat(np.arange(len(figures)), [len(figure.faces) for figure in figures]),
        slot_texture=np.array(tables, np.int64),
        slot_color=np.stack([layer.recolor for layer in layers]).astype(np.float32),
        slot_bias=np.array([layer.bias for layer in layers], np.float32),
        normals=normals,
    )


def _texels_per_metre(figure: Figure, slot: int) -> float:
    """Texture widths per metre of surface: the root of the ratio of areas, over some faces."""
    faces = np.flatnonzero(figure.slots == slot)[::17]
    if len(faces) == 0:
        return 1.0
    a, b, c = np.moveaxis(figure.vertices[figure.faces[faces]], 1, 0)
    area = np.linalg.norm(np.cross(b - a, c - a), axis=-1).sum()
    p, q, r = np.moveaxis(figure.corner_uv[faces], 1, 0)
    u, v = q - p, r - p
    flat = np.abs(u[:, 0] * v[:, 1] - u[:, 1] * v[:, 0]).sum()
    return float(np.sqrt(flat / max(float(area), 1e-9)))


@dataclass(frozen=True)
class Drawing:
    """What a camera sees of a stage, at `SUPERSAMPLING` times the picture's size, inside a window."""

    window: tuple[int, int, int, int]
    """Top, bottom, left, right in pixels of the picture."""
    face_ids: Int[np.ndarray, "rows columns"]
    """-1 where there is nothing."""
    depth: Float[np.ndarray, "rows columns"]
    """Metres; infinite where there is nothing."""

    @property
    def covered(self) -> Bool[np.ndarray, "rows columns"]:
        """Where there is something."""
        return self.face_ids >= 0


def draw(stage: Stage, view: View, pool: TexturePool) -> Drawing:
    """Find what each pixel sees."""
    from fitloop.data.synthetic import kernels

    screen = view.screen(stage.vertices, float(SUPERSAMPLING))
    window = _window(screen, view)
    top, bottom, left, right = (SUPERSAMPLING * edge for edge in window)
    shape = (bottom - top, right - left)
    face_ids, depth = np.full(shape, -1, np.int32), np.full(shape, np.inf, np.float32)
    moved = screen - np.array([left, top, 0.0])
    kernels.draw_layers(
        (moved, stage.faces, stage.slots, stage.corner_uv),
        (stage.slot_bias, stage.slot_texture, pool.texels),
        *(face_ids, depth, depth.copy()),
    )
    return Drawing(window, face_ids, depth)


def _window(screen: np.ndarray, view: View) -> tuple[int, int, int, int]:
    from fitloop.data.synthetic import kernels

    height, width = view.size
    near = screen[screen[:, 2] > kernels.NEAR] / SUPERSAMPLING
    if len(near) == 0:
        return 0, 1, 0, 1
    low, high = np.floor(near[:, :2].min(0)) - 1, np.ceil(near[:, :2].max(0)) + 1
    left, right = int(np.clip(low[0], 0, width - 1)), int(np.clip(high[0], 1, width))
    top, bottom = int(np.clip(low[1], 0, height - 1)), int(np.clip(high[1], 1, height))
    return top, max(bottom, top + 1), left, max(right, left + 1)


def light_up(
    drawing: Drawing, stage: Stage, view: View, pool: TexturePool, light: Light
) -> Float[np.ndarray, "rows columns 3"]:
    """Linear colour of every pixel of a drawing; 0 where there is nothing.

    Args:
        drawing: From `draw` with the same stage, view and textures.
        stage: What was drawn.
        view: The camera.
        pool: Textures.
        light: In the camera frame.
    """
    from fitloop.data.synthetic import kernels

    top, _, left, _ = (SUPERSAMPLING * edge for edge in drawing.window)
    screen = view.screen(stage.vertices, float(SUPERSAMPLING)) - np.array([left, top, 0.0])
    sky = np.ones_like(drawing.depth)
    kernels.openness(drawing.depth, SUPERSAMPLING * view.focal * _OCCLUSION_REACH, sky)
    sky = _smooth(sky)
    shadow = _smooth(_sunlit(drawing, stage, view, light))
    result = np.zeros((*drawing.depth.shape, 3), np.float32)
    sun = np.stack([light.sun_direction, light.sun]).astype(np.float32)
    kernels.light_pixels(
        (screen, stage.faces, stage.slots, stage.corner_uv, stage.normals),
        (stage.slot_texture, stage.slot_color, pool.texels, _TO_LINEAR),
        (light.sky.astype(np.float32), sun),
        *(np.stack([sky, shadow], -1), drawing.face_ids, result),
    )
    return result


def _smooth(values: np.ndarray) -> np.ndarray:
    """Mean over 3 x 3 pixels, twice."""
    for _ in range(2):
        padded = np.pad(values, 1, mode="edge")
        rows = padded[:-2] + padded[1:-1] + padded[2:]
        values = (rows[:, :-2] + rows[:, 1:-1] + rows[:, 2:]) / np.float32(9.0)
    return values


def _sunlit(drawing: Drawing, stage: Stage, view: View, light: Light) -> Float[np.ndarray, "rows columns"]:
    """1 where the sun reaches a pixel, 0 in a shadow that figures cast on themselves and on each other."""
    from fitloop.data.synthetic import kernels

    result = np.ones_like(drawing.depth)
    if light.sun.max() <= 0.02 * light.sky[0].max():
        return result
    axes = _axes_along(light.sun_direction)
    seen = (stage.vertices @ axes.T.astype(np.float32)).astype(np.float64)
    low, high = seen.min(0), seen.max(0)
    scale = _SHADOW_MAP / max(float((high - low)[:2].max()), 1e-3)
    seen[:, :2] = (seen[:, :2] - low[:2]) * scale
    nearest = np.full((_SHADOW_MAP, _SHADOW_MAP), np.inf, np.float32)
    kernels.draw_depth(seen, stage.faces, nearest)
    rows, columns = np.nonzero(drawing.covered)
    depth = drawing.depth[rows, columns]
    top, _, left, _ = drawing.window
    x = ((columns + 0.5) / SUPERSAMPLING + left - view.principal_point[0]) / view.focal * depth
    y = ((rows + 0.5) / SUPERSAMPLING + top - view.principal_point[1]) / view.focal * depth
    points = np.stack([x, y, depth], -1) @ axes.T
    place = ((points[:, :2] - low[:2]) * scale).astype(int).clip(0, _SHADOW_MAP - 1)
    result[rows, columns] = points[:, 2] < nearest[place[:, 1], place[:, 0]] + _SHADOW_BIAS + 1.0 / scale
    return result


def _axes_along(sun: np.ndarray) -> np.ndarray:
    """Axes of a camera that looks away from the sun: the third points along its rays."""
    forward = -sun / np.linalg.norm(sun)
    helper = np.array([0.0, 1.0, 0.0]) if abs(forward[1]) < 0.9 else np.array([1.0, 0.0, 0.0])
    right = np.cross(helper, forward)
    right /= np.linalg.norm(right)
    return np.stack([right, np.cross(forward, right), forward])
