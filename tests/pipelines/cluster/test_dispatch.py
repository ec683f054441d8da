"""Deaths, full disks and lost schedulers, with a cluster that is pretended."""

import pickle
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
from fitloop.pipelines.cluster.sealed import call_of, unseal
from fitloop.pipelines.cluster.trust import Trust


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


def chunk_in(content: bytes) -> Chunk:
    """The chunk of a call, without doing it."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("fitloop.pipelines.cluster.sealed.do_sealed", lambda sealed: unseal(sealed)[1])
        return pickle.loads(content)  # noqa: S301


@dataclass
class PretendClient:
    """Does a chunk at once, on its first worker that may."""

    do: Callable[[Chunk, str], Any]
    known: tuple[str, ...] = ("a", "b")
    status: str = "running"
    asked: list[tuple[str, Chunk]] = field(default_factory=list)
    cancelled: int = 0

    def nthreads(self):
        return dict.fromkeys(self.known, 1)

    def submit(self, _, content, workers=None, **__):
        chunk = chunk_in(content)
        worker = (workers or self.known)[len(self.asked) % len(workers or self.known)]
        self.asked.append((worker, chunk))
        return PretendFuture(self.do(chunk, worker))

    def cancel(self, futures, **__):
        self.cancelled += len(futures)


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
    assert "The worker a gets no more photos for ten minutes: [Errno 28] No space left" in capsys.readouterr().err


def test_when_no_worker_can_write_the_run_stops(run):
    dispatch, _, _ = run(lambda chunk, worker: Record(4, trouble="Read-only file system", worker=worker))
    with pytest.raises(CannotStore, match="every worker has met trouble .* Read-only file system"):
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


def test_a_worker_gets_photos_again_after_its_rest(monkeypatch):
    clock = SimpleNamespace(now=0.0)
    monkeypatch.setattr("fitloop.pipelines.cluster.trust.time.monotonic", lambda: clock.now)
    trust = Trust()
    assert trust.troubled("a", "No space left on device") and trust.usable("ab") == ["b"]
    clock.now = 601.0
    assert trust.usable("ab") == ["a", "b"]
    assert trust.troubled("a", "reset by peer"), "one more try is enough"
    clock.now = 1300.0
    trust.well("a")
    assert not trust.troubled("a", "reset by peer") and trust.usable("ab") == ["a", "b"]


def test_troubles_far_apart_do_not_add_up():
    trust = Trust()
    for _ in range(1000):
        assert not trust.troubled("a", "SlowDown")
        trust.well("a")
    assert not trust.exhausted


def test_a_chunk_does_not_wait_for_workers_that_are_gone(run, monkeypatch):
    def wait(futures, **_):
        ended = {future for future in futures if future.outcome is not None}
        if ended:
            return SimpleNamespace(done=ended)
        client.known = ("a", "c")
        raise TimeoutError

    def do(chunk, worker):
        if worker == "a":
            return Record(4, trouble="No space left", worker="a")
        # It is gone before its second chunk.
        return None if worker == "b" and len(client.asked) > 2 else _fine(chunk)

    dispatch, client, done = run(do)
    monkeypatch.setattr(distributed, "wait", wait)
    dispatch.run()
    assert _names(done) == [f"{number:03d}.jpg" for number in range(24)] and client.cancelled >= 1


def test_what_a_scheduler_hands_on_is_small_and_needs_nothing_of_fitloop(tmp_path):
    photos = tuple(Listed(f"{number // 1000:06d}/{number:08d}.jpg", f"{number} 1700000000") for number in range(5000))
    job = Job(config_of(tmp_path, tmp_path / "out"), StickStages, "stamp", through_stages)
    do, content = call_of(job, Chunk("part", photos, apart=("000000/00000001.jpg",)))
    chunk = chunk_in(content)
    assert len(content) < 8 * len(photos)
    assert [photo.name for photo in chunk.photos] == [photo.name for photo in photos]
    assert chunk.apart and chunk.key == "part"
    assert do is pickle.loads, "nothing of fitloop has to be imported to read this call"
