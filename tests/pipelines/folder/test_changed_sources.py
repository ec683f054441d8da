"""Results are made anew when what they were made from has changed, and only then; names cost their own photo."""

import json
import os
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image as PillowImage
from stick_stages import StickStages

from fitloop.detection import KeypointFile
from fitloop.pipelines.chain.photo import open_photo
from fitloop.pipelines.folder import made_from
from fitloop.pipelines.folder.config import RunConfig
from fitloop.pipelines.folder.made_from import KEY
from fitloop.pipelines.folder.run import run_folder


class Listed(StickStages):
    """As many people as before, with a keypoint file beside them."""

    made = 0

    @property
    def detector(self):
        if self.config.keypoints is None:
            return None
        Listed.made += 1
        return KeypointFile(self.config.keypoints)

    def expect(self, photos):
        if self.config.keypoints is not None:
            _ = self.detector


def paint(path: Path, people: int) -> None:
    pixels = np.zeros((48, 64, 3), np.uint8)
    pixels[0, 0, 0] = people
    PillowImage.fromarray(pixels).save(path)


@pytest.fixture
def photos(tmp_path) -> Path:
    folder = tmp_path / "photos"
    folder.mkdir()
    for name, people in (("a.png", 1), ("b.png", 2), ("c.png", 3)):
        paint(folder / name, people)
    return folder


def run(photos: Path, **changed) -> tuple[int, int, dict]:
    """Exit code, photos that were looked at, and what run.json tells."""
    config = RunConfig(**{"images": photos, "out": photos.parent / "out", "batch_size": 2, **changed})
    stages = Listed(config)
    code = run_folder(config, lambda config: stages)
    told = config.out / "run.json"
    return code, stages.detected, json.loads(told.read_text(encoding="utf-8")) if told.is_file() else {}


def boxes(path: Path, **people: int) -> Path:
    listed = {f"{name}.png": [[1 + n, 2, 30, 40] for n in range(count)] for name, count in people.items()}
    path.write_text(json.dumps(listed))
    return path


def test_a_run_that_keeps_everything_says_so(photos, capsys):
    assert run(photos)[:2] == (0, 3)
    capsys.readouterr()
    code, looked, told = run(photos)
    assert (code, looked, told["kept"], told["remade"]) == (0, 0, 3, {})
    assert "results of all 3 photos were kept" in capsys.readouterr().out


def test_a_replaced_photo_is_made_anew_and_nothing_of_the_old_one_stays(photos, capsys):
    run(photos)
    paint(photos / "c.png", 1)
    os.utime(photos / "c.png", (10**9, 10**9))
    code, looked, told = run(photos)
    assert (code, looked, told["kept"], told["remade"]) == (0, 1, 2, {"c.png": ["photo"]})
    assert [path.name for path in (photos.parent / "out" / "meshes" / "c.png").iterdir()] == ["0.glb"]
    assert "2 photos kept from an earlier run, 1 made anew" in capsys.readouterr().out


def test_a_photo_that_is_no_longer_readable_is_no_unchanged_run(photos, capsys):
    run(photos)
    (photos / "c.png").write_bytes(b"no picture")
    capsys.readouterr()
    code, _, told = run(photos)
    assert (code, told["kept"], told["remade"]) == (1, 2, {"c.png": ["photo"]})
    assert "Nothing has changed" not in capsys.readouterr().out


def test_copying_or_touching_photos_changes_nothing(photos):
    run(photos)
    os.utime(photos / "a.png", (10**9, 10**9))
    shutil.copytree(photos, photos.parent / "copy", copy_function=shutil.copyfile)
    assert run(photos)[1] == 0 and run(photos.parent / "copy")[1] == 0


def test_copied_photos_are_read_for_comparison_only_once(photos, monkeypatch):
    run(photos)
    copy = photos.parent / "copy"
    shutil.copytree(photos, copy, copy_function=shutil.copyfile)
    read, hash_file = [], made_from._hash
    monkeypatch.setattr(made_from, "_hash", lambda path: read.append(path) or hash_file(path))
    counts = []
    for _ in range(2):
        read.clear()
        assert run(copy)[1] == 0
        counts.append(sum(path.parent == copy for path in read))
    assert counts == [3, 0]
    paint(copy / "b.png", 1)
    assert run(copy)[2]["remade"] == {"b.png": ["photo"]}
    hashes = photos.parent / "out" / made_from.HASHES
    for broken in ("{", "[]", '{"a.png": 3}'):
        hashes.write_text(broken)
        assert run(copy)[:2] == (0, 0)


def test_only_the_photos_whose_keypoints_were_corrected_are_made_anew(photos, tmp_path):
    first = boxes(tmp_path / "people.json", a=1, b=1, c=1)
    assert run(photos, keypoints=first)[1] == 3
    boxes(first, a=1, b=2, c=1)
    code, looked, told = run(photos, keypoints=first)
    assert (looked, told["remade"]) == (1, {"b.png": ["keypoints"]})
    other = boxes(tmp_path / "corrected.json", a=1, b=2, c=3)
    assert run(photos, keypoints=other)[2]["remade"] == {"c.png": ["keypoints"]}


def test_other_weights_under_the_same_name_make_everything_anew(photos, tmp_path):
    weights = tmp_path / "mine.safetensors"
    weights.write_bytes(b"first")
    run(photos, regressor=str(weights))
    weights.write_bytes(b"second")
    code, looked, told = run(photos, regressor=str(weights))
    assert looked == 3 and set(map(tuple, told["remade"].values())) == {("weights",)}


def test_results_of_an_older_version_are_kept_and_told_unless_the_photo_is_newer(photos, capsys):
    run(photos)
    for name in ("a.png", "b.png", "c.png"):
        path = photos.parent / "out" / "results" / f"{name}.npz"
        with np.load(path) as found:
            arrays = {key: found[key] for key in found.files if key != KEY}
        np.savez(path, **arrays)
    os.utime(photos / "b.png", (4e9, 4e9))
    code, looked, told = run(photos)
    assert looked == 1 and list(told["remade"]) == ["b.png"] and told["kept"] == 2
    assert "2 of them do not say what they were made from" in capsys.readouterr().out


def test_a_broken_keypoint_file_is_told_once_and_nothing_is_run(photos, tmp_path, capsys):
    (tmp_path / "people.json").write_text("{")
    Listed.made = 0
    code, looked, _ = run(photos, keypoints=tmp_path / "people.json")
    assert (code, looked, Listed.made) == (2, 0, 1)
    assert capsys.readouterr().err.count("people.json") == 1


@pytest.mark.parametrize("name", [b"caf\xe9.png", b"l" * 248 + b".png"])
def test_a_name_that_cannot_be_written_costs_its_own_photo(photos, capsys, name):
    try:
        shutil.copy(photos / "a.png", os.fsencode(photos) + b"/" + name)
    except OSError:
        pytest.skip("This file system does not hold such a name.")
    for looked in (3, 0):
        code, seen, told = run(photos)
        assert (code, seen, len(told["skipped"])) == (1, looked, 1)
        assert "rename it" in capsys.readouterr().err
    assert "rename it" in (photos.parent / "out" / "index.html").read_text(encoding="utf-8")


def test_an_unreadable_photo_does_not_make_its_batch_anew(photos):
    (photos / "b.png").write_bytes(b"no picture")
    assert run(photos)[:2] == (1, 2)
    assert run(photos)[:2] == (1, 0)


@pytest.mark.parametrize(("focal", "words"), [(4.0, "impossible"), (7.5, "35 mm equivalent"), (1e9, "impossible")])
def test_a_focal_length_that_no_camera_has_is_refused(photos, capsys, focal, words):
    code, looked, _ = run(photos, focal_length=focal)
    told = capsys.readouterr().err
    assert (code, looked) == (2, 0) and words in told and "--field-of-view" in told
    config = RunConfig(images=photos, focal_length=60.0)
    assert float(open_photo(photos, "a.png", config).camera.focal) == 60.0


def test_one_small_thumbnail_does_not_stop_a_run_with_a_focal_length(photos):
    PillowImage.new("RGB", (2, 2)).save(photos / "d.png")
    code, looked, told = run(photos, focal_length=900.0)
    assert (code, looked, list(told["skipped"])) == (1, 3, ["d.png"])


def test_the_same_run_with_other_options_is_still_refused(photos, capsys):
    run(photos)
    config = replace(RunConfig(images=photos, out=photos.parent / "out", batch_size=2), fit=False)
    assert run_folder(config, StickStages) == 2 and "fit was True and is False" in capsys.readouterr().err
