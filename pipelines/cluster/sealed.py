"""Chunks on their way to a worker: a few bytes, which a scheduler hands on without looking into them.

Dask's scheduler unpacks what it is given, and keeps the last thousand messages to each worker
(`distributed.admin.low-level-log-length`). Photos as records would fill its memory, and their classes bring PyTorch.
"""

import pickle
import zlib
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from fitloop.data.places import Listed
from fitloop.pipelines.cluster.chunk import do_chunk
from fitloop.pipelines.cluster.job import Chunk, Job, Record


class Call:
    """A sealed chunk whose unpickling does it: the worker is told to call `pickle.loads`.

    So the scheduler, which unpacks names of functions and arguments, imports nothing of fitloop.
    """

    def __init__(self, content: bytes) -> None:
        """Hold what `seal` made."""
        self._content = content

    def __reduce__(self) -> tuple[Callable[[bytes], Any], tuple[bytes]]:
        return do_sealed, (self._content,)


def call_of(job: Job, chunk: Chunk) -> tuple[Callable[[bytes], Any], bytes]:
    """Function and argument for Dask's ``submit``."""
    return pickle.loads, pickle.dumps(Call(seal(job, chunk)), protocol=4)


def do_sealed(content: bytes) -> Record:
    """Do a sealed chunk; called on the worker."""
    return do_chunk(*unseal(content))


def seal(job: Job, chunk: Chunk) -> bytes:
    """Pack a chunk and what all chunks have in common; sizes and times of photos stay with the client.

    Args:
        job: What all chunks have in common.
        chunk: Which photos.
    """
    import cloudpickle

    named = replace(chunk, photos=tuple(Listed(photo.name, "") for photo in chunk.photos))
    # As Dask pickles: stages may be made by what stands in a notebook.
    return zlib.compress(cloudpickle.dumps((job, named), protocol=4), level=1)


def unseal(content: bytes) -> tuple[Job, Chunk]:
    """What was packed; only for bytes of this run's own client."""
    job, chunk = pickle.loads(zlib.decompress(content))  # noqa: S301
    return job, chunk
