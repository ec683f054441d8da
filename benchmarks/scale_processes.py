"""Schedulers, workers and clients as processes that the trials of `benchmarks.scale` watch and kill."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import psutil

LONGEST = 1500.0
"""Seconds for a client before it is killed."""


@dataclass
class Cluster:
    """A scheduler and worker processes on the loopback interface."""

    port: int
    logs: Path
    memory: str = "3GiB"
    processes: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)

    @property
    def address(self) -> str:
        """For ``--scheduler``."""
        return f"tcp://127.0.0.1:{self.port}"

    def start_scheduler(self) -> None:
        """Start the scheduler, or start it again."""
        self._start("scheduler", ["--host", "127.0.0.1", "--port", str(self.port), "--no-dashboard"])

    def start_worker(self, name: str) -> None:
        """Start a worker, with Dask's nanny that replaces its process when that ends."""
        given = ["--nthreads", "1", "--memory-limit", self.memory, "--no-dashboard", "--name", name]
        self._start("worker", [self.address, *given, "--host", "127.0.0.1", "--local-directory", str(self.logs)], name)

    def _start(self, kind: str, arguments: list[str], name: str = "scheduler") -> None:
        command = [sys.executable, "-m", f"distributed.cli.dask_{kind}", *arguments]
        settings = {"DASK_DISTRIBUTED__SCHEDULER__ALLOWED_FAILURES": "0"}
        with (self.logs / f"{name}.log").open("ab") as log:
            self.processes[name] = subprocess.Popen(command, stdout=log, stderr=log, env={**os.environ, **settings})

    def worker_processes(self) -> list[psutil.Process]:
        """The processes that compute, below their nannies."""
        found = []
        for name, process in self.processes.items():
            if name != "scheduler" and process.poll() is None:
                found += [one for one in descendants(process.pid) if "spawn_main" in " ".join(one.cmdline())]
        return found

    def worker_seconds(self) -> float:
        """Processor time that the workers of now have taken."""
        times = [one.cpu_times() for one in self.worker_processes()]
        return sum(time.user + time.system for time in times)

    def restart(self) -> None:
        """Kill the scheduler, and start it and the workers, which end without it, again."""
        names = [name for name in self.processes if name != "scheduler"]
        self.stop()
        self.start_scheduler()
        for name in names:
            self.start_worker(name)

    def stop(self) -> None:
        """End everything that was started."""
        for process in self.processes.values():
            for one in descendants(process.pid):
                one.kill()
            process.kill()
            process.wait()


def descendants(pid: int) -> list[psutil.Process]:
    """Processes below another; none if it has ended."""
    try:
        return psutil.Process(pid).children(recursive=True)
    except psutil.NoSuchProcess:
        return []


@contextmanager
def cluster(folder: Path, workers: int, memory: str = "3GiB") -> Iterator[Cluster]:
    """A running cluster; its processes end with the block."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    folder.mkdir(parents=True, exist_ok=True)
    made = Cluster(port, folder, memory)
    try:
        made.start_scheduler()
        for number in range(workers):
            made.start_worker(f"worker{number}")
        yield made
    finally:
        made.stop()


def start_client(images: str, out: str, arguments: list[str]) -> subprocess.Popen[bytes]:
    """Start a run of this benchmark's stages in a process of its own."""
    command = [sys.executable, "-m", "benchmarks", "scale", "client", "--images", images, "--out", out]
    return subprocess.Popen(command + arguments)


def kill(process: "subprocess.Popen[bytes] | psutil.Process") -> None:
    """Kill a process that may have ended by itself."""
    try:
        os.kill(process.pid, signal.SIGKILL)
    except ProcessLookupError:
        pass


def megabytes(process: "psutil.Process") -> float:
    """Memory of a process's own, without the files that are mapped, which come and go; 0 if it has ended."""
    try:
        found = process.memory_info()
    except psutil.NoSuchProcess:
        return 0.0
    return round((found.rss - getattr(found, "shared", 0)) / 1e6, 1)


def wait_for(process: "subprocess.Popen[bytes]", seconds: float) -> int:
    """Exit code of a client, killed if it takes longer."""
    end = time.monotonic() + seconds
    while process.poll() is None and time.monotonic() < end:
        time.sleep(0.2)
    if process.poll() is None:
        kill(process)
    return process.wait()
