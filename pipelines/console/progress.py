"""Progress of long work: a bar on a terminal, one plain line per interval elsewhere."""

import sys
import time
from types import TracebackType

from tqdm import tqdm


class Progress:
    """Counts work done; use as a context manager.

    Attributes:
        done: How much is done.
    """

    def __init__(self, total: int, unit: str, interval: float = 10.0, done: int = 0) -> None:
        """Start counting.

        Args:
            total: How much there is to do.
            unit: What is counted, in the singular.
            interval: Seconds between plain lines where stderr is no terminal.
            done: What an earlier run has done already; not counted in the rate.
        """
        self.done = done
        self._total, self._unit, self._interval, self._already = total, unit, interval, done
        self._start = self._spoken = time.monotonic()
        self._told = done
        self._bar = tqdm(total=total, unit=unit, initial=done, file=sys.stderr) if sys.stderr.isatty() else None

    def __enter__(self) -> "Progress":
        return self

    def __exit__(self, kind: type[BaseException] | None, value: object, trace: TracebackType | None) -> None:
        if self._bar is not None:
            self._bar.close()
        elif self.done > self._told:
            self._speak()

    def advance(self, count: int) -> None:
        """Report ``count`` more done."""
        self.done += count
        if self._bar is not None:
            self._bar.update(count)
        elif time.monotonic() - self._spoken >= self._interval:
            self._speak()

    def _speak(self) -> None:
        now = time.monotonic()
        rate = (self.done - self._already) / max(now - self._start, 1e-9)
        left = (self._total - self.done) / max(rate, 1e-9)
        sys.stderr.write(f"{self.done}/{self._total} {self._unit}s, {rate:.2f} {self._unit}s/s, {left:.0f} s left\n")
        sys.stderr.flush()
        self._spoken, self._told = now, self.done
