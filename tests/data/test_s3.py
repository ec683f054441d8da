"""S3 as s3fs speaks to it: listed page by page, refusals told in sentences."""

import pytest
from pretend_s3 import Bucket, pretend_s3
from scaled_runs import config_of, make_photos
from stick_stages import StickStages

from fitloop.data.places import open_place
from fitloop.pipelines.folder.run import run_folder

pytest.importorskip("s3fs")


def names(count: int) -> list[str]:
    return [f"photos/{number:07d}.jpg" for number in range(count)]


def test_pages_give_the_order_of_sorted_paths_without_what_is_hidden():
    wanted = ["a-b/c.jpg", "a.jpg", "a/b/c.tif", "a/z.png", "b.JPG", "\N{LATIN SMALL LETTER E WITH ACUTE}.png"]
    others = ["a/", "a//d.jpg", ".x/y.jpg", "a/.hidden.jpg", "d/readme.txt"]
    stored = sorted(f"photos/{name}" for name in wanted + others) + ["photos2/z.jpg"]
    with pretend_s3({"bucket": Bucket(stored)}) as server:
        listed = list(open_place("s3://bucket/photos").photos())
        assert [photo.name for photo in listed] == sorted(wanted) and len({photo.stamp for photo in listed}) > 1
        assert [photo.name for photo in open_place("s3://bucket").photos()][-1] == "photos2/z.jpg"
    assert server.listings == ["photos/ 0", " 0"]


def test_a_page_that_is_refused_is_asked_for_again_and_no_name_comes_twice(monkeypatch):
    monkeypatch.setattr("fitloop.data.patience._PAUSES", (0.0,))
    with pretend_s3({"bucket": Bucket(names(4500))}, refused=3) as server:
        assert [f"photos/{photo.name}" for photo in open_place("s3://bucket/photos").photos()] == names(4500)
    assert server.listings == [f"photos/ {first}" for first in range(0, 4500, 1000)]


def test_a_page_is_asked_for_when_its_first_name_is_wanted():
    with pretend_s3({"bucket": Bucket(names(2500))}) as server:
        listing = open_place("s3://bucket/photos").photos()
        asked = [(next(listing), len(server.listings))[1] for _ in range(1001)]
    assert asked[0] == asked[999] == 1 and asked[1000] == 2


@pytest.mark.parametrize(
    ("images", "out", "code", "sentence"),
    [
        ("s3://closed/photos", "out", 2, "'s3://closed/photos' may not be read with the credentials that fsspec finds"),
        ("s3://nowhere/photos", "out", 2, "There is nothing at 's3://nowhere/photos': no such bucket"),
        ("s3://open/nothing", "out", 2, "There is nothing at 's3://open/nothing'"),
        ("s3://empty", "out", 2, "No photos in s3://empty"),
        ("photos", "s3://closed/out", 3, "s3://closed/out may not be written with the credentials that fsspec finds"),
        ("photos", "s3://nowhere/out", 2, "NoSuchBucket it is (results go to s3://nowhere/out)"),
    ],
)
def test_a_bucket_that_is_not_there_or_closed_is_a_sentence(tmp_path, capsys, images, out, code, sentence):
    make_photos(tmp_path / "photos", 2)
    given = [name if "://" in name else tmp_path / name for name in (images, out)]
    with pretend_s3({"open": Bucket(names(2)), "empty": Bucket(), "closed": Bucket(closed=True)}):
        assert run_folder(config_of(*given), StickStages) == code
    assert sentence in capsys.readouterr().err
