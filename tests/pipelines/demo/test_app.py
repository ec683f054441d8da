import importlib.util
from pathlib import Path

import pytest
from demo_processes import obey
from filelock import FileLock

from fitloop.pipelines.demo.app import listen, main, remove_leftovers
from fitloop.pipelines.demo.config import DemoConfig
from fitloop.pipelines.demo.worker import Worker


def test_without_its_packages_one_sentence_says_how_to_install_them(monkeypatch, capsys):
    monkeypatch.setattr(importlib.util, "find_spec", lambda _: None)
    assert main([]) == 2
    assert "pip install 'fitloop[demo]'" in capsys.readouterr().err


def test_a_port_that_is_taken_is_told(capsys):
    with listen(DemoConfig(port=0)) as taken:
        assert main(["--port", str(taken.getsockname()[1])]) == 2
    assert "Choose another --port" in capsys.readouterr().err


def test_only_this_machine_is_listened_to_by_default():
    with listen(DemoConfig(port=0)) as listening:
        assert listening.getsockname()[0] == "127.0.0.1"


def test_what_a_killed_server_left_is_deleted_and_what_a_running_one_holds_is_not(tmp_path):
    for name in ("fitloop-demo-killed", "fitloop-demo-runs", "other-killed"):
        (tmp_path / name / "files").mkdir(parents=True)
        (tmp_path / name / "lock").touch()
    with FileLock(tmp_path / "fitloop-demo-runs" / "lock"):
        remove_leftovers(tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["fitloop-demo-runs", "other-killed"]


@pytest.mark.slow
def test_a_process_that_dies_or_takes_too_long_is_replaced():
    worker = Worker(obey, DemoConfig(max_minutes=0.5))
    assert worker(Path("good")) == "" and worker(Path("bad")) == "It is bad."
    assert "died" in worker(Path("crash"))
    assert worker(Path("good")) == ""
    late = Worker(obey, DemoConfig(max_minutes=0.01))
    late.start()
    assert "took longer than the 0.01 minutes" in late(Path("long"))
    worker.close()
    late.close()
