"""Where the camera looks, where people stand, what is in front of them."""

from dataclasses import dataclass, replace

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from fitloop.body import BodyParams
from fitloop.data.synthetic.assets import Assets, Side
from fitloop.data.synthetic.backgrounds import Background
from fitloop.data.synthetic.config import SceneConfig
from fitloop.data.synthetic.drawing import View
from fitloop.data.synthetic.lighting import Light
from fitloop.geometry import rotvec_to_rotmat

_CAMERA_HEIGHT = (0.7, 2.1)
_TRIES = 24


@dataclass(frozen=True)
class Backdrop:
    """A background as the picture shows it: which part of it, and the camera and light that it implies."""

    source: Background
    name: str
    mirrored: bool
    scale: float
    """Pixels of the picture per pixel of the background."""
    center: tuple[float, float]
    """Point of the background in the middle of the picture."""
    roll: float
    """Radians."""


@dataclass(frozen=True)
class CameraPlan:
    """The camera of a scene and the world around it."""

    view: View
    rotation: Float[np.ndarray, "3 3"]
    """From a world with y up, in which people stand, to the camera."""
    light: Light
    """In the camera frame."""
    free: bool
    """Whether the background was ignored."""

    @property
    def down(self) -> Float[np.ndarray, "3"]:
        """Direction of gravity in the camera frame."""
        return -self.rotation[:, 1]


def choose_backdrop(assets: Assets, side: Side, config: SceneConfig, rng: np.random.Generator) -> Backdrop:
    """Choose a background and the part of it that fills the picture."""
    name = side.backgrounds[int(rng.integers(len(side.backgrounds)))]
    source = assets.places.open(name)
    rows, columns = source.pixels.shape[:2]
    roll = float(np.clip(rng.normal(0.0, np.radians(config.roll)), -0.12, 0.12))
    spread = abs(np.sin(roll)) * max(config.height, config.width)
    largest = min(rows / (config.height + spread), columns / (config.width + spread))
    share = largest * float(rng.uniform(0.65, 0.99))
    room = 0.5 * np.array([columns - share * (config.width + spread), rows - share * (config.height + spread)])
    center = np.array([columns, rows]) / 2.0 + rng.uniform(-1.0, 1.0, 2) * np.maximum(room, 0.0)
    return Backdrop(source, name, bool(rng.random() < 0.5), 1.0 / share, (float(center[0]), float(center[1])), roll)


def choose_camera(backdrop: Backdrop, config: SceneConfig, rng: np.random.Generator) -> CameraPlan:
    """Choose a focal length, and the tilt that puts the horizon where the background has it."""
    diagonal = float(np.hypot(config.height, config.width))
    focal = diagonal * float(np.exp(rng.uniform(*np.log(config.focal))))
    source, free = backdrop.source, bool(rng.random() < config.free_camera)
    if free:
        pitch = np.radians(float(rng.uniform(*config.free_pitch)))
    else:
        horizon = source.pixels.shape[0] / 2.0 - source.focal * np.tan(source.pitch)
        pitch = np.arctan((backdrop.center[1] - horizon) * backdrop.scale / focal)
    cos, sin = np.cos(pitch), np.sin(pitch)
    tilt = np.array([[1.0, 0.0, 0.0], [0.0, cos, -sin], [0.0, sin, cos]])
    cos, sin = np.cos(backdrop.roll), np.sin(backdrop.roll)
    level = np.array([[cos, -sin, 0.0], [sin, cos, 0.0], [0.0, 0.0, 1.0]]) @ tilt
    light = source.light.mirrored() if backdrop.mirrored else source.light
    view = View(focal, (config.width / 2.0, config.height / 2.0), (config.height, config.width))
    return CameraPlan(view, level @ np.diag([1.0, -1.0, -1.0]), light.turned(level).tempered((0.4, 1.1), 3.0), free)


@dataclass(frozen=True)
class Standing:
    """A person before being put anywhere."""

    params: BodyParams
    """With the translation 0."""
    vertices: Float[np.ndarray, "vertices 3"]
    """Of the bare body, camera axes."""


def choose_person(
    assets: Assets, side: Side, plan: CameraPlan, config: SceneConfig, rng: np.random.Generator
) -> Standing:
    """Choose pose, shape and direction of a person."""
    pool = side.acrobatic if rng.random() < config.acrobatic else side.poses
    pose = rotvec_to_rotmat(torch.from_numpy(pool.draw(rng, config.pose_noise)))
    turn = rotvec_to_rotmat(torch.tensor([0.0, float(rng.uniform(-np.pi, np.pi)), 0.0]))
    betas = _shape(config, rng)
    to_camera = torch.from_numpy(plan.rotation.astype(np.float32))
    params = BodyParams(to_camera @ turn @ pose[0], pose[1:], betas, torch.zeros(3))
    return Standing(params, assets.dressmaker.bare(params))


def reshaped(assets: Assets, person: Standing, config: SceneConfig, rng: np.random.Generator) -> Standing:
    """The same pose with another shape."""
    params = replace(person.params, betas=_shape(config, rng))
    return Standing(params, assets.dressmaker.bare(params))


def _shape(config: SceneConfig, rng: np.random.Generator) -> Float[Tensor, "betas"]:
    return torch.from_numpy(rng.normal(0.0, config.shape, 10).clip(-3.0, 3.0).astype(np.float32))


def place_main(
    person: Standing, plan: CameraPlan, config: SceneConfig, rng: np.random.Generator
) -> Float[np.ndarray, "3"]:
    """Translation that puts the main person in the picture, on ground at a believable height below the camera."""
    cut = rng.random() < config.truncated
    height = config.height * np.array(config.person_height) * (1.3 if cut else 1.0)
    low, high = person.vertices.min(0), person.vertices.max(0)
    middle, extent = (low + high) / 2.0, high - low
    best, least = np.zeros(3), np.inf
    for _ in range(_TRIES):
        wanted = float(rng.uniform(*height))
        depth = plan.view.focal * max(float(extent[1]), 0.6 * float(extent[0])) / wanted
        place = _aim(plan, rng, cut) * depth - middle
        if not plan.free:
            place = _onto_ground(person, plan, place, float(rng.uniform(*_CAMERA_HEIGHT)))
        fault = _fault(person.vertices + place, plan.view, wanted, cut)
        if fault < least:
            best, least = place, fault
        if fault < 0.02:
            break
    return best


def _aim(plan: CameraPlan, rng: np.random.Generator, cut: bool) -> Float[np.ndarray, "3"]:
    reach = 0.42 if cut else 0.25
    height, width = plan.view.size
    x, y = rng.uniform(-reach, reach, 2) * np.array([width, height]) / plan.view.focal
    return np.array([x, y, 1.0])


def _onto_ground(person: Standing, plan: CameraPlan, place: np.ndarray, below: float) -> np.ndarray:
    """Move along gravity until the lowest point lies ``below`` metres under the camera."""
    lowest = float(((person.vertices + place) @ plan.down).max())
    return place + (below - lowest) * plan.down


def _fault(vertices: np.ndarray, view: View, wanted: float, cut: bool) -> float:
    """How far from what was wanted: out of the picture, too small or large, or too near."""
    if vertices[:, 2].min() < 0.4:
        return 10.0
    points = view.screen(vertices[::8])[:, :2]
    height, width = view.size
    low, high = points.min(0), points.max(0)
    inside = ((points > 0) & (points < np.array([width, height]))).all(1).mean()
    missing = abs(inside - 0.7) - 0.2 if cut else 0.995 - inside
    size = abs(np.log(max(float((high - low)[1]), 1.0) / wanted)) - 0.7
    return float(max(missing, 0.0) + max(size, 0.0))


def place_other(
    person: Standing, main: np.ndarray, plan: CameraPlan, rng: np.random.Generator
) -> Float[np.ndarray, "3"]:
    """Translation of a further person: at another depth, on the same ground as the main one.

    Args:
        person: Who.
        main: Vertices of the main person, camera frame.
        plan: The camera.
        rng: Source of randomness.
    """
    ground = float((main @ plan.down).max())
    around = (main.min(0) + main.max(0)) / 2.0
    best, most = np.zeros(3), -np.inf
    for _ in range(_TRIES):
        depth = around[2] * float(np.exp(rng.uniform(-0.3, 0.6)))
        x = rng.uniform(-0.45, 0.45) * plan.view.size[1] / plan.view.focal * depth
        place = np.array([x, 0.0, depth]) - person.vertices.mean(0)
        place = place + (ground - float(((person.vertices + place) @ plan.down).max())) * plan.down
        own = person.vertices + place
        gap = float(np.linalg.norm((own.mean(0) - around)[[0, 2]]))
        score = min(gap, 0.9) - (10.0 if own[:, 2].min() < 0.5 else 0.0)
        if score > most:
            best, most = place, score
        if score >= 0.9:
            break
    return best
