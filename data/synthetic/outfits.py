"""What a synthetic person wears: garments that go together, in colours of their own."""

import numpy as np
from jaxtyping import Float

from fitloop.data.synthetic.assets import EYE_TEXTURES, Side
from fitloop.data.synthetic.figures import Layer
from fitloop.data.synthetic.garments import LAYER, Garment

LOOSE = ("dress", "coat", "skirt")
"""Kinds that hide the limbs under them."""
_GLOSS = {"shoes": 0.06, "hair": 0.05, "male suit": 0.005, "female suit": 0.005, "glasses": 0.3}
_PLAIN = {"skin": 0.035, "eyes": 0.25}

Outfit = list[tuple[Garment, Layer]]


def wardrobe(side: Side, cc0_only: bool) -> dict[str, list[Garment]]:
    """Garments by kind, all of them or those that are in the public domain."""
    if not cc0_only:
        return side.garments
    free = {
        kind: [garment for garment in garments if garment.licence == "CC0"] for kind, garments in side.garments.items()
    }
    return {kind: garments for kind, garments in free.items() if garments}


def choose_outfit(garments: dict[str, list[Garment]], feminine: bool, loose: bool, rng: np.random.Generator) -> Outfit:
    """Choose garments and recolour them.

    Args:
        garments: By kind, from `wardrobe`; a suit replaces kinds that are not there.
        feminine: Whether dresses and women's suits are for this body.
        loose: Wear a coat, a dress or a skirt for sure.
        rng: Source of randomness.
    """
    kinds = _loose_kinds(feminine, rng) if loose else _kinds(feminine, rng)
    if not set(kinds) <= set(garments):
        kinds = ["female suit" if feminine else "male suit"]
    if rng.random() < 0.92:
        kinds.append("shoes")
    hat = rng.random() < 0.12
    if hat:
        kinds.append("hat")
    elif rng.random() < (0.97 if feminine else 0.85):
        kinds.append("hair")
    if rng.random() < 0.1:
        kinds.append("glasses")
    chosen = [_pick(garments[kind], feminine, rng) for kind in kinds if kind in garments]
    return [(garment, recolored(garment, rng)) for garment in chosen]


def _kinds(feminine: bool, rng: np.random.Generator) -> list[str]:
    draw = rng.random()
    if feminine:
        if draw < 0.35:
            return ["female suit"]
        if draw < 0.55:
            return ["dress"]
        if draw < 0.6:
            return ["swimwear"]
        return ["trousers" if rng.random() < 0.7 else "skirt", "top"]
    if draw < 0.75:
        return ["male suit"]
    return ["trousers", "top"]


def _loose_kinds(feminine: bool, rng: np.random.Generator) -> list[str]:
    if feminine and rng.random() < 0.6:
        return ["dress"]
    inner = ["skirt", "top"] if feminine and rng.random() < 0.3 else ["female suit" if feminine else "male suit"]
    return [*inner, "coat"]


_MASCULINE = {
    "hair": ("short", "afro"),
    "top": ("short_tail", "Tank", "Sleeveless", "VNeck"),
}
"""Beginnings of the names of garments for men, where not all of a kind are."""


def _pick(choices: list[Garment], feminine: bool, rng: np.random.Generator) -> Garment:
    beginnings = _MASCULINE.get(choices[0].kind)
    if beginnings and not feminine:
        choices = [garment for garment in choices if garment.name.startswith(beginnings)] or choices
    return choices[int(rng.integers(len(choices)))]


def recolored(garment: Garment, rng: np.random.Generator) -> Layer:
    """A garment in another hue, saturation and brightness; hair in the colours of hair."""
    if garment.kind == "hair":
        return Layer(garment.texture, _hair(rng), LAYER["hair"])
    change = hue_rotation(float(rng.uniform(0.0, 2.0 * np.pi)) if rng.random() < 0.7 else 0.0)
    saturation = float(rng.uniform(0.3, 1.2))
    gray = np.full((3, 3), 1.0 / 3.0)
    tint = np.diag(1.0 + rng.uniform(-0.25, 0.25, 3))
    gain = float(np.exp(rng.uniform(-0.7, 0.5)))
    recolor = np.zeros((3, 5), np.float32)
    recolor[:, :3] = gain * tint @ (saturation * change + (1.0 - saturation) * gray)
    # A shift lifts black cloth, which no factor can.
    recolor[:, 3] = rng.uniform(0.0, 0.12) * rng.uniform(0.2, 1.0, 3) if rng.random() < 0.5 else 0.0
    recolor[:, 4] = _GLOSS.get(garment.kind, 0.0) * rng.uniform(0.3, 1.0)
    return Layer(garment.texture, recolor, LAYER[garment.kind])


def _hair(rng: np.random.Generator) -> Float[np.ndarray, "3 5"]:
    colors = np.array(
        [
            [0.05, 0.04, 0.035],
            [0.16, 0.09, 0.05],
            [0.34, 0.22, 0.11],
            [0.5, 0.36, 0.18],
            [0.3, 0.1, 0.04],
            [0.4, 0.4, 0.4],
        ]
    )
    color = colors[rng.choice(len(colors), p=[0.3, 0.3, 0.14, 0.12, 0.06, 0.08])] * rng.uniform(0.7, 1.3)
    recolor = np.zeros((3, 5), np.float32)
    # The texture gives the strands, the colour is chosen: the textures' own range from black to white.
    recolor[:, :3] = 1.5 * color[:, None] / 3.0
    recolor[:, 3] = 0.35 * color
    recolor[:, 4] = _GLOSS["hair"]
    return recolor


def hue_rotation(angle: float) -> Float[np.ndarray, "3 3"]:
    """Turn colours about the grey axis, radians."""
    cos, sin = np.cos(angle), np.sin(angle)
    cross = np.array([[0.0, -1.0, 1.0], [1.0, 0.0, -1.0], [-1.0, 1.0, 0.0]]) / 3.0**0.5
    return cos * np.eye(3) + (1.0 - cos) / 3.0 + sin * cross


def choose_skin(side: Side, feminine: bool, rng: np.random.Generator) -> tuple[Layer, Layer]:
    """Skin and eyes of a person; skin a little lighter or darker than its texture."""
    names = side.skins[feminine]
    skin = _plain(names[int(rng.integers(len(names)))], "skin", float(np.exp(rng.uniform(-0.35, 0.1))))
    eyes = list(EYE_TEXTURES)
    return skin, _plain(eyes[int(rng.integers(len(eyes)))], "eyes", 0.85)


def _plain(texture: str, kind: str, gain: float) -> Layer:
    recolor = np.zeros((3, 5), np.float32)
    recolor[:, :3] = gain * np.eye(3)
    recolor[:, 4] = _PLAIN[kind]
    return Layer(texture, recolor, 0.0)
