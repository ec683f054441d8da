"""Synthetic clips: dressed people who move as somebody did before the motion capture's cameras, and what is true."""

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from fitloop.body import BodyParams
from fitloop.body.mirror import rest_pelvis
from fitloop.data.synthetic.assets import Assets
from fitloop.data.synthetic.camera_paths import ROOM, CameraPath, held, room_of, standing
from fitloop.data.synthetic.config import SceneConfig, Split
from fitloop.data.synthetic.drawing import set_stage
from fitloop.data.synthetic.figures import Layer
from fitloop.data.synthetic.garments import Garment
from fitloop.data.synthetic.outfits import choose_outfit, choose_skin, wardrobe
from fitloop.data.synthetic.photos import Film
from fitloop.data.synthetic.placement import Backdrop, CameraPlan, choose_backdrop, choose_camera
from fitloop.data.synthetic.scenes import Actor, Scene
from fitloop.data.synthetic.sequences import RATE, Sequence
from fitloop.data.synthetic.truth import SyntheticPhoto, place_landmarks
from fitloop.geometry import rotvec_to_rotmat

_TRIES = 48
_CAMERA_HEIGHT = (0.8, 1.9)
_WALK = 1.2
"""Metres in a clip from which on somebody walks."""
_TILT, _TILT_RANGE = np.radians((-5.0, 7.0))
"""Radians: how far down a camera looks, and how far from that it may."""
_APART = (0.9, 1.4)
"""Metres between the paths of two people who cross."""


@dataclass(frozen=True)
class ClipConfig:
    """What clips are like."""

    seconds: float = 3.0
    """How long."""
    frame_rate: float = 30.0
    """Frames per second: 30, or a whole part of it."""
    height: int = 480
    """Pixels."""
    width: int = 640
    """Pixels."""
    split: Split = "training"
    """Which subjects, garments, skins and places may appear."""
    crossing: float = 0.2
    """Share of clips in which two people cross; of the others every second one has a camera that moves."""

    def __post_init__(self) -> None:
        if self.seconds <= 0 or self.frame_rate <= 0 or RATE % self.frame_rate:
            raise ValueError(
                f"A clip has a positive length and {RATE:g} frames a second or a whole part of it, got "
                f"{self.seconds} s and {self.frame_rate} frames a second."
            )
        if min(self.height, self.width) < 32 or self.height % 2 or self.width % 2:
            raise ValueError(f"Clips have even sides of 32 pixels at least, got {self.height} x {self.width}.")
        if not 0.0 <= self.crossing <= 1.0:
            raise ValueError(f"crossing is a share between 0 and 1, got {self.crossing}.")

    @property
    def frames(self) -> int:
        """How many frames a clip has."""
        return max(3, round(self.seconds * self.frame_rate))

    @property
    def recorded(self) -> int:
        """How many frames of the motion capture a clip takes."""
        return self.frames * round(RATE / self.frame_rate)

    def kind(self, number: int) -> str:
        """Kind of a clip; kinds are spread evenly over the numbers."""
        crossings = int((number + 1) * self.crossing + 1e-6)
        if crossings > int(number * self.crossing + 1e-6):
            return "crossing"
        return "moving" if (number - crossings) % 2 else "static"


@dataclass(frozen=True)
class _Role:
    """One person of a clip."""

    params: BodyParams
    """One row per frame, in the scene's camera frame."""
    joints: Float[Tensor, "frames 24 3"]
    outfit: list[tuple[Garment, Layer]]
    skin: tuple[Layer, Layer]


@dataclass(frozen=True)
class Clip:
    """A clip that is arranged and can be drawn frame by frame."""

    assets: Assets
    kind: str
    plan: CameraPlan
    """Of the scene's own camera."""
    backdrop: Backdrop
    path: CameraPath
    roles: tuple[_Role, ...]
    seed: tuple[int, ...]

    def frames(self) -> Iterator[SyntheticPhoto]:
        """Draw one frame after another, with what is true of it."""
        film = Film.draw(np.random.default_rng([*self.seed, 2]))
        for frame in range(len(self.path.centers)):
            scene = self._scene(frame)
            survey = scene.survey()
            pixels = film.take(scene.light(), np.random.default_rng([*self.seed, 3, frame]))
            yield SyntheticPhoto(pixels, scene.plan.view, survey.people, self.backdrop.name, None)

    def _scene(self, frame: int) -> Scene:
        plan = self.path.plan(self.plan, frame)
        cast = tuple(self._actor(role, plan, frame) for role in self.roles)
        stage = set_stage([actor.figure for actor in cast], self.assets.textures, plan.view)
        # One source for all frames: the background is as sharp in each.
        rng = np.random.default_rng([*self.seed, 1])
        backdrop = self.path.backdrop(self.backdrop, plan.view.focal, frame)
        return Scene(self.assets, backdrop, plan, cast, stage, False, rng)

    def _actor(self, role: _Role, plan: CameraPlan, frame: int) -> Actor:
        dressmaker, params = self.assets.dressmaker, role.params[frame]
        turn = torch.from_numpy(self.path.rotations[frame]).float()
        pelvis = rest_pelvis(dressmaker.body, params.betas)
        place = turn @ (pelvis + params.transl - torch.from_numpy(self.path.centers[frame]).float())
        params = replace(params, global_orient=turn @ params.global_orient, transl=place - pelvis)
        bare = dressmaker.bare(params)
        figure = dressmaker.dress(params, role.outfit, *role.skin)
        actor = Actor(params, bare, figure, tuple(garment.name for garment, _ in role.outfit))
        actor.landmarks = place_landmarks(dressmaker.body, params, bare, plan.view)
        return actor


def arrange_clip(
    assets: Assets, sequences: tuple[Sequence, ...], seed: tuple[int, ...], config: ClipConfig = ClipConfig()
) -> Clip:
    """Choose place, camera, people and their motions; draws nothing yet.

    The last number of the seed is the number of the clip, which chooses its kind and its sequence; the same arguments
    give the same clip on any machine with the same assets.

    Args:
        assets: From `load_assets`.
        sequences: From `load_sequences`, at least ``config.recorded`` frames each.
        seed: Any non-negative integers.
        config: What clips are like.
    """
    number, rng = seed[-1], np.random.default_rng([*seed, 0])
    kind, side = config.kind(number), assets.side(config.split)
    backdrop, plan = _setting(assets, kind == "moving", config, rng)
    walks = tuple(sequence for sequence in sequences if sequence.walked() > _WALK)
    pool = walks if kind == "crossing" and walks else sequences
    motions = [_excerpt(pool[number % len(pool)], config, rng)]
    if kind == "crossing":
        motions.append(_excerpt(pool[int(rng.integers(len(pool)))], config, rng))
    shapes = [torch.from_numpy(rng.normal(0.0, 1.0, 10).clip(-2.0, 2.0).astype(np.float32)) for _ in motions]
    places = _places(assets, plan, motions, shapes, rng)
    roles = []
    for motion, betas, (turn, shift) in zip(motions, shapes, places, strict=True):
        feminine = assets.dressmaker.is_feminine(betas.numpy())
        outfit = choose_outfit(wardrobe(side, False), feminine, False, rng)
        params, joints = _put(assets, plan, motion, betas, turn, shift)
        roles.append(_Role(params, joints, outfit, choose_skin(side, feminine, rng)))
    path = standing(config.frames)
    if kind == "moving":
        room = room_of(backdrop, plan.view.size, plan.view.focal)
        path = held(roles[0].joints[:, 0].numpy().astype(np.float64), config.seconds, room, rng)
    return Clip(assets, kind, plan, backdrop, path, tuple(roles), seed)


def _setting(assets: Assets, moving: bool, config: ClipConfig, rng: np.random.Generator) -> tuple[Backdrop, CameraPlan]:
    """A background, and a camera that looks about level: people stay in the picture wherever they walk."""
    scene = SceneConfig(height=config.height, width=config.width, split=config.split, free_camera=0.0, focal=(0.8, 1.3))
    side = assets.side(config.split)
    best: tuple[Backdrop, CameraPlan] | None = None
    least = np.inf
    for _ in range(_TRIES):
        backdrop = choose_backdrop(assets, side, scene, rng)
        if moving:
            rows, columns = backdrop.source.pixels.shape[:2]
            fill = max(config.width / columns, config.height / rows)
            backdrop = replace(backdrop, scale=ROOM * fill, center=(columns / 2.0, rows / 2.0))
        plan = choose_camera(backdrop, scene, rng)
        tilt = abs(float(np.arcsin(plan.rotation[2, 1])) - _TILT)
        if best is None or tilt < least:
            best, least = (backdrop, plan), tilt
        if least < _TILT_RANGE:
            break
    assert best is not None
    return best


def _excerpt(sequence: Sequence, config: ClipConfig, rng: np.random.Generator) -> Sequence:
    start = int(rng.integers(len(sequence) - config.recorded + 1))
    return sequence.excerpt(start, config.frames, round(RATE / config.frame_rate))


def _put(
    assets: Assets, plan: CameraPlan, motion: Sequence, betas: Tensor, turn: Tensor, shift: Tensor
) -> tuple[BodyParams, Tensor]:
    """Parameters and joints in the scene's camera frame of somebody turned and moved in the world."""
    body, to_camera = assets.dressmaker.body, torch.from_numpy(plan.rotation.astype(np.float32))
    world = motion.joints(body, betas) @ turn.mT + shift
    joints = world @ to_camera.mT
    shapes = betas.expand(len(motion), -1)
    params = BodyParams(
        to_camera @ turn @ motion.rotations[:, 0],
        motion.rotations[:, 1:],
        shapes,
        joints[:, 0] - rest_pelvis(body, shapes),
    )
    return params, joints


def _places(
    assets: Assets,
    plan: CameraPlan,
    motions: list[Sequence],
    shapes: list[Tensor],
    rng: np.random.Generator,
) -> list[tuple[Tensor, Tensor]]:
    """Turn about the vertical and shift of everybody: in the picture in all frames, two on paths that cross."""
    body = assets.dressmaker.body
    paths = [motion.joints(body, betas) for motion, betas in zip(motions, shapes, strict=True)]
    soles = [_sole(assets, motion, betas) for motion, betas in zip(motions, shapes, strict=True)]
    best: list[tuple[Tensor, Tensor]] = []
    least = np.inf
    for _ in range(_TRIES):
        depth, floor = float(rng.uniform(2.6, 8.0)), -float(rng.uniform(*_CAMERA_HEIGHT))
        heading = float(rng.uniform(-np.pi, np.pi))
        found = []
        for number, path in enumerate(paths):
            away = path[-1, 0] - path[0, 0]
            along = float(torch.atan2(away[2], away[0])) if len(paths) > 1 else 0.0
            # Who crosses walks to the right, and the second one to the left behind the first.
            turn = _about_y(along + number * np.pi + (0.15 * heading / np.pi if len(paths) > 1 else heading))
            middle = turn @ (path[:, 0].amin(0) + path[:, 0].amax(0)) / 2.0
            back = depth + number * float(rng.uniform(*_APART))
            aside = float(rng.uniform(-0.15, 0.15)) * depth if len(paths) == 1 else 0.0
            shift = torch.tensor([aside - float(middle[0]), floor - soles[number], -back - float(middle[2])])
            found.append((turn, shift))
        fault = sum(_fault(path @ turn.mT + shift, plan) for path, (turn, shift) in zip(paths, found, strict=True))
        if fault < least:
            best, least = found, fault
    return best


def _fault(world: Tensor, plan: CameraPlan) -> float:
    """Share of joints out of the picture, and how far the height on it is from two thirds."""
    joints = world.numpy() @ plan.rotation.T
    if joints[..., 2].min() < 1.0:
        return 10.0
    height, width = plan.view.size
    points = plan.view.screen(joints.reshape(-1, 3))[:, :2].reshape(*joints.shape[:2], 2)
    margin = 0.04 * height
    inside = ((points > margin) & (points < np.array([width, height]) - margin)).all(-1).mean()
    tall = np.median(np.ptp(points[..., 1], axis=1)) / height
    return float(4.0 * (1.0 - inside) + abs(np.log(tall / 0.6)))


def _sole(assets: Assets, motion: Sequence, betas: Tensor) -> float:
    """Height of the lowest point of the body over the clip, world."""
    rows = range(0, len(motion), max(1, len(motion) // 8))
    pelvis, joints = rest_pelvis(assets.dressmaker.body, betas), motion.joints(assets.dressmaker.body, betas)
    lows = []
    for row in rows:
        rotations = motion.rotations[row]
        params = BodyParams(rotations[0], rotations[1:], betas, joints[row, 0] - pelvis)
        lows.append(float(assets.dressmaker.bare(params)[:, 1].min()))
    return min(lows)


def _about_y(angle: float) -> Tensor:
    return rotvec_to_rotmat(torch.tensor([0.0, angle, 0.0]))
