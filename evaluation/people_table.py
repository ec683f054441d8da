"""``people.parquet``: what the main job found, one row per person, in parts that are written whole.

docs/results_file.md lists the columns. pandas, Polars and DuckDB read the folder as one table; so does pyarrow, which
is only needed here and imported when it is.
"""

import io
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import numpy as np
import torch

from fitloop.evaluation.body_arrays import CAMERA_KEYS, PARAM_KEYS
from fitloop.evaluation.body_arrays import STAGE_PREFIXES as _ALL_PREFIXES
from fitloop.geometry import rotmat_to_rotvec, rotvec_to_rotmat

TABLE = "people.parquet"
"""The folder of the parts, beside ``run.json``."""
NOBODY, SKIPPED = "nobody", "skipped"
"""``status`` of the one row of a photo without people, and of one that was not done; ``person`` is empty there."""
_TEXTS = ("status", "verdict", "notice", "convention", "body")
STAGE_PREFIXES = {stage: prefix for stage, prefix in _ALL_PREFIXES.items() if stage != "tuned"}
"""Stages in the table: the columns are the same in every part, also in those written before networks were tuned."""
_BODY = ("pose", "shape", "place", "camera", "joints")
Arrays = Mapping[str, np.ndarray]


def have_pyarrow() -> bool:
    """Whether tables can be written here."""
    try:
        import pyarrow.parquet  # noqa: F401
    except ImportError:
        return False
    return True


def schema() -> Any:
    """Columns of every part, the same whichever stages ran, so that parts fit together."""
    import pyarrow

    numbers = pyarrow.list_(pyarrow.float32())
    columns = [("photo", pyarrow.string()), ("person", pyarrow.int32())]
    columns += [(name, pyarrow.string()) for name in _TEXTS]
    columns += [("energy", pyarrow.float32()), ("image_size", pyarrow.list_(pyarrow.int32()))]
    columns += [(name, numbers) for name in ("box", "scores", "keypoints", "landmarks")]
    columns += [(prefix + name, numbers) for prefix in STAGE_PREFIXES.values() for name in _BODY]
    return pyarrow.schema(columns)


def part_of(rows: Iterable[dict[str, Any]]) -> bytes:
    """Encode rows as one part.

    Args:
        rows: From `rows_of` and `skipped_row`.
    """
    import pyarrow
    import pyarrow.parquet

    wanted, given = schema(), list(rows)
    columns = [pyarrow.array([row.get(field.name) for row in given], field.type) for field in wanted]
    buffer = io.BytesIO()
    pyarrow.parquet.write_table(pyarrow.table(columns, schema=wanted), buffer, compression="zstd")
    return buffer.getvalue()


def rows_of(photo: str, arrays: Arrays) -> list[dict[str, Any]]:
    """Rows of one photo: one per person, or one that says that nobody was found.

    Args:
        photo: Its name.
        arrays: Of its results file.
    """
    notice = " ".join(str(told) for told in arrays["notices"]) or None
    shared = {"photo": photo, "notice": notice, "body": str(arrays["body"]), "image_size": arrays.get("image_size")}
    count = len(arrays["boxes"])
    if count == 0:
        return [{**shared, "status": NOBODY}]
    columns = _columns(arrays, count)
    return [
        {**shared, "person": row, "convention": str(arrays["convention"])}
        | {name: values[row] for name, values in columns.items()}
        for row in range(count)
    ]


def skipped_row(photo: str, reason: str) -> dict[str, Any]:
    """The row of a photo that was not done."""
    return {"photo": photo, "status": SKIPPED, "notice": reason}


def _columns(arrays: Arrays, count: int) -> dict[str, Any]:
    keypoints = np.asarray(arrays["keypoints"], np.float32)
    found: dict[str, Any] = {
        **{"box": arrays["boxes"].astype(np.float32), "scores": keypoints[..., 2]},
        **{"keypoints": keypoints.reshape(count, -1), "energy": arrays["energy"].astype(np.float32)},
        "status": [str(word) for word in arrays["status"]],
    }
    if "landmarks" in arrays:
        found["landmarks"] = arrays["landmarks"].astype(np.float32).reshape(count, -1)
    if "refined_reason" in arrays:
        found["verdict"] = [str(word) for word in arrays["refined_reason"]]
    for prefix in STAGE_PREFIXES.values():
        if f"{prefix}betas" in arrays:
            found |= {prefix + name: values for name, values in _body_columns(arrays, prefix, count).items()}
    return found


def _body_columns(arrays: Arrays, prefix: str, count: int) -> dict[str, np.ndarray]:
    """Pose in radians, axis-angle, root first as SMPL has it; place in metres; camera: focal, principal point."""
    orient, pose, betas, transl, focal, point = (
        np.asarray(arrays[prefix + key], np.float32) for key in (*PARAM_KEYS, *CAMERA_KEYS)
    )
    rotations = torch.from_numpy(np.concatenate([orient[:, None], pose], 1))
    return {
        "pose": rotmat_to_rotvec(rotations).reshape(count, -1).numpy(),
        **{"shape": betas, "place": transl, "camera": np.concatenate([focal[:, None], point], 1)},
        "joints": np.asarray(arrays[f"{prefix}joints_3d"], np.float32).reshape(count, -1),
    }


def arrays_of(rows: list[dict[str, Any]]) -> dict[str, np.ndarray]:
    """Arrays of one photo's results file from its rows; joints are left out, for they follow from the pose.

    Args:
        rows: Of one photo, as pyarrow's ``to_pylist`` gives them.
    """
    people = [row for row in rows if row["person"] is not None]
    people.sort(key=lambda row: row["person"])
    count = len(people)
    found = {
        **{"photo": np.array(rows[0]["photo"]), "boxes": _numbers(people, "box", 4)},
        "status": np.array([row["status"] for row in people], dtype=np.str_),
        "energy": np.array([np.nan if row["energy"] is None else row["energy"] for row in people], np.float32),
    }
    if rows[0]["image_size"] is not None:
        found["image_size"] = np.array(rows[0]["image_size"], np.int32)
    if count == 0:
        return found
    found |= {name: np.array(people[0][name]) for name in ("body", "convention")}
    found["keypoints"] = _numbers(people, "keypoints").reshape(count, -1, 3)
    if people[0]["landmarks"] is not None:
        found["landmarks"] = _numbers(people, "landmarks").reshape(count, -1, 4)
    if people[0]["verdict"] is not None:
        found["refined_reason"] = np.array([row["verdict"] for row in people], dtype=np.str_)
    for prefix in STAGE_PREFIXES.values():
        if people[0][f"{prefix}pose"] is not None:
            found |= _body_arrays(people, prefix)
    return found


def _numbers(people: list[dict[str, Any]], name: str, width: int = 0) -> np.ndarray:
    return np.array([row[name] for row in people], np.float32) if people else np.zeros((0, width), np.float32)


def _body_arrays(people: list[dict[str, Any]], prefix: str) -> dict[str, np.ndarray]:
    vectors = torch.from_numpy(_numbers(people, f"{prefix}pose").reshape(len(people), -1, 3))
    rotations, camera = rotvec_to_rotmat(vectors).numpy(), _numbers(people, f"{prefix}camera")
    values = (rotations[:, 0], rotations[:, 1:], _numbers(people, f"{prefix}shape"), _numbers(people, f"{prefix}place"))
    pairs = zip((*PARAM_KEYS, *CAMERA_KEYS), (*values, camera[:, 0], camera[:, 1:]), strict=True)
    return {prefix + key: value for key, value in pairs}


def read_rows(parts: Any, photos: set[str] | None = None) -> Iterator[list[dict[str, Any]]]:
    """Rows of each photo, one photo after the other; memory does not grow with the table.

    Args:
        parts: A `pyarrow.dataset.Dataset` of the folder.
        photos: Only these; all of them if None.
    """
    import pyarrow.dataset

    chosen = None if photos is None else pyarrow.dataset.field("photo").isin(sorted(photos))
    for fragment in parts.get_fragments():
        group: list[dict[str, Any]] = []
        for batch in fragment.to_batches(schema=parts.schema, filter=chosen):
            for row in batch.to_pylist():
                if group and row["photo"] != group[0]["photo"]:
                    yield group
                    group = []
                group.append(row)
        if group:
            yield group


def open_table(folder: str, file_system: Any = None) -> Any:
    """Open the parts of a table as one `pyarrow.dataset.Dataset`.

    Args:
        folder: Of the parts.
        file_system: Of fsspec; that of this machine if not given.

    Raises:
        ValueError: If pyarrow is not installed, or there is no whole table.
    """
    try:
        import pyarrow
        import pyarrow.dataset
    except ImportError as error:
        raise ValueError("Reading people.parquet needs pyarrow: pip install 'fitloop[scale]'.") from error
    try:
        return pyarrow.dataset.dataset(folder, schema=schema(), format="parquet", filesystem=file_system)
    except (OSError, pyarrow.ArrowInvalid) as error:
        raise ValueError(f"{folder} is no whole table of people: {error}.") from error
