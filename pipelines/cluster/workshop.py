"""A run's folders on one machine: those of the options, or short-lived copies of what lies at addresses."""

import os
import shutil
import tempfile
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from types import TracebackType

from fitloop.data.places import Folder, Listed, open_place
from fitloop.pipelines.folder.config import RunConfig

_AT_ONCE = 8
"""Files under way to or from a store."""


class Workshop:
    """Lets the stages work on folders wherever photos and results lie; use as a context manager.

    Attributes:
        config: Of the run, with folders of this machine.
        remote: Whether results are sent to a store.
        at_hand: Whether nothing has to be brought or sent.
    """

    def __init__(self, config: RunConfig) -> None:
        """Open both places.

        Args:
            config: Of the run.
        """
        self.images, self.out = open_place(config.images), open_place(config.out)
        self.remote = not isinstance(self.out, Folder)
        self.at_hand = not self.remote and isinstance(self.images, Folder)
        self._temporary = Path(tempfile.mkdtemp(prefix="fitloop-"))
        self._pool = ThreadPoolExecutor(_AT_ONCE)
        # The page bears the name of the folder.
        images = (
            self.images.path
            if isinstance(self.images, Folder)
            else self._temporary / (Path(self.images.shown).name or "photos")
        )
        out = self.out.path if isinstance(self.out, Folder) else self._temporary / "out"
        self.config = replace(config, images=images, out=out, workers=None, scheduler=None)
        self.elsewhere = replace(self.config, out=self._temporary / "tried")
        """The same with a folder that is thrown away."""
        out.mkdir(parents=True, exist_ok=True)

    def __enter__(self) -> "Workshop":
        return self

    def __exit__(self, kind: type[BaseException] | None, value: object, trace: TracebackType | None) -> None:
        self._pool.shutdown(cancel_futures=True)
        shutil.rmtree(self._temporary, ignore_errors=True)

    def bring(self, photos: Sequence[Listed]) -> "list[Future[None]]":
        """Begin to copy photos here; nothing to do where they lie in a folder."""
        if isinstance(self.images, Folder):
            return []
        return [self._pool.submit(self._fetch, photo.name) for photo in photos]

    def _fetch(self, name: str) -> None:
        path = self.config.images / name
        try:
            self.images.fetch(name, path)
        except FileNotFoundError:
            # Gone since it was listed: told as a photo that cannot be opened.
            return
        os.utime(path, (0, 0))

    def told(self, reason: str) -> str:
        """A message with the address in the place of the copy's path."""
        if isinstance(self.images, Folder):
            return reason
        return reason.replace(str(self.config.images), self.images.shown)

    def send(self, photos: Sequence[Listed]) -> None:
        """Copy what was written of photos to the store, results files last, and remove the copies.

        Raises:
            OSError: If the store refuses.
        """
        if self.remote:
            results = self.config.out / "results"
            files = [path for path in self.config.out.rglob("*") if path.is_file()]
            self._put([path for path in files if results not in path.parents])
            self._put([path for path in files if results in path.parents])
            shutil.rmtree(self.config.out)
            self.config.out.mkdir()
        if not isinstance(self.images, Folder):
            for photo in photos:
                (self.config.images / photo.name).unlink(missing_ok=True)

    def _put(self, files: list[Path]) -> None:
        names = [path.relative_to(self.config.out).as_posix() for path in files]
        list(self._pool.map(self.out.put, files, names))
