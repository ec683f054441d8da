"""Tensors out of PyTorch's checkpoints that hold more than tensors, without running or importing anything of theirs.

Lightning's checkpoints keep settings, callbacks and schedules beside the weights, as objects of libraries that nobody
else has. A pickle is a program; here every class but those of tensors stands for an inert object that takes whatever
is done to it and does nothing, and only what is then a tensor is handed on.
"""

import pickle
import zipfile
from collections import OrderedDict
from math import prod
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

_DTYPES = {
    **{"FloatStorage": torch.float32, "DoubleStorage": torch.float64, "HalfStorage": torch.float16},
    **{"BFloat16Storage": torch.bfloat16, "LongStorage": torch.int64, "IntStorage": torch.int32},
    **{"ShortStorage": torch.int16, "CharStorage": torch.int8, "ByteStorage": torch.uint8, "BoolStorage": torch.bool},
}
_BROKEN = (
    *(pickle.UnpicklingError, EOFError, ValueError, TypeError, KeyError, IndexError, AttributeError, OverflowError),
    *(RuntimeError, RecursionError, MemoryError, zipfile.BadZipFile, UnicodeDecodeError, OSError),
)
"""What reading raises on files that were cut off or changed."""


class _Inert:
    """Stands for an object of any class: swallows its construction, state and contents."""

    def __init__(self, *args: Any, **kwargs: Any) -> None: ...

    def __call__(self, *args: Any, **kwargs: Any) -> "_Inert":
        return _Inert()

    def __setstate__(self, state: Any) -> None: ...

    def __setitem__(self, key: Any, value: Any) -> None: ...

    def append(self, value: Any) -> None:
        """Take an element of a list, and forget it."""

    def extend(self, values: Any) -> None:
        """Take elements of a list, and forget them."""

    def add(self, value: Any) -> None:
        """Take an element of a set, and forget it."""


def _tensor(storage: Any, offset: int, shape: tuple[int, ...], strides: tuple[int, ...], *rest: Any) -> Any:
    del rest
    if not isinstance(storage, Tensor):
        return _Inert()
    reach = offset + sum((size - 1) * step for size, step in zip(shape, strides, strict=True)) + 1
    if prod(shape) > 0 and not (0 <= offset and reach <= len(storage) and min(strides, default=0) >= 0):
        raise ValueError("a tensor reaches beyond its numbers")
    if prod(shape) > max(len(storage), 1):
        raise ValueError("a tensor repeats its numbers")
    return torch.as_strided(storage, shape, strides, offset).clone()


def _parameter(data: Any, *rest: Any) -> Any:
    del rest
    return data


class _Reader(pickle.Unpickler):
    """Makes tensors, dictionaries and inert objects, nothing else."""

    def __init__(self, archive: zipfile.ZipFile, folder: str) -> None:
        super().__init__(archive.open(f"{folder}/data.pkl"))
        self.archive, self.folder = archive, folder
        self.storages: dict[str, Tensor] = {}

    def find_class(self, module: str, name: str) -> Any:
        known = {
            ("torch._utils", "_rebuild_tensor_v2"): _tensor,
            ("torch._utils", "_rebuild_parameter"): _parameter,
            ("collections", "OrderedDict"): OrderedDict,
        }
        if module in ("torch", "torch.storage") and name in _DTYPES:
            return _DTYPES[name]
        # A class per name, so that pickle may call it, subclass checks included, and get an inert object.
        return known.get((module, name), _Inert)

    def persistent_load(self, pid: Any) -> Any:
        kind, dtype, key, *_ = pid
        if kind != "storage" or not isinstance(dtype, torch.dtype):
            return _Inert()
        if key not in self.storages:
            data = bytearray(self.archive.read(f"{self.folder}/data/{key}"))
            self.storages[key] = torch.frombuffer(data, dtype=dtype) if data else torch.empty(0, dtype=dtype)
        return self.storages[key]


def load_tensors(path: Path) -> dict[str, Tensor]:
    """Read the tensors of a checkpoint; nothing in it is run, whatever else it holds.

    Args:
        path: What ``torch.save`` wrote: a state dict, or a dictionary with one under ``state_dict`` (Lightning) or
            ``model``. Files of PyTorch before 1.6 may hold tensors only.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If it is damaged, no checkpoint, or holds no tensors by name.
    """
    if not path.is_file():
        raise FileNotFoundError(f"There is no checkpoint {path}; give the path of a file of weights.")
    try:
        loaded = _read_archive(path) if zipfile.is_zipfile(path) else _read_old(path)
    except _BROKEN as error:
        reason = " ".join(str(error).split())[:200]
        if isinstance(error, pickle.UnpicklingError):
            # PyTorch's own message tells users to switch its protection off.
            reason = "it is no checkpoint of tensors"
        raise ValueError(
            f"{path} cannot be read as a checkpoint ({reason}). Is the download whole? Get it again from its owner."
        ) from error
    for key in ("state_dict", "model"):
        if isinstance(loaded, dict) and isinstance(loaded.get(key), dict):
            loaded = loaded[key]
    if not isinstance(loaded, dict):
        raise ValueError(f"{path} holds a {type(loaded).__name__.strip('_')}; a checkpoint is a dictionary of tensors.")
    tensors = {str(name): value for name, value in loaded.items() if isinstance(value, Tensor)}
    if not tensors:
        raise ValueError(
            f"{path} holds no tensors by name; it has {', '.join(sorted(map(str, loaded))[:4]) or 'none'}."
        )
    return tensors


def _read_archive(path: Path) -> Any:
    with zipfile.ZipFile(path) as archive:
        folders = [name.removesuffix("/data.pkl") for name in archive.namelist() if name.endswith("/data.pkl")]
        if len(folders) != 1:
            raise ValueError("it is an archive, but not PyTorch's")
        return _Reader(archive, folders[0]).load()


def _read_old(path: Path) -> Any:
    return torch.load(path, map_location="cpu", weights_only=True)
