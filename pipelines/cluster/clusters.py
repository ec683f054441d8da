"""A Dask cluster: processes of this machine, or a scheduler that is already there."""

import os
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Any

from fitloop.pipelines.folder.config import RunConfig

_ANSWER = 20.0
"""Seconds in which a scheduler must answer."""
_SCHEDULERS = ("python", "distributed", "dask", "cloudpickle")
"""Of what client and scheduler need the same version."""
_ALIKE = (*_SCHEDULERS, "fitloop", "torch", "numpy")
"""Of what client and workers need the same version."""
_REMEMBERED = {"distributed.admin.low-level-log-length": 100}
"""Messages that Dask keeps for its developers."""
_FAILURES = (OSError, ValueError, RuntimeError, ImportError, TypeError, KeyError, AttributeError)
"""What a scheduler that is none, or one of another version, brings about."""
Versions = dict[str, str]


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
            _refuse_other_workers(client)
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
        **_REMEMBERED,
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
    import dask
    import distributed
    from distributed.versions import VersionMismatchWarning

    _refuse_other_scheduler(address)
    try:
        with dask.config.set(_REMEMBERED), warnings.catch_warnings():
            # Its table of versions is followed by our own sentence.
            warnings.simplefilter("ignore", VersionMismatchWarning)
            client = distributed.Client(address, timeout=_ANSWER)
    except _FAILURES as error:
        raise _no_scheduler(address, error) from error
    try:
        yield client
    finally:
        # A scheduler that is gone cannot be told goodbye.
        with suppress(OSError, TimeoutError, RuntimeError):
            client.close(timeout=2)


def _refuse_other_scheduler(address: str) -> None:
    """Ask a scheduler for its versions before anything that one of another version may not understand."""
    from distributed import versions
    from fsspec.asyn import get_loop, sync

    try:
        found: Any = sync(get_loop(), _asked, address, timeout=_ANSWER + 5.0)
    except _FAILURES as error:
        raise _no_scheduler(address, error) from error
    here = _versions(versions.get_versions(), _SCHEDULERS)
    _refuse(differences(here, {f"the scheduler {address}": _versions(found, _SCHEDULERS)}))


async def _asked(address: str) -> dict[str, Any]:
    from distributed.core import rpc
    from distributed.security import Security

    given = Security().get_connection_args("client")
    async with rpc(address, timeout=_ANSWER, connection_args=given) as scheduler:
        told: Any = await scheduler.versions(packages=[])
        return told


def _no_scheduler(address: str, error: BaseException) -> ValueError:
    return ValueError(
        f"No Dask scheduler of a fitting version answers at {address} ({_short(error)}). Start one there with "
        "`dask scheduler`, or correct --scheduler; docs/scale.md shows how."
    )


def _short(error: BaseException) -> str:
    return " ".join(str(error).split())[:200] or type(error).__name__


def differences(here: Versions, others: dict[str, Versions]) -> list[str]:
    """What runs elsewhere in another version, in words.

    Args:
        here: Versions of the client.
        others: Versions of scheduler and workers by name; what one does not need is left out.
    """
    return [
        f"{who} has {f'{package} {versions[package]}' if versions[package] else f'no {package}'}, "
        f"here it is {here[package]}"
        for who, versions in others.items()
        for package in versions
        if versions[package] != here[package]
    ]


def _refuse_other_workers(client: Any) -> None:
    # Dask's own question: it is answered before a line of fitloop is run.
    found = client.get_versions(packages=[name for name in _ALIKE if name not in _SCHEDULERS])
    workers = {f"worker {name}": _versions(told, _ALIKE) for name, told in found["workers"].items()}
    _refuse(differences(_versions(found["client"], _ALIKE), workers))


def _refuse(wrong: list[str]) -> None:
    if wrong:
        more = f" and {len(wrong) - 3} more" if len(wrong) > 3 else ""
        raise ValueError(f"{'; '.join(wrong[:3])}{more}. Install the same versions on client, scheduler and workers.")


def _versions(told: dict[str, Any], packages: Sequence[str]) -> Versions:
    """Of what Dask tells of a process: the packages named, Python as 3.11, builds for other devices as the same."""
    found = {package: (told["packages"].get(package) or "").partition("+")[0] for package in packages}
    return {**found, "python": ".".join(found["python"].split(".")[:2])}
