"""A synthetic photo from a seed: who, where, how lit, and what is true of it."""

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float

from fitloop.body import BodyParams
from fitloop.data.synthetic.assets import Assets, Side
from fitloop.data.synthetic.config import SceneConfig
from fitloop.data.synthetic.drawing import Stage, View, draw, light_up, set_stage
from fitloop.data.synthetic.figures import Figure
from fitloop.data.synthetic.ground import shade_on_ground
from fitloop.data.synthetic.outfits import choose_outfit, choose_skin, wardrobe
from fitloop.data.synthetic.photos import lay_over, show_backdrop, take
from fitloop.data.synthetic.placement import (
    Backdrop,
    CameraPlan,
    choose_backdrop,
    choose_camera,
    choose_person,
    place_main,
    place_other,
    reshaped,
)
from fitloop.data.synthetic.textures import TexturePool
from fitloop.data.synthetic.things import thing_before
from fitloop.data.synthetic.truth import Landmarks, Maps, Person, SyntheticPhoto, place_landmarks, see_landmarks

BACKGROUND, THING = -1, -2


def render_person_scene(assets: Assets, seed: tuple[int, ...], config: SceneConfig = SceneConfig()) -> SyntheticPhoto:
    """Draw a synthetic photo; the same arguments give the same photo on any machine with the same assets.

    Args:
        assets: From `load_assets`.
        seed: Any non-negative integers, such as a seed and an index.
        config: What scenes are like.
    """
    scene = arrange(assets, seed, config)
    return scene.photograph(scene.survey())


def arrange(assets: Assets, seed: tuple[int, ...], config: SceneConfig) -> "Scene":
    """Choose place, camera, people and things; draws nothing yet. Arguments as of `render_person_scene`."""
    rng = np.random.default_rng(list(seed))
    side = assets.side(config.split)
    backdrop = choose_backdrop(assets, side, config, rng)
    plan = choose_camera(backdrop, config, rng)
    # Who the main person is comes from a source of its own, so that other photos can draw it again.
    looks = np.random.default_rng([*seed[:-1], len(seed)]) if config.same_person else rng
    cast = [Actor.cast(assets, side, plan, config, (rng, looks), None)]
    for _ in range(int(rng.integers(config.people[0], config.people[1] + 1)) - 1):
        cast.append(Actor.cast(assets, side, plan, config, (rng, rng), cast[0]))
    figures = [actor.figure for actor in cast]
    if rng.random() < config.occluded:
        figures.append(thing_before(cast[0].bare, plan, side.surfaces, rng))
    return Scene(assets, backdrop, plan, tuple(cast), set_stage(figures, assets.textures, plan.view), config.maps, rng)


@dataclass(frozen=True)
class Survey:
    """What is where in a scene."""

    people: tuple[Person, ...]
    maps: Maps


@dataclass(frozen=True)
class Scene:
    """People, things and a camera, ready to be photographed once."""

    assets: Assets
    backdrop: Backdrop
    plan: CameraPlan
    cast: "tuple[Actor, ...]"
    stage: Stage
    full_masks: bool
    """Whether each person is also drawn alone."""
    rng: np.random.Generator
    """Goes on where arranging stopped."""

    def survey(self) -> Survey:
        """Find out what each pixel shows and what is visible of whom, without light."""
        view, pool = self.plan.view, self.assets.textures
        maps = _map(self.stage, view, pool, len(self.cast))
        truths = [actor.truth(n, maps, self.stage, pool, view, self.full_masks) for n, actor in enumerate(self.cast)]
        return Survey(tuple(truths), maps)

    def photograph(self, survey: Survey) -> SyntheticPhoto:
        """Light the scene and take the photo."""
        pixels = take(self.light(), self.rng)
        maps = survey.maps if self.full_masks else None
        return SyntheticPhoto(pixels, self.plan.view, survey.people, self.backdrop.name, maps)

    def light(self) -> Float[np.ndarray, "height width 3"]:
        """Linear light of the picture, before any camera's faults."""
        plan, pool = self.plan, self.assets.textures
        drawing = draw(self.stage, plan.view, pool)
        lit = light_up(drawing, self.stage, plan.view, pool, plan.light)
        ground = show_backdrop(self.backdrop, plan.view.size, self.rng)
        if not plan.free:
            faces = self.assets.dressmaker.faces
            shapes = [(actor.bare, faces, actor.landmarks.joints) for actor in self.cast if actor.stands]
            ground = ground * shade_on_ground(plan.view, plan.down, shapes, plan.light)[..., None]
        return lay_over(ground, drawing, lit)


class Actor:
    """A person of a scene that is being made."""

    def __init__(self, params: BodyParams, bare: np.ndarray, figure: Figure, garments: tuple[str, ...]) -> None:
        self.params, self.bare, self.figure, self.garments = params, bare, figure, garments
        self.stands = True
        self.landmarks: Landmarks

    @staticmethod
    def cast(
        assets: Assets,
        side: Side,
        plan: CameraPlan,
        config: SceneConfig,
        rngs: tuple[np.random.Generator, np.random.Generator],
        main: "Actor | None",
    ) -> "Actor":
        """Choose a person, put it somewhere, dress it; a second generator that is another chooses shape and looks."""
        rng, looks = rngs
        person = choose_person(assets, side, plan, config, rng)
        person = person if looks is rng else reshaped(assets, person, config, looks)
        place = place_main(person, plan, config, rng) if main is None else place_other(person, main.bare, plan, rng)
        stands = bool(rng.random() >= config.airborne)
        if not stands:
            place = place - float(rng.uniform(0.05, 0.4)) * plan.down
        transl = place.astype(np.float32)
        params = BodyParams(
            person.params.global_orient, person.params.body_pose, person.params.betas, torch.from_numpy(transl)
        )
        feminine = assets.dressmaker.is_feminine(params.betas.numpy())
        outfit = choose_outfit(wardrobe(side, config.cc0_only), feminine, bool(looks.random() < config.loose), looks)
        figure = assets.dressmaker.dress(params, outfit, *choose_skin(side, feminine, looks))
        bare = person.vertices + transl
        actor = Actor(params, bare, figure, tuple(garment.name for garment, _ in outfit))
        actor.stands = stands
        actor.landmarks = place_landmarks(assets.dressmaker.body, params, bare, plan.view)
        return actor

    def truth(self, number: int, maps: Maps, stage: Stage, pool: TexturePool, view: View, alone: bool) -> Person:
        """What is known of the person in the finished scene."""
        seen = see_landmarks(self.landmarks, number, maps.owners, maps.depth)
        full = _silhouette(stage, number, view, pool) if alone else None
        return Person(
            params=self.params,
            joints=self.landmarks.joints,
            landmarks_3d=self.landmarks.points,
            landmarks_2d=self.landmarks.pixels,
            visibility=seen,
            mask=maps.owners == number,
            full_mask=full,
            box=self.landmarks.box,
            garments=self.garments,
        )


def _draw_exactly(
    stage: Stage, view: View, pool: TexturePool, faces: np.ndarray | slice
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Face ids and depth at pixel centres, and the screen coordinates."""
    from fitloop.data.synthetic import kernels

    screen = view.screen(stage.vertices)
    face_ids, depth = np.full(view.size, -1, np.int32), np.full(view.size, np.inf, np.float32)
    kernels.draw_layers(
        (screen, stage.faces[faces], stage.slots[faces], stage.corner_uv[faces]),
        (stage.slot_bias, stage.slot_texture, pool.texels),
        *(face_ids, depth, depth.copy()),
    )
    return face_ids, depth, screen


def _silhouette(stage: Stage, number: int, view: View, pool: TexturePool) -> np.ndarray:
    return _draw_exactly(stage, view, pool, np.flatnonzero(stage.owners == number))[0] >= 0


def _map(stage: Stage, view: View, pool: TexturePool, people: int) -> Maps:
    from fitloop.data.synthetic import kernels

    face_ids, depth, screen = _draw_exactly(stage, view, pool, slice(None))
    seen = face_ids >= 0
    rows = np.where(seen, face_ids, 0)
    owners = np.where(seen, np.where(stage.owners[rows] < people, stage.owners[rows], THING), BACKGROUND).astype(
        np.int16
    )
    parts = np.where(seen, stage.parts[rows], -1).astype(np.int8)
    normals = np.zeros((*face_ids.shape, 3), np.float32)
    kernels.spread_normals(screen, stage.faces, stage.normals, face_ids, normals)
    return Maps(owners, parts, np.where(seen, depth, 0.0).astype(np.float32), normals)
