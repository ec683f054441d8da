"""A Dask cluster: processes of this machine, or a scheduler that is already there."""

import os
import platform
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from importlib import metadata
from typing import Any

from fitloop.pipelines.folder.config import RunConfig

_ANSWER = 20.0
"""Seconds in which a scheduler must answer."""
_ALIKE = ("fitloop", "distributed", "torch", "numpy")
"""Packages of which client and workers need the same version."""
Versions = dict[str, str | None]


def need_dask() -> None:
    """Make sure that Dask is installed.

    Raises:
        ImportError: If not; says how to get it.
    """
    try:
        import distributed  # noqa: F401
    except ImportError as error:
        raise ImportError("--workers and --scheduler need Dask: pip install 'fitloop[scale]'.") from error


@contextmanager
def open_cluster(config: RunConfig) -> Iterator[Any]:
    """Give the client of the cluster that the options ask for; processes of this machine end with the block.

    Args:
        config: Names the number of workers, or the scheduler.

    Raises:
        ValueError: If the scheduler does not answer, or runs other versions.
    """
    need_dask()
    if config.scheduler is not None:
        with _connected(config.scheduler) as client:
            _refuse_other_versions(client, config.scheduler)
            yield client
        return
    import dask
    import distributed
    from distributed.system import MEMORY_LIMIT

    count = config.workers or 1
    settings = {
        # A death is told at once: then only one process ends where several would.
        "distributed.scheduler.allowed-failures": 0,
        # A busy machine takes longer than Dask's 15 seconds to start a process in the place of one that ended.
        "distributed.deploy.lost-worker-timeout": "1h",
        "distributed.logging.distributed": "critical",
    }
    with (
        dask.config.set(settings),
        distributed.LocalCluster(
            n_workers=count,
            threads_per_worker=1,
            processes=True,
            host="127.0.0.1",
            dashboard_address=None,  # pyright: ignore[reportArgumentType]
            memory_limit=MEMORY_LIMIT // count,
            silence_logs=50,
        ) as cluster,
    ):
        with distributed.Client(cluster) as client:
            yield client


def worker_threads(config: RunConfig) -> int:
    """Threads of a worker where the options do not say: the cores of this machine shared by its processes, else one."""
    return config.threads or (max(1, (os.cpu_count() or 1) // config.workers) if config.workers else 1)


@contextmanager
def _connected(address: str) -> Iterator[Any]:
    import distributed

    try:
        client = distributed.Client(address, timeout=_ANSWER)
    except (OSError, ValueError, RuntimeError, ImportError) as error:
        raise ValueError(
            f"No Dask scheduler of a fitting version answers at {address} ({_short(error)}). Start one there with "
            "`dask scheduler`, or correct --scheduler; docs/scale.md shows how."
        ) from error
    try:
        yield client
    finally:
        # A scheduler that is gone cannot be told goodbye.
        with suppress(OSError, TimeoutError, RuntimeError):
            client.close(timeout=2)


def _short(error: BaseException) -> str:
    return " ".join(str(error).split())[:200] or type(error).__name__


def versions_here() -> Versions:
    """What client and workers must agree on."""
    found: Versions = {"python": ".".join(platform.python_version_tuple()[:2])}
    for package in _ALIKE:
        try:
            found[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            found[package] = None
    return found


def differences(here: Versions, others: dict[str, Versions]) -> list[str]:
    """What runs elsewhere in another version, in words.

    Args:
        here: Versions of the client.
        others: Versions of scheduler and workers by name; what one does not have to have is left out.
    """
    return [
        f"{who} has {package} {version}, here it is {here[package]}"
        for who, versions in others.items()
        for package, version in versions.items()
        if version != here[package]
    ]


def _refuse_other_versions(client: Any, address: str) -> None:
    here = versions_here()
    try:
        # The scheduler reads what it hands on, so it needs the packages too.
        scheduler: Versions = client.run_on_scheduler(versions_here)
        workers: dict[str, Versions] = client.run(versions_here)
    except (OSError, RuntimeError, ImportError, TypeError, KeyError) as error:
        raise ValueError(
            f"The scheduler {address} or one of its workers cannot run fitloop ({_short(error)}). Install the same "
            "fitloop and Python everywhere."
        ) from error
    wrong = differences(here, {f"the scheduler {address}": scheduler, **{f"worker {k}": v for k, v in workers.items()}})
    if wrong:
        raise ValueError(f"{'; '.join(wrong[:3])}. Install the same versions on client, scheduler and workers.")
