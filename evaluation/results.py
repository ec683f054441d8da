"""Readers of results: find out what a file is, read SPIN's npz and a plain npz of joints, choose stages."""

from collections.abc import Collection
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import numpy as np

from fitloop.body.documents import is_document
from fitloop.body.keypoints import CONVENTIONS, THREE_DHP_17
from fitloop.data.archives import check_rows, read_arrays, words
from fitloop.data.spin_fields import photo_names
from fitloop.evaluation.body_arrays import params_of_smpl
from fitloop.evaluation.coco_results import read_coco_results
from fitloop.evaluation.own_results import OwnResults, is_table, own_results
from fitloop.evaluation.people import Joints3D, Keypoints2D, ScoredPeople, clean_points
from fitloop.evaluation.protocols import Protocol as ScoringProtocol


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

    @property
    def notices(self) -> tuple[str, ...]:
        """What was left out of the file, or taken for something else."""
        ...

    def read(self, photos: Collection[str] | None) -> dict[str, ScoredPeople]:
        """Rows of the people in ``photos``, per stage; all of them if None."""
        ...


@dataclass(frozen=True)
class ArrayResults:
    """The results of one file, all rows in memory."""

    people: ScoredPeople
    stages: tuple[str, ...] = ("result",)

    @property
    def photos(self) -> tuple[str, ...] | None:
        """See `Results.photos`."""
        return None if self.people.photos is None else tuple(dict.fromkeys(self.people.photos))

    @property
    def notices(self) -> tuple[str, ...]:
        """See `Results.notices`."""
        return self.people.notices

    def read(self, photos: Collection[str] | None) -> dict[str, ScoredPeople]:
        """See `Results.read`; a file without photo names gives all its rows, in the order of the truth."""
        if photos is None or self.people.photos is None:
            return {self.stages[0]: self.people}
        wanted = set(photos)
        rows = [row for row, photo in enumerate(self.people.photos) if photo in wanted]
        return {self.stages[0]: self.people.take(np.array(rows, np.int64))}


def read_results(path: Path, protocol: ScoringProtocol, truth: ScoredPeople, convention: str | None = None) -> Results:
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
    if path.is_dir() or is_table(path):
        return own_results(path)
    if not path.is_file():
        raise FileNotFoundError(f"There are no results at {path}: give a folder of results, an .npz or a .json file.")
    if is_document(path):
        people = read_coco_results(path, truth, convention)
    elif path.suffix.lower() == ".npz":
        # The arrays decide, not the name: everybody calls the file results.npz.
        arrays = read_arrays(path, known=KEYS)
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


KEYS = {
    *(
        "global_orient",
        "pred_joints",
        "pose",
        "betas",
        "imgname",
        "joints",
        "joints_3d",
        "keypoints",
        "photo",
        "person",
    ),
    *("convention", "unit", "centred"),
}
"""What a results file may hold that is read here."""


def _read_spin(path: Path, arrays: dict[str, np.ndarray]) -> ScoredPeople:
    """``eval.py --result_file`` of SPIN: pred_joints (N, 14 or 17, 3) about the pelvis, pose (N, 72), betas (N, 10)."""
    rows = check_rows(path, arrays, ("pred_joints", *(key for key in ("imgname",) if key in arrays)))
    points, confidence = clean_points(arrays["pred_joints"], 3)
    if points.ndim != 3 or points.shape[1] not in (14, 17):
        shape = tuple(points.shape)
        raise ValueError(f"{path}: pred_joints has shape {shape}; SPIN writes (rows, 14, 3), or 17 for MPI-INF-3DHP.")
    params, notices = None, ()
    if "pose" in arrays and "betas" in arrays:
        check_rows(path, arrays, ("pred_joints", "pose", "betas"))
        params, notices = params_of_smpl(path, arrays["pose"], arrays["betas"])
    return ScoredPeople(
        photos=photo_names(arrays["imgname"]) if "imgname" in arrays else None,
        count=rows,
        body=None if params is None else "smpl",
        params=params,
        joints=Joints3D(points, confidence, f"{THREE_DHP_17.name}[:{points.shape[1]}]", centred=True),
        notices=notices,
    )


def _read_plain(
    path: Path, arrays: dict[str, np.ndarray], protocol: ScoringProtocol, convention: str | None
) -> ScoredPeople:
    """Joints (N, J, 3 or 4) and/or keypoints (N, K, 2 or 3), with photo, person, convention, unit where given."""
    key = next((name for name in ("joints", "joints_3d", "keypoints") if name in arrays), None)
    if key is None:
        found = ", ".join(arrays) or "nothing"
        raise ValueError(
            f"{path} is no known results file: it has {found}; expected joints (people, joints, 3), "
            "keypoints (people, keypoints, 3), SPIN's pred_joints, or this project's global_orient."
        )
    named = convention or (_word(path, arrays, "convention") if "convention" in arrays else None)
    if arrays[key].ndim != 3:
        raise ValueError(f"{path}: {key} has shape {arrays[key].shape}, expected (people, points, numbers).")
    names = {name: photo_names(arrays[name]) for name in ("photo", "imgname", "person") if name in arrays}
    rows = check_rows(path, arrays, (key, *names))
    kind = _convention_of(path, arrays[key].shape[1], named, protocol)
    joints = keypoints = None
    if key == "keypoints":
        keypoints = Keypoints2D(*clean_points(arrays[key], 2), kind)
    else:
        joints = Joints3D(*clean_points(arrays[key], 3), kind, centred=bool(np.any(arrays.get("centred", False))))
        if "unit" in arrays:
            joints = convert_unit(joints, _word(path, arrays, "unit"))
    photos = names.get("photo", names.get("imgname"))
    meant = f"the joints of {protocol.name}" if kind == "protocol" else kind
    told = f"its {arrays[key].shape[1]} points per person are taken to be {meant} (--convention names others)"
    notices = (told,) if named is None else ()
    return ScoredPeople(photos, names.get("person"), rows, joints=joints, keypoints=keypoints, notices=notices)


def _word(path: Path, arrays: dict[str, np.ndarray], key: str) -> str:
    found = set(words(arrays[key]))
    if len(found) != 1:
        raise ValueError(f"{path}: {key} must be one word, got {arrays[key].size} values.")
    return found.pop()


def _convention_of(path: Path, count: int, named: str | None, protocol: ScoringProtocol) -> str:
    if named is not None:
        expected = len(protocol.joints) if named == "protocol" else len(_known(named, path))
        if expected != count:
            raise ValueError(f"{path}: {named} has {expected} points, the file has {count}.")
        return named
    # As many points as the protocol has are most likely its own; a wrong guess fails the test of limb lengths.
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


class OneStage:
    """One stage of some results, with everything else as it is."""

    def __init__(self, results: Results, stage: str) -> None:
        self.results, self.stages = results, (stage,)

    @property
    def photos(self) -> tuple[str, ...] | None:
        """See `Results.photos`."""
        return self.results.photos

    @property
    def notices(self) -> tuple[str, ...]:
        """See `Results.notices`."""
        return self.results.notices

    def read(self, photos: Collection[str] | None) -> dict[str, ScoredPeople]:
        """See `Results.read`."""
        return {self.stages[0]: self.results.read(photos)[self.stages[0]]}


def only_stage(results: Results, stage: str) -> Results:
    """Choose one stage of some results; ``all`` keeps them as they are.

    Raises:
        ValueError: If they have no such stage; names those they have.
    """
    if stage == "all":
        return results
    if stage not in results.stages:
        raise ValueError(f"The results have no stage {stage!r}; they have {', '.join(results.stages)}.")
    return OneStage(results, stage)
