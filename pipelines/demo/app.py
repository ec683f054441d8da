"""A page in the browser that takes photos and clips and shows the bodies of their people.

    fitloop demo

It listens on this machine alone; docs/demo.md has its limits and what becomes of the files.
"""

if __name__ == "__main__":
    from fitloop.pipelines.cli import run_program

    run_program("demo")

import importlib.util
import shutil
import signal
import socket
import tempfile
from pathlib import Path

from filelock import FileLock, Timeout

from fitloop.pipelines.console.endings import CANNOT_WRITE, DONE, stop, warn
from fitloop.pipelines.console.options import parse
from fitloop.pipelines.demo.config import DemoConfig

_PREFIX, _LOCK = "fitloop-demo-", "lock"
_NEEDED = ("starlette", "uvicorn")
_MISSING = "The page needs {0}: pip install 'fitloop[demo]'"


def main(arguments: list[str] | None = None) -> int:
    """Serve the page until Ctrl+C; return the exit code."""
    config = parse(DemoConfig, arguments)
    missing = [name for name in _NEEDED if importlib.util.find_spec(name) is None]
    if missing:
        return stop(_MISSING.format(" and ".join(missing)))
    try:
        listening = listen(config)
    except OSError as error:
        told = f"Cannot listen at {config.host} port {config.port}: {error.strerror}."
        return stop(f"{told} Choose another --port, or --port 0 for a free one.")
    try:
        remove_leftovers(Path(tempfile.gettempdir()))
        with tempfile.TemporaryDirectory(prefix=_PREFIX, ignore_cleanup_errors=True) as root, listening:
            with FileLock(Path(root) / _LOCK):
                serve(listening, Path(root) / "files", config)
    except OSError as error:
        return stop(f"Cannot write to {tempfile.gettempdir()}: {error.strerror}. Set TMPDIR.", CANNOT_WRITE)
    print("Ended; all files are deleted.")
    return DONE


def remove_leftovers(place: Path) -> None:
    """Delete what servers left behind that were killed and could not do it themselves.

    Args:
        place: The system's folder for temporary files.
    """
    for lock in place.glob(f"{_PREFIX}*/{_LOCK}"):
        if lock.is_symlink() or lock.parent.is_symlink():
            continue
        try:
            # Whoever still runs holds it.
            with FileLock(lock, timeout=0):
                pass
        except (Timeout, OSError):
            continue
        shutil.rmtree(lock.parent, ignore_errors=True)


def listen(config: DemoConfig) -> socket.socket:
    """Open the port.

    Raises:
        OSError: If there is no such address, or somebody else listens there.
    """
    family = socket.AF_INET6 if ":" in config.host else socket.AF_INET
    return socket.create_server((config.host, config.port), family=family)


def serve(listening: socket.socket, root: Path, config: DemoConfig) -> None:
    """Serve the page until the process is told to end.

    Args:
        listening: The port.
        root: Folder for uploads and results.
        config: Names the stages and limits.
    """
    import uvicorn

    from fitloop.pipelines.demo.jobs import Jobs
    from fitloop.pipelines.demo.server import LOOPBACK, make_app
    from fitloop.pipelines.demo.worker import Worker, work_in_process

    worker = Worker(work_in_process, config)
    jobs = Jobs(root, worker, config)
    # No access log: names of files and keys of results are nobody's business.
    server = uvicorn.Server(
        uvicorn.Config(make_app(jobs, config), log_level="warning", access_log=False, timeout_graceful_shutdown=3)
    )
    worker.start()
    jobs.start()
    if config.host not in LOOPBACK:
        warn("Whoever reaches this address can use the page; it has no password.")
    host = f"[{config.host}]" if ":" in config.host else config.host
    print(f"http://{host}:{listening.getsockname()[1]}  (Ctrl+C ends it and deletes all files)", flush=True)
    # Else SIGTERM would end the process before its files are deleted.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        server.run(sockets=[listening])
    except KeyboardInterrupt:
        # uvicorn has ended the server well, and then passes the signal on.
        pass
    finally:
        worker.close()
        jobs.close()
