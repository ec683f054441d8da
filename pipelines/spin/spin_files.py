"""Fits in SPIN's own files: ``<dataset>_fits.npy``, one row of 72 pose and 10 shape numbers per sample."""

import logging
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float

from fitloop.body import BodyParams
from fitloop.body.files import whole_file
from fitloop.data.spin_format import POSE_SIZE, SHAPE_SIZE
from fitloop.geometry import rotvec_to_rotmat
from fitloop.pipelines.spin.store import BestFits, FitsStore, Source, encode

_logger = logging.getLogger(__name__)


def read_spin_fits(path: Path, people: int) -> Float[np.ndarray, "people 82"]:
    """Read SPIN's fits of one data set, or the .npz of its released final fits (``pose``, ``shape``, ``valid_fit``).

    Args:
        path: ``<dataset>_fits.npy`` or ``.npz``; row i is sample i of the data set's file.
        people: How many samples that has.

    Returns:
        Upright, unflipped; rows that the .npz marks as not valid hold NaN.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If it is not whole, has another shape, or holds objects.
    """
    if not path.is_file():
        raise FileNotFoundError(f"There are no fits {path}; SPIN calls them <dataset>_fits.npy.")
    try:
        content = np.load(path, allow_pickle=False)
        rows = content if isinstance(content, np.ndarray) else _released(content)
    except (ValueError, EOFError, OSError, KeyError) as error:
        raise ValueError(f"{path} cannot be read as SPIN's fits: {error}; is the file whole?") from error
    if rows.shape != (people, POSE_SIZE + SHAPE_SIZE):
        raise ValueError(
            f"{path} has shape {rows.shape}, expected {(people, POSE_SIZE + SHAPE_SIZE)}: one row for each of the "
            f"{people} people of the data set. Are these fits of another data set?"
        )
    return rows.astype(np.float64)


def _released(content: Any) -> np.ndarray:
    with content:
        rows = np.concatenate([content["pose"], content["shape"]], 1).astype(np.float64)
        flag = next((name for name in content.files if name.startswith("valid")), None)
        if flag is not None:
            rows[content[flag].ravel() == 0] = np.nan
    return rows


def from_spin(rows: Float[np.ndarray, "people 82"]) -> BestFits:
    """SPIN's rows as fits at the camera's origin, of unknown energy: they still have to be placed and judged."""
    known = torch.from_numpy(np.isfinite(rows).all(1))
    values = torch.from_numpy(np.nan_to_num(rows))
    rotations = rotvec_to_rotmat(values[:, :POSE_SIZE].unflatten(-1, (24, 3))).float()
    betas = values[:, POSE_SIZE:].float()
    params = BodyParams(rotations[:, 0], rotations[:, 1:], betas, torch.zeros_like(betas[:, :3]))
    energy = torch.full((len(rows),), torch.inf)
    return BestFits(
        params, energy, torch.where(known, int(Source.STATIC), int(Source.NONE)), torch.zeros(len(rows)).long()
    )


def export_spin_fits(store: FitsStore, folder: Path) -> list[Path]:
    """Write ``<dataset>_fits.npy`` for every data set of a store; rows that nothing is known of hold zeros, as in SPIN.

    Args:
        store: All of its shards must be owned.
        folder: Where to write.

    Raises:
        ValueError: If the body has not SPIN's ten shape coefficients, or shards are missing.
    """
    if store.key.num_betas != SHAPE_SIZE:
        raise ValueError(f"SPIN's fits have {SHAPE_SIZE} shape coefficients, body {store.key.body!r} has others.")
    if len(store.owned) != store.shards:
        raise ValueError(f"All {store.shards} shards are needed to export fits, these are opened: {store.owned}.")
    written, start = [], 0
    for name, people, _ in store.key.datasets:
        rows = encode(store.read(torch.arange(start, start + people)))
        table = np.concatenate([rows["pose"].reshape(people, POSE_SIZE), rows["betas"]], 1)
        table[rows["source"] == int(Source.NONE)] = 0.0
        path = folder / f"{name}_fits.npy"
        with whole_file(path) as temporary, temporary.open("wb") as file:
            np.save(file, table)
        written.append(path)
        start += people
        unknown = int((rows["source"] == int(Source.NONE)).sum())
        if unknown:
            _logger.warning("%s: nothing is known of %d of %d people; their rows are zeros.", path, unknown, people)
    return written
