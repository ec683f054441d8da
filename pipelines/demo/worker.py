"""A process that works on files one after another, so that not even a crash of a decoder ends the server."""

import multiprocessing
import multiprocessing.connection
import os
import signal
import threading
import time
from collections.abc import Callable
from multiprocessing.context import SpawnProcess
from pathlib import Path

from fitloop.pipelines.demo.config import DemoConfig
from fitloop.pipelines.demo.work import FAILED, ToldStages, work_on

_POLL = 0.2
_ENDED = "The server was ended."


class Worker:
    """Hands files to a process of its own; one that dies or takes too long is replaced by a new one."""

    def __init__(self, target: Callable[..., None], config: DemoConfig) -> None:
        """Prepare a worker.

        Args:
            target: What the process runs, such as `work_in_process`: given its end of a pipe, and ``config``.
            config: Says how long work on one file may take.
        """
        self._target, self._config = target, config
        self._process: SpawnProcess | None = None
        self._pipe: multiprocessing.connection.Connection | None = None
        self._ended = threading.Event()

    def start(self) -> multiprocessing.connection.Connection:
        """Start the process if none is there; it opens the models while nobody waits yet."""
        if self._pipe is None or self._process is None or not self._process.is_alive():
            context = multiprocessing.get_context("spawn")
            self._pipe, other = context.Pipe()
            self._process = context.Process(target=self._target, args=(other, self._config), daemon=True)
            self._process.start()
            # Only the process holds its end now, so its death closes the pipe.
            other.close()
        return self._pipe

    def __call__(self, folder: Path) -> str:
        """Work on the file in a folder; return why there are no results, or nothing."""
        if self._ended.is_set():
            return _ENDED
        until = time.monotonic() + 60.0 * self._config.max_minutes
        try:
            pipe = self.start()
            pipe.send(folder)
            while not pipe.poll(_POLL):
                if self._ended.is_set():
                    return _ENDED
                if time.monotonic() > until:
                    self._stop()
                    return f"The work took longer than the {self._config.max_minutes:g} minutes allowed and was ended."
            return pipe.recv()
        except (EOFError, OSError):
            self._stop()
            return f"{FAILED} Its process died, perhaps for want of memory; a smaller file may do."

    def close(self) -> None:
        """End the process, in the middle of its work too."""
        self._ended.set()
        self._stop()

    def _stop(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.join()
        self._process = self._pipe = None


def work_in_process(pipe: multiprocessing.connection.Connection, config: DemoConfig) -> None:
    """Work on one folder after another, until the pipe is closed; what fails unforeseen ends the process."""
    # Ctrl+C in a terminal reaches every process of it; the server ends this one itself.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_die_with_server, daemon=True).start()
    missing = ""
    try:
        stages = ToldStages(config.stages)
        # Opened now, so that the first photo does not wait for them.
        _ = stages.body, stages.detector, stages.regressor
    except (ValueError, FileNotFoundError, ImportError) as error:
        stages, missing = None, str(error)
    while True:
        try:
            folder = pipe.recv()
        except EOFError:
            return
        pipe.send(missing if stages is None else work_on(folder, config, stages))


def _die_with_server() -> None:
    """End at once when the server was killed: work that went on would leave files that nobody deletes."""
    server = multiprocessing.parent_process()
    if server is not None:
        multiprocessing.connection.wait([server.sentinel])
        os._exit(1)
