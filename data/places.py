"""Where photos lie and results go: a folder, or any address that fsspec knows; listed as a stream, written whole.

Credentials are fsspec's own business: it finds them in its configuration and in the environment.
"""

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path, PurePosixPath
from typing import Any

import fsspec

from fitloop.body.files import whole_file
from fitloop.data.addresses import address_of, folder_of, masked, shown
from fitloop.data.patience import persistently, store_troubles
from fitloop.data.photo_files import RUN_RECORD, SUFFIXES, written_by_runs
from fitloop.data.s3_pages import in_pages, listed_in_pages

_STAMPS = (
    *("ETag", "etag", "md5Hash", "CRC", "mtime"),
    *("LastModified", "updated", "last_modified", "created", "date_time"),
)


@dataclass(frozen=True)
class Listed:
    """A photo of a listing."""

    name: str
    """Path below the place, with forward slashes."""
    stamp: str
    """Size, and time or hash of its content, as the listing tells them: another stamp is another photo."""


class Place:
    """A folder or an address; names below it have forward slashes."""

    shared = True
    """Whether other processes see what is written here."""

    def __init__(self, path: str | Path) -> None:
        """Open an address.

        Args:
            path: An address of fsspec.

        Raises:
            ValueError: If the scheme is unknown or its package is not installed; says what to do.
        """
        address = address_of(path) or str(path)
        self.shown = masked(address)
        scheme = address.split("::")[0].split("://")[0]
        if scheme not in fsspec.available_protocols():
            raise ValueError(
                f"{self.shown!r}: there is no kind of address {scheme!r}; known are s3, gs, az, http, zip, memory and "
                "others of fsspec. A folder needs no scheme."
            )
        self.scheme, self.shared = scheme, scheme != "memory"
        try:
            self.fs, root = fsspec.url_to_fs(address)
        except ImportError as error:
            raise ValueError(f"{self.shown!r} needs a package that is not installed: {error}.") from error
        except store_troubles() as error:
            raise self._trouble(error) from error
        self._root = root.rstrip("/")

    def __truediv__(self, name: str) -> str:
        # An archive's names begin without a slash.
        return "/".join(part for part in (self._root, name.rstrip("/")) if part)

    def photos(self, out: "Place | None" = None) -> Iterator[Listed]:
        """List the photos here and below as a stream, in the order of their sorted names.

        One folder at a time is held, of S3 a page of a thousand names; hidden files and folders (".name") are left out,
        and so are the pictures that runs wrote here; of a folder, links are followed and each folder is visited once.

        Args:
            out: Where the run that asks writes; its earlier pictures are known there before it has told of itself.

        Raises:
            ValueError: If there is no such place, or it may not be read.
        """
        ours = self.written_by_runs(out)
        return (photo for photo in self._listed() if not ours(photo.name))

    def written_by_runs(self, out: "Place | None" = None) -> Callable[[str], bool]:
        """Tell which names here are no photos but what runs wrote: `fitloop.data.photo_files.written_by_runs`."""
        inside = None if out is None else self._path_of(out)
        return written_by_runs(inside, lambda folder: self.exists(f"{folder}/{RUN_RECORD}".lstrip("/")))

    def _path_of(self, other: "Place") -> str | None:
        """Where another place lies below this one, "" if it is this one; None if it lies elsewhere."""
        root, far = f"{self._root}/", f"{other._root}/"
        return far[len(root) : -1] if self.scheme == other.scheme and far.startswith(root) else None

    def _listed(self) -> Iterator[Listed]:
        if not in_pages(self.fs, self._root):
            yield from self._below("")
            return
        try:
            for name, entry in listed_in_pages(self.fs, self._root):
                if name.lower().endswith(SUFFIXES) and all(name.split("/")) and "/." not in f"/{name}":
                    yield Listed(name, _stamp(entry))
        except store_troubles() as error:
            raise self._trouble(error) from error

    def _below(self, folder: str) -> Iterator[Listed]:
        for name, stamp in sorted(self._entries(folder)):
            if name.endswith("/"):
                yield from self._below(name)
            elif name.lower().endswith(SUFFIXES):
                yield Listed(name, stamp)

    def _entries(self, folder: str) -> list[tuple[str, str]]:
        """Names of what lies in a folder, of folders with a slash behind, so that they sort as paths do, and stamps."""
        try:
            found = persistently(lambda: self.fs.ls(self / folder, detail=True, refresh=True))
        except store_troubles() as error:
            raise self._trouble(error) from error
        entries = []
        for one in found:
            name = PurePosixPath(one["name"].rstrip("/")).name
            # A folder lists itself in some stores, as an empty file.
            if name.startswith(".") or not name or one["name"].strip("/") == (self / folder).strip("/"):
                continue
            entries.append((f"{folder}{name}/", "") if one["type"] == "directory" else (folder + name, _stamp(one)))
        # Listings are kept by fsspec otherwise, all of them.
        self.fs.invalidate_cache()
        return entries

    def names(self, folder: str) -> list[str]:
        """Names of the files that lie directly in a folder; none if there is no such folder."""
        try:
            return [Path(one).name for one in persistently(lambda: self.fs.ls(self / folder, detail=False))]
        except FileNotFoundError:
            return []
        finally:
            self.fs.invalidate_cache()

    def exists(self, name: str) -> bool:
        """Whether there is such a file."""
        return persistently(lambda: self.fs.isfile(self / name))

    def read(self, name: str) -> bytes:
        """Content of a file.

        Raises:
            OSError: If it cannot be read.
        """
        return persistently(lambda: self.fs.cat_file(self / name))

    def write(self, name: str, content: bytes) -> None:
        """Write a file whole or not at all, by one request.

        Raises:
            OSError: If it cannot be written.
        """
        persistently(lambda: self.fs.pipe_file(self / name, content))

    def remove(self, name: str) -> None:
        """Remove a file if it is there."""
        try:
            persistently(lambda: self.fs.rm_file(self / name))
        except FileNotFoundError:
            pass

    def fetch(self, name: str, path: Path) -> None:
        """Copy a file of this place to this machine.

        Raises:
            OSError: If it cannot be read.
        """
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(self.read(name))

    def put(self, path: Path, name: str) -> None:
        """Copy a file of this machine here, whole or not at all.

        Raises:
            OSError: If it cannot be written.
        """
        self.write(name, path.read_bytes())

    def _trouble(self, error: BaseException) -> ValueError:
        if isinstance(error, FileNotFoundError):
            return ValueError(f"There is nothing at {self.shown!r}: no such bucket, archive or folder.")
        if isinstance(error, PermissionError):
            return ValueError(
                f"{self.shown!r} may not be read with the credentials that fsspec finds (docs/scale.md): "
                f"{masked(str(error))}."
            )
        return ValueError(f"{self.shown!r} cannot be read: {masked(str(error)) or type(error).__name__}.")


class Folder(Place):
    """A folder of this machine, or of a disk that several machines share."""

    def __init__(self, path: str | Path) -> None:
        """Name a folder; whether it is there is seen when it is used."""
        self.path = folder_of(path)
        self.shown, self.scheme, self._root = str(self.path), "file", str(self.path)

    @cached_property
    def fs(self) -> Any:
        """The folder's file system for libraries that want one."""
        return fsspec.filesystem("file")

    def _path_of(self, other: Place) -> str | None:
        if not isinstance(other, Folder) or not (far := other.path.resolve()).is_relative_to(self.path.resolve()):
            return None
        return "/".join(far.relative_to(self.path.resolve()).parts)

    def _listed(self) -> Iterator[Listed]:
        if not self.path.exists():
            raise ValueError(f"There is no folder {self.shown!r}; give the folder that holds the photos.")
        if not self.path.is_dir():
            raise ValueError(f"{self.shown!r} is a file; give the folder that holds the photos.")
        self._visited: set[tuple[int, int]] = set()
        yield from self._below("")

    def _below(self, folder: str) -> Iterator[Listed]:
        # Sizes and times are read one by one: of a folder that is large only the names are held.
        for name in sorted(self._names_in(folder)):
            if name.endswith("/"):
                yield from self._below(name)
            elif name.lower().endswith(SUFFIXES):
                yield Listed(name, self._stamp_of(name))

    def _names_in(self, folder: str) -> list[str]:
        """Names of what lies in a folder, as `_entries` gives them; none the second time."""
        status = (self.path / folder).stat()
        if (status.st_dev, status.st_ino) in self._visited:
            return []
        self._visited.add((status.st_dev, status.st_ino))
        found: list[str] = []
        try:
            with os.scandir(self.path / folder) as entries:
                for entry in entries:
                    if not entry.name.startswith("."):
                        found.append(f"{folder}{entry.name}/" if entry.is_dir() else folder + entry.name)
        except PermissionError as error:
            if not folder:
                raise ValueError(f"The folder {self.shown!r} cannot be read: {error.strerror}.") from error
        return found

    def _stamp_of(self, name: str) -> str:
        try:
            status = (self.path / name).stat()
        except OSError:
            return "unreadable"
        return f"{status.st_size} {status.st_mtime_ns}"

    def names(self, folder: str) -> list[str]:
        """See `Place.names`."""
        try:
            return [one.name for one in (self.path / folder).iterdir()]
        except FileNotFoundError:
            return []

    def exists(self, name: str) -> bool:
        """See `Place.exists`."""
        return (self.path / name).is_file()

    def read(self, name: str) -> bytes:
        """See `Place.read`."""
        return (self.path / name).read_bytes()

    def write(self, name: str, content: bytes) -> None:
        """See `Place.write`; the file is moved to its name when it is complete."""
        with whole_file(self.path / name) as file:
            file.write_bytes(content)

    def remove(self, name: str) -> None:
        """See `Place.remove`."""
        (self.path / name).unlink(missing_ok=True)


def open_place(path: str | Path) -> Place:
    """Open a folder or an address.

    Raises:
        ValueError: As for `Place`.
    """
    return Folder(path) if address_of(path) is None else Place(path)


def _stamp(entry: dict[str, Any]) -> str:
    known = next((str(entry[key]) for key in _STAMPS if entry.get(key)), "")
    return f"{entry.get('size', '')} {known}"


def same_place(one: str | Path, other: str | Path) -> bool:
    """Whether two options name the same folder or address."""
    return shown(one).rstrip("/") == shown(other).rstrip("/")
