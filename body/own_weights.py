"""Weights that this program wrote: a safetensors file whose header tells its format and version."""

from pathlib import Path

from safetensors import SafetensorError, safe_open
from torch import Tensor


def read_own_weights(
    path: Path, kind: str, version: int, untold: int | None = None
) -> tuple[dict[str, str], dict[str, Tensor]]:
    """Read the header and the tensors of a file of ours.

    Args:
        path: The file.
        kind: Its ``format``.
        version: The one that this program reads.
        untold: The version of files of this kind that tell none; None where all of them tell it.

    Raises:
        ValueError: If it is damaged, or of another format or version; names both.
    """
    try:
        with safe_open(path, framework="pt") as file:
            header = file.metadata() or {}
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except (SafetensorError, OSError, ValueError) as error:
        raise ValueError(f"{path} is not a whole safetensors file ({error}); get or train it again.") from error
    found = (header.get("format"), header.get("version", None if untold is None else str(untold)))
    if found != (kind, str(version)):
        raise ValueError(
            f"{path} is {found[0]!r} version {found[1]!r}; this program reads {kind!r} version {str(version)!r}."
        )
    return header, tensors
