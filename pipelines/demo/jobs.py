"""Files that wait, are worked on, and are deleted: one after another, first come, first served."""

import contextlib
import secrets
import shutil
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from fitloop.pipelines.demo.config import DemoConfig
from fitloop.pipelines.demo.uploads import Refused

Work = Callable[[Path], str]
"""Works on the file in a folder; gives back why there are no results, or nothing."""
State = Literal["waiting", "working", "done", "failed"]
_SWEEP = 1.0
"""Seconds between looks at what has grown old."""


@dataclass(frozen=True)
class Job:
    """One file of somebody."""

    key: str
    """Not to be guessed: who knows it may see the results."""
    name: str
    """Of the file."""
    folder: Path
    """Holds ``in/`` with the file, until it has been worked on, and ``out/`` with the results."""
    state: State = "waiting"
    problem: str = ""
    """Why there are no results; empty unless ``failed``."""
    ended: float | None = None
    """When the work ended, on the monotonic clock."""


class Jobs:
    """All files that the server knows of; every method may be called from any thread."""

    def __init__(self, root: Path, work: Work, config: DemoConfig, clock: Callable[[], float] = time.monotonic) -> None:
        """Prepare a queue.

        Args:
            root: Folder that everything is kept in; removed by `close`.
            work: What is done with each file.
            config: Says how many may wait and for how long results are kept.
            clock: Seconds.
        """
        self._root, self._work, self._config, self._clock = root, work, config, clock
        self._jobs: dict[str, Job] = {}
        self._arriving = 0
        self._changed = threading.Condition()
        self._closed = False
        self._thread = threading.Thread(target=self._run, name="fitloop-demo-jobs", daemon=True)

    def start(self) -> None:
        """Begin to work on what waits."""
        self._thread.start()

    @contextlib.contextmanager
    def arrival(self, name: str) -> Iterator[Path]:
        """Give the path for a file that arrives; when the block ends well the file is in the queue.

        Args:
            name: Of the file, safe.

        Yields:
            Where to write it; the job's key is the name of the folder above its folder.

        Raises:
            Refused: If as many files wait as may.
        """
        with self._changed:
            waiting = sum(job.state == "waiting" for job in self._jobs.values()) + self._arriving
            if waiting >= self._config.queue:
                raise Refused(f"{waiting} files wait already, as many as may; try again in a few minutes.")
            self._arriving += 1
        job, arrived = self._made(name), False
        try:
            yield job.folder / "in" / name
            arrived = True
        finally:
            if not arrived:
                shutil.rmtree(job.folder, ignore_errors=True)
            with self._changed:
                self._arriving -= 1
                if arrived:
                    self._jobs[job.key] = job
                self._changed.notify_all()

    def _made(self, name: str) -> Job:
        key = secrets.token_urlsafe(16)
        folder = self._root / key
        (folder / "in").mkdir(parents=True)
        return Job(key, name, folder)

    def find(self, key: str) -> Job | None:
        """The job of a key; None if there is none, or none any more."""
        with self._changed:
            return self._jobs.get(key)

    def ahead(self, key: str) -> int:
        """How many files are worked on or wait before this one."""
        with self._changed:
            keys = [job.key for job in self._jobs.values() if job.state in ("waiting", "working")]
        return keys.index(key) if key in keys else 0

    def forget(self, key: str) -> None:
        """Delete a file and its results; what is being worked on is deleted when that ends."""
        with self._changed:
            job = self._jobs.pop(key, None)
        if job is not None and job.state != "working":
            shutil.rmtree(job.folder, ignore_errors=True)

    def sweep(self) -> None:
        """Delete the results that have been kept long enough."""
        oldest = self._clock() - 60.0 * self._config.keep_minutes
        with self._changed:
            old = [job.key for job in self._jobs.values() if job.ended is not None and job.ended < oldest]
        for key in old:
            self.forget(key)

    def close(self) -> None:
        """Take no more work and delete everything."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
        if self._thread.is_alive():
            self._thread.join(timeout=10.0)
        shutil.rmtree(self._root, ignore_errors=True)

    def _run(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._closed or self._next() is not None, timeout=_SWEEP)
                job = None if self._closed else self._next()
                if job is not None:
                    self._jobs[job.key] = replace(job, state="working")
                closed = self._closed
            if closed:
                return
            if job is not None:
                self._finish(job, self._work(job.folder))
            self.sweep()

    def _next(self) -> Job | None:
        return next((job for job in self._jobs.values() if job.state == "waiting"), None)

    def _finish(self, job: Job, problem: str) -> None:
        shutil.rmtree(job.folder / "in", ignore_errors=True)
        ended = replace(job, state="failed" if problem else "done", problem=problem, ended=self._clock())
        with self._changed:
            forgotten = job.key not in self._jobs
            if not forgotten:
                self._jobs[job.key] = ended
        if forgotten:
            shutil.rmtree(job.folder, ignore_errors=True)
