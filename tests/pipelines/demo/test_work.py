import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image as PillowImage
from stick_stages import StickStages

from fitloop.pipelines.console.progress import Progress
from fitloop.pipelines.demo.config import FASTEST, DemoConfig
from fitloop.pipelines.demo.files import shown
from fitloop.pipelines.demo.telling import Told, ToldLines, read_told, say
from fitloop.pipelines.demo.work import work_on

CONFIG = DemoConfig(refine=False)


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "in").mkdir()
    return tmp_path


def photo_of(people: int, path) -> None:
    pixels = np.full((60, 80, 3), 100, np.uint8)
    pixels[0, 0, 0] = people
    PillowImage.fromarray(pixels).save(path)


def test_a_photo_becomes_a_page_and_files_to_take_away(folder):
    photo_of(2, folder / "in" / "a.png")
    assert work_on(folder, CONFIG, StickStages(CONFIG.run(folder / "in", folder / "out"))) == ""
    seen = shown(folder / "out", "a.png")
    assert (folder / "out" / seen.page).is_file()
    names = [(one.whose, one.name) for one in seen.downloads]
    assert names[1:4] == [("Person 0", "a-rigged-0.glb"), ("Person 0", "a-bvh-0.bvh"), ("Person 1", "a-meshes-1.glb")]
    assert names[-1] == ("All", "a.npz") and len(names) == 7
    assert all((folder / "out" / one.link).stat().st_size > 0 for one in seen.downloads)


def test_a_photo_without_people_has_its_page_and_arrays(folder):
    photo_of(0, folder / "in" / "a.png")
    assert work_on(folder, CONFIG, StickStages(CONFIG.run(folder / "in", folder / "out"))) == ""
    assert [one.name for one in shown(folder / "out", "a.png").downloads] == ["a.npz"]


def test_a_damaged_photo_is_told_without_places_on_this_machine(folder):
    (folder / "in" / "a.jpg").write_bytes(b"\xff\xd8\xff\xe0 and nothing else")
    told = work_on(folder, CONFIG, StickStages(CONFIG.run(folder / "in", folder / "out")))
    assert told.startswith("'a.jpg' is") and str(folder) not in told


def test_a_clip_that_cannot_be_read_is_told(folder):
    (folder / "in" / "a.mp4").write_bytes(b"no clip")
    assert "is not a clip" in work_on(folder, CONFIG, None)


def test_a_fast_clip_is_thinned_and_no_clip_is_refined():
    config, places = DemoConfig(), (Path("in"), Path("out"))
    assert config.run(*places, 240.0).frames_per_second == FASTEST
    assert config.run(*places, 25.0).frames_per_second is None
    assert config.run(*places, 25.0).end == config.max_seconds
    assert config.run(*places).refine and not config.run(*places, 25.0).refine


def test_what_a_program_says_on_stderr_reaches_the_page(tmp_path, monkeypatch):
    lines = ToldLines(tmp_path)
    monkeypatch.setattr("sys.stderr", lines)
    assert read_told(tmp_path) == Told()
    say("Looking for people")
    assert read_told(tmp_path) == Told("Looking for people")
    with Progress(120, "frame", interval=0.0) as progress:
        progress.advance(30)
        told = read_told(tmp_path)
    assert told.doing.startswith("30 of 120 frames") and told.share == 0.25
    lines.write("fitloop: 'a.png': It is")
    assert lines.sentences == []
    lines.write(" dark.\n")
    assert lines.sentences == ["'a.png': It is dark."]
    assert set(json.loads((tmp_path / "told.json").read_text())) == {"doing", "share"}
