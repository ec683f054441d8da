"""Finding the photo that ends its process, so that its neighbours are done."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import replace

from fitloop.pipelines.cluster.chunks import Chunks
from fitloop.pipelines.cluster.job import Chunk

TRIES = 2
"""Further tries of a photo at which a process has ended."""
_STARTS = 4
"""Tries of a chunk of which a process does not reach the first photo."""


class CannotStart(RuntimeError):
    """Processes end before the first photo; the message is a sentence for the user."""


class Suspects:
    """Decides what is done with a chunk over which a process has ended.

    A first death may have other reasons, and does not tell which photo it was. So the batches of the chunk are done
    again one by one, and the worker writes down where it is. A photo that was being worked on when its process ended is
    tried twice more, then left out. What is held against it is forgotten when it gets through once: machines are
    taken away and processes killed for reasons of their own.

    Attributes:
        quarantined: Photos that are left out, and why.
    """

    def __init__(self, chunks: Chunks) -> None:
        """Begin without suspicion.

        Args:
            chunks: Cuts a chunk into its batches.
        """
        self._chunks = chunks
        self._deaths: Counter[str] = Counter()
        self.quarantined: dict[str, str] = {}

    def after_death(self, chunk: Chunk, seen: Sequence[str], cause: str) -> list[Chunk]:
        """What to do next.

        Args:
            chunk: Over which a process ended.
            seen: Photos that were being worked on; none if nothing was written down.
            cause: What is known of the end.

        Raises:
            CannotStart: If it happens again and again before the first photo.
        """
        if not chunk.watched:
            return self._chunks.batches(chunk)
        if not seen:
            if chunk.attempt + 1 >= _STARTS:
                raise CannotStart(f"Processes end before they reach the first photo ({cause}).")
            return [replace(chunk, attempt=chunk.attempt + 1)]
        if len(seen) > 1 and not chunk.apart:
            return [replace(chunk, apart=tuple(seen))]
        # The process went past the others, or did not come to them.
        self.passed([photo.name for photo in chunk.photos if photo.name not in seen])
        self._deaths.update(seen)
        found = {photo: f"{cause}, {TRIES} times again." for photo in seen if self._deaths[photo] > TRIES}
        self.quarantined |= found
        if not found:
            return [replace(chunk, attempt=0)]
        return [self._chunks.without(chunk, (*chunk.left_out, *found.items()))]

    def passed(self, photos: Iterable[str]) -> None:
        """Forget what was held against photos that a process got through."""
        for photo in photos:
            self._deaths.pop(photo, None)
