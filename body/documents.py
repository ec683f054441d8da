"""JSON files as people have them: with a byte-order mark, in UTF-16, one record a line, packed by gzip."""

import gzip
import json
import zlib
from pathlib import Path
from typing import Any

SUFFIXES = (".json", ".ndjson", ".jsonl")
"""Endings of files that are read; each may be followed by ``.gz``."""
_GZIP = b"\x1f\x8b"
_LARGEST = 4 << 30
"""Bytes that a packed file may unfold to."""


def is_document(path: Path) -> bool:
    """Whether a file's name says that it is one of these."""
    return path.name.lower().removesuffix(".gz").endswith(SUFFIXES)


def bare_stem(path: Path) -> str:
    """Name of a file without its endings."""
    name = path.name
    for ending in (".gz", *SUFFIXES, ".npz"):
        if name.lower().endswith(ending):
            name = name[: -len(ending)]
    return name


def find_document(path: Path) -> Path:
    """The file, or the same with ``.gz`` behind it where only that is there."""
    packed = path.with_name(path.name + ".gz")
    return packed if packed.is_file() and not path.exists() else path


def read_document(path: Path) -> Any:
    """Read a file's content; one record a line gives a list, a single line its record.

    gzip and the encoding are known by the first bytes, not by the name. A line that is broken gives None in its place.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If it cannot be opened, is damaged, or is no JSON.
    """
    text = _text(_bytes(path), path)
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        rows = [_record(line) for line in text.splitlines() if line.strip()]
        if len(rows) > 1 and rows[0] is not None:
            return rows
        # Text nested a thousand deep is nobody's, and Python's reader gives up on it.
        reason = "it is nested too deeply" if isinstance(error, RecursionError) else str(error)
        raise ValueError(f"{path} is not valid JSON: {reason}. Write it again, or leave it out.") from error


def _record(line: str) -> Any:
    """A record of a file with one a line; None, which no reader takes for a person, if it is broken."""
    try:
        return json.loads(line)
    except (ValueError, RecursionError):
        return None


def _bytes(path: Path) -> bytes:
    try:
        content = path.read_bytes()
        if content[:2] != _GZIP:
            return content
        with gzip.open(path) as packed:
            content = packed.read(_LARGEST + 1)
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise ValueError(f"{path} is damaged or incomplete gzip: {error}. Pack it again.") from error
    except FileNotFoundError as error:
        raise FileNotFoundError(f"There is no file {path}.") from error
    except OSError as error:
        raise ValueError(f"{path} cannot be opened: {error.strerror or error}.") from error
    if len(content) > _LARGEST:
        raise ValueError(f"{path} unfolds to more than {_LARGEST >> 30} GB; split it.")
    return content


def _text(content: bytes, path: Path) -> str:
    encoding = json.detect_encoding(content)
    try:
        return content.decode(encoding)
    except UnicodeDecodeError as error:
        raise ValueError(
            f"{path} is not valid JSON: it is no {encoding.upper()} text ({error.reason} at byte {error.start}). "
            "Save it as UTF-8."
        ) from error
