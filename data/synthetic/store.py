"""Synthetic photos kept on the disk, so that each is drawn once however often it is learnt from."""

import json
import os
from collections.abc import Iterator
from dataclasses import asdict, fields, replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset

from fitloop.body.files import whole_file
from fitloop.data.synthetic.dataset import SyntheticPeople, SyntheticPeopleBatch
from fitloop.geometry import TensorRecord
from fitloop.geometry.records import Record

_DRAWN = "drawn"


class StoredPeople(Dataset[SyntheticPeopleBatch]):
    """`SyntheticPeople` with a memory: one file of rows, filled as photos are asked for, by any number of processes.

    A row is one photo with its truth, as raw numbers; its last byte says whether it was drawn. The file takes space
    only for what was drawn.
    """

    def __init__(self, folder: Path, people: SyntheticPeople) -> None:
        """Open or make the file.

        Args:
            folder: Holds ``photos.bin`` and what they are, ``photos.json``.
            people: Draws what is missing.

        Raises:
            ValueError: If the folder holds photos of another kind.
        """
        self.people, self.path = people, folder / "photos.bin"
        self._dtype = _row_of(people)
        told = json.loads(json.dumps(_description(people)))
        note = folder / "photos.json"
        if note.is_file():
            found = json.loads(note.read_text(encoding="utf-8"))
            other = sorted(key for key in told if found.get(key) != told[key])
            if other:
                raise ValueError(
                    f"{folder} keeps other photos: {', '.join(other)} differ from what is asked for. "
                    "Give another folder, or remove this one."
                )
        else:
            with whole_file(note) as temporary:
                temporary.write_text(json.dumps(told, indent=2) + "\n", encoding="utf-8")
            self.path.touch()

    def __len__(self) -> int:
        return len(self.people)

    def __getitem__(self, index: int) -> SyntheticPeopleBatch:
        """Photo ``index``, read if it was drawn before.

        Raises:
            IndexError: If there is no such photo.
            OSError: If it cannot be kept, for example because the disk is full.
        """
        row = self._read(index) if 0 <= index < len(self) else None
        if row is not None:
            return row
        sample = self.people[index]
        self._write(index % len(self), sample)
        return sample

    def _read(self, index: int) -> SyntheticPeopleBatch | None:
        size = self._dtype.itemsize
        with self.path.open("rb", buffering=0) as file:
            raw = os.pread(file.fileno(), size, index * size)
        if len(raw) < size or not raw[-1]:
            return None
        row = np.frombuffer(bytearray(raw), self._dtype)[0]
        return _filled(_empty(self.people), row, "")

    def _write(self, index: int, sample: SyntheticPeopleBatch) -> None:
        row = np.zeros((), self._dtype)
        for name, tensor in _named(sample, ""):
            row[name] = tensor.numpy()
        raw, start = row.tobytes(), index * self._dtype.itemsize
        with self.path.open("r+b", buffering=0) as file:
            written = os.pwrite(file.fileno(), raw, start)
            if written < len(raw):
                raise OSError(f"{self.path} took {written} of {len(raw)} bytes: the disk is full.")
            # The mark goes last, so that nobody reads half a row.
            os.pwrite(file.fileno(), b"\x01", start + len(raw) - 1)


def _description(people: SyntheticPeople) -> dict:
    return {"seed": people.seed, "texture_side": people.texture_side, "scene": asdict(people.config)}


def _empty(people: SyntheticPeople) -> SyntheticPeopleBatch:
    """A sample of the right shapes."""
    from fitloop.body import BodyParams
    from fitloop.data.synthetic.truth import LANDMARKS
    from fitloop.geometry import Camera

    height, width, count = people.config.height, people.config.width, len(LANDMARKS)
    params = BodyParams(torch.zeros(3, 3), torch.zeros(23, 3, 3), torch.zeros(10), torch.zeros(3))
    return SyntheticPeopleBatch(
        pixels=torch.zeros(height, width, 3, dtype=torch.uint8),
        params=params,
        camera=Camera(torch.zeros(()), torch.zeros(2)),
        landmarks_2d=torch.zeros(count, 2),
        landmarks_3d=torch.zeros(count, 3),
        visibility=torch.zeros(count, dtype=torch.int64),
        boxes=torch.zeros(4),
        masks=torch.zeros(height, width, dtype=torch.bool),
    )


def _row_of(people: SyntheticPeople) -> np.dtype:
    columns = [(name, tensor.numpy().dtype, tuple(tensor.shape)) for name, tensor in _named(_empty(people), "")]
    return np.dtype([*columns, (_DRAWN, np.uint8)])


def _named(record: TensorRecord, prefix: str) -> Iterator[tuple[str, Tensor]]:
    """Every tensor of a record with the path to it."""
    for field in fields(record):
        value = getattr(record, field.name)
        if isinstance(value, Tensor):
            yield prefix + field.name, value
        elif isinstance(value, TensorRecord):
            yield from _named(value, f"{prefix}{field.name}.")


def _filled(record: Record, row: np.void, prefix: str) -> Record:
    """A copy of a record with the numbers of a row."""
    changed = {}
    for field in fields(record):
        value, name = getattr(record, field.name), prefix + field.name
        if isinstance(value, Tensor):
            changed[field.name] = torch.from_numpy(np.array(row[name]))
        elif isinstance(value, TensorRecord):
            changed[field.name] = _filled(value, row, name + ".")
    return replace(record, **changed)
