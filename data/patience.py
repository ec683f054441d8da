"""Stores that do not answer are asked again; what they raise when something is wrong with them."""

import errno
import sys
import time
from collections.abc import Callable
from typing import TypeVar

import fsspec.exceptions

PATIENCE = 150.0
"""Seconds for which a store that does not answer is asked again."""
_PAUSES = (0.2, 0.5, 1.0, 2.0, 4.0, 8.0)
_FINAL = (FileNotFoundError, PermissionError, IsADirectoryError, NotADirectoryError, FileExistsError)
_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EROFS}
Made = TypeVar("Made")


def store_troubles() -> tuple[type[BaseException], ...]:
    """What stores raise when something is wrong with them; those of libraries that are loaded."""
    found: list[type[BaseException]] = [OSError, TimeoutError, ConnectionError]
    if botocore := sys.modules.get("botocore.exceptions"):
        found += [botocore.BotoCoreError, botocore.ClientError]
    if aiohttp := sys.modules.get("aiohttp"):
        found.append(aiohttp.ClientError)
    # What fsspec raises of a store's own broken answers.
    return (*found, fsspec.exceptions.FSTimeoutError)


def persistently(action: Callable[[], Made], patience: float | None = None) -> Made:
    """Ask a store again that does not answer, or refuses for the moment.

    Args:
        action: What to do; doing it twice must be the same as once.
        patience: Seconds after which the trouble is raised; `PATIENCE` if not given.

    Raises:
        OSError: What the store raises; at once if asking again cannot help.
    """
    end = time.monotonic() + (PATIENCE if patience is None else patience)
    attempt = 0
    while True:
        try:
            return action()
        except store_troubles() as error:
            lasting = isinstance(error, _FINAL) or getattr(error, "errno", None) in _FULL or _no_credentials(error)
            if lasting or time.monotonic() > end:
                raise
        time.sleep(_PAUSES[min(attempt, len(_PAUSES) - 1)])
        attempt += 1


def _no_credentials(error: BaseException) -> bool:
    return type(error).__name__ in ("NoCredentialsError", "PartialCredentialsError", "InvalidAccessKeyId")
