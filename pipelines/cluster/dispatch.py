"""Handing chunks to this process or to the workers of a Dask cluster, until all photos are accounted for."""

import json
import time
import uuid
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from fitloop.data.patience import store_troubles
from fitloop.data.places import Place
from fitloop.pipelines.cluster.chunk import do_chunk, note_name
from fitloop.pipelines.cluster.chunks import Chunks
from fitloop.pipelines.cluster.job import Chunk, Job, Record
from fitloop.pipelines.cluster.quarantine import Suspects
from fitloop.pipelines.cluster.sealed import call_of
from fitloop.pipelines.cluster.trust import Trust
from fitloop.pipelines.console.endings import warn

_POLL = 2.0
"""Seconds after which workers are counted again."""
_PATIENCE = 60.0
"""Seconds without a scheduler after which it counts as lost; between sentences about missing workers."""


class SchedulerLost(RuntimeError):
    """The scheduler does not answer any more; the message is a sentence for the user."""


class CannotStore(OSError):
    """No worker can write any more; the message says what the last one met."""


@dataclass
class Watcher:
    """What the client looks at between chunks."""

    out: Place
    receive: Callable[[Chunk, Record], None]
    """Told every chunk that is done."""
    pause: Callable[[], None]
    """Called every few seconds; raises to stop the run."""


def in_this_process(job: Job, chunks: Chunks, watcher: Watcher) -> None:
    """Do all chunks here, one after the other; no Dask is needed.

    Raises:
        CannotStore: If results cannot be written.
    """
    while (chunk := chunks.take(1)) is not None:
        record = do_chunk(job, chunk)
        if record.trouble:
            raise CannotStore(record.trouble)
        chunks.learn(record.photos, record.seconds)
        watcher.receive(chunk, record)
        watcher.pause()


class OnDask:
    """Hands chunks to the workers of a cluster, one to each, and deals with their deaths."""

    def __init__(self, client: Any, job: Job, chunks: Chunks, watcher: Watcher) -> None:
        """Begin.

        Args:
            client: A `distributed.Client`.
            job: What all chunks have in common.
            chunks: What there is to do.
            watcher: Told what is done.
        """
        self._client, self._job, self._chunks, self._watcher = client, job, chunks, watcher
        self.suspects = Suspects(chunks)
        self.deaths = 0
        # Dask takes equal names for equal work, also of two runs on one cluster.
        self._run = uuid.uuid4().hex[:12]
        self._again: deque[Chunk] = deque()
        self._running: dict[Any, Chunk] = {}
        self._trust = Trust()
        self._bound: dict[Any, frozenset[str]] = {}
        self._sent, self._some_rest = 0, False
        self._missing = time.monotonic()

    def run(self) -> None:
        """Do all chunks.

        Raises:
            SchedulerLost: If the scheduler goes away.
            CannotStore: If no worker can write.
            ValueError: If an option or a file of weights is wrong.
        """
        from distributed.comm import CommClosedError

        try:
            while True:
                self._hand_out(self._workers())
                if not self._running:
                    return
                for future in self._finished():
                    self._settle(future, self._running.pop(future))
                self._watcher.pause()
        except CommClosedError as error:
            raise SchedulerLost(self._lost()) from error
        finally:
            if self._running and self._client.status == "running":
                self._client.cancel(list(self._running), force=True)

    def _finished(self) -> set[Any]:
        """Chunks that ended within the next seconds, one way or another."""
        import distributed
        from distributed.client import FuturesCancelledError

        try:
            ended: Any = distributed.wait(list(self._running), timeout=_POLL, return_when="FIRST_COMPLETED")
            return ended.done
        except (TimeoutError, distributed.TimeoutError):
            return set()
        except FuturesCancelledError:
            # Somebody restarted the cluster, or the scheduler is gone; which, the next look at it tells.
            return {future for future in self._running if future.status in ("cancelled", "lost")}

    def _workers(self) -> list[str]:
        self._check_scheduler()
        try:
            known = list(self._client.nthreads())
        except (OSError, RuntimeError, TypeError) as error:
            raise SchedulerLost(self._lost()) from error
        free = self._trust.usable(known)
        if known and not free:
            raise CannotStore(
                f"every worker has met trouble with its disk or the store, the last one {self._trust.last}"
            )
        self._unbind(known)
        self._some_rest = len(free) < len(known)
        if free:
            self._missing = time.monotonic()
        elif time.monotonic() - self._missing > _PATIENCE:
            warn("The scheduler has no workers at the moment; waiting for some.")
            self._missing = time.monotonic()
        return free

    def _check_scheduler(self) -> None:
        if self._client.status != "running":
            raise SchedulerLost(self._lost())

    def _lost(self) -> str:
        return (
            f"The scheduler {self._job.config.scheduler or 'of the workers'} does not answer any more. What was "
            "written is whole; the same command goes on from there when it is back."
        )

    def _hand_out(self, workers: list[str]) -> None:
        # One chunk to each worker: then a death concerns the photos of one chunk alone.
        while len(self._running) < max(1, len(workers)):
            chunk = self._again.popleft() if self._again else self._chunks.take(len(workers))
            if chunk is None:
                return
            self._sent += 1
            only = {"workers": workers, "allow_other_workers": False} if self._some_rest else {}
            do, content = call_of(self._job, chunk)
            future = self._client.submit(
                do, content, key=f"photos-{self._run}-{self._sent}", pure=False, retries=0, **only
            )
            self._running[future] = chunk
            if only:
                self._bound[future] = frozenset(workers)

    def _unbind(self, known: list[str]) -> None:
        """Take back chunks that wait for workers of which none is left."""
        self._bound = {future: workers for future, workers in self._bound.items() if future in self._running}
        for future in [future for future, workers in self._bound.items() if workers.isdisjoint(known)]:
            self._client.cancel([future], force=True)
            self._again.append(self._running.pop(future))

    def _settle(self, future: Any, chunk: Chunk) -> None:
        import distributed

        if future.status in ("cancelled", "lost"):
            self._check_scheduler()
            self._again.append(chunk)
            return
        error = future.exception()
        if error is None:
            self._take(chunk, future.result())
        elif isinstance(error, distributed.KilledWorker):
            self._after_death(chunk, "Its process ended at once or took more memory than it may")
        elif isinstance(error, (ValueError, ImportError, FileNotFoundError)):
            raise error
        else:
            # What only some photos bring about must not end the run of a million.
            self._after_death(chunk, f"A stage failed with {type(error).__name__}: {error}".rstrip("."))
        future.release()

    def _take(self, chunk: Chunk, record: Record) -> None:
        if not record.trouble:
            self._trust.well(record.worker)
            self.suspects.passed(photo.name for photo in chunk.photos if chunk.watched)
            self._chunks.learn(record.photos, record.seconds)
            self._watcher.receive(chunk, record)
            return
        if self._trust.troubled(record.worker, record.trouble):
            warn(f"The worker {record.worker} gets no more photos for ten minutes: {record.trouble}. Others do them.")
        if self._trust.exhausted:
            raise CannotStore(record.trouble)
        self._again.append(chunk)

    def _after_death(self, chunk: Chunk, cause: str) -> None:
        self.deaths += 1
        following = self.suspects.after_death(chunk, self._seen(chunk), cause)
        for photo in (name for name, _ in following[0].left_out[len(chunk.left_out) :]):
            warn(f"{photo!r} is left out: {self.suspects.quarantined[photo]}")
        self._again.extend(following)

    def _seen(self, chunk: Chunk) -> list[str]:
        """Photos that the worker was at when it died, and the note removed, for the next try writes its own."""
        if not chunk.watched:
            return []
        try:
            seen = json.loads(self._watcher.out.read(note_name(chunk)))
            self._watcher.out.remove(note_name(chunk))
        except (*store_troubles(), ValueError):
            return []
        known = {photo.name for photo in chunk.photos}
        return [photo for photo in seen if photo in known]
