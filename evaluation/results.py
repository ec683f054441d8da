"""Readers of results: this project's folder, SPIN's npz, COCO keypoint results, a plain npz of joints."""

from collections.abc import Collection
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import numpy as np
import torch

from fitloop.body.keypoints import CONVENTIONS, THREE_DHP_17
from fitloop.evaluation.archives import check_rows, params_from_rotvecs, read_arrays, words
from fitloop.evaluation.own_results import OwnResults
from fitloop.evaluation.people import Joints3D, Keypoints2D, People, clean_points
from fitloop.evaluation.protocols import Protocol as ScoringProtocol
from fitloop.evaluation.truth import read_json


@runtime_checkable
class Results(Protocol):
    """Anything that can be scored: one or more stages, each with rows of people."""

    @property
    def stages(self) -> tuple[str, ...]:
        """Such as ``regressed``, ``fitted``, ``refined``, ``landmarks``; ``result`` where a file has only one."""
        ...

    @property
    def photos(self) -> tuple[str, ...] | None:
        """Photos with results; None where rows follow the order of the truth."""
        ...

    def read(self, photos: Collection[str] | None) -> dict[str, People]:
        """Rows of the people in ``photos``, per stage; all of them if None."""
        ...


@dataclass(frozen=True)
class ArrayResults:
    """The results of one file, all rows in memory."""

    people: People
    stages: tuple[str, ...] = ("result",)

    @property
    def photos(self) -> tuple[str, ...] | None:
        """See `Results.photos`."""
        return None if self.people.photos is None else tuple(dict.fromkeys(self.people.photos))

    def read(self, photos: Collection[str] | None) -> dict[str, People]:
        """See `Results.read`; a file without photo names gives all its rows, in the order of the truth."""
        if photos is None or self.people.photos is None:
            return {self.stages[0]: self.people}
        wanted = set(photos)
        rows = [row for row, photo in enumerate(self.people.photos) if photo in wanted]
        return {self.stages[0]: self.people.take(np.array(rows, np.int64))}


def read_results(path: Path, protocol: ScoringProtocol, truth: People, convention: str | None = None) -> Results:
    """Find out what ``path`` is and read it.

    Args:
        path: A folder of this project's results (the run's folder or its ``results``), ``.npz`` or ``.json``.
        protocol: Joints without a named convention are taken to be its joints, in its order.
        truth: Names the photos of COCO's image ids.
        convention: Says what the joints of a plain file are.

    Raises:
        FileNotFoundError: If there is nothing there.
        ValueError: If it is none of the known layouts, is damaged, or holds nobody.
    """
    if path.is_dir():
        return OwnResults(path)
    if not path.is_file():
        raise FileNotFoundError(f"There are no results at {path}: give a folder of results, an .npz or a .json file.")
    if path.suffix.lower() == ".json":
        people = read_coco_results(path, truth)
    elif path.suffix.lower() == ".npz":
        arrays = read_arrays(path)
        if "global_orient" in arrays:
            return OwnResults(path)
        people = (
            _read_spin(path, arrays) if "pred_joints" in arrays else _read_plain(path, arrays, protocol, convention)
        )
    else:
        raise ValueError(f"{path} is no known results file: expected a folder, an .npz or a .json.")
    if len(people) == 0:
        raise ValueError(f"{path} holds nobody; there is nothing to score.")
    return ArrayResults(people)


def _read_spin(path: Path, arrays: dict[str, np.ndarray]) -> People:
    """``eval.py --result_file`` of SPIN: pred_joints (N, 14 or 17, 3) about the pelvis, pose (N, 72), betas (N, 10)."""
    rows = check_rows(path, arrays, ("pred_joints",))
    points, confidence = clean_points(arrays["pred_joints"], 3)
    if points.shape[1] not in (14, 17):
        raise ValueError(f"{path}: pred_joints has {points.shape[1]} joints; SPIN writes 14, or 17 for MPI-INF-3DHP.")
    params = None
    if "pose" in arrays and "betas" in arrays:
        check_rows(path, arrays, ("pred_joints", "pose", "betas"))
        params = params_from_rotvecs(arrays["pose"], arrays["betas"])
    return People(
        photos=words(arrays["imgname"]) if "imgname" in arrays else None,
        count=rows,
        body=None if params is None else "smpl",
        params=params,
        joints=Joints3D(points, confidence, f"{THREE_DHP_17.name}[:{points.shape[1]}]", centred=True),
    )


def _read_plain(path: Path, arrays: dict[str, np.ndarray], protocol: ScoringProtocol, convention: str | None) -> People:
    """Joints (N, J, 3 or 4) and/or keypoints (N, K, 2 or 3), with photo, person, convention, unit where given."""
    key = next((name for name in ("joints", "joints_3d", "keypoints") if name in arrays), None)
    if key is None:
        found = ", ".join(arrays) or "nothing"
        raise ValueError(
            f"{path} is no known results file: it has {found}; expected joints (people, joints, 3), "
            "keypoints (people, keypoints, 3), SPIN's pred_joints, or this project's global_orient."
        )
    named = convention or (str(arrays["convention"]) if "convention" in arrays else None)
    names = {name: words(arrays[name]) for name in ("photo", "imgname", "person") if name in arrays}
    rows = check_rows(path, arrays, (key, *names))
    kind = _convention_of(path, arrays[key].shape[1], named, protocol)
    joints = keypoints = None
    if key == "keypoints":
        keypoints = Keypoints2D(*clean_points(arrays[key], 2), kind)
    else:
        joints = Joints3D(*clean_points(arrays[key], 3), kind, centred=bool(arrays.get("centred", False)))
        if "unit" in arrays:
            joints = convert_unit(joints, str(arrays["unit"]))
    photos = names.get("photo", names.get("imgname"))
    return People(photos, names.get("person"), rows, joints=joints, keypoints=keypoints)


def _convention_of(path: Path, count: int, named: str | None, protocol: ScoringProtocol) -> str:
    if named is not None:
        expected = len(protocol.joints) if named == "protocol" else len(_known(named, path))
        if expected != count:
            raise ValueError(f"{path}: {named} has {expected} points, the file has {count}.")
        return named
    if count == len(protocol.joints):
        return "protocol"
    candidates = [name for name, convention in CONVENTIONS.items() if len(convention) == count]
    if len(candidates) == 1:
        return candidates[0]
    raise ValueError(
        f"{path} has {count} points per person and does not say which; add an array convention or pass --convention "
        f"with one of {', '.join(candidates or CONVENTIONS)}."
    )


def _known(name: str, path: Path) -> Any:
    if name not in CONVENTIONS:
        raise ValueError(f"{path}: unknown convention {name!r}; known: {', '.join(CONVENTIONS)}.")
    return CONVENTIONS[name]


def convert_unit(joints: Joints3D, unit: str) -> Joints3D:
    """Bring joints to metres.

    Raises:
        ValueError: If the unit is unknown.
    """
    scales = {"metres": 1.0, "m": 1.0, "millimetres": 1e-3, "mm": 1e-3, "centimetres": 1e-2, "cm": 1e-2}
    if unit not in scales:
        raise ValueError(f"Unknown unit {unit!r}; known: {', '.join(scales)}.")
    return replace(joints, points=joints.points * scales[unit])


def read_coco_results(path: Path, truth: People) -> People:
    """A COCO keypoint results file: a list of image_id, keypoints (17 times x, y, score), score, maybe bbox.

    Raises:
        ValueError: If it is another layout, or an image id belongs to no photo of the truth.
    """
    rows = read_json(path)
    if not isinstance(rows, list) or any(not isinstance(row, dict) or "keypoints" not in row for row in rows):
        raise ValueError(f"{path} is not a COCO keypoint results file: expected a list with image_id and keypoints.")
    if not rows:
        raise ValueError(f"{path} holds nobody; there is nothing to score.")
    lengths = {len(row["keypoints"]) for row in rows}
    if lengths != {51}:
        raise ValueError(f"{path}: expected 51 numbers per person (17 keypoints), found {sorted(lengths)}.")
    points = np.array([row["keypoints"] for row in rows], np.float32).reshape(len(rows), 17, 3)
    keypoints = Keypoints2D(*clean_points(points, 2), "coco17")
    known = dict(zip(truth.labels.get("image_id", ()), truth.photos or (), strict=False))
    photos = tuple(known.get(str(row["image_id"]), str(row["image_id"])) for row in rows)
    if not set(photos) & set(truth.photos or ()):
        raise ValueError(f"{path}: no image_id belongs to a photo of the truth; the first is {photos[0]!r}.")
    boxes = None
    if all("bbox" in row for row in rows):
        corner = torch.tensor([row["bbox"] for row in rows], dtype=torch.float32)
        boxes = torch.cat([corner[:, :2], corner[:, :2] + corner[:, 2:]], -1)
    return People(photos, count=len(rows), keypoints=keypoints, boxes=boxes)


def labelled_paths(words: tuple[str, ...]) -> list[tuple[str, Path]]:
    """Take LABEL=PATH apart.

    Raises:
        ValueError: If a word is not of this form.
    """
    pairs = [word.partition("=") for word in words]
    wrong = [word for word, pair in zip(words, pairs, strict=True) if not all(pair)]
    if wrong:
        raise ValueError(f"--others expects LABEL=PATH, got {wrong[0]!r}.")
    return [(label, Path(path)) for label, _, path in pairs]


class _OneStage:
    def __init__(self, results: Results, stage: str) -> None:
        self.results, self.stages = results, (stage,)

    @property
    def photos(self) -> tuple[str, ...] | None:
        return self.results.photos

    def read(self, photos):
        return {self.stages[0]: self.results.read(photos)[self.stages[0]]}


def _choose(results: Results, stage: str) -> Results:
    if stage == "all":
        return results
    if stage not in results.stages:
        raise ValueError(f"The results have no stage {stage!r}; they have {', '.join(results.stages)}.")
    return _OneStage(results, stage)
