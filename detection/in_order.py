"""Work on several things at once, results in the order of the things."""

from collections import deque
from collections.abc import Callable, Generator, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

Given = TypeVar("Given")
Made = TypeVar("Made")


def in_order(
    function: Callable[[Given], Made], given: Iterable[Given], at_once: int, ahead: int | None = None
) -> Generator[Made, None, None]:
    """Apply a function to things in parallel threads; results come in order, however long each takes.

    Things are taken from ``given`` only as they are needed, so that a long row of photos never lies in memory.

    Args:
        function: Must be safe to call from several threads.
        given: Read by the calling thread.
        at_once: Threads.
        ahead: So many things are begun before the reader asks for them; as many as there are threads by default. A
            reader who works on several results at a time keeps the threads busy with as many.

    Raises:
        ValueError: If ``at_once`` or ``ahead`` is not positive.
    """
    ahead = at_once if ahead is None else ahead
    if min(at_once, ahead) < 1:
        raise ValueError(f"at_once and ahead must be at least 1, got {at_once} and {ahead}.")
    with ThreadPoolExecutor(at_once) as pool:
        waiting: deque[Future[Made]] = deque()
        try:
            for thing in given:
                waiting.append(pool.submit(function, thing))
                if len(waiting) > ahead:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            # Of an error, or of a reader who stops early, only what is under way is waited for.
            for future in waiting:
                future.cancel()
