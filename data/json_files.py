"""JSON as people have it: with a byte-order mark, in UTF-16, compressed, or one entry a line."""

import codecs
import gzip
import json
import zlib
from pathlib import Path
from typing import Any

_GZIP = b"\x1f\x8b"
_MARKS = {
    codecs.BOM_UTF8: "utf-8-sig",
    codecs.BOM_UTF32_LE: "utf-32",
    codecs.BOM_UTF32_BE: "utf-32",
    codecs.BOM_UTF16_LE: "utf-16",
    codecs.BOM_UTF16_BE: "utf-16",
}
"""Encodings by their first bytes; UTF-32 stands before UTF-16, whose mark begins like its own."""


def is_json(path: Path) -> bool:
    """Whether a name ends as JSON files do: ``.json``, ``.ndjson``, ``.jsonl``, each also with ``.gz``."""
    return path.name.lower().removesuffix(".gz").endswith((".json", ".ndjson", ".jsonl"))


def find_json(path: Path) -> Path:
    """The file, or the same with ``.gz`` behind it where only that is there."""
    packed = path.with_name(path.name + ".gz")
    return packed if packed.is_file() and not path.exists() else path


def read_json(path: Path) -> Any:
    """Read a JSON file; of ``.ndjson`` and ``.jsonl`` the list of its lines. gzip is known by its first bytes.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If it is truncated or no JSON.
    """
    if not path.is_file():
        raise FileNotFoundError(f"There is no file {path}.")
    try:
        data = path.read_bytes()
        text = _decoded(gzip.decompress(data) if data.startswith(_GZIP) else data)
        if path.name.lower().removesuffix(".gz").endswith(("ndjson", "jsonl")):
            return [json.loads(line) for line in text.splitlines() if line.strip()]
        return json.loads(text)
    # Text nested a thousand deep is no annotation of anybody, and Python's reader gives up on it.
    except (ValueError, OSError, EOFError, zlib.error, RecursionError) as error:
        raise ValueError(f"{path} is not whole JSON: {error}. It is not readable JSON, gzip or ndjson.") from error


def _decoded(data: bytes) -> str:
    encoding = next((name for mark, name in _MARKS.items() if data.startswith(mark)), "utf-8")
    return data.decode(encoding)
