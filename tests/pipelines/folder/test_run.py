"""The main job over a folder: outputs, bad photos, interruption, with stages of a stick figure."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from html_elements import elements
from PIL import Image as PillowImage
from stick_stages import BODY, StickStages

from fitloop.pipelines.console.options import load_config
from fitloop.pipelines.folder.config import RunConfig
from fitloop.pipelines.folder.run import run_folder


@pytest.fixture
def photos(tmp_path) -> Path:
    folder = tmp_path / "photos of äll kinds"
    (folder / "a").mkdir(parents=True)
    (folder / "b\nnew line").mkdir()
    for name, people in {"a/same.png": 2, "b\nnew line/same.png": 1, "nobody.png": 0, "z last #1%.png": 3}.items():
        pixels = np.zeros((48, 64, 3), np.uint8)
        pixels[0, 0, 0] = people
        PillowImage.fromarray(pixels).save(folder / name)
    return folder


def _config(photos: Path, tmp_path: Path, **changed) -> RunConfig:
    return RunConfig(**{"images": photos, "out": tmp_path / "out", "batch_size": 2, **changed})


def _files(out: Path) -> dict[str, bytes]:
    return {str(p.relative_to(out)): p.read_bytes() for p in out.rglob("*") if p.is_file() and p.name != "run.json"}


def test_every_photo_gets_its_results_and_people_their_meshes(photos, tmp_path):
    config = _config(photos, tmp_path)
    assert run_folder(config, StickStages) == 0
    with np.load(config.out / "results" / "a" / "same.png.npz", allow_pickle=False) as found:
        assert found["global_orient"].shape == (2, 3, 3)
        assert found["body_pose"].shape == found["regressed_body_pose"].shape == (2, 23, 3, 3)
        assert found["joints_3d"].shape == (2, 24, 3) and found["joints_2d"].shape == (2, 24, 2)
        assert found["keypoints"].shape == (2, 17, 3) and str(found["convention"]) == "coco17"
        np.testing.assert_allclose(found["betas"], found["regressed_betas"] + 1.0, atol=1e-6)
        assert found["status"].tolist() == ["converged", "converged"]
        assert str(found["body"]) == BODY.name and found["image_size"].tolist() == [48, 64]
    with np.load(config.out / "results" / "nobody.png.npz", allow_pickle=False) as found:
        assert found["transl"].shape == (0, 3)
    assert len(list((config.out / "meshes").rglob("*.glb"))) == 6
    assert (config.out / "overlays" / "b\nnew line" / "same.png.jpg").is_file()
    told = json.loads((config.out / "run.json").read_text())
    assert told["state"] == "finished" and told["people"] == 6
    assert told["photos_without_people"] == ["nobody.png"]
    assert {"reading", "detection", "regression", "fitting"} <= set(told["timings"])


def test_the_page_names_every_photo_and_links_to_files_that_exist(photos, tmp_path):
    import re
    from urllib.parse import unquote

    config = _config(photos, tmp_path)
    run_folder(config, StickStages)
    page = (config.out / "index.html").read_text(encoding="utf-8")
    links = re.findall(r'(?:src|href)="([^"]+)"', page)
    assert len(links) >= 4 and "http" not in "".join(links)
    assert all((config.out / unquote(link)).is_file() for link in links)
    assert page.count("<article") == 4


def test_names_that_look_like_html_are_shown_and_not_run(tmp_path):
    names = ["<script>alert(1)<b>.png", "a \"b\" 'c' & d.png", "日本 ünï.png"]
    folder = tmp_path / "<i>photos"
    folder.mkdir()
    for name in names:
        PillowImage.fromarray(np.full((30, 20, 3), 1, np.uint8)).save(folder / name)
    config = _config(folder, tmp_path)
    assert run_folder(config, StickStages) == 0
    found = elements((config.out / "index.html").read_text(encoding="utf-8"))
    assert [photo["data-name"] for photo in found.attributes["article"]] == sorted(names)
    assert found.texts["h1"] == ["<i>photos"] and sorted(found.texts["h2"]) == sorted(names)
    assert {"script", "b", "i"} & set(found.texts) == {"script"} and found.attributes["script"][-1] == {}
    assert all(image["width"] == "20" and image["height"] == "30" for image in found.attributes["img"])
    assert {image["alt"] for image in found.attributes["img"]} >= {f"Photo: {name}" for name in names}


def test_an_interrupted_run_continues_to_the_outputs_of_an_undisturbed_one(photos, tmp_path):
    whole = _config(photos, tmp_path, out=tmp_path / "whole")
    run_folder(whole, StickStages)
    broken = replace(whole, out=tmp_path / "broken")
    (broken.out / "page").mkdir(parents=True)
    (broken.out / "page" / ".writing-half.jpg").write_bytes(b"left by a killed process")
    assert run_folder(broken, lambda config: StickStages(config, fail_after=3)) == 130
    assert json.loads((broken.out / "run.json").read_text())["state"] == "interrupted"
    stages = StickStages(broken)
    assert run_folder(broken, lambda config: stages) == 0
    assert stages.detected == 2, "the first two photos were done"
    first, second = _files(whole.out), _files(broken.out)
    for files in (first, second):
        files.pop("config.yaml")
    assert first == second


def test_unreadable_photos_are_named_and_the_others_are_done(photos, tmp_path, capsys):
    (photos / "text.jpg").write_text("not a photo")
    (photos / "empty.png").write_bytes(b"")
    config = _config(photos, tmp_path)
    assert run_folder(config, StickStages) == 1
    told = json.loads((config.out / "run.json").read_text())
    assert set(told["skipped"]) == {"text.jpg", "empty.png"} and told["people"] == 6
    assert "text.jpg" in capsys.readouterr().err


def test_results_of_other_options_are_not_mixed(photos, tmp_path, capsys):
    config = _config(photos, tmp_path)
    run_folder(config, StickStages)
    assert run_folder(replace(config, fit=False), StickStages) == 2
    assert "fit was True and is False" in capsys.readouterr().err


@pytest.mark.parametrize("make", [lambda p: p / "missing", lambda p: p / "empty"])
def test_a_folder_without_photos_is_a_sentence(tmp_path, capsys, make):
    (tmp_path / "empty").mkdir()
    assert run_folder(_config(make(tmp_path), tmp_path), StickStages) == 2
    assert str(make(tmp_path)) in capsys.readouterr().err


def test_a_folder_that_cannot_be_written_is_a_sentence(photos, tmp_path, capsys):
    (tmp_path / "file").write_text("")
    assert run_folder(_config(photos, tmp_path, out=tmp_path / "file" / "out"), StickStages) == 3
    assert "choose another --out" in capsys.readouterr().err


def test_a_full_disk_leaves_whole_files_only(photos, tmp_path, capsys, monkeypatch):
    config = _config(photos, tmp_path)
    real = np.savez

    def full(file, **arrays):
        if str(arrays["photo"]).startswith("z last"):
            Path(file).write_bytes(b"half")
            raise OSError(28, "No space left on device")
        real(file, **arrays)

    monkeypatch.setattr(np, "savez", full)
    assert run_folder(config, StickStages) == 3
    assert "No space left" in capsys.readouterr().err
    for path in config.out.rglob("*.npz"):
        with np.load(path, allow_pickle=False) as found:
            assert "energy" in found.files
    assert not list(config.out.rglob(".writing-*"))


def test_photos_in_the_output_folder_are_not_photos_of_the_run(photos, tmp_path):
    config = _config(photos, tmp_path, out=photos / "out")
    assert run_folder(config, StickStages) == 0
    assert run_folder(config, StickStages) == 0
    assert json.loads((config.out / "run.json").read_text())["photos"] == 4


def test_the_focal_length_of_the_options_reaches_the_camera(photos, tmp_path):
    from fitloop.pipelines.chain.photo import open_photo

    config = _config(photos, tmp_path, focal_length=123.0)
    assert float(open_photo(config.images, "nobody.png", config).camera.focal) == 123.0
    wide = _config(photos, tmp_path, field_of_view=90.0)
    assert float(open_photo(wide.images, "nobody.png", wide).camera.focal) == pytest.approx(32.0)
    with pytest.raises(ValueError, match="not both"):
        _config(photos, tmp_path, focal_length=1.0, field_of_view=2.0)


def test_pictures_of_kinds_that_are_not_read_are_told(photos, tmp_path, capsys):
    names = [f"a/{number}.heic" for number in range(6)]
    for name in names:
        (photos / name).write_bytes(b"of a camera")
    config = _config(photos, tmp_path, out=photos / "out")
    (photos / "out").mkdir()
    (photos / "out" / "own.heic").touch()
    assert run_folder(config, StickStages) == 0
    assert json.loads((config.out / "run.json").read_text())["unread_pictures"] == names
    told = [line for line in capsys.readouterr().err.splitlines() if "heic" in line]
    assert len(told) == 1 and "6 pictures are" in told[0] and "a/4.heic, ..." in told[0]


def test_a_folder_without_photos_says_what_a_photo_is_called(tmp_path, capsys):
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "x.dng").touch()
    assert run_folder(_config(tmp_path / "photos", tmp_path), StickStages) == 2
    told = capsys.readouterr().err
    assert ".jfif" in told and ".ppm" in told and "x.dng" in told


@pytest.mark.parametrize("inside", [".", "out", "deep/earlier"])
def test_pictures_of_earlier_runs_are_not_taken_for_photos(photos, tmp_path, inside):
    config = _config(photos, tmp_path, out=photos / inside)
    assert run_folder(config, StickStages) == 0
    assert (config.out / "overlays" / "nobody.png.jpg").is_file() or (
        config.out / "page" / "nobody.png.photo.jpg"
    ).is_file()
    for out in (config.out, tmp_path / "elsewhere"):
        assert run_folder(replace(config, out=out), StickStages) == 0
        assert json.loads((out / "run.json").read_text())["photos_done"] == 4


def test_one_photo_is_run_alone_and_again_by_the_options_that_it_left(photos, tmp_path):
    photo, out = photos / "a" / "same.png", tmp_path / "out"
    PillowImage.new("RGB", (64, 48)).save(photo.with_name("neighbour.png"))
    config = _config(photo, tmp_path)
    assert run_folder(config, StickStages) == 0
    assert [path.name for path in (out / "results").iterdir()] == ["same.png.npz"]
    assert (out / "overlays" / "same.png.jpg").is_file() and (out / "people.parquet").exists()
    kept = StickStages(config)
    assert run_folder(load_config(out / "config.yaml", RunConfig), lambda _: kept) == 0
    assert kept.detected == 0


@pytest.mark.parametrize("workers", [None, 2])
@pytest.mark.parametrize(("given", "option"), [({"start": 2.0}, "--from"), ({"frames_per_second": 5.0}, "--frames")])
def test_times_of_clips_are_refused_where_there_are_photos_alone(photos, tmp_path, capsys, given, option, workers):
    assert run_folder(_config(photos, tmp_path, workers=workers, **given), StickStages) == 2
    assert f"fitloop: {option}" in (told := capsys.readouterr().err) and "would be ignored" in told
    assert not (tmp_path / "out" / "results").exists()


def test_a_table_that_cannot_be_made_stops_a_run_before_its_first_photo(photos, tmp_path, capsys, monkeypatch):
    def broken(rows):
        raise ImportError("pyarrow was built against another numpy.")

    monkeypatch.setattr("fitloop.pipelines.folder.table.have_pyarrow", lambda: True)
    monkeypatch.setattr("fitloop.pipelines.folder.table.part_of", broken)
    config = _config(photos, tmp_path)
    assert run_folder(config, StickStages) == 2
    assert "built against another numpy" in capsys.readouterr().err
    assert not (config.out / "results").exists()
