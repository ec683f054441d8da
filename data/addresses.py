"""Addresses such as ``s3://bucket/photos``: told from folders, and shown without what opens them."""

import re
from pathlib import Path

_SCHEME = re.compile(r"(^|::)([A-Za-z][A-Za-z0-9+.-]+):(?!:)/*")
_FILE = {"file", "local"}
_SECRETS = re.compile(r"(?<=://)[^/@\s]*@")
_QUERY = re.compile(r"(?<=[?&])([^=&\s]+)=[^&\s]*")


def address_of(path: str | Path) -> str | None:
    """The fsspec address that an option gives; None for a folder of this machine.

    `pathlib` folds the slashes after a scheme into one, so that they are put back here: options keep one type for
    folders and addresses.

    Args:
        path: As the user gave it, or as a `Path` made of that.
    """
    text = path if isinstance(path, str) else path.as_posix()
    found = _SCHEME.match(text)
    # A folder of this machine may be called "a:".
    if found is None or (not text.startswith(f"{found[2]}://") and Path(text).exists()):
        return None
    if found[2].lower() in _FILE:
        return None
    return _SCHEME.sub(_restored, text)


def _restored(found: "re.Match[str]") -> str:
    return f"{found[1]}{found[2]}://" + ("/" if found[2].lower() in _FILE else "")


def folder_of(path: str | Path) -> Path:
    """The folder that an option means that is no address; ``file:///photos`` is ``/photos``."""
    text = path if isinstance(path, str) else path.as_posix()
    found = re.match(r"(file|local):/+", text)
    return Path("/" + text[found.end() :]) if found else Path(path)


def shown(path: str | Path) -> str:
    """A folder or an address to print and to write into files: without user, password and values of a query."""
    return masked(address_of(path) or str(path))


def masked(text: str) -> str:
    """Text without the users, passwords and query values of addresses in it."""
    return _QUERY.sub(r"\1=***", _SECRETS.sub("***@", text)) if "://" in text else text
