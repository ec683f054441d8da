"""The best body of every sample so far: what the optimiser found, kept for the network to learn from.

Bodies lie in the frame of the photo's camera, never in that of an augmented crop. On disk a store is one memory-mapped
array per shard, row ``r`` of all samples in shard ``r % shards``. Changes are kept in memory until a checkpoint,
written whole as a change file first and only then copied into the arrays, so a run that is killed anywhere goes on
from its last checkpoint as if nothing had happened.
"""

import json
import logging
from dataclasses import dataclass
from enum import IntEnum
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from fitloop.body import Body, BodyParams
from fitloop.body.files import whole_file
from fitloop.geometry import TensorRecord, rotmat_to_rotvec, rotvec_to_rotmat, where

FORMAT, VERSION = "fitloop-fits", 1
HEADER = "store.json"

_logger = logging.getLogger(__name__)


class Source(IntEnum):
    """Where a stored body comes from."""

    NONE = 0
    """Nothing is known yet: energy is infinite, the parameters mean nothing."""
    STATIC = 1
    """Imported, or fitted before training."""
    LOOP = 2
    """Fitted during training from the network's guess."""
    REFINED = 3
    """The same, and then moved on to the photo's pixels; the energy is that of the fit."""


@dataclass(frozen=True)
class BestFits(TensorRecord):
    """One row per sample."""

    params: BodyParams
    """Camera frame of the photo, metres."""
    energy: Float[Tensor, "*batch"]
    """Of the fitting energy, comparable between photos; infinite where nothing is known."""
    source: Int[Tensor, "*batch"]
    """Codes of `Source`."""
    updates: Int[Tensor, "*batch"]
    """How often a better body replaced the one before."""


def better_of(
    best: BestFits, proposal: BestFits, allowed: Bool[Tensor, "*batch"], margin: float = 0.0
) -> tuple[BestFits, Bool[Tensor, "*batch"]]:
    """Take each proposal that is allowed and has the lower energy; count it as an update.

    Args:
        best: What is known.
        proposal: What was found; its own ``updates`` do not matter.
        allowed: False where the proposal was rejected for another reason than its energy.
        margin: Share of the old energy that must be gained.

    Returns:
        The better ones, and which rows changed.
    """
    # No share of infinity can be gained: the first body of a row only has to be finite.
    bar = torch.where(torch.isfinite(best.energy), best.energy * (1.0 - margin), best.energy)
    better = allowed & torch.isfinite(proposal.energy) & (proposal.energy < bar)
    counted = BestFits(proposal.params, proposal.energy, proposal.source, best.updates + 1)
    return where(better, counted, best), better


@dataclass(frozen=True)
class StoreKey:
    """What a store belongs to."""

    body: str
    """Name of the body model."""
    num_betas: int
    datasets: tuple[tuple[str, int, str], ...]
    """Name, number of people and fingerprint of each data set, in the order of their rows."""

    @property
    def people(self) -> int:
        """Rows in all."""
        return sum(people for _, people, _ in self.datasets)


def row_dtype(num_betas: int) -> np.dtype:
    """One row on disk: axis-angle pose (radians), shape, place (metres), energy, source, updates."""
    pose, betas, transl = ("pose", "<f4", (24, 3)), ("betas", "<f4", (num_betas,)), ("transl", "<f4", (3,))
    return np.dtype([pose, betas, transl, ("energy", "<f4"), ("source", "u1"), ("updates", "<u4")])


class FitsStore:
    """Best fits of all samples, or of the shards that this process owns."""

    def __init__(self, folder: Path, key: StoreKey, shards: int = 1, owned: tuple[int, ...] | None = None) -> None:
        """Open a store, or make an empty one where there is none.

        Args:
            folder: Where it lies.
            key: What it must belong to.
            shards: Into how many files the rows are dealt.
            owned: Which of them this process reads and writes; all if not given.

        Raises:
            ValueError: If the store there is of another body, other data sets, another version or number of shards, or
                a file is not whole.
        """
        self.folder, self.key, self.shards = folder, key, shards
        self.owned = tuple(range(shards)) if owned is None else owned
        self._check_header()
        self._arrays = {shard: self._open_shard(shard) for shard in self.owned}
        self._changed: dict[int, np.void] = {}

    def recover(self, step: int) -> None:
        """Bring the store to the state of the checkpoint of ``step``; to be called once before use.

        Changes up to the checkpoint are copied into the arrays, later ones are forgotten: they will be found again.

        Raises:
            ValueError: If a change file is not whole.
        """
        for shard in self.owned:
            for path in sorted(self.folder.glob(f"{self._stem(shard)}.step-*.npy")):
                if int(path.stem.split("-")[-1]) <= step:
                    self._apply(shard, path)
                else:
                    path.unlink()

    def read(self, rows: Int[Tensor, "rows"]) -> BestFits:
        """Get rows; changes since the last checkpoint are seen.

        Raises:
            ValueError: If a row is of a shard that this process does not own.
        """
        found = np.empty(len(rows), row_dtype(self.key.num_betas))
        for place, row in enumerate(rows.tolist()):
            shard, line = row % self.shards, row // self.shards
            if shard not in self._arrays:
                raise ValueError(f"Row {row} lies in shard {shard}; this process owns {self.owned}.")
            found[place] = self._changed[row] if row in self._changed else self._arrays[shard][line]
        return decode(found)

    def write(self, rows: Int[Tensor, "rows"], fits: BestFits) -> None:
        """Replace rows in memory; they are on disk after the next `checkpoint`."""
        for row, line in zip(rows.tolist(), encode(fits), strict=True):
            self._changed[row] = line

    def keep_better(
        self, rows: Int[Tensor, "rows"], proposal: BestFits, allowed: Bool[Tensor, "rows"], margin: float = 0.0
    ) -> tuple[BestFits, Bool[Tensor, "rows"]]:
        """Keep the better of what is stored and what is proposed, row by row; see `better_of`."""
        kept, better = better_of(self.read(rows), proposal, allowed, margin)
        changed = better.nonzero()[:, 0]
        self.write(rows[changed], kept[changed])
        # What was stored is what later steps will read, rounding included.
        return self.read(rows), better

    def prepare_checkpoint(self, step: int) -> None:
        """Write the changes since the last checkpoint beside the arrays, whole; a kill before or after does no harm.

        The network's checkpoint of the same step is to be written next, then `finish_checkpoint` called.
        """
        for shard in self.owned:
            rows = sorted(row for row in self._changed if row % self.shards == shard)
            changes = np.empty(len(rows), [("row", "<i8"), ("fit", row_dtype(self.key.num_betas))])
            changes["row"] = rows
            for place, row in enumerate(rows):
                changes["fit"][place] = self._changed[row]
            with whole_file(self._change_file(shard, step)) as temporary, temporary.open("wb") as file:
                np.save(file, changes)

    def finish_checkpoint(self, step: int) -> None:
        """Copy the changes of `prepare_checkpoint` into the arrays."""
        for shard in self.owned:
            self._apply(shard, self._change_file(shard, step))
        self._changed.clear()

    def all_rows(self) -> Int[Tensor, "rows"]:
        """Every row of the owned shards."""
        return torch.cat([torch.arange(shard, self.key.people, self.shards) for shard in self.owned]).sort().values

    def _check_header(self) -> None:
        path = self.folder / HEADER
        wanted = {
            **{"format": FORMAT, "version": VERSION, "body": self.key.body, "num_betas": self.key.num_betas},
            **{"shards": self.shards, "datasets": [list(entry) for entry in self.key.datasets]},
        }
        if not path.is_file():
            with whole_file(path) as temporary:
                temporary.write_text(json.dumps(wanted, indent=1), encoding="utf-8")
            return
        try:
            found = json.loads(path.read_text(encoding="utf-8"))
        except (json.JSONDecodeError, UnicodeDecodeError) as error:
            raise ValueError(f"{path} is not whole JSON ({error}); the store cannot be read.") from error
        for name, value in wanted.items():
            if not isinstance(found, dict) or found.get(name) != value:
                stored = found.get(name) if isinstance(found, dict) else found
                raise ValueError(
                    f"The fits in {self.folder} have {name} {stored!r}, this run has {value!r}. "
                    "Give the folder of the run they belong to, or an empty one."
                )

    def _stem(self, shard: int) -> str:
        return f"shard-{shard}-of-{self.shards}"

    def _change_file(self, shard: int, step: int) -> Path:
        return self.folder / f"{self._stem(shard)}.step-{step:09d}.npy"

    def _open_shard(self, shard: int) -> np.memmap:
        path = self.folder / f"{self._stem(shard)}.npy"
        lines = len(range(shard, self.key.people, self.shards))
        dtype = row_dtype(self.key.num_betas)
        if not path.is_file():
            with whole_file(path) as temporary:
                fresh = np.lib.format.open_memmap(temporary, "w+", dtype, (lines,))
                fresh["energy"] = np.inf
                fresh.flush()
                del fresh
        try:
            # Opened for reading first: opened for writing, a file that is too short would be lengthened.
            np.lib.format.open_memmap(path, "r")
            array = np.lib.format.open_memmap(path, "r+")
        except (ValueError, EOFError, OSError) as error:
            raise ValueError(f"{path} is not a whole file of fits: {' '.join(str(error).split())}.") from error
        if array.shape != (lines,) or array.dtype != dtype:
            raise ValueError(f"{path} holds {array.shape} rows of {array.dtype}, expected {(lines,)} of {dtype}.")
        return array

    def _apply(self, shard: int, path: Path) -> None:
        try:
            changes = np.load(path, allow_pickle=False)
            lines, fits = changes["row"] // self.shards, changes["fit"]
        except (ValueError, EOFError, OSError, IndexError) as error:
            raise ValueError(f"{path} is not a whole file of changes: {error}.") from error
        self._arrays[shard][lines] = fits
        self._arrays[shard].flush()
        path.unlink()


def encode(fits: BestFits) -> np.ndarray:
    """Rows as they lie on disk."""
    rows = np.empty(len(fits.energy), row_dtype(fits.params.betas.shape[-1]))
    fits = fits.detach().to("cpu")
    rows["pose"] = rotmat_to_rotvec(fits.params.rotations.double()).numpy()
    rows["betas"], rows["transl"] = fits.params.betas.numpy(), fits.params.transl.numpy()
    rows["energy"], rows["source"], rows["updates"] = (t.numpy() for t in (fits.energy, fits.source, fits.updates))
    return rows


def decode(rows: np.ndarray) -> BestFits:
    """The inverse of `encode`, up to the rounding of axis-angle in single precision."""
    pose = torch.from_numpy(rows["pose"].astype(np.float64))
    rotations = rotvec_to_rotmat(pose).float()
    betas, transl, energy = (torch.from_numpy(rows[name].astype(np.float32)) for name in ("betas", "transl", "energy"))
    params = BodyParams(rotations[:, 0], rotations[:, 1:], betas, transl)
    source, updates = (torch.from_numpy(rows[name].astype(np.int64)) for name in ("source", "updates"))
    return BestFits(params, energy, source, updates)


def check_body(key: StoreKey, body: Body) -> None:
    """Raise a `ValueError` that names both sides unless the fits are of ``body``."""
    if key.body != body.name:
        raise ValueError(f"These fits are of body {key.body!r}, but body {body.name!r} is loaded; they do not mix.")
