"""This project's results: a folder with one .npz per photo, or a table of people (docs/results_file.md)."""

import json
from collections.abc import Collection, Iterator
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch

from fitloop.body import BodyParams
from fitloop.body.documents import read_document
from fitloop.data.addresses import address_of
from fitloop.data.archives import check_rows, floats, read_arrays, words
from fitloop.data.places import open_place
from fitloop.evaluation.body_arrays import (
    CAMERA_KEYS,
    NOT_FITTED,
    PARAM_KEYS,
    STAGE_PREFIXES,
    bodies_of,
    check_bodies,
)
from fitloop.evaluation.people import Joints3D, Keypoints2D, ScoredPeople, clean_points
from fitloop.evaluation.people_table import TABLE, arrays_of, open_table, read_rows
from fitloop.geometry import Camera

LANDMARKS = "landmarks"
"""The detector's own 3D landmarks, and its 2D keypoints: what users would pick instead."""
_UNUSED = ("joints_3d", "joints_2d", "silhouettes", "silhouette_boxes", "notices")
"""Arrays that scores do not need: the joints follow from the parameters."""
_RESULTS = Path("the results")
"""What messages call a whole run."""
Files = list[tuple[str, dict[str, np.ndarray]]]
"""Photo and arrays of each results file."""


class OwnResults:
    """Reads the photos asked for, nothing else; memory does not grow with the folder.

    Attributes:
        stages: Those that the first photo with people has.
    """

    def __init__(self, path: Path) -> None:
        """Look what is there.

        Args:
            path: The run's folder or address, its ``results`` folder, its table, or one photo's file.

        Raises:
            ValueError: If there are no results, or nobody in any of them.
        """
        self.path = path / "results" if (path / "results").is_dir() else path
        # The first photo with people speaks for all: stages do not change within a run.
        first = next((arrays for _, arrays in self._files(None) if len(arrays["boxes"])), None)
        if first is None:
            raise ValueError(f"{path} holds nobody: expected one .npz per photo with at least one person in all.")
        fitted = "status" not in first or str(first["status"][0]) != NOT_FITTED
        found = [stage for stage, prefix in STAGE_PREFIXES.items() if f"{prefix}global_orient" in first]
        # Without fitting the arrays without prefix repeat the regressed bodies, and would be scored as fitted.
        if not fitted and "regressed" in found:
            found.remove("fitted")
        self.stages = (*found, *((LANDMARKS,) if LANDMARKS in first else ()))

    @cached_property
    def _index(self) -> dict[str, Path]:
        if self.path.is_file():
            name = read_arrays(self.path).get("photo", self.path.name.removesuffix(".npz"))
            return {str(name): self.path}
        files = sorted(self.path.rglob("*.npz"))
        return {file.relative_to(self.path).as_posix().removesuffix(".npz"): file for file in files}

    notices: tuple[str, ...] = ()
    """This project's own files are read whole."""

    @property
    def photos(self) -> tuple[str, ...]:
        """All photos with a results file."""
        return tuple(self._index)

    def _files(self, photos: Collection[str] | None) -> Iterator[tuple[str, dict[str, np.ndarray]]]:
        for photo in self._index if photos is None else photos:
            if photo in self._index:
                arrays = read_arrays(self._index[photo], _UNUSED)
                _check(self._index[photo], arrays)
                yield photo, arrays

    def read(self, photos: Collection[str] | None) -> dict[str, ScoredPeople]:
        """Rows of the people in ``photos``, per stage; all of them if None."""
        files = [(p, a) for p, a in self._files(photos) if len(a["boxes"])]
        return {stage: _join(files, stage) for stage in self.stages}


class TableResults(OwnResults):
    """The same, from ``people.parquet``: one table instead of a file per photo, in a folder or at an address."""

    @cached_property
    def _table(self) -> Any:
        run = self.path.parent if self.path.name in ("results", TABLE) else self.path
        place = open_place(run / TABLE)
        return open_table(place / "", place.fs)

    @cached_property
    def photos(self) -> tuple[str, ...]:  # pyright: ignore[reportIncompatibleMethodOverride]
        """All photos of the table, those without people too."""
        batches = self._table.to_batches(columns=["photo"])
        return tuple(dict.fromkeys(name for batch in batches for name in batch["photo"].to_pylist()))

    def _files(self, photos: Collection[str] | None) -> Iterator[tuple[str, dict[str, np.ndarray]]]:
        for rows in read_rows(self._table, None if photos is None else set(photos)):
            arrays = arrays_of(rows)
            _check(self.path, arrays)
            yield str(arrays["photo"]), arrays


def is_table(path: Path) -> bool:
    """Whether results are read from a table: it is named, or the run's results lie at an address."""
    return path.name == TABLE or address_of(path) is not None


def own_results(path: Path) -> OwnResults:
    """Open results of this project, whichever way they are kept.

    Raises:
        ValueError: As for `OwnResults`.
    """
    return TableResults(path) if is_table(path) else OwnResults(path)


def _check(path: Path, arrays: dict[str, np.ndarray]) -> None:
    """Refuse a file whose people cannot be told apart."""
    rows = check_rows(path, arrays, ("boxes", *(key for key in arrays if key.endswith("status"))))
    if arrays["boxes"].shape != (rows, 4):
        raise ValueError(f"{path}: boxes have shape {arrays['boxes'].shape}, expected (people, 4): x y x y.")
    for key in arrays:
        if key in ("body", "convention") and arrays[key].size != 1:
            raise ValueError(f"{path}: {key} must be one word, got {arrays[key].size} values.")


def _size_of(arrays: dict[str, np.ndarray]) -> np.ndarray:
    """Height and width of the photo for each person; 0 where the file does not say."""
    size = arrays.get("image_size", np.zeros(2))
    known = size.shape == (2,) and size.dtype.kind in "iuf" and bool(np.isfinite(size).all())
    return np.tile(size if known else np.zeros(2), (len(arrays["boxes"]), 1))


def _join(files: Files, stage: str) -> ScoredPeople:
    photos = tuple(photo for photo, arrays in files for _ in range(len(arrays["boxes"])))
    count = len(photos)
    if count == 0:
        return ScoredPeople((), (), 0)
    persons = tuple(str(row) for _, arrays in files for row in range(len(arrays["boxes"])))
    boxes = torch.from_numpy(floats(_RESULTS, "boxes", _stack(files, "boxes")))
    values = {"image_size": np.concatenate([_size_of(arrays) for _, arrays in files])}
    params = camera = joints = None
    if stage == LANDMARKS:
        joints = _landmarks(files)
    else:
        params, camera = _bodies(files, STAGE_PREFIXES[stage])
        values |= _numbers(files, STAGE_PREFIXES[stage])
    labels = {} if stage == LANDMARKS else {"status": _statuses(files, f"{STAGE_PREFIXES[stage]}status")}
    return ScoredPeople(
        photos,
        persons,
        count,
        body=_only(files, "body") if params is not None else None,
        params=params,
        camera=camera,
        joints=joints,
        keypoints=_keypoints(files),
        boxes=boxes,
        labels=labels,
        values=values,
    )


def _statuses(files: Files, key: str) -> tuple[str, ...]:
    return tuple(word for _, arrays in files for word in words(arrays.get(key, np.full(len(arrays["boxes"]), ""))))


def _only(files: Files, key: str) -> str:
    found = sorted({str(arrays[key]) for _, arrays in files if key in arrays})
    if len(found) != 1:
        told = ", ".join(found) or "none"
        raise ValueError(f"The results must agree in {key}, found {told}; score one run at a time.")
    return found[0]


def _bodies(files: Files, prefix: str) -> tuple[BodyParams, Camera]:
    arrays = {prefix + key: _stack(files, prefix + key) for key in (*PARAM_KEYS, *CAMERA_KEYS)}
    check_bodies(_RESULTS, arrays, prefix)
    return bodies_of({key: floats(_RESULTS, key, value) for key, value in arrays.items()}, prefix)


def _landmarks(files: Files) -> Joints3D:
    return Joints3D(*clean_points(_stack(files, LANDMARKS), 3), _only(files, "convention"))


def _keypoints(files: Files) -> Keypoints2D | None:
    # All or none: rows without keypoints among others would look like people that nobody saw.
    if any("keypoints" not in arrays or "convention" not in arrays for _, arrays in files):
        return None
    return Keypoints2D(*clean_points(_stack(files, "keypoints"), 2), _only(files, "convention"))


def _numbers(files: Files, prefix: str) -> dict[str, np.ndarray]:
    """Energies of a stage: ``energy`` and any ``energy_<term>``, one number per person."""
    first = files[0][1]
    names = [key for key in first if key.startswith(f"{prefix}energy")]
    # Terms may be switched off for a photo; a column must have a number for everybody.
    shared = [name for name in names if all(_is_column(arrays, name) for _, arrays in files)]
    return {name.removeprefix(prefix): _stack(files, name) for name in shared}


def _is_column(arrays: dict[str, np.ndarray], key: str) -> bool:
    return key in arrays and arrays[key].dtype.kind in "iuf" and arrays[key].shape == (len(arrays["boxes"]),)


def _stack(files: Files, key: str) -> np.ndarray:
    """Rows of all photos; one row per person in each."""
    for photo, arrays in files:
        if key not in arrays:
            raise ValueError(f"The results of {photo!r} lack {key}.")
        if arrays[key].shape[:1] != arrays["boxes"].shape[:1]:
            raise ValueError(f"The results of {photo!r} hold {len(arrays['boxes'])} people, but {key} does not.")
    shapes = {arrays[key].shape[1:] for _, arrays in files}
    if len(shapes) > 1:
        raise ValueError(f"The results differ in the shape of {key}: {sorted(shapes)}; score one run at a time.")
    return np.concatenate([arrays[key] for _, arrays in files])


def read_run(results: Path) -> Any:
    """What ``run.json`` beside some results tells; None where there is none.

    Raises:
        ValueError: If that file is broken.
    """
    folder = results.parent if results.name in ("results", TABLE) else results
    if address_of(folder) is None:
        told = folder / "run.json"
        return read_document(told) if told.is_file() else None
    place = open_place(folder)
    return json.loads(place.read("run.json")) if place.exists("run.json") else None


def weights_of(results: Path) -> str:
    """Which weights made some results, as the run's own file tells.

    Raises:
        ValueError: If that file is broken.
    """
    content = read_run(results)
    config = content.get("config") if isinstance(content, dict) else None
    if not isinstance(config, dict):
        return "not stated"
    given = config.get("keypoints")
    parts = [f"keypoints of {Path(str(given)).name}"] if given else [f"detector {config.get('detector')}"]
    parts += [f"regressor {config['regressor']}"] if config.get("regressor") else []
    return ", ".join(parts)
