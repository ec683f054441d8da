"""What a worker does: one chunk of photos, from the store to the store."""

import json
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch

from fitloop.data.addresses import masked
from fitloop.data.patience import store_troubles
from fitloop.data.places import Listed, Place, open_place
from fitloop.evaluation.people_table import SKIPPED, TABLE, part_of, rows_of, skipped_row
from fitloop.pipelines.cluster.job import Chunk, Done, Job, Record, Watch
from fitloop.pipelines.cluster.workshop import Workshop
from fitloop.pipelines.folder.journal import Journal
from fitloop.pipelines.folder.made_from import Sources
from fitloop.pipelines.folder.names import printable, shortened
from fitloop.pipelines.folder.run import leave_out, process_batches, waiting_batches
from fitloop.pipelines.folder.writing import results_path

AT = "at"
"""Folder of the notes that say which photo a watched worker is at."""
_ONE_AT_A_TIME = threading.Lock()
"""A worker with several threads still has one set of stages."""
_loaded: dict[str, Any] = {}
"""The stages of this process, and the config that they were made for."""


def do_chunk(job: Job, chunk: Chunk) -> Record:
    """Do a chunk and write its part of the table; both only once, however often it is asked for.

    Args:
        job: What all chunks have in common.
        chunk: Which photos.

    Raises:
        ValueError: If an option or a file of weights is wrong.
    """
    with _ONE_AT_A_TIME:
        out = open_place(job.config.out)
        part = f"{TABLE}/{chunk.key}"
        try:
            if out.exists(part):
                return Record(len(chunk.photos), worker=_worker())
        except store_troubles() as error:
            return Record(len(chunk.photos), trouble=_said(error), worker=_worker())
        stages_for(job)
        start = time.perf_counter()
        try:
            done = job.work(job, chunk, _note_taker(out, chunk) if chunk.watched else None)
            out.write(part, part_of(done.rows))
            if chunk.watched:
                out.remove(note_name(chunk))
        except store_troubles() as error:
            return Record(len(chunk.photos), trouble=_said(error), worker=_worker())
        return Record(
            len(chunk.photos),
            people=sum(row.get("person") is not None for row in done.rows),
            seconds=time.perf_counter() - start,
            timings=done.timings,
            skipped=sum(row["status"] == SKIPPED for row in done.rows),
            remade=done.remade,
            worker=_worker(),
        )


def stages_for(job: Job) -> Any:
    """The stages of a job, made once in each process."""
    config = replace(job.config, workers=None, scheduler=None)
    if _loaded.get("for") != (job.make_stages, config):
        if config.threads is not None:
            torch.set_num_threads(config.threads)
        stages = job.make_stages(config)
        if config.keypoints is not None:
            # Whose entries are whose is only known from the names of all photos.
            listing = open_place(config.images).photos(open_place(config.out))
            stages.expect([photo.name for photo in listing])
        _loaded.update({"for": (job.make_stages, config), "stages": stages})
    return _loaded["stages"]


def through_stages(job: Job, chunk: Chunk, watch: Watch | None) -> Done:
    """Take the photos of a chunk through the stages.

    Args:
        job: What all chunks have in common.
        chunk: Which photos.
        watch: Told which photos are worked on.
    """
    stages, left_out = stages_for(job), dict(chunk.left_out)
    photos = [photo for photo in chunk.photos if photo.name not in left_out]
    with Workshop(job.config) as shop:
        journal = Journal(shop.config, len(photos), watch=watch)
        rows = [skipped_row(printable(name), reason) for name, reason in chunk.left_out]
        _try_alone(shop, [photo for photo in photos if photo.name in chunk.apart], stages, watch)
        # Hashes of weights are taken once.
        sources = Sources(shop.config, stages)
        for group in _groups(shop, photos):
            usable = leave_out([photo.name for photo in group], shop.config.out, journal)
            waiting = waiting_batches(shop.config, usable, sources, journal)
            for _ in process_batches(shop.config, waiting, stages, journal, sources):
                pass
            rows += [row for photo in group for row in _rows(shop, photo.name, journal)]
            shop.send(group)
    timings = {stage: (seconds, journal.timed[stage]) for stage, seconds in journal.seconds.items()}
    return Done(rows, timings, len(journal.remade))


def _groups(shop: Workshop, photos: Sequence[Listed]) -> Iterator[Sequence[Listed]]:
    """Photos that are brought and sent together: a batch, or all where nothing has to be brought or sent."""
    if shop.at_hand:
        yield photos
        return
    size = shop.config.batch_size
    groups = [photos[start : start + size] for start in range(0, len(photos), size)]
    coming = [shop.bring(group) for group in groups[:1]]
    for number, group in enumerate(groups):
        # The next photos come while these are worked on.
        coming += [shop.bring(following) for following in groups[number + 1 : number + 2]]
        for future in coming.pop(0):
            future.result()
        yield group


def _try_alone(shop: Workshop, photos: Sequence[Listed], stages: Any, watch: Watch | None) -> None:
    """Take suspects through the stages one by one, into a folder that is thrown away: the one that ends us is noted."""
    if not photos:
        return
    for future in shop.bring(photos):
        future.result()
    config = shop.elsewhere
    config.out.mkdir(parents=True, exist_ok=True)
    journal, sources = Journal(config, len(photos), watch=watch), Sources(config, stages)
    for _ in process_batches(config, [[photo.name] for photo in photos], stages, journal, sources):
        pass


def _rows(shop: Workshop, photo: str, journal: Journal) -> list[dict[str, Any]]:
    results = results_path(shop.config, photo)
    if results.is_file():
        with np.load(results, allow_pickle=False) as found:
            return rows_of(printable(photo), found)
    reason = journal.skipped.get(photo, journal.skipped.get(shortened(photo), "Not read."))
    return [skipped_row(printable(photo), shop.told(reason))]


def note_name(chunk: Chunk) -> str:
    """Where a watched worker writes which photo of a chunk it is at."""
    return f"{AT}/{chunk.key.removesuffix('.parquet')}.json"


def _note_taker(out: Place, chunk: Chunk) -> Watch:
    last: list[Sequence[str]] = [()]

    def watch(photos: Sequence[str]) -> None:
        if photos != last[0]:
            out.write(note_name(chunk), json.dumps(list(photos)).encode())
            last[0] = photos

    return watch


def _worker() -> str:
    """Address of the Dask worker that this is; empty where there is none."""
    if "distributed" not in sys.modules:
        return ""
    from distributed import get_worker

    try:
        return str(get_worker().address)
    except ValueError:
        return ""


def _said(error: BaseException) -> str:
    return masked(str(error)) or type(error).__name__
