"""Writing what was found in photos: meshes, pictures, results; several photos at once, beside the stages."""

import errno
import json
import shutil
import time
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

import numpy as np

from fitloop.body.files import whole_file
from fitloop.pipelines.chain.doubts import with_doubts
from fitloop.pipelines.chain.people import People
from fitloop.pipelines.chain.photo import open_photo
from fitloop.pipelines.folder.config import RunConfig
from fitloop.pipelines.folder.journal import Journal
from fitloop.pipelines.folder.made_from import KEY, Sources
from fitloop.pipelines.folder.pictures import page_picture, write_pictures
from fitloop.pipelines.folder.rigs import KINDS as RIGS
from fitloop.pipelines.folder.rigs import write_rigs

_BAD_NAME = {errno.ENAMETOOLONG, errno.EILSEQ, errno.EINVAL}
"""Errors of a file system that cannot hold a photo's name."""


def results_path(config: RunConfig, photo: str) -> Path:
    """Where the results of a photo lie."""
    return config.out / "results" / f"{photo}.npz"


def clear(config: RunConfig, photo: str) -> None:
    """Remove all that an earlier run wrote of a photo, the results file first."""
    results_path(config, photo).unlink(missing_ok=True)
    for kind in ("meshes", *RIGS):
        shutil.rmtree(config.out / kind / photo, ignore_errors=True)
    (config.out / "overlays" / f"{photo}.jpg").unlink(missing_ok=True)
    for stage in ("photo", "regressed", "tuned", "fitted", "flow", "refined", "clothed"):
        page_picture(config.out, photo, stage).unlink(missing_ok=True)


@dataclass(frozen=True)
class Written:
    """What became of the files of one photo, and how many seconds they took."""

    photo: str
    meshes: float = 0.0
    pictures: float = 0.0
    trouble: str = ""
    """Why nothing could be written under its name; empty where all is there."""


class Writing:
    """Writes photos in threads of its own while the next ones go through the stages; use as a context manager.

    A block that is left early, by an interruption, still waits for the photos that were handed over.
    """

    def __init__(self, config: RunConfig, journal: Journal, sources: Sources, at_once: int) -> None:
        """Get ready.

        Args:
            config: Of the run.
            journal: Told times, photos that are done, and photos that cannot be written; by the caller's thread only.
            sources: What results are made from.
            at_once: Threads; with 1 or none each photo is written where it is handed over.
        """
        self._config, self._journal, self._sources = config, journal, sources
        self._pool = ThreadPoolExecutor(at_once) if at_once > 1 else None
        self._waiting: list[Future[Written]] = []

    def __enter__(self) -> "Writing":
        return self

    def __exit__(self, kind: type[BaseException] | None, value: object, trace: TracebackType | None) -> None:
        if self._pool is not None:
            self._pool.shutdown()

    def add(self, people: People, image_size: tuple[int, int]) -> None:
        """Write the people of a photo of this height and width, now or as soon as a thread is free."""
        # Keypoint files are read by one thread.
        record = json.dumps(self._sources.record(people.name))
        if self._pool is None:
            self._note(write_photo(self._config, people, image_size, record))
        else:
            self._waiting.append(self._pool.submit(write_photo, self._config, people, image_size, record))

    def finish(self) -> None:
        """Wait for all photos that were handed over, and tell the journal.

        Raises:
            OSError: If one could not be written, for another reason than its name; those not begun are left out.
        """
        try:
            while self._waiting:
                self._note(self._waiting[0].result())
                del self._waiting[0]
        finally:
            for future in self._waiting:
                future.cancel()

    def _note(self, written: Written) -> None:
        now = time.perf_counter()
        self._journal.clock("meshes", now - written.meshes)
        self._journal.clock("pictures", now - written.pictures)
        if written.trouble:
            self._journal.skipped[written.photo] = written.trouble
        self._journal.made.add(written.photo)


def write_photo(config: RunConfig, people: People, image_size: tuple[int, int], record: str) -> Written:
    """Write all files of a photo, the results last; under a name that cannot be written, none.

    Args:
        config: Names the outputs and the folder.
        people: After all stages.
        image_size: Height and width of the photo, pixels.
        record: What the results are made from, JSON.

    Raises:
        OSError: If they cannot be written for another reason than the name.
    """
    try:
        return _write(config, with_doubts(people), image_size, record)
    except OSError as error:
        if error.errno not in _BAD_NAME:
            raise
        clear(config, people.name)
        trouble = f"Its results cannot be written under its name: {error.strerror}."
        return Written(people.name, trouble=trouble)


def _write(config: RunConfig, people: People, image_size: tuple[int, int], record: str) -> Written:
    start = time.perf_counter()
    if "meshes" in config.outputs:
        for number in range(len(people)):
            people.save(config.out / "meshes" / people.name / f"{number}.glb", number)
    write_rigs(config, people)
    middle = time.perf_counter()
    write_pictures(config, people, lambda: open_photo(config.images, people.name, config).pixels)
    end = time.perf_counter()
    arrays = people.to_arrays() | {"image_size": np.array(image_size, np.int32), KEY: np.array(record)}
    with whole_file(results_path(config, people.name)) as file:
        np.savez(file, **arrays)  # pyright: ignore[reportArgumentType]
    return Written(people.name, middle - start, end - middle)
