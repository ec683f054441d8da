"""Things that stand in front of people: crates, pillars, balls and boards, covered with pieces of photos."""

import numpy as np
from jaxtyping import Float

from fitloop.data.synthetic.figures import Figure, Layer
from fitloop.data.synthetic.placement import CameraPlan


def thing_before(
    person: Float[np.ndarray, "vertices 3"], plan: CameraPlan, surfaces: list[str], rng: np.random.Generator
) -> Figure:
    """A thing between the camera and a person that hides some of the person.

    Args:
        person: Vertices, camera frame, metres.
        plan: The camera.
        surfaces: Textures to choose from.
        rng: Source of randomness.
    """
    aim = person[int(rng.integers(len(person)))]
    tall = float(np.ptp(person @ plan.down))
    near = float(rng.uniform(0.55, 0.85))
    kind = rng.choice(["crate", "pillar", "ball", "board"], p=[0.4, 0.25, 0.15, 0.2])
    size = near * np.maximum(tall, 0.8) * rng.uniform(0.22, 0.5, 3)
    mesh, flat_uv = _ball() if kind == "ball" else _tube(6 + int(rng.integers(8))) if kind == "pillar" else _cube()
    if kind == "pillar":
        size = np.array([0.35 * size[0], 4.0, 0.35 * size[0]])
    elif kind == "board":
        size[2] *= 0.08
    elif kind == "ball":
        size[:] = size[0]
    turn = float(rng.uniform(-np.pi, np.pi))
    cos, sin = np.cos(turn), np.sin(turn)
    world = (mesh[0] * size) @ np.array([[cos, 0.0, sin], [0.0, 1.0, 0.0], [-sin, 0.0, cos]]).T
    vertices = world @ plan.rotation.T + near * aim
    if kind == "crate":
        ground = float((person @ plan.down).max())
        vertices = vertices + (ground - float((vertices @ plan.down).max())) * plan.down
    recolor = np.zeros((3, 5), np.float32)
    recolor[:, :3] = np.exp(rng.uniform(-0.4, 0.3)) * np.diag(1.0 + rng.uniform(-0.2, 0.2, 3))
    layer = Layer(surfaces[int(rng.integers(len(surfaces)))], recolor, 0.0)
    # Corners are not shared, so that edges stay sharp where a thing has edges.
    faces = mesh[1]
    if kind != "ball":
        vertices, faces = vertices[faces].reshape(-1, 3), np.arange(3 * len(faces)).reshape(-1, 3)
    count = len(faces)
    return Figure(vertices.astype(np.float32), faces, np.zeros(count, np.int64), flat_uv, np.full(count, -1), (layer,))


Mesh = tuple[tuple[np.ndarray, np.ndarray], np.ndarray]


def _cube() -> Mesh:
    corners = np.array([[x, y, z] for x in (-0.5, 0.5) for y in (-0.5, 0.5) for z in (-0.5, 0.5)])
    quads = [(0, 1, 3, 2), (4, 6, 7, 5), (0, 4, 5, 1), (2, 3, 7, 6), (0, 2, 6, 4), (1, 5, 7, 3)]
    faces = np.array([(q[a], q[b], q[c]) for q in quads for a, b, c in ((0, 1, 2), (0, 2, 3))])
    square = np.array([[0, 0], [0, 1], [1, 1], [1, 0]], np.float32)
    uv = np.stack([square[[0, 1, 2]], square[[0, 2, 3]]])
    return (corners, faces), np.tile(uv, (6, 1, 1))


def _tube(sides: int) -> Mesh:
    angle = 2.0 * np.pi * np.arange(sides) / sides
    ring = np.stack([0.5 * np.cos(angle), np.zeros(sides), 0.5 * np.sin(angle)], -1)
    corners = np.concatenate([ring - [0.0, 0.5, 0.0], ring + [0.0, 0.5, 0.0]])
    here = np.arange(sides)
    there = (here + 1) % sides
    faces = np.concatenate(
        [np.stack([here, here + sides, there], -1), np.stack([there, here + sides, there + sides], -1)]
    )
    low, high = here / sides, (here + 1) / sides
    zero, one = np.zeros(sides), np.ones(sides)
    uv = np.concatenate(
        [
            np.stack([np.stack(p, -1) for p in ((low, zero), (low, one), (high, zero))], 1),
            np.stack([np.stack(p, -1) for p in ((high, zero), (low, one), (high, one))], 1),
        ]
    )
    return (corners, faces), uv.astype(np.float32)


def _ball(rows: int = 12, columns: int = 20) -> Mesh:
    latitude = np.pi * (np.arange(rows + 1) / rows - 0.5)
    longitude = 2.0 * np.pi * np.arange(columns) / columns
    flat = np.cos(latitude)[:, None]
    corners = 0.5 * np.stack(
        [
            flat * np.cos(longitude),
            np.broadcast_to(np.sin(latitude)[:, None], (rows + 1, columns)),
            flat * np.sin(longitude),
        ],
        -1,
    )
    r, c = (grid.ravel() for grid in np.meshgrid(np.arange(rows), np.arange(columns), indexing="ij"))
    a, b = r * columns + c, r * columns + (c + 1) % columns
    below, across = a + columns, b + columns
    faces = np.concatenate([np.stack([a, below, b], -1), np.stack([b, below, across], -1)])
    u, v = c / columns, r / rows
    du, dv = 1.0 / columns, 1.0 / rows
    uv = np.concatenate(
        [
            np.stack([np.stack(p, -1) for p in ((u, v), (u, v + dv), (u + du, v))], 1),
            np.stack([np.stack(p, -1) for p in ((u + du, v), (u, v + dv), (u + du, v + dv))], 1),
        ]
    )
    return (corners.reshape(-1, 3), faces), uv.astype(np.float32)
