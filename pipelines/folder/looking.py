"""Reading the photos of a folder and finding their people, several at once, in order."""

import gc
import os
import threading
import time
from collections import Counter
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch

from fitloop.body import Image
from fitloop.data import UnreadableImage
from fitloop.detection import BadKeypoints, DetectionReport
from fitloop.detection.in_order import in_order
from fitloop.pipelines.chain.photo import ImpossibleCamera, open_photo
from fitloop.pipelines.folder.config import RunConfig


@dataclass(frozen=True)
class Looked:
    """A photo, its people, and how many seconds each took."""

    photo: str
    image: Image | None = None
    """None where the photo cannot be used."""
    report: DetectionReport | None = None
    trouble: ValueError | None = None
    """Why it cannot be used."""
    reading: float = 0.0
    detection: float = 0.0


def look_at_photos(
    config: RunConfig, photos: Iterable[str], stages: Any, watch: Callable[[Sequence[str]], None] | None = None
) -> Generator[Looked, None, None]:
    """Read photos and find their people, in order; several at once where the detector allows it.

    Args:
        config: Of the run.
        photos: Paths below the folder of photos.
        stages: Whose detector looks.
        watch: Told each photo before it is opened; they are then looked at one after the other.
    """

    def look(photo: str) -> Looked:
        if watch is not None:
            watch((photo,))
        start = time.perf_counter()
        try:
            image = open_photo(config.images, photo, config)
            read = time.perf_counter()
            report = stages.detect(image)
        except (UnreadableImage, BadKeypoints, ImpossibleCamera) as error:
            return Looked(photo, trouble=error)
        return Looked(photo, image, report, None, read - start, time.perf_counter() - read)

    at_once = photos_at_once(config, stages)
    if watch is None and at_once:
        # A batch ahead, so that no thread waits while the people of the last batch are fitted.
        return in_order(look, photos, at_once, max(at_once, config.batch_size))
    return (look(photo) for photo in photos)


def photos_at_once(config: RunConfig, stages: Any) -> int:
    """How many photos are looked at beside the other stages: one per core, or 0 where the detector has one thread.

    Args:
        config: Names the number of threads.
        stages: Whose detector looks.
    """
    if not getattr(getattr(stages, "detector", None), "thread_safe", False):
        return 0
    return config.threads or os.cpu_count() or 1


class _Shared:
    """What runs that overlap in one process share: what the first of them found is there again after the last one.

    The number of torch's threads belongs to each thread; one that begins takes over what was set last by any of them.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._runs: Counter[int] = Counter()
        self._threads, self._froze = 0, False

    def enter(self) -> None:
        with self._lock:
            # A thread that never asked would forget its own number for the one that is set last.
            threads = torch.get_num_threads()
            if not self._runs:
                self._threads, self._froze = threads, gc.get_freeze_count() == 0
                if self._froze:
                    gc.freeze()
            self._runs[threading.get_ident()] += 1
            torch.set_num_threads(1)

    def leave(self) -> None:
        with self._lock:
            self._runs = self._runs - Counter([threading.get_ident()])
            if not self._runs[threading.get_ident()]:
                torch.set_num_threads(self._threads)
            if self._runs:
                # Those that the others' threads begin shall work in one as well.
                setting = threading.Thread(target=torch.set_num_threads, args=(1,))
                setting.start()
                setting.join()
            elif self._froze:
                gc.unfreeze()


_shared = _Shared()


@contextmanager
def side_by_side(photos: int) -> Iterator[None]:
    """Set the process up for several photos in flight, and as it was after the last run that does so.

    Photos side by side use all cores; torch's threads that share one operation would spin while they wait for a core,
    which took two fifths of the processor time on two cores. Results do not depend on the number of cores then.
    The garbage collector leaves alone what was there before, a quarter of a million objects of modules.

    Args:
        photos: How many are in flight; with 0 nothing changes.
    """
    if not photos:
        yield
        return
    _shared.enter()
    try:
        yield
    finally:
        _shared.leave()
