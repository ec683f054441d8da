from pathlib import Path

import numpy as np
import PIL.Image
import pytest
import torch

from fitloop.body import BodyParams, load_body
from fitloop.data.synthetic import SceneConfig
from fitloop.data.synthetic.clips import ClipConfig
from fitloop.evaluation.protocols import protocol_named
from fitloop.evaluation.truth import read_truth
from fitloop.pipelines.console.options import load_config
from fitloop.pipelines.synthesize import SynthesizeConfig, main
from tests.small_assets import write_assets

PRESETS = Path(__file__).parents[2] / "configs" / "synthesize"
SMALL = ["--scene.height", "64", "--scene.width", "80", "--texture-side", "32"]


@pytest.fixture(scope="module")
def asset_folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("assets")
    write_assets(folder)
    return folder


@pytest.fixture(scope="module")
def dataset(asset_folder, tmp_path_factory):
    out = tmp_path_factory.mktemp("data") / "people"
    assert main(["--assets", str(asset_folder), "--out", str(out), "--count", "3", *SMALL]) == 0
    return out


def test_every_photo_has_a_mask_maps_and_plain_truth(dataset):
    for number in range(3):
        with np.load(dataset / "truth" / f"{number:06d}.npz", allow_pickle=False) as file:
            truth = {key: file[key] for key in file.files}
        photo = np.asarray(PIL.Image.open(dataset / "photos" / f"{number:06d}.jpg"))
        mask = np.asarray(PIL.Image.open(dataset / "masks" / f"{number:06d}.png"))
        assert photo.shape == (64, 80, 3) and mask.shape == (64, 80)
        assert mask.max() <= len(truth["person"]) and truth["image_size"].tolist()[0] == [64, 80]
        params = BodyParams(
            *(torch.from_numpy(truth[key]) for key in ("global_orient", "body_pose", "betas", "transl"))
        )
        np.testing.assert_allclose(load_body("open")(params).joints.numpy(), truth["joints_3d"], atol=2e-4)
        with np.load(dataset / "maps" / f"{number:06d}.npz", allow_pickle=False) as maps:
            full = np.unpackbits(maps["full_masks"], axis=-1, count=80)
            for person in range(len(truth["person"])):
                assert ((mask == person + 1) <= full[person]).all()


def test_the_joined_truth_is_what_open_bench_reads(dataset):
    people = read_truth(protocol_named("open-bench"), dataset / "truth.npz")
    assert people.body == "open-1" and len(people) >= 3
    assert people.persons is not None and len(set(people.persons)) == len(people)
    assert people.boxes is not None and bool((people.boxes[:, 2:] >= people.boxes[:, :2]).all())


def test_a_stopped_run_goes_on_and_gives_the_same_files(asset_folder, dataset, tmp_path):
    out = tmp_path / "again"
    assert main(["--assets", str(asset_folder), "--out", str(out), "--count", "2", *SMALL]) == 0
    kept = (out / "truth" / "000001.npz").stat().st_mtime_ns
    assert main(["--assets", str(asset_folder), "--out", str(out), "--count", "3", "--workers", "2", *SMALL]) == 0
    assert (out / "truth" / "000001.npz").stat().st_mtime_ns == kept
    for name in ("photos/000000.jpg", "photos/000002.jpg", "masks/000002.png"):
        assert (out / name).read_bytes() == (dataset / name).read_bytes()


def test_a_folder_of_other_photos_is_refused(asset_folder, dataset, capsys):
    assert main(["--assets", str(asset_folder), "--out", str(dataset), "--count", "3", "--seed", "1", *SMALL]) == 2
    assert "another seed" in capsys.readouterr().err


def test_fewer_photos_than_lie_there_are_refused_and_nothing_is_changed(asset_folder, dataset, capsys):
    truth = (dataset / "truth.npz").stat().st_mtime_ns
    assert main(["--assets", str(asset_folder), "--out", str(dataset), "--count", "2", *SMALL]) == 2
    assert "holds 3 photos of an earlier run, more than --count 2" in capsys.readouterr().err
    assert (dataset / "truth.npz").stat().st_mtime_ns == truth


def test_the_page_shows_every_photo_and_loads_nothing_from_elsewhere(dataset):
    page = (dataset / "contact.html").read_text()
    assert page.count("<figure>") == 3 and "http" not in page
    with PIL.Image.open(dataset / "contact.jpg") as sheet:
        assert sheet.width > 100


def test_a_missing_folder_of_assets_is_wrong_input(tmp_path, capsys):
    assert main(["--assets", str(tmp_path / "none"), "--out", str(tmp_path / "out"), "--count", "1"]) == 2
    assert "base_hm08.npz is missing" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("changes", "told"),
    [({"workers": 0}, "At least 1"), ({"seed": -1}, "at least 0"), ({"count": 0}, "At least 1")],
)
def test_wrong_options_are_refused(changes, told):
    with pytest.raises(ValueError, match=told):
        SynthesizeConfig(**changes)


def test_a_benchmark_of_unequal_grades_is_refused():
    with pytest.raises(ValueError, match="do not divide"):
        SynthesizeConfig(preset="open-bench", count=7)


@pytest.mark.parametrize("preset", sorted(PRESETS.glob("*.yaml")), ids=lambda path: path.stem)
def test_every_preset_is_a_valid_config(preset):
    assert load_config(preset, SynthesizeConfig).photos >= 60


def test_clips_are_drawn_beside_their_truth(asset_folder, tmp_path):
    pytest.importorskip("av")
    small = ["--clip.seconds", "0.1", "--clip.height", "64", "--clip.width", "80", "--texture-side", "32"]
    command = ["--assets", str(asset_folder), "--out", str(tmp_path), "--video", "--count", "2"]
    assert main([*command, *small]) == 0
    assert sorted(path.name for path in (tmp_path / "clips").iterdir()) == ["000000.mp4", "000001.mp4"]
    people = read_truth(protocol_named("open-bench-video"), tmp_path / "truth.npz")
    assert len(people) == 6 and (tmp_path / "contact.jpg").is_file()
    before = (tmp_path / "clips" / "000000.mp4").stat().st_mtime_ns
    (tmp_path / "truth" / "000001.npz").unlink()
    assert main([*command, *small]) == 0
    assert (tmp_path / "clips" / "000000.mp4").stat().st_mtime_ns == before, "what is there is kept"


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"clip": ClipConfig(seconds=1.0)}, "only --video draws clips"),
        ({"video": True, "scene": SceneConfig(height=64)}, "clips have their own settings"),
        ({"video": True, "preset": "open-bench", "clip": ClipConfig(seconds=1.0)}, "open-bench has clips of its own"),
    ],
)
def test_options_of_photos_and_of_clips_do_not_mix(options, words):
    with pytest.raises(ValueError, match=words):
        SynthesizeConfig(**options)
