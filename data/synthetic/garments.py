"""Garments of the MakeHuman base mesh: what they are, how they bind to a body, which of them go together."""

import csv
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Float, Int
from scipy.spatial import KDTree

from fitloop.data.mocap import HELD_OUT_PERCENT
from fitloop.data.synthetic.splits import held_out_of

_KINDS: dict[str, tuple[str, ...]] = {
    "male suit": ("male_casualsuit", "male_elegantsuit", "male_worksuit"),
    "female suit": ("female_casualsuit", "female_elegantsuit", "female_sportsuit"),
    "top": ("Sleeveless", "Tank_Top", "TubeTop", "VNeckTop", "female_top", "short_tail_camo_tee"),
    "trousers": ("ShortJeans", "Tightjeans"),
    "skirt": ("JeansSkirt", "miniskirt"),
    "dress": ("F_Beach_Dress", "F_Dress", "TubeDress", "Asymmetric_Tunic"),
    "swimwear": ("F_Bikini", "F_One-piece"),
    "coat": ("Coat",),
    "shoes": ("shoes", "WinterBoots"),
    "hair": ("afro", "bob", "braid", "long", "ponytail", "short0"),
    "hat": ("fedora", "Fishing_Hat", "pith_helmet"),
    "glasses": ("glasses",),
}
LAYER = {
    **{
        "trousers": 0.004,
        "skirt": 0.004,
        "top": 0.012,
        "male suit": 0.006,
        "female suit": 0.006,
        "dress": 0.006,
        "swimwear": 0.004,
    },
    **{"coat": 0.05, "shoes": 0.005, "hair": 0.004, "hat": 0.008, "glasses": 0.004},
}
"""Metres by which each kind wins against what it covers, so that neither skin nor an inner garment pokes through."""


@dataclass(frozen=True)
class Garment:
    """A mesh bound to the base mesh's vertices."""

    name: str
    kind: str
    licence: str
    author: str
    texture: str
    refs: Int[np.ndarray, "vertices 3"]
    """Base vertices that each vertex follows."""
    weights: Float[np.ndarray, "vertices 3"]
    offsets: Float[np.ndarray, "vertices 3"]
    """Metres, in the T-pose of the body."""
    scale_refs: Int[np.ndarray, "3 2"]
    scale_lengths: Float[np.ndarray, "3"]
    """Distance of the two in the shape that the garment was made for, metres; 0 where the offset does not scale."""
    skinning: Float[np.ndarray, "vertices joints"]
    faces: Int[np.ndarray, "faces 3"]
    corner_uv: Float[np.ndarray, "faces 3 2"]
    parts: Int[np.ndarray, "faces"]
    """Joint that moves each face most."""
    hides: Int[np.ndarray, "hidden"]
    """Base vertices under the garment."""
    nearest: Int[np.ndarray, "vertices"]
    """Base vertex of the body that is nearest to each vertex."""

    def rest(self, base: Float[np.ndarray, "base 3"]) -> Float[np.ndarray, "vertices 3"]:
        """Place the vertices on a shaped body in its T-pose.

        Args:
            base: All vertices of the base mesh, metres.
        """
        lengths = np.linalg.norm(base[self.scale_refs[:, 0]] - base[self.scale_refs[:, 1]], axis=-1)
        fixed = self.scale_lengths <= 1e-6
        scale = np.where(fixed, 1.0, lengths / np.where(fixed, 1.0, self.scale_lengths)).astype(np.float32)
        anchors = np.einsum("vk,vkc->vc", self.weights, base[self.refs])
        return anchors + self.offsets * scale


def kind_of(name: str) -> str:
    """Kind of a garment from its name.

    Raises:
        ValueError: If the name is unknown; says what to do.
    """
    for kind, beginnings in _KINDS.items():
        if name.startswith(beginnings):
            return kind
    raise ValueError(f"Garment {name!r} is of no known kind; add the beginning of its name to _KINDS.")


@dataclass(frozen=True)
class Binding:
    """What garments are bound to."""

    base: Float[np.ndarray, "base 3"]
    """The mesh that garments were made on, metres."""
    skinning: Float[np.ndarray, "base joints"]
    body_rows: Int[np.ndarray, "vertices"]
    """Which vertices are the body's; the others only carry garments."""
    turns: Float[np.ndarray, "joints 3 3"]
    """Rotation of each joint's region from the mesh as made to the T-pose."""

    def nearest(self, points: Float[np.ndarray, "points 3"]) -> Int[np.ndarray, "points"]:
        """Vertex of the body nearest to each point beside the mesh as made."""
        return self.body_rows[KDTree(self.base[self.body_rows]).query(points)[1]]


def load_garments(folder: Path, binding: Binding) -> dict[str, Garment]:
    """Load every garment that ``GARMENTS.csv`` lists.

    Args:
        folder: With ``GARMENTS.csv`` and the folder ``garments``.
        binding: The body they are bound to.

    Raises:
        FileNotFoundError: If a file is missing.
    """
    table = folder / "GARMENTS.csv"
    if not table.is_file():
        raise FileNotFoundError(f"{table} is missing; give the folder of assets that docs/synthetic.md describes.")
    with table.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    return {row["name"]: _load(folder / "garments" / f"{row['kind']}_{row['name']}.npz", row, binding) for row in rows}


def _load(path: Path, row: dict[str, str], binding: Binding) -> Garment:
    with np.load(path, allow_pickle=False) as file:
        arrays = {key: file[key] for key in file.files}
    refs, weights = arrays["ref"].astype(np.int64), arrays["w"].astype(np.float32)
    # Weights may lie outside [0, 1]: a vertex beside its triangle moves with it all the same.
    skinning = np.einsum("vk,vkj->vj", weights, binding.skinning[refs]).clip(0.0, None)
    skinning /= skinning.sum(-1, keepdims=True)
    scale_refs = arrays["scale_ref"].astype(np.int64)
    decimetre = 0.1
    made = np.abs(binding.base[scale_refs[:, 0]] - binding.base[scale_refs[:, 1]])[np.arange(3), np.arange(3)]
    given = decimetre * arrays["scale_den"]
    fit = np.where(given > 0, made / np.where(given > 0, given, 1.0), 1.0)
    lengths = np.linalg.norm(binding.base[scale_refs[:, 0]] - binding.base[scale_refs[:, 1]], axis=-1)
    offsets = decimetre * arrays["offset"] * fit
    turned = np.einsum("vj,jcd,vd->vc", skinning, binding.turns, offsets)
    return Garment(
        name=row["name"],
        kind=kind_of(row["name"]),
        licence=row["license"],
        author=row["author"],
        texture=row["texture"],
        refs=refs,
        weights=weights,
        offsets=turned.astype(np.float32),
        scale_refs=scale_refs,
        scale_lengths=np.where(given > 0, lengths, 0.0).astype(np.float32),
        skinning=skinning.astype(np.float32),
        faces=arrays["faces"].astype(np.int64),
        corner_uv=arrays["uv"][arrays["uv_faces"]].astype(np.float32),
        parts=skinning[arrays["faces"]].sum(1).argmax(-1),
        hides=arrays["delete_verts"].astype(np.int64),
        nearest=binding.nearest(np.einsum("vk,vkc->vc", weights, binding.base[refs]) + offsets),
    )


def split_garments(garments: dict[str, Garment], held_out: bool) -> dict[str, list[Garment]]:
    """Garments of one side of the split by kind; a kind with only one garment is on both sides.

    Args:
        garments: All of them.
        held_out: The side for testing instead of the one for training.
    """
    chosen = {}
    for kind in _KINDS:
        names = [name for name, garment in garments.items() if garment.kind == kind]
        apart = held_out_of(names, HELD_OUT_PERCENT)
        side = [name for name in names if (name in apart) == held_out] or names
        chosen[kind] = [garments[name] for name in side]
    return chosen
