"""MPII Human Pose (Andriluka et al. 2014), from its MATLAB file or the HDF5 file of the stacked hourglass networks."""

from pathlib import Path
from typing import Any

import numpy as np

from fitloop.body.keypoints import MPII_16
from fitloop.data.converters.people import Person, gather, read_hdf5, read_mat, to_spin24
from fitloop.data.spin_format import SpinDataset

NAMES = tuple({"upper_neck": "neck"}.get(name, name) for name in MPII_16.keypoints)
"""MPII's joints as `SPIN_24` calls them."""
MAT, HDF5 = "mpii_human_pose_v1_u12_1.mat", "train.h5"


def convert_mpii(folder: Path) -> SpinDataset:
    """Convert MPII's training people with all 16 joints annotated, as SPIN does.

    Args:
        folder: Holds ``mpii_human_pose_v1_u12_1.mat`` (or in ``annot/``), else the hourglass networks' ``train.h5``.

    Raises:
        FileNotFoundError: If neither file is there.
        ValueError: If the file is damaged or of another kind.
    """
    hdf5 = next((p for p in (folder / HDF5, folder / "annot" / HDF5) if p.is_file()), None)
    mat = next((p for p in (folder / MAT, folder / "annot" / MAT) if p.is_file()), folder / MAT)
    rows = _from_mat(mat) if hdf5 is None or mat.is_file() else _from_hdf5(hdf5)
    people = []
    for name, center, scale, points in rows:
        if (points > 0).all():
            seen = np.concatenate([points, np.ones((len(points), 1))], 1)
            people.append(Person(f"images/{name}", center, scale, to_spin24(seen, NAMES)))
    return gather("mpii_train", people)


def _from_hdf5(path: Path) -> list[tuple[str, np.ndarray, float, np.ndarray]]:
    arrays = read_hdf5(path, ("imgname", "center", "scale", "part"), "the hourglass networks' annotations of MPII")
    if arrays["part"].ndim != 3 or arrays["part"].shape[1:] != (len(MPII_16), 2):
        raise ValueError(f"{path}: part has shape {arrays['part'].shape}, expected (people, 16, 2).")
    names = [_text(name) for name in arrays["imgname"]]
    return list(zip(names, arrays["center"], (float(s) for s in arrays["scale"]), arrays["part"], strict=True))


def _text(name: Any) -> str:
    if isinstance(name, bytes):
        return name.decode()
    # Some copies of the file store names as rows of character codes.
    return "".join(chr(int(code)) for code in name if code) if isinstance(name, np.ndarray) else str(name)


def _from_mat(path: Path) -> list[tuple[str, np.ndarray, float, np.ndarray]]:
    release = read_mat(path, "RELEASE", "MPII's annotations")
    if not hasattr(release, "annolist") or not hasattr(release, "img_train"):
        raise ValueError(f"{path}: RELEASE has no annolist and img_train; is it MPII's file, version u12_1?")
    rows = []
    for photo, training in zip(np.atleast_1d(release.annolist), np.atleast_1d(release.img_train), strict=True):
        if not training:
            continue
        for person in _structs(getattr(photo, "annorect", None)):
            points = _points(person)
            place = getattr(person, "objpos", None)
            if points is not None and hasattr(place, "x") and np.size(getattr(person, "scale", ())) == 1:
                scale = float(person.scale)
                # The hourglass networks enlarge the box so that it holds the feet; SPIN reads their boxes.
                center = np.array([float(place.x), float(place.y) + 15.0 * scale])  # pyright: ignore[reportOptionalMemberAccess]
                rows.append((str(photo.image.name), center, 1.25 * scale, points))
    return rows


def _structs(value: Any) -> list[Any]:
    """MATLAB writes none as an empty array, one as itself and several as an array."""
    return [] if value is None else [entry for entry in np.atleast_1d(value) if hasattr(entry, "_fieldnames")]


def _points(person: Any) -> np.ndarray | None:
    annotated = _structs(getattr(getattr(person, "annopoints", None), "point", None))
    if not annotated:
        return None
    points = np.zeros((len(MPII_16), 2))
    for point in annotated:
        points[int(point.id)] = float(point.x), float(point.y)
    return points
