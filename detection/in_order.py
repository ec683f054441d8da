"""Work on several things at once, results in the order of the things."""

from collections import deque
from collections.abc import Callable, Generator, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

Given = TypeVar("Given")
Made = TypeVar("Made")


def in_order(function: Callable[[Given], Made], given: Iterable[Given], at_once: int) -> Generator[Made, None, None]:
    """Apply a function to things in parallel threads; results come in order, however long each takes.

    Things are taken from ``given`` only as they are needed, so that a long row of photos never lies in memory.

    Args:
        function: Must be safe to call from several threads.
        given: Read by the calling thread.
        at_once: Threads; at most one more result than that waits.

    Raises:
        ValueError: If ``at_once`` is not positive.
    """
    if at_once < 1:
        raise ValueError(f"at_once must be at least 1, got {at_once}.")
    with ThreadPoolExecutor(at_once) as pool:
        waiting: deque[Future[Made]] = deque()
        try:
            for thing in given:
                waiting.append(pool.submit(function, thing))
                if len(waiting) > at_once:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            # Of an error, or of a reader who stops early, only what is under way is waited for.
            for future in waiting:
                future.cancel()
