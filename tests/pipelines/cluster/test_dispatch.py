"""Deaths, full disks and lost schedulers, with a cluster that is pretended."""

from collections.abc import Callable
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import distributed
import pytest
from scaled_runs import config_of
from stick_stages import StickStages

from fitloop.data.places import Folder, Listed
from fitloop.pipelines.cluster.chunk import note_name, through_stages
from fitloop.pipelines.cluster.chunks import Chunks
from fitloop.pipelines.cluster.dispatch import CannotStore, OnDask, SchedulerLost, Watcher
from fitloop.pipelines.cluster.job import Chunk, Job, Record


@dataclass
class PretendFuture:
    outcome: Any
    status: str = "finished"

    def exception(self):
        return self.outcome if isinstance(self.outcome, Exception) else None

    def result(self):
        return self.outcome

    def release(self):
        pass

    __hash__ = object.__hash__


@dataclass
class PretendClient:
    """Does a chunk at once, on its first worker that may."""

    do: Callable[[Chunk, str], Any]
    known: tuple[str, ...] = ("a", "b")
    status: str = "running"
    asked: list[tuple[str, Chunk]] = field(default_factory=list)

    def nthreads(self):
        return dict.fromkeys(self.known, 1)

    def submit(self, _, job, chunk, workers=None, **__):
        worker = (workers or self.known)[len(self.asked) % len(workers or self.known)]
        self.asked.append((worker, chunk))
        return PretendFuture(self.do(chunk, worker))

    def cancel(self, *_, **__):
        pass


@pytest.fixture
def run(tmp_path, monkeypatch):
    monkeypatch.setattr(distributed, "wait", lambda futures, **_: SimpleNamespace(done=set(futures)))

    def start(do, **client) -> tuple[OnDask, PretendClient, list[Chunk]]:
        photos = [Listed(f"{number:03d}.jpg", "") for number in range(24)]
        done: list[Chunk] = []
        chunks, made = Chunks(iter(photos), 4, "stamp"), PretendClient(do, **client)
        job = Job(config_of(tmp_path, tmp_path / "out"), StickStages, "stamp", through_stages)
        watcher = Watcher(Folder(tmp_path / "out"), lambda chunk, _: done.append(chunk), lambda: None)
        return OnDask(made, job, chunks, watcher), made, done

    return start


def _names(chunks: list[Chunk]) -> list[str]:
    return sorted(photo.name for chunk in chunks for photo in chunk.photos)


def _fine(chunk: Chunk) -> Record:
    return Record(len(chunk.photos), seconds=0.1)


def killed() -> distributed.KilledWorker:
    return distributed.KilledWorker("task", SimpleNamespace(), 0)  # pyright: ignore[reportArgumentType]


def test_every_photo_is_done_once(run):
    dispatch, _, done = run(lambda chunk, _: _fine(chunk))
    dispatch.run()
    assert _names(done) == [f"{number:03d}.jpg" for number in range(24)]


def test_a_worker_with_a_full_disk_gets_no_more_photos(run, capsys):
    full = "[Errno 28] No space left on device"
    dispatch, client, done = run(
        lambda chunk, worker: Record(4, trouble=full, worker="a") if worker == "a" else _fine(chunk)
    )
    dispatch.run()
    assert _names(done) == [f"{number:03d}.jpg" for number in range(24)]
    assert [worker for worker, _ in client.asked].count("a") == 1
    assert "The worker a gets no more photos: [Errno 28] No space left" in capsys.readouterr().err


def test_when_no_worker_can_write_the_run_stops(run):
    dispatch, _, _ = run(lambda chunk, worker: Record(4, trouble="Read-only file system", worker=worker))
    with pytest.raises(CannotStore):
        dispatch.run()


def test_the_photo_that_ends_its_process_is_found_and_left_out(run, tmp_path, capsys):
    out = Folder(tmp_path / "out")

    def do(chunk, _):
        bad = "010.jpg" in {photo.name for photo in chunk.photos} - dict(chunk.left_out).keys()
        if bad and chunk.watched:
            out.write(note_name(chunk), b'["010.jpg"]')
        return killed() if bad else _fine(chunk)

    dispatch, _, done = run(do)
    dispatch.run()
    assert list(dispatch.suspects.quarantined) == ["010.jpg"] and dispatch.deaths == 4
    assert _names(done) == [f"{number:03d}.jpg" for number in range(24)]
    assert "'010.jpg' is left out" in capsys.readouterr().err


def test_a_stage_that_fails_over_one_photo_does_not_end_the_run(run, tmp_path):
    out = Folder(tmp_path / "out")

    def do(chunk, _):
        bad = "002.jpg" in {photo.name for photo in chunk.photos} - dict(chunk.left_out).keys()
        if bad and chunk.watched:
            out.write(note_name(chunk), b'["002.jpg"]')
        return RuntimeError("singular matrix") if bad else _fine(chunk)

    dispatch, _, done = run(do)
    dispatch.run()
    assert "RuntimeError: singular matrix" in dispatch.suspects.quarantined["002.jpg"] and len(_names(done)) == 24


def test_a_wrong_option_stops_the_run(run):
    dispatch, _, _ = run(lambda *_: ValueError("no such regressor"))
    with pytest.raises(ValueError, match="no such regressor"):
        dispatch.run()


def test_a_lost_scheduler_is_a_sentence(run):
    dispatch, _, _ = run(lambda chunk, _: _fine(chunk), status="connecting")
    with pytest.raises(SchedulerLost, match="the same command goes on"):
        dispatch.run()
