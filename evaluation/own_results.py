"""This project's results: a folder with one .npz per photo, every stage inside (docs/results_file.md)."""

import json
from collections.abc import Collection, Iterator
from functools import cached_property
from pathlib import Path

import numpy as np
import torch

from fitloop.body import BodyParams
from fitloop.evaluation.archives import check_rows, read_arrays, words
from fitloop.evaluation.people import Joints3D, Keypoints2D, People, clean_points
from fitloop.geometry import Camera

PREFIXES = {"regressed": "regressed_", "fitted": "", "refined": "refined_"}
"""How the arrays of each stage begin."""
LANDMARKS = "landmarks"
"""The detector's own 3D landmarks, and its 2D keypoints: what users would pick instead."""
NOT_FITTED = "not_fitted"
_UNUSED = ("joints_3d", "joints_2d", "silhouettes", "silhouette_boxes", "notices")
"""Arrays that scores do not need: the joints follow from the parameters."""
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
            path: The run's folder, its ``results`` folder, or one photo's file.

        Raises:
            ValueError: If there are no results, or nobody in any of them.
        """
        self.path = path / "results" if (path / "results").is_dir() else path
        first = next((arrays for _, arrays in self._files(list(self._index)) if len(arrays["boxes"])), None)
        if first is None:
            raise ValueError(f"{path} holds nobody: expected one .npz per photo with at least one person in all.")
        fitted = "status" not in first or str(first["status"][0]) != NOT_FITTED
        found = [stage for stage, prefix in PREFIXES.items() if f"{prefix}global_orient" in first]
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

    @property
    def photos(self) -> tuple[str, ...]:
        """All photos with a results file."""
        return tuple(self._index)

    def _files(self, photos: Collection[str]) -> Iterator[tuple[str, dict[str, np.ndarray]]]:
        for photo in photos:
            if photo in self._index:
                arrays = read_arrays(self._index[photo], _UNUSED)
                check_rows(self._index[photo], arrays, ("boxes",))
                yield photo, arrays

    def read(self, photos: Collection[str] | None) -> dict[str, People]:
        """Rows of the people in ``photos``, per stage; all of them if None."""
        files = [(p, a) for p, a in self._files(self.photos if photos is None else photos) if len(a["boxes"])]
        return {stage: _join(files, stage) for stage in self.stages}


def _join(files: Files, stage: str) -> People:
    photos = tuple(photo for photo, arrays in files for _ in range(len(arrays["boxes"])))
    count = len(photos)
    if count == 0:
        return People((), (), 0)
    persons = tuple(str(row) for _, arrays in files for row in range(len(arrays["boxes"])))
    boxes = torch.from_numpy(np.asarray(_stack(files, "boxes"), np.float32))
    sizes = [np.tile(a.get("image_size", np.zeros(2)), (len(a["boxes"]), 1)) for _, a in files]
    values = {"image_size": np.concatenate(sizes)}
    params = camera = joints = None
    if stage == LANDMARKS:
        joints = _landmarks(files)
    else:
        params, camera = _bodies(files, PREFIXES[stage])
        values |= _numbers(files, PREFIXES[stage])
    labels = {} if stage == LANDMARKS else {"status": _statuses(files, f"{PREFIXES[stage]}status")}
    return People(
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
    keys = ("global_orient", "body_pose", "betas", "transl", "focal", "principal_point")
    tensors = [torch.from_numpy(np.asarray(_stack(files, prefix + key), np.float32)) for key in keys]
    return BodyParams(*tensors[:4]), Camera(*tensors[4:])


def _landmarks(files: Files) -> Joints3D:
    return Joints3D(*clean_points(_stack(files, LANDMARKS), 3), _only(files, "convention"))


def _keypoints(files: Files) -> Keypoints2D | None:
    if any("keypoints" not in arrays or "convention" not in arrays for _, arrays in files):
        return None
    return Keypoints2D(*clean_points(_stack(files, "keypoints"), 2), _only(files, "convention"))


def _numbers(files: Files, prefix: str) -> dict[str, np.ndarray]:
    """Energies of a stage: ``energy`` and any ``energy_<term>``, one number per person."""
    first = files[0][1]
    names = [key for key in first if key.startswith(f"{prefix}energy") and first[key].ndim == 1]
    shared = [name for name in names if all(name in arrays for _, arrays in files)]
    return {name.removeprefix(prefix): _stack(files, name) for name in shared}


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


def weights_of(results: Path) -> str:
    """Which weights made some results, as the run's own file tells."""
    told = (results.parent if results.name == "results" else results) / "run.json"
    if not told.is_file():
        return "not stated"
    config = json.loads(told.read_text(encoding="utf-8")).get("config", {})
    given = config.get("keypoints")
    parts = [f"keypoints of {Path(given).name}"] if given else [f"detector {config.get('detector')}"]
    parts += [f"regressor {config['regressor']}"] if config.get("regressor") else []
    return ", ".join(parts)
