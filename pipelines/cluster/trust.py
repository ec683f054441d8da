"""Which workers get photos: not those that meet trouble with their disk or the store again and again."""

import time
from collections import Counter
from collections.abc import Iterable

_STRIKES = 3
"""Troubles in a row after which a worker rests."""
_REST = 600.0
"""Seconds for which it gets no photos."""
_ENOUGH = 300
"""Troubles in a row, of all workers, after which the store counts as gone."""
_FULL = ("No space left", "Disk quota exceeded", "Read-only file system")


class Trust:
    """Counts the troubles of workers; what a worker does well wipes them out.

    Attributes:
        last: The last trouble.
    """

    def __init__(self) -> None:
        """Trust everybody."""
        self._strikes: Counter[str] = Counter()
        self._rest_until: dict[str, float] = {}
        self._in_a_row = 0
        self.last = ""

    @property
    def exhausted(self) -> bool:
        """Whether nobody has been able to write for long."""
        return self._in_a_row >= _ENOUGH

    def usable(self, workers: Iterable[str]) -> list[str]:
        """Those of the workers that may get photos; after its rest a worker has one more try."""
        now = time.monotonic()
        return [worker for worker in workers if self._rest_until.get(worker, now) <= now]

    def troubled(self, worker: str, trouble: str) -> bool:
        """Note that a worker could not write.

        Args:
            worker: Its address.
            trouble: What it met; a full disk is not tried again at once.

        Returns:
            Whether it rests from now on.
        """
        self._in_a_row += 1
        self.last = trouble
        self._strikes[worker] += _STRIKES if any(word in trouble for word in _FULL) else 1
        if self._strikes[worker] < _STRIKES:
            return False
        self._strikes[worker] = _STRIKES - 1
        self._rest_until[worker] = time.monotonic() + _REST
        return True

    def well(self, worker: str) -> None:
        """Note that a worker has done a chunk."""
        self._in_a_row = 0
        self._strikes.pop(worker, None)
        self._rest_until.pop(worker, None)
