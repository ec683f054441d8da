"""Processes that share the photos: one small cluster, and what is said when there is none."""

import socket
import subprocess
import sys

import pytest
from scaled_runs import DeadlyStages, assert_same_results, config_of, make_photos, table_of, told
from stick_stages import StickStages

from fitloop.pipelines.folder.run import run_folder

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::ResourceWarning")


@pytest.mark.slow
def test_a_photo_that_ends_its_process_is_left_out_and_its_neighbours_are_done(tmp_path):
    folder = make_photos(tmp_path / "photos", 6)
    assert run_folder(config_of(folder, tmp_path / "one"), StickStages) == 0
    assert run_folder(config_of(folder, tmp_path / "two", workers=2), StickStages) == 0
    assert_same_results(tmp_path / "one", tmp_path / "two")
    make_photos(tmp_path / "deadly", 6, deadly=(4,))
    assert run_folder(config_of(tmp_path / "deadly", tmp_path / "three", workers=1), DeadlyStages) == 1
    found = told(tmp_path / "three")
    assert list(found["quarantined"]) == list(found["skipped"]) == ["1/004.png"]
    done = {row["photo"] for row in table_of(tmp_path / "three") if row["status"] != "skipped"}
    assert len(done) == 5 and found["state"] == "finished"


def test_a_scheduler_that_does_not_answer_is_a_sentence(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr("fitloop.pipelines.cluster.clusters._ANSWER", 0.5)
    folder = make_photos(tmp_path / "photos", 2)
    code = run_folder(config_of(folder, tmp_path / "out", scheduler="tcp://127.0.0.1:9"), StickStages)
    assert (
        code == 2 and "No Dask scheduler of a fitting version answers at tcp://127.0.0.1:9" in capsys.readouterr().err
    )


def test_a_scheduler_of_another_version_is_a_sentence(tmp_path, capsys):
    """A scheduler that says of itself what one of an earlier Dask would."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{free.getsockname()[1]}"
    pretend = (
        "from distributed import versions; from distributed.cli.dask_scheduler import main\n"
        "versions._version_cached = lambda package: '2020.1.0'\n"
        f"main(['--host', 'tcp://{address}', '--no-dashboard'])"
    )
    folder = make_photos(tmp_path / "photos", 2)
    scheduler = subprocess.Popen([sys.executable, "-c", pretend], stderr=subprocess.DEVNULL)
    try:
        code = run_folder(config_of(folder, tmp_path / "out", scheduler=f"tcp://{address}"), StickStages)
    finally:
        scheduler.kill()
        scheduler.wait()
    told = capsys.readouterr().err
    assert code == 2 and f"the scheduler tcp://{address} has distributed 2020.1.0, here it is" in told
    assert "Install the same versions" in told


def test_the_memory_of_one_process_is_no_place_for_several(capsys):
    assert run_folder(config_of("memory://photos", "memory://out", workers=2), StickStages) == 2
    assert "memory of one process" in capsys.readouterr().err


@pytest.mark.parametrize("wrong", [{"workers": 0}, {"workers": 2, "scheduler": "tcp://a:1"}])
def test_options_that_make_no_sense_are_refused(wrong):
    with pytest.raises(ValueError, match="--workers"):
        config_of("photos", "out", **wrong)
