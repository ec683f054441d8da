"""Cutting a listing into chunks of about equal time."""

import math
from collections import deque
from collections.abc import Iterator
from dataclasses import replace

from fitloop.data.places import Listed
from fitloop.pipelines.cluster.job import Chunk
from fitloop.pipelines.folder.ledger import LARGEST, Part, part_name

SECONDS = 25.0
"""Work in a chunk: long beside the message that brings it, short beside what the death of a worker costs."""
_SIGHT = 20_000
"""Photos that are looked ahead at most."""


class Chunks:
    """Gives out the photos of a listing in whole batches: few at first, more as their time becomes known.

    Attributes:
        kept: Photos that were finished before.
        current: Names of the parts that hold them, and of those given out: all others are out of date in the end.
        given: Photos given out.
    """

    def __init__(self, photos: Iterator[Listed | Part], batch_size: int, stamp: str) -> None:
        """Begin.

        Args:
            photos: From `unfinished`.
            batch_size: Photos whose people are fitted together.
            stamp: As for `part_name`.
        """
        self._source, self._batch, self._stamp = photos, batch_size, stamp
        self._ahead: deque[Listed | Part] = deque()
        self._ended = False
        self._per_photo: float | None = None
        self._size = batch_size
        self.kept = self.given = 0
        self.current: set[str] = set()

    def learn(self, photos: int, seconds: float) -> None:
        """Take the time of a chunk into account."""
        if photos == 0:
            return
        now = max(seconds / photos, 1e-6)
        self._per_photo = now if self._per_photo is None else 0.5 * (self._per_photo + now)
        wanted = SECONDS / self._per_photo
        # A first photo may be a lucky one, so a chunk is at most twice as long as one that was timed.
        self._size = self._rounded(min(wanted, 2.0 * max(photos, self._batch), LARGEST))

    def take(self, workers: int) -> Chunk | None:
        """The next chunk; None if there is none left.

        Args:
            workers: So many share what is left: towards the end chunks become smaller, so that all end together.
        """
        size = self._size
        self._look_ahead(min(size * 2 * max(1, workers), max(size, _SIGHT)))
        while self._ahead and isinstance(part := self._ahead[0], Part):
            self.kept += part.count
            self.current.add(part.name)
            self._ahead.popleft()
            self._look_ahead(size)
        if not self._ahead:
            return None
        if self._ended:
            left = sum(isinstance(one, Listed) for one in self._ahead)
            size = min(size, math.ceil(left / (2 * max(1, workers) * self._batch)) * self._batch)
        photos: list[Listed] = []
        while self._ahead and len(photos) < size and isinstance(photo := self._ahead[0], Listed):
            photos.append(photo)
            self._ahead.popleft()
        self.given += len(photos)
        return self.chunk(tuple(photos))

    def chunk(self, photos: tuple[Listed, ...], watched: bool = False) -> Chunk:
        """Name a chunk of some photos."""
        name = part_name(self._stamp, photos)
        self.current.add(name)
        return Chunk(name, photos, watched)

    def batches(self, chunk: Chunk) -> list[Chunk]:
        """The batches of a chunk as chunks of their own, which are watched."""
        starts = range(0, len(chunk.photos), self._batch)
        self.current.discard(chunk.key)
        return [self.chunk(chunk.photos[start : start + self._batch], watched=True) for start in starts]

    def without(self, chunk: Chunk, left_out: tuple[tuple[str, str], ...]) -> Chunk:
        """A chunk with photos in quarantine; its part says so, and which version left them out."""
        self.current.discard(chunk.key)
        name = part_name(self._stamp, chunk.photos, quarantined=True)
        self.current.add(name)
        return replace(chunk, key=name, left_out=left_out, attempt=0)

    def _rounded(self, photos: float) -> int:
        return max(1, int(photos) // self._batch) * self._batch

    def _look_ahead(self, count: int) -> None:
        while not self._ended and len(self._ahead) < count:
            one = next(self._source, None)
            if one is None:
                self._ended = True
            else:
                self._ahead.append(one)
