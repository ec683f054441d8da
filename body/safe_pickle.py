"""Read arrays out of files from others without running anything in them.

SMPL files and SMPLify's pose prior are Python 2 pickles of dictionaries of arrays, some wrapped in ``chumpy`` objects
or ``scipy.sparse`` matrices; people clean them and save them again, by newer pickles, with tensors, or as ``.npz``.
A pickle is a program, so no class of any library is ever called here: the few known names stand for inert recorders,
everything else is refused, and the arrays are decoded from what was recorded (`fitloop.body.pickled_arrays`).
"""

import pickle
import struct
import zipfile
from collections import OrderedDict
from collections.abc import Callable
from importlib import import_module
from io import BufferedIOBase
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import torch

from fitloop.body import pickled_arrays as recorded
from fitloop.body.pickled_arrays import Recorder, Refused, decode, decode_scalar

Content = TypeVar("Content")
_BROKEN = (
    *(pickle.UnpicklingError, EOFError, OSError, ValueError, TypeError, KeyError, IndexError, AttributeError),
    *(struct.error, OverflowError, MemoryError, ImportError, RecursionError, RuntimeError, zipfile.BadZipFile),
)
"""What reading raises on files that were cut off or changed."""
_SAVE = "np.savez('new.npz', **{k: v.toarray() if hasattr(v, 'toarray') else np.array(v) for k, v in d.items()})"
CONVERT = (
    f"python -c \"import pickle, numpy as np; d = pickle.load(open('old.pkl', 'rb'), encoding='latin1'); {_SAVE}\""
)
"""Makes a file that is read here of one that is not, where the libraries that it needs are installed."""
CONVERT_TORCH = f"python -c \"import torch, numpy as np; d = torch.load('old.pkl', weights_only=False); {_SAVE}\""
"""The same for what ``torch.save`` wrote."""
CONVERT_NPZ = (
    "python -c \"import numpy as np; d = {k: v.item() if v.dtype == object else v for k, v in np.load('old.npz', "
    f'allow_pickle=True).items()}}; {_SAVE}"'
)
"""The same for an ``.npz``."""


def _encode(text: str, encoding: str = "latin1") -> bytes:
    if encoding not in ("latin1", "latin-1"):
        raise ValueError(f"encoding {encoding!r}")
    return text.encode("latin1")


def _reconstructor(kind: Any, base: Any, state: Any) -> Recorder:
    """Stand in for ``copyreg._reconstructor``, with which Python 2 makes plain objects."""
    if not (isinstance(kind, type) and issubclass(kind, Recorder)):
        raise Refused(f"{kind!r} is not a known class")
    return kind()


def _array(*args: Any) -> recorded.Array:
    return recorded.Array(*args)


def _names(modules: tuple[str, ...], names: tuple[str, ...], stand_in: Any) -> dict[tuple[str, str], Any]:
    return {(module, name): stand_in for module in modules for name in names}


def _sparse(kind: str, stand_in: Any) -> dict[tuple[str, str], Any]:
    modules = (f"scipy.sparse.{kind}", f"scipy.sparse._{kind}", "scipy.sparse")
    return _names(modules, (f"{kind}_matrix", f"{kind}_array"), stand_in)


_KNOWN: dict[tuple[str, str], Any] = {
    **_names(("numpy.core.multiarray", "numpy._core.multiarray"), ("_reconstruct",), _array),
    **_names(("numpy.core.multiarray", "numpy._core.multiarray"), ("scalar",), decode_scalar),
    **_names(("numpy.core.numeric", "numpy._core.numeric"), ("_frombuffer",), recorded.Buffer),
    **_names(("numpy",), ("ndarray", "matrix", "memmap"), recorded.Array),
    **_names(("numpy.matrixlib.defmatrix",), ("matrix",), recorded.Array),
    **_names(("numpy.core.memmap", "numpy._core.memmap"), ("memmap",), recorded.Array),
    **_names(("numpy",), ("dtype",), recorded.Dtype),
    **_names(("_codecs",), ("encode",), _encode),
    **_names(("copy_reg", "copyreg"), ("_reconstructor",), _reconstructor),
    **_names(("__builtin__", "builtins"), ("object",), object),
    **_names(("__builtin__", "builtins"), ("set",), set),
    **_names(("__builtin__", "builtins"), ("bytearray",), bytearray),
    **_names(("collections",), ("OrderedDict",), OrderedDict),
    **_names(("chumpy.ch", "chumpy"), ("Ch",), recorded.Wrapped),
    **_names(("chumpy.reordering",), ("Select",), recorded.Wrapped),
    **_sparse("csc", recorded.Columns),
    **_sparse("csr", recorded.Rows),
    **_sparse("coo", recorded.Coordinates),
    **_names(("torch.storage",), ("_load_from_bytes",), recorded.StoredBytes),
    **_names(("torch._utils",), ("_rebuild_tensor_v2",), recorded.TensorView),
    **_names(("torch._utils",), ("_rebuild_parameter",), recorded.Parameter),
    **_names(("sklearn.mixture.gmm",), ("GMM",), recorded.Estimator),
    **_names(
        ("sklearn.mixture.gaussian_mixture", "sklearn.mixture._gaussian_mixture"),
        ("GaussianMixture",),
        recorded.Estimator,
    ),
}


class _Unpickler(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        if (module, name) not in _KNOWN:
            raise Refused(f"it asks for {module}.{name}, which is not read here")
        return _KNOWN[module, name]


def _unpickle(file: BufferedIOBase) -> Any:
    return _Unpickler(file, encoding="latin1").load()  # noqa: S301


def load_arrays(path: str | Path) -> dict[str, np.ndarray]:
    """Read a pickled dictionary of arrays (SMPL with or without ``chumpy``, SMPLify's pose prior).

    Nothing in the file is executed: no class but inert recorders is ever made.

    Args:
        path: A .pkl file of Python 2 or 3, any protocol.

    Returns:
        Every array, number and text by its key; ``chumpy`` objects and tensors by their values, sparse matrices dense.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If the file is truncated, no pickle, or holds anything but arrays, numbers and texts; says how to
            convert what is whole.
    """
    path = Path(path)
    return _told(path, lambda: {key: decode(value) for key, value in _read_entries(path).items() if _is_data(value)})


def load_array_lists(path: str | Path, keys: tuple[str, ...]) -> dict[str, list[np.ndarray]]:
    """Read some entries of a pickled dictionary, each an array or a list of arrays of any lengths (3DPW's sequences).

    Args:
        path: A .pkl file of Python 2 or 3; nothing in it is executed, as in `load_arrays`.
        keys: What to read; a single array or text becomes a list of one.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If the file is truncated, no pickle, lacks a key, or holds objects.
    """
    path = Path(path)

    def read() -> dict[str, list[np.ndarray]]:
        entries = _read_entries(path)
        missing = [key for key in keys if key not in entries]
        if missing:
            raise ValueError(f"it has no {', '.join(missing)}, it has {', '.join(sorted(entries))}")
        lists = {key: entries[key] if isinstance(entries[key], list | tuple) else [entries[key]] for key in keys}
        return {key: [decode(value) for value in values] for key, values in lists.items()}

    return _told(path, read, convertible=False)


def load_npz(path: Path) -> dict[str, np.ndarray]:
    """Read an ``.npz`` of arrays, those included that ``numpy.savez`` had to pickle (sparse matrices).

    Raises:
        ValueError: If the file is damaged or holds other objects; says how to convert what is whole.
    """

    def read() -> dict[str, np.ndarray]:
        with path.open("rb") as raw, np.load(raw, allow_pickle=False) as file:
            return {key: _member(file, key) for key in file.files}

    return _told(path, read)


def numpy_globals() -> list[Any]:
    """What ``torch.load`` may rebuild besides tensors: NumPy's arrays and numbers, under the names of NumPy 1 and 2."""
    multiarray = import_module("numpy.core.multiarray" if np.__version__ < "2" else "numpy._core.multiarray")
    kinds = [type(np.dtype(kind)) for kind in ("f2", "f4", "f8", "i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8", "?")]
    named = [
        (getattr(multiarray, name), f"{module}.multiarray.{name}")
        for module in ("numpy.core", "numpy._core")
        for name in ("_reconstruct", "scalar")
    ]
    return [np.ndarray, np.dtype, *kinds, *named]


def _member(file: Any, key: str) -> np.ndarray:
    """One array of an archive; where NumPy would have to unpickle it, by the safe unpickler."""
    with file.zip.open(f"{key}.npy") as member:
        major, _ = np.lib.format.read_magic(member)
        header = np.lib.format.read_array_header_1_0 if major == 1 else np.lib.format.read_array_header_2_0
        if header(member)[2].hasobject:
            return decode(_unpickle(member))
    return file[key]


def _told(path: Path, read: Callable[[], Content], *, convertible: bool = True) -> Content:
    """Read; what goes wrong is told with what to do about it."""
    try:
        return read()
    except FileNotFoundError:
        raise
    except Refused as error:
        if not convertible:
            raise ValueError(
                f"{path} is no usable file of arrays: {error}. Get the file again from its owner."
            ) from error
        raise ValueError(
            f"{path} is no usable file of arrays: {error}, because it could run anything. If you trust the file, "
            f"write plain arrays where it was made (the line calls it 'old'): {_conversion(path)}"
        ) from error
    except _BROKEN as error:
        raise ValueError(
            f"{path} is no usable file of arrays: {error}. Is the download whole? Get the file again from its owner."
        ) from error


def _conversion(path: Path) -> str:
    if path.suffix.lower() == ".npz":
        return CONVERT_NPZ
    return CONVERT_TORCH if zipfile.is_zipfile(path) else CONVERT


def _read_pickle(path: Path) -> Any:
    with path.open("rb") as file:
        return _unpickle(file)


def _read_torch(path: Path) -> Any:
    """What ``torch.save`` wrote, by PyTorch's own allow-list."""
    try:
        with torch.serialization.safe_globals(numpy_globals()):
            return torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        # PyTorch's own message tells users to switch its protection off.
        raise Refused("it asks for more than tensors and arrays, which is not read here") from error


def _read_entries(path: Path) -> dict[str, Any]:
    if not path.is_file():
        raise FileNotFoundError(f"{path} does not exist; give the path of a .pkl file with arrays.")
    content = _read_torch(path) if zipfile.is_zipfile(path) else _read_pickle(path)
    entries = content.state if isinstance(content, recorded.Estimator) else content
    if not isinstance(entries, dict):
        raise ValueError(f"it holds a {type(entries).__name__} instead of a dictionary of arrays")
    # Pickles that Python 3 made of Python 2's dictionaries have names of bytes.
    return {key.decode("latin1") if isinstance(key, bytes) else str(key): value for key, value in entries.items()}


def _is_data(value: Any) -> bool:
    """Settings such as None or nested dictionaries are skipped; arrays, numbers and texts are kept."""
    return isinstance(
        value, Recorder | torch.Tensor | np.ndarray | np.generic | int | float | str | bytes | list | tuple
    )
