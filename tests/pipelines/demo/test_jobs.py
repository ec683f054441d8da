import threading
import time

import pytest

from fitloop.pipelines.demo.config import DemoConfig
from fitloop.pipelines.demo.jobs import Jobs
from fitloop.pipelines.demo.uploads import Refused


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


class PretendWork:
    """Writes a result; waits for `go` first, refuses files called bad."""

    def __init__(self) -> None:
        self.go, self.order = threading.Event(), []

    def __call__(self, folder) -> str:
        (path,) = (folder / "in").iterdir()
        self.order.append(path.name)
        assert self.go.wait(10)
        (folder / "out").mkdir()
        (folder / "out" / "index.html").write_text("bodies")
        return "It is bad." if path.name.startswith("bad") else ""


@pytest.fixture
def work():
    return PretendWork()


@pytest.fixture
def jobs(tmp_path, work):
    made = Jobs(tmp_path / "files", work, DemoConfig(queue=2, keep_minutes=10.0), Clock())
    made.start()
    yield made
    work.go.set()
    made.close()


def add(jobs: Jobs, name: str) -> str:
    with jobs.arrival(name) as path:
        path.write_bytes(b"photo")
    return path.parent.parent.name


def wait_for(jobs: Jobs, key: str, *states: str) -> str:
    for _ in range(1000):
        job = jobs.find(key)
        if job is None or job.state in states:
            break
        time.sleep(0.01)
    return "gone" if job is None else job.state


def test_files_are_worked_on_one_at_a_time_in_the_order_they_came(jobs, work):
    first = add(jobs, "a.png")
    assert wait_for(jobs, first, "working") == "working"
    second, third = add(jobs, "b.png"), add(jobs, "c.png")
    assert [jobs.ahead(key) for key in (first, second, third)] == [0, 1, 2]
    assert jobs.find(second).state == "waiting"
    work.go.set()
    assert wait_for(jobs, third, "done") == "done"
    assert work.order == ["a.png", "b.png", "c.png"]


def test_no_more_files_wait_than_may(jobs):
    wait_for(jobs, add(jobs, "a.png"), "working")
    add(jobs, "b.png")
    with jobs.arrival("c.png"), pytest.raises(Refused, match="2 files wait already"), jobs.arrival("d.png"):
        pass


def test_an_upload_that_breaks_off_leaves_nothing_and_frees_its_place(jobs, tmp_path):
    for _ in range(3):
        with pytest.raises(ConnectionError), jobs.arrival("a.png") as path:
            path.write_bytes(b"half")
            raise ConnectionError
    assert list((tmp_path / "files").iterdir()) == []


def test_an_upload_is_deleted_when_it_has_been_worked_on(jobs, work):
    key = add(jobs, "a.png")
    work.go.set()
    wait_for(jobs, key, "done")
    folder = jobs.find(key).folder
    assert [path.name for path in folder.iterdir()] == ["out"]


def test_a_bad_file_is_told_and_the_next_is_worked_on(jobs, work):
    work.go.set()
    bad, good = add(jobs, "bad.png"), add(jobs, "a.png")
    assert wait_for(jobs, good, "done") == "done"
    assert (jobs.find(bad).state, jobs.find(bad).problem) == ("failed", "It is bad.")


def test_results_are_deleted_after_a_while(jobs, work):
    work.go.set()
    key = add(jobs, "a.png")
    wait_for(jobs, key, "done")
    folder = jobs.find(key).folder
    jobs._clock.now = 599.0
    jobs.sweep()
    assert folder.is_dir()
    jobs._clock.now = 601.0
    jobs.sweep()
    assert jobs.find(key) is None and not folder.exists()


def test_what_is_forgotten_while_it_is_worked_on_is_deleted_when_that_ends(jobs, work):
    key = add(jobs, "a.png")
    wait_for(jobs, key, "working")
    folder = jobs.find(key).folder
    jobs.forget(key)
    after = add(jobs, "b.png")
    work.go.set()
    assert wait_for(jobs, after, "done") == "done"
    assert jobs.find(key) is None and not folder.exists()


def test_everything_is_deleted_at_the_end(jobs, work, tmp_path):
    work.go.set()
    wait_for(jobs, add(jobs, "a.png"), "done")
    jobs.close()
    assert not (tmp_path / "files").exists()
