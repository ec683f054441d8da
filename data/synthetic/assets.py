"""The folder of assets: poses, skins, garments, textures, backgrounds."""

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
import PIL.Image

from fitloop.body import load_body
from fitloop.data.mocap import HELD_OUT_PERCENT, load_mocap
from fitloop.data.synthetic.backgrounds import Places, load_places
from fitloop.data.synthetic.figures import Dressmaker, binding_of, make_dressmaker
from fitloop.data.synthetic.garments import Garment, load_garments, split_garments
from fitloop.data.synthetic.poses import PosePool, acrobatic, make_pool
from fitloop.data.synthetic.splits import held_out_of
from fitloop.data.synthetic.textures import TexturePool, open_texture, pool_textures

EYE_TEXTURES = {"eye:brown": (70, 42, 24), "eye:blue": (84, 116, 150), "eye:green": (88, 104, 66)}
OBJECTS = 48
"""Pieces of backgrounds that occluding things are covered with, per side of the split."""


@dataclass(frozen=True)
class Side:
    """Assets of one side of the split."""

    poses: PosePool
    acrobatic: PosePool
    garments: dict[str, list[Garment]]
    """By kind."""
    skins: dict[bool, list[str]]
    """Textures by whether they are of women."""
    backgrounds: list[str]
    surfaces: list[str]
    """Textures of things."""


@dataclass(frozen=True)
class Assets:
    """Everything that a scene is made of."""

    dressmaker: Dressmaker
    places: Places
    textures: TexturePool
    training: Side
    held_out: Side

    def side(self, split: str) -> Side:
        """Assets of a split.

        Raises:
            ValueError: If there is no split of this name.
        """
        if split not in ("training", "held-out"):
            raise ValueError(f"There is no split {split!r}; known: training, held-out.")
        return self.training if split == "training" else self.held_out


@lru_cache(maxsize=2)
def load_assets(folder: Path, texture_side: int = 512) -> Assets:
    """Load the assets; the same object is given again for the same arguments.

    Args:
        folder: With ``mocap/cmu_poses.npz``, ``people`` and ``backgrounds``; docs/synthetic.md describes them.
        texture_side: Texels along the finest level of each texture; 256 is enough for people up to 200 pixels tall.

    Raises:
        FileNotFoundError: If something is missing.
        ValueError: If a file is not what it should be.
    """
    people = folder / "people"
    base_path = people / "base_hm08.npz"
    if not base_path.is_file():
        raise FileNotFoundError(f"{base_path} is missing; give the folder of assets that docs/synthetic.md describes.")
    with np.load(base_path, allow_pickle=False) as file:
        base = 0.1 * file["vertices"]
    dressmaker = make_dressmaker(load_body("open"))
    garments = load_garments(people, binding_of(dressmaker, base))
    places = load_places(folder / "backgrounds")
    skins = sorted(path.name for path in (people / "skins").glob("*.jpg") if "suit" not in path.name)
    pictures = {name: open_texture(people / "skins" / name) for name in skins}
    for garment in garments.values():
        pictures.setdefault(garment.texture, open_texture(people / "textures" / garment.texture))
    surfaces = {held: _surfaces(places, held) for held in (False, True)}
    pictures |= {name: _draw_eye(color) for name, color in EYE_TEXTURES.items()}
    pictures |= surfaces[False] | surfaces[True]
    mocap = load_mocap(folder / "mocap" / "cmu_poses.npz")
    apart = {
        name for sex in ("_female", "_male") for name in held_out_of([s for s in skins if sex in s], HELD_OUT_PERCENT)
    }

    def side(held: bool) -> Side:
        pool = make_pool(mocap.held_out() if held else mocap.training())
        own = [name for name in skins if (name in apart) == held]
        by_sex = {sex: [name for name in own if ("female" in name) == sex] or own for sex in (False, True)}
        chosen = split_garments(garments, held)
        return Side(pool, acrobatic(pool), chosen, by_sex, places.names(held), list(surfaces[held]))

    return Assets(dressmaker, places, pool_textures(pictures, texture_side), side(False), side(True))


def _draw_eye(iris: tuple[int, int, int]) -> PIL.Image.Image:
    y, x = np.mgrid[0:64, 0:64]
    radius = np.hypot(x - 31.5, y - 31.5)[..., None] / 32.0
    white, black = np.array([226.0, 218.0, 212.0]), np.array([10.0, 9.0, 9.0])
    picture = np.where(radius < 0.2, black, np.where(radius < 0.46, np.array(iris, float) * (0.6 + radius), white))
    return PIL.Image.fromarray(picture.astype(np.uint8))


def _surfaces(places: Places, held_out: bool) -> dict[str, PIL.Image.Image]:
    names = places.names(held_out)
    found = {}
    for number, name in enumerate(names[:: max(1, len(names) // OBJECTS)][:OBJECTS]):
        with PIL.Image.open(places.folder / "crops" / f"{name}.jpg") as photo:
            side = 3 * min(photo.size) // 10
            left = 37 * number % (photo.width - side)
            top = 53 * number % (photo.height - side)
            found[f"surface:{name}"] = photo.convert("RGBA").crop((left, top, left + side, top + side))
    return found
