"""The main job over addresses, by this process, by several, or by a cluster."""

import json
import sys
import time
from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Any

import yaml

from fitloop.body.files import UNFINISHED
from fitloop.data.addresses import address_of, masked, shown
from fitloop.data.patience import store_troubles
from fitloop.data.places import Folder, Place, open_place
from fitloop.evaluation.people_table import TABLE, have_pyarrow
from fitloop.pipelines.cluster.chunk import AT, stages_for, through_stages
from fitloop.pipelines.cluster.chunks import Chunks
from fitloop.pipelines.cluster.clusters import open_cluster, worker_threads
from fitloop.pipelines.cluster.dispatch import OnDask, SchedulerLost, Watcher, in_this_process
from fitloop.pipelines.cluster.job import Chunk, Job, Record
from fitloop.pipelines.cluster.quarantine import CannotStart
from fitloop.pipelines.cluster.sampled_page import summarize, write_anywhere
from fitloop.pipelines.cluster.workshop import Workshop
from fitloop.pipelines.console.endings import (
    CANNOT_WRITE,
    DONE,
    INTERRUPTED,
    SOME_UNREADABLE,
    UNFINISHED_RUN,
    USAGE_ERROR,
    sentence_of,
    stop,
    warn,
)
from fitloop.pipelines.folder.config import RunConfig
from fitloop.pipelines.folder.journal import SAVE_INTERVAL, Journal, told_config
from fitloop.pipelines.folder.lease import Lease
from fitloop.pipelines.folder.ledger import QUARANTINE, parts_of, unfinished
from fitloop.pipelines.folder.made_from import Sources
from fitloop.pipelines.folder.run import refuse_other_options
from fitloop.pipelines.folder.summary import Summary

_TOLD = 20
"""Photos that were not done that are named on the terminal."""
_FOUND = (
    *("people", "photos_done", "photos_without_people", "photos_without_people_in_all"),
    *("skipped_in_all", "notices", "quarantined"),
)
"""What ``run.json`` tells of all photos."""
_NO_FILES = ("zip", "tar", "libarchive", "http", "https", "github", "git")
"""Kinds of addresses that can be read, but to which several files cannot be written one by one."""


_SILENCE = 60.0
"""Seconds after which the same is said again."""
_TRIED_AGAIN = (
    "Photos that end their process are tried again when they change, by another version of fitloop, or when you remove "
    f"{TABLE}/*{QUARANTINE}.parquet."
)


class TakenOver(RuntimeError):
    """Another run has taken the place of the results."""


def run_anywhere(
    config: RunConfig, make_stages: Callable[[RunConfig], Any], work: Callable[..., Any] = through_stages
) -> int:
    """Run the main job where photos or results lie at an address, or several processes share the work.

    Args:
        config: What to do.
        make_stages: Builds the stages of a config; workers get it by pickling.
        work: What a worker does with a chunk.

    Returns:
        The exit code that docs/running.md explains.
    """
    try:
        if (address_of(config.out) or "").split("://")[0] in _NO_FILES:
            raise ValueError(f"Results cannot go to {shown(config.out)}: files cannot be written there one by one.")
        out = open_place(config.out)
        _refuse(config, out)
        return _run(replace(config, threads=worker_threads(config)), make_stages, out, work)
    except KeyboardInterrupt:
        return stop("Interrupted; the same command continues where it was.", INTERRUPTED)
    except (SchedulerLost, CannotStart, TakenOver) as error:
        return stop(str(error), UNFINISHED_RUN)
    except (ValueError, ImportError) as error:
        return stop(masked(str(error)), USAGE_ERROR)
    except FileNotFoundError as error:
        told = f"There is no such file, bucket or folder: {masked(sentence_of(error)).rstrip('.')}"
        return stop(f"{told} (results go to {shown(config.out)}).", USAGE_ERROR)
    except PermissionError as error:
        told = f"{shown(config.out)} may not be written with the credentials that fsspec finds"
        return stop(f"{told} (docs/scale.md): {masked(str(error))}.", CANNOT_WRITE)
    except store_troubles() as error:
        told = f"Cannot write to {shown(config.out)}: {masked(str(error)) or type(error).__name__}"
        return stop(f"{told}. Free space, wait until the store is back, or choose another --out.", CANNOT_WRITE)


def _refuse(config: RunConfig, out: Place) -> None:
    """Refuse at once what cannot work."""
    if not have_pyarrow():
        raise ImportError("Addresses, --workers and --scheduler need pyarrow: pip install 'fitloop[scale]'.")
    config.refuse_without_clips("Addresses, --workers and --scheduler take photos only (docs/scale.md).")
    several = config.workers is not None or config.scheduler is not None
    for place in (out, photos := open_place(config.images)):
        if several and not place.shared:
            raise ValueError(f"{place.shown!r} is the memory of one process; workers of their own cannot see it.")
    strangers = [name for name in config.texture_people if not photos.exists(name.rpartition(":")[0])]
    if strangers:
        raise ValueError(f"--texture-people names {', '.join(strangers)}, which {photos.shown} does not hold.")
    if next(photos.photos(out), None) is None:
        raise ValueError(f"No photos in {photos.shown}: expected files such as .jpg or .png.")


def _run(config: RunConfig, make_stages: Callable[[RunConfig], Any], out: Place, work: Callable[..., Any]) -> int:
    with Lease(out) as lease:
        _note_options(config, out)
        stamp = Sources(config, None).stamp
        job = Job(config, make_stages, stamp, work)
        listing = open_place(config.images).photos(out)
        parts = parts_of(out.names(TABLE))
        chunks = Chunks(unfinished(listing, parts, stamp), config.batch_size, stamp)
        client = Client(job, out, chunks, lease)
        try:
            client.work()
        except KeyboardInterrupt:
            client.journal.save("interrupted")
            raise
        # Of photos that changed or are gone, and of workers that went on after they were taken for dead.
        for part in set(out.names(TABLE)) - chunks.current:
            out.remove(f"{TABLE}/{part}")
        if lease.took_over or client.deaths:
            _clean(out)
        return client.finish()


def _note_options(config: RunConfig, out: Place) -> None:
    now = told_config(config)
    if out.exists("config.yaml") and out.names(TABLE):
        refuse_other_options(yaml.safe_load(out.read("config.yaml")) or {}, now, out.shown)
    out.write("config.yaml", yaml.safe_dump(now, sort_keys=False, allow_unicode=True).encode())


def _clean(out: Place) -> None:
    """Remove what killed processes left behind."""
    for note in out.names(AT):
        out.remove(f"{AT}/{note}")
    if isinstance(out, Folder):
        for leftover in out.path.rglob(f"{UNFINISHED}*"):
            leftover.unlink(missing_ok=True)


class Client:
    """The side of a run that hands out chunks and keeps count."""

    def __init__(self, job: Job, out: Place, chunks: Chunks, lease: Lease) -> None:
        """Begin.

        Args:
            job: What all chunks have in common.
            out: Where results go.
            chunks: What there is to do.
            lease: On ``out``.
        """
        self.journal = Journal(job.config, 0)
        self.deaths = 0
        self._job, self._out, self._chunks, self._lease = job, out, chunks, lease
        self._done = self._people = self._remade = 0
        self._start, self._told_of, self._told_at = time.monotonic(), -1, 0.0
        self._earlier = _read_run(out)
        self._quarantined: dict[str, str] = {}

    def work(self) -> None:
        """Do all photos."""
        watcher, config = Watcher(self._out, self._receive, self._pause), self._job.config
        if config.workers is None and config.scheduler is None:
            in_this_process(self._job, self._chunks, watcher)
            return
        with open_cluster(config) as dask:
            dispatch = OnDask(dask, self._job, self._chunks, watcher)
            self._quarantined = dispatch.suspects.quarantined
            try:
                dispatch.run()
            finally:
                self.deaths = dispatch.deaths

    def _receive(self, chunk: Chunk, record: Record) -> None:
        self._done += record.photos
        self._people += record.people
        self._remade += record.remade
        for stage, (seconds, photos) in record.timings.items():
            self.journal.seconds[stage] = self.journal.seconds.get(stage, 0.0) + seconds
            self.journal.timed[stage] = self.journal.timed.get(stage, 0) + photos

    def _pause(self) -> None:
        if self._lease.lost:
            raise TakenOver(f"Another run has taken over {self._out.shown}; this one stops.")
        if time.monotonic() - self.journal.saved < SAVE_INTERVAL:
            return
        self._save("running", {"quarantined": self._in_quarantine()})
        self._tell_progress(time.monotonic())

    def _tell_progress(self, now: float) -> None:
        """Say how far the work is; where nothing is new, once a minute."""
        if self._done == self._told_of and now - self._told_at < _SILENCE:
            return
        self._told_of, self._told_at = self._done, now
        rate = self._done / max(now - self._start, 1e-9)
        done = f"{self._done} photos, {rate:.2f} photos/s, {self._people} people"
        sys.stderr.write(f"{done if self._done else 'No photo is finished yet: processes load their stages first.'}\n")
        sys.stderr.flush()

    def _save(self, state: str, found: dict[str, Any]) -> None:
        self.journal.photos, self.journal.kept = self._done + self._chunks.kept, self._chunks.kept
        self.journal.save(state, {"remade": self._remade, "process_deaths": self.deaths, **found})

    def _in_quarantine(self) -> dict[str, str]:
        """Photos that end their process, and why; those that an earlier run found with them."""
        earlier = self._earlier.get("quarantined")
        return {**(earlier if isinstance(earlier, dict) else {}), **self._quarantined}

    def finish(self) -> int:
        """Write page and ``run.json``, say what became of the photos, and give the exit code."""
        config, start = self._job.config, time.perf_counter()
        if self._done == 0 and self._finished_before():
            # A million rows are not counted again where none is new.
            self._save("finished", {key: self._earlier[key] for key in _FOUND} | {"skipped": self._earlier["skipped"]})
            skipped = self._earlier["skipped"].items()
            _warn_of((f"skipped {photo!r}: {reason}" for photo, reason in skipped), self._earlier["skipped_in_all"])
            print(f"Nothing has changed since the last run; the results of all {self._chunks.kept} photos were kept.")
            return SOME_UNREADABLE if self._earlier["skipped_in_all"] else DONE
        summary = summarize(self._out)
        if "page" not in config.outputs:
            self._out.remove("index.html")
        elif self._done or not self._out.exists("index.html"):
            with Workshop(config) as shop:
                write_anywhere(shop, summary, stages_for(self._job).body)
        self.journal.clock("page", start, summary.photos)
        self.journal.skipped = summary.reasons
        now = summary.reasons.keys() | self._quarantined.keys()
        quarantined = {name: why for name, why in self._in_quarantine().items() if name in now}
        told = {
            **{"people": summary.people, "photos_done": summary.photos - summary.skipped},
            **{"photos_without_people": summary.empty, "photos_without_people_in_all": summary.nobody},
            **{"skipped_in_all": summary.skipped, "notices": summary.notices, "quarantined": quarantined},
        }
        self._save("finished", told)
        self._tell(summary)
        if quarantined:
            warn(_TRIED_AGAIN)
        return SOME_UNREADABLE if summary.skipped else DONE

    def _finished_before(self) -> bool:
        earlier, page = self._earlier, "page" in self._job.config.outputs
        whole = earlier.get("state") == "finished" and earlier.get("photos") == self._chunks.kept
        return whole and set(_FOUND) <= earlier.keys() and page == self._out.exists("index.html")

    def _tell(self, summary: Summary) -> None:
        reasons = summary.reasons.items()
        _warn_of((f"skipped {photo!r}: {reason}" for photo, reason in reasons), summary.skipped)
        _warn_of((f"{photo!r}: {told}" for photo, told in summary.notices.items()), len(summary.notices))
        if self._chunks.kept:
            print(f"{self._chunks.kept} photos kept from an earlier run.")
        done = summary.photos - summary.skipped
        print(f"{summary.people} people in {done} photos. Look at {self._out.shown.rstrip('/')}/index.html")


def _read_run(out: Place) -> dict[str, Any]:
    """What an earlier run told; nothing where there was none."""
    try:
        told = json.loads(out.read("run.json")) if out.exists("run.json") else {}
    except ValueError:
        return {}
    return told if isinstance(told, dict) else {}


def _warn_of(sentences: Iterable[str], count: int) -> None:
    for number, sentence in enumerate(sentences):
        if number == _TOLD:
            warn(f"... and {count - _TOLD} more; {TABLE} and run.json tell.")
            return
        warn(sentence)
