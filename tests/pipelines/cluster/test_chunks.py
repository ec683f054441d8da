"""Chunks, the ledger of finished parts, quarantine and addresses, without processes."""

import subprocess
import sys
from pathlib import Path

import pytest

from fitloop.data.addresses import address_of, folder_of, shown
from fitloop.data.photo_files import find_images
from fitloop.data.places import Listed, open_place
from fitloop.pipelines.cluster.chunks import SECONDS, Chunks
from fitloop.pipelines.cluster.clusters import Versions, differences
from fitloop.pipelines.cluster.quarantine import CannotStart, Suspects
from fitloop.pipelines.folder.ledger import Part, part_name, parts_of, unfinished
from fitloop.pipelines.folder.summary import Summary

PHOTOS = [Listed(f"{number:04d}.jpg", str(number)) for number in range(1000)]


def chunks_of(photos, batch=4) -> Chunks:
    return Chunks(iter(photos), batch, "stamp")


@pytest.mark.parametrize(
    ("given", "address"),
    [
        ("s3://bucket/photos", "s3://bucket/photos"),
        ("zip://::s3://bucket/a.zip", "zip://::s3://bucket/a.zip"),
        ("memory://", "memory://"),
        ("photos/2026", None),
        ("/photos", None),
        ("C:/photos", None),
        ("file:///photos", None),
    ],
)
def test_addresses_survive_being_paths(given, address):
    assert address_of(Path(given)) == address_of(given) == address


def test_a_file_address_is_a_folder():
    assert folder_of(Path("file:///a/b")) == Path("/a/b") and folder_of("a/b") == Path("a/b")


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ("s3://key:word@host/b", "s3://***@host/b"),
        ("https://host/p.zip?X-Amz-Signature=abc&part=1", "https://host/p.zip?X-Amz-Signature=***&part=***"),
    ],
)
def test_addresses_are_shown_without_secrets(given, told):
    assert shown(Path(given)) == told


def test_a_stream_lists_a_folder_in_the_order_of_the_sorted_list(tmp_path):
    for name in ("b.jpg", "a/z.png", "a.jpg", "a-b/c.jpg", "a/.hidden.jpg", ".x/y.jpg", "a/b/c.tif", "d/readme.txt"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    (tmp_path / "a" / "again").symlink_to(tmp_path, target_is_directory=True)
    listed = [photo.name for photo in open_place(tmp_path).photos()]
    assert listed == find_images(tmp_path) == ["a-b/c.jpg", "a.jpg", "a/b/c.tif", "a/z.png", "b.jpg"]


@pytest.mark.parametrize("kind", ["", "memory://"])
def test_a_listing_leaves_out_what_runs_wrote_and_keeps_photos_of_such_names(tmp_path, kind):
    place = open_place(f"{kind}{tmp_path}")
    mine = ("a.jpg", "old/b.jpg", "overlays/c.jpg", "deep/page/d.jpg")
    written = ("old/overlays/b.jpg.jpg", "old/page/x/b.jpg.photo.jpg", "new/overlays/a.jpg.jpg")
    for name in (*mine, *written, "old/run.json"):
        place.write(name, b"")
    out = open_place(f"{kind}{tmp_path}/new")
    assert sorted(photo.name for photo in place.photos(out)) == sorted(mine)
    place.write("run.json", b"")
    assert "overlays/c.jpg" not in {photo.name for photo in place.photos(place)}


def test_chunks_are_whole_batches_and_grow_to_the_wished_time():
    chunks, sizes = chunks_of(PHOTOS), []
    while (chunk := chunks.take(2)) is not None:
        sizes.append(len(chunk.photos))
        chunks.learn(len(chunk.photos), 0.25 * len(chunk.photos))
    assert sum(sizes) == 1000 and all(size % 4 == 0 for size in sizes[:-1])
    assert sizes[:3] == [4, 8, 16] and max(sizes) <= SECONDS / 0.25
    assert sizes[-1] <= 8, "towards the end chunks become smaller"


def test_every_photo_is_given_out_once_in_order():
    chunks, given = chunks_of(PHOTOS, 7), []
    while (chunk := chunks.take(3)) is not None:
        given += chunk.photos
        chunks.learn(len(chunk.photos), 1e-3)
    assert given == PHOTOS and chunks.given == 1000


def test_finished_parts_are_passed_over_without_a_look_at_their_photos():
    names = [part_name("stamp", PHOTOS[start : start + 100]) for start in range(0, 1000, 100)]
    found = list(unfinished(PHOTOS, parts_of([*names, "lease.json", "part-x.parquet"]), "stamp"))
    assert [part.name for part in found] == names
    assert list(unfinished(PHOTOS, parts_of(names), "other options")) == PHOTOS


@pytest.mark.parametrize(
    "changed", [[*PHOTOS[:150], *PHOTOS[151:]], [*PHOTOS[:150], Listed("0149a.jpg", ""), *PHOTOS[150:]]]
)
def test_a_photo_more_or_less_costs_its_own_part_alone(changed):
    names = [part_name("stamp", PHOTOS[start : start + 100]) for start in range(0, 1000, 100)]
    found = list(unfinished(changed, parts_of(names), "stamp"))
    assert [one.name for one in found if isinstance(one, Part)] == [names[0], *names[2:]]
    assert [one for one in found if isinstance(one, Listed)] == changed[100 : len(changed) - 800]


def test_a_photo_at_which_processes_end_is_left_out_after_two_more_tries():
    chunks = chunks_of(PHOTOS[:8])
    whole = chunks.chunk(tuple(PHOTOS[:8]))
    suspects = Suspects(chunks)
    batches = suspects.after_death(whole, (), "ended")
    assert [len(batch.photos) for batch in batches] == [4, 4] and all(batch.watched for batch in batches)
    chunk, tries = batches[0], 0
    while not chunk.left_out:
        (chunk,) = suspects.after_death(chunk, ("0002.jpg",), "ended")
        tries += 1
    assert tries == 3 and dict(chunk.left_out).keys() == {"0002.jpg"} and chunk.photos == tuple(PHOTOS[:4])
    assert list(suspects.quarantined) == ["0002.jpg"]


def test_deaths_are_forgotten_when_a_photo_gets_through():
    chunks = chunks_of(PHOTOS[:4])
    suspects, chunk = Suspects(chunks), chunks.chunk(tuple(PHOTOS[:4]), watched=True)
    for number in range(12):
        # Killed from outside, each time elsewhere.
        (chunk,) = suspects.after_death(chunk, (f"{number % 4:04d}.jpg",), "killed")
    suspects.passed(["0003.jpg"])
    (chunk,) = suspects.after_death(chunk, ("0003.jpg",), "killed")
    assert not chunk.left_out and not suspects.quarantined


def test_a_quarantine_ends_with_another_fitloop_or_without_its_part(monkeypatch):
    chunks = chunks_of(PHOTOS[:8])
    fine = chunks.chunk(tuple(PHOTOS[4:8]))
    bad = chunks.without(chunks.chunk(tuple(PHOTOS[:4]), watched=True), (("0002.jpg", "ended"),))
    assert bad.key.endswith("-quarantine.parquet") and chunks.current == {fine.key, bad.key}

    def left(*keys):
        return [one for one in unfinished(PHOTOS[:8], parts_of(keys), "stamp") if isinstance(one, Listed)]

    assert left(fine.key, bad.key) == [] and left(fine.key) == PHOTOS[:4]
    monkeypatch.setattr("fitloop.pipelines.folder.ledger.versions", lambda: {"fitloop": "99.0"})
    assert left(fine.key, bad.key) == PHOTOS[:4]


def test_photos_that_are_fitted_together_are_tried_alone():
    chunks = chunks_of(PHOTOS[:4])
    (chunk,) = Suspects(chunks).after_death(chunks.chunk(tuple(PHOTOS[:4]), watched=True), ("0001.jpg", "0002.jpg"), "")
    assert chunk.apart == ("0001.jpg", "0002.jpg") and not chunk.left_out


def test_processes_that_never_start_stop_the_run():
    chunks = chunks_of(PHOTOS[:4])
    suspects, chunk = Suspects(chunks), chunks.chunk(tuple(PHOTOS[:4]), watched=True)
    with pytest.raises(CannotStart, match="before they reach the first photo"):
        for _ in range(10):
            (chunk,) = suspects.after_death(chunk, (), "ended")


def test_other_versions_are_named():
    here: Versions = {"python": "3.11", "torch": "2.13", "fitloop": "0.1"}
    assert differences(here, {"worker a": dict(here), "the scheduler": {"python": "3.11"}}) == []
    told = differences(here, {"worker a": {**here, "torch": "2.6", "fitloop": ""}})
    assert told == ["worker a has torch 2.6, here it is 2.13", "worker a has no fitloop, here it is 0.1"]


def test_a_summary_does_not_grow_and_keeps_the_worst():
    summary = Summary()
    for number in range(3000):
        summary.add(f"{number}.jpg", [{"status": "converged", "energy": float(number % 1000), "notice": "odd"}])
    summary.add("bad.jpg", [{"status": "skipped", "notice": "torn"}])
    assert summary.photos == 3001 and summary.people == 3000 and len(summary.notices) == 1000
    assert {"999.jpg", "1999.jpg", "2999.jpg", "bad.jpg"} <= set(summary.shown()) and len(summary.shown()) <= 401
    assert summary.percentile(0.5) == pytest.approx(500, rel=0.13)


def test_a_single_process_over_a_folder_imports_no_dask(tmp_path):
    code = (
        "import sys; sys.path[:0] = ['tests']; from pathlib import Path\n"
        "from scaled_runs import config_of, make_photos; from stick_stages import StickStages\n"
        "from fitloop.pipelines.folder.run import run_folder\n"
        f"root = Path({str(tmp_path)!r}); make_photos(root / 'photos', 2)\n"
        "assert run_folder(config_of(root / 'photos', root / 'out'), StickStages) == 0\n"
        "print([name for name in sys.modules if name in ('dask', 'distributed', 's3fs')])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == "[]"
