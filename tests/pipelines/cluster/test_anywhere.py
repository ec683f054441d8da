"""The main job from address to address: same results as over a folder, nothing done twice, wrong addresses told."""

import errno
import zipfile
from dataclasses import replace
from pathlib import Path

import fsspec
import numpy as np
import pytest
from scaled_runs import arrays_at, assert_same_results, config_of, make_photos, memory, paint, table_of, told
from stick_stages import StickStages

from fitloop.data.places import Place, open_place
from fitloop.evaluation.own_results import OwnResults, TableResults
from fitloop.pipelines.cluster.chunk import do_chunk, through_stages
from fitloop.pipelines.cluster.job import Chunk, Job
from fitloop.pipelines.folder.lease import Lease
from fitloop.pipelines.folder.run import run_folder


@pytest.fixture(autouse=True)
def empty_memory():
    store = fsspec.filesystem("memory")
    store.store.clear()
    yield store
    store.store.clear()


class Counting(StickStages):
    """Counts photos over all its makes."""

    looked = 0

    def detect(self, image):
        Counting.looked += 1
        return super().detect(image)


def looked_at(config) -> tuple[int, int]:
    """Exit code, and photos that were looked at."""
    Counting.looked = 0
    return run_folder(config, Counting), Counting.looked


def test_results_at_an_address_are_those_in_a_folder(tmp_path):
    folder = make_photos(tmp_path / "photos")
    assert run_folder(config_of(folder, tmp_path / "out"), StickStages) == 0
    assert run_folder(config_of(memory("photos", folder), "memory://out"), StickStages) == 0
    assert_same_results(tmp_path / "out", "memory://out")
    assert {row["photo"] for row in table_of("memory://out")} == {row["photo"] for row in table_of(tmp_path / "out")}


def test_photos_come_out_of_an_archive(tmp_path):
    folder = make_photos(tmp_path / "photos", 4)
    with zipfile.ZipFile(tmp_path / "photos.zip", "w") as archive:
        for path in folder.rglob("*.png"):
            archive.write(path, path.relative_to(folder).as_posix())
    assert run_folder(config_of(f"zip://::{tmp_path / 'photos.zip'}", tmp_path / "out"), StickStages) == 0
    assert len(arrays_at(tmp_path / "out")) == 4 and told(tmp_path / "out")["people"] == 3


def test_what_is_finished_is_not_done_again_and_what_changed_is(tmp_path):
    address = memory("photos", make_photos(tmp_path / "photos", 9))
    config = config_of(address, "memory://out")
    assert looked_at(config) == (0, 9)
    assert looked_at(config) == (0, 0)
    picture = tmp_path / "changed.png"
    paint(5).save(picture)
    Place(address).put(picture, "1/001.png")
    code, looked = looked_at(config)
    assert code == 0 and 1 <= looked < 9
    rows = table_of("memory://out")
    people = [(row["photo"], row["person"]) for row in rows if row["person"] is not None]
    assert len(people) == len(set(people)) == told("memory://out")["people"] == 13
    assert len({row["photo"] for row in rows}) == 9


def test_an_interrupted_run_goes_on_to_the_results_of_an_undisturbed_one(tmp_path):
    address = memory("photos", make_photos(tmp_path / "photos"))
    assert run_folder(config_of(address, "memory://whole"), StickStages) == 0
    broken = config_of(address, "memory://broken")
    assert run_folder(broken, lambda config: StickStages(config, fail_after=5)) == 130
    assert told("memory://broken")["state"] == "interrupted"
    assert run_folder(broken, StickStages) == 0
    assert_same_results("memory://whole", "memory://broken")
    assert not Place("memory://broken").exists("lease.json")


def test_unreadable_photos_are_in_the_table_with_their_address(tmp_path):
    folder = make_photos(tmp_path / "photos", 3)
    (folder / "0" / "text.jpg").write_text("no photo")
    assert run_folder(config_of(memory("photos", folder), "memory://out"), StickStages) == 1
    (row,) = [row for row in table_of("memory://out") if row["status"] == "skipped"]
    assert row["photo"] == "0/text.jpg" and "memory://photos/0/text.jpg" in row["notice"]
    assert list(told("memory://out")["skipped"]) == ["0/text.jpg"]


def test_the_table_scores_as_the_files_do(tmp_path):
    folder = make_photos(tmp_path / "photos", 5)
    run_folder(config_of(folder, tmp_path / "out"), StickStages)
    files, table = OwnResults(tmp_path / "out"), TableResults(tmp_path / "out")
    assert files.stages == table.stages and set(files.photos) == set(table.photos)
    one, other = files.read(None)["fitted"], table.read(None)["fitted"]
    assert one.photos == other.photos and one.persons == other.persons and one.labels == other.labels
    np.testing.assert_allclose(one.params.body_pose, other.params.body_pose, atol=2e-6)
    np.testing.assert_array_equal(one.params.betas, other.params.betas)
    np.testing.assert_array_equal(one.keypoints.points, other.keypoints.points)
    assert table.read(["1/001.png"])["fitted"].photos == ("1/001.png",)


@pytest.mark.parametrize(
    ("images", "out", "code", "sentence"),
    [
        ("nowhere://photos", "memory://out", 2, "no kind of address 'nowhere'"),
        ("memory://missing", "memory://out", 2, "There is nothing at 'memory://missing'"),
        ("memory://photos", "zip://results.zip", 2, "Results cannot go to"),
        ("gs://photos", "memory://out", 2, "gcsfs"),
    ],
)
def test_a_wrong_address_is_a_sentence(tmp_path, capsys, images, out, code, sentence):
    memory("photos", make_photos(tmp_path / "photos", 2))
    assert run_folder(config_of(images, out), StickStages) == code
    assert sentence in capsys.readouterr().err


@pytest.mark.parametrize(("error", "code"), [(PermissionError("AccessDenied"), 3), (FileNotFoundError("no bucket"), 2)])
def test_a_store_that_refuses_results_is_a_sentence(tmp_path, capsys, monkeypatch, error, code):
    memory("photos", make_photos(tmp_path / "photos", 2))

    def refuse(*_, **__):
        raise error

    monkeypatch.setattr(type(fsspec.filesystem("memory")), "pipe_file", refuse)
    assert run_folder(config_of("memory://photos", "memory://out"), StickStages) == code
    assert str(error) in capsys.readouterr().err


def test_a_store_that_hiccups_loses_nothing(tmp_path, monkeypatch):
    memory("photos", make_photos(tmp_path / "photos", 6))
    run_folder(config_of("memory://photos", "memory://calm"), StickStages)
    calls, kind = [0], type(fsspec.filesystem("memory"))
    for name in ("pipe_file", "cat_file", "ls"):

        def shaky(*given, real=getattr(kind, name), **named):
            calls[0] += 1
            if calls[0] % 5 == 0:
                raise OSError(5, "SlowDown")
            return real(*given, **named)

        monkeypatch.setattr(kind, name, shaky)
    monkeypatch.setattr("fitloop.data.patience._PAUSES", (0.0,))
    assert run_folder(config_of("memory://photos", "memory://shaky"), StickStages) == 0
    assert_same_results("memory://calm", "memory://shaky")


def test_two_runs_do_not_write_to_one_place(tmp_path, capsys):
    folder = make_photos(tmp_path / "photos", 2)
    for out in (tmp_path / "out", "memory://out"):
        with Lease(open_place(out)):
            assert run_folder(config_of(folder, out), StickStages) == 2
        assert "Another run writes to" in capsys.readouterr().err
        assert run_folder(config_of(folder, out), StickStages) == 0


def test_passwords_in_addresses_are_not_written_down(tmp_path, capsys):
    folder = make_photos(tmp_path / "photos", 2)
    memory("user:secret@host/photos", folder)
    config = config_of("memory://user:secret@host/photos", tmp_path / "out")
    assert run_folder(config, StickStages) == 0
    written = "".join((tmp_path / "out" / name).read_text() for name in ("run.json", "config.yaml"))
    said = capsys.readouterr()
    assert "secret" not in written + said.out + said.err and "memory://***@host/photos" in written


def test_other_options_are_not_mixed_at_an_address(tmp_path, capsys):
    memory("photos", make_photos(tmp_path / "photos", 2))
    config = config_of("memory://photos", "memory://out")
    run_folder(config, StickStages)
    assert run_folder(replace(config, fit=False), StickStages) == 2
    assert "fit was True and is False" in capsys.readouterr().err


def test_a_page_of_many_photos_shows_the_worst_and_a_draw(tmp_path, monkeypatch):
    for name, value in (("SHOWN_WHOLE", 5), ("CHANCE", 2), ("WORST", 2)):
        monkeypatch.setattr(f"fitloop.pipelines.folder.summary.{name}", value)
        monkeypatch.setattr(f"fitloop.pipelines.folder.page.{name}", value)
    folder = make_photos(tmp_path / "photos", 12)
    for out in (tmp_path / "out", "memory://out"):
        assert run_folder(config_of(folder, out), StickStages) == 0
    page = (tmp_path / "out" / "index.html").read_text(encoding="utf-8")
    assert 3 <= page.count("<article") <= 5 and "energy of half of the people below" in page
    assert Place("memory://out").read("index.html").decode().count("<article") == page.count("<article")


def test_results_of_one_process_go_on_in_chunks(tmp_path):
    folder = make_photos(tmp_path / "photos", 6)
    config = config_of(folder, tmp_path / "out")
    assert run_folder(config, StickStages) == 0
    for part in (Path(config.out) / "people.parquet").iterdir():
        part.unlink()
    from fitloop.pipelines.cluster.run import run_anywhere

    Counting.looked = 0
    assert run_anywhere(config, Counting) == 0
    assert Counting.looked == 0 and len({row["photo"] for row in table_of(config.out)}) == 6


def test_a_full_disk_where_photos_are_worked_on_costs_no_photo(tmp_path, monkeypatch):
    address = memory("photos", make_photos(tmp_path / "photos", 2))
    photos = tuple(Place(address).photos())
    job, chunk = Job(config_of(address, "memory://out"), StickStages, "stamp", through_stages), Chunk("part", photos)

    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(Path, "write_bytes", full)
        record = do_chunk(job, chunk)
    assert "No space left" in record.trouble and not Place("memory://out").exists("people.parquet/part")
    assert do_chunk(job, chunk).trouble == "" and len(arrays_at("memory://out")) == 2
