"""The page of a clip: film, bodies and time line, read back and driven in a browser."""

import json
import re
import shutil
import subprocess
from dataclasses import replace

import pytest
import torch
from motion_scenes import BODY, FRAMES, RATE, make_motion

from fitloop.geometry import rotvec_to_rotmat
from fitloop.pipelines.pages.clip_page import ClipTrack, Film, write_clip_page

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
FILM = Film("overlay.mp4", (480, 640), FRAMES + 4, RATE, start=0.5)
PROBE = """<script>
const trouble = [];
addEventListener("error", (event) => trouble.push(String(event.message)));
const result = { trouble };
const look = () => {
  const viewer = document.getElementById("bodies").fitloop, people = viewer.scene.stages[viewer.stage].people;
  return { ...fitloopClip.now(), stage: viewer.scene.stages[viewer.stage].name, people, clock: clock.textContent,
    slider: time.valueAsNumber, mark: document.querySelector(".bar i").style.left };
};
function probe() {
  const [clock, time] = [document.getElementById("clock"), document.getElementById("time")];
  Object.assign(window, { clock, time });
  result.first = look();
  fitloopClip.seek(6);
  result.sixth = look();
  const buttons = [...document.querySelectorAll("#people button")];
  buttons[0].click();
  result.without = look().people.length;
  buttons[0].click();
  document.querySelector(".fitloop-controls button").click();
  result.stage = look();
  Object.assign(time, { value: 15 });
  time.dispatchEvent(new Event("input"));
  result.last = look();
  result.bars = [...document.querySelectorAll(".bar canvas")].map((canvas) => {
    const data = canvas.getContext("2d").getImageData(0, 0, canvas.width, 1).data;
    return Array.from({ length: canvas.width }, (_, x) => data[4 * x + 3]);
  });
  document.getElementById("play").click();
  result.begun = fitloopClip.now();
  setTimeout(() => {
    result.ended = fitloopClip.now();
    const output = document.createElement("pre");
    document.body.append(Object.assign(output, { id: "result", textContent: JSON.stringify(result) }));
  }, 3000);
}
const waiting = setInterval(() => {
  if (!document.querySelector("figure[data-drawn]")) return;
  clearInterval(waiting);
  try { probe(); } catch (error) { trouble.push(error.stack); }
}, 100);
</script>"""


def _tracks() -> list[ClipTrack]:
    first, late = make_motion(seed=0), make_motion(False, seed=1)
    late = replace(late, times=late.times + 4 / RATE, track=1)
    return [
        ClipTrack(one, {"regressed": replace(one.params, betas=one.params.betas + 1.0), "smoothed": one.params})
        for one in (first, late)
    ]


def test_the_page_reaches_for_nothing_but_the_files_beside_it(tmp_path):
    (tmp_path / "2.bvh").write_text("")
    write_clip_page(tmp_path / "clip.html", "<b>walk.mp4", BODY, FILM, _tracks())
    page = (tmp_path / "clip.html").read_text()
    links = re.findall(r'(?:src|href)="([^"]+)"', page)
    assert links == ["overlay.mp4", "2.bvh", "clip.js"] and "&lt;b&gt;walk.mp4" in page
    assert not re.search(r"https?://|@import|fetch\(|XMLHttpRequest", page)
    assert (tmp_path / "clip.js").stat().st_size < 2 * 2 * FRAMES * 300 + 2000


def test_a_clip_with_nobody_has_a_page_too(tmp_path):
    write_clip_page(tmp_path / "clip.html", "empty.mp4", BODY, FILM, [])
    assert '"people":[]' in (tmp_path / "clip.js").read_text()


def test_people_of_other_stages_or_lengths_are_refused(tmp_path):
    one, two = _tracks()
    with pytest.raises(ValueError, match="same stages"):
        write_clip_page(tmp_path / "a.html", "a", BODY, FILM, [one, replace(two, stages={"x": two.motion.params})])
    with pytest.raises(ValueError, match="has 12 rows"):
        write_clip_page(tmp_path / "a.html", "a", BODY, FILM, [replace(one, stages={"x": one.motion.params[:5]})])
    assert not list(tmp_path.iterdir())


@pytest.fixture(scope="module")
def seen(tmp_path_factory):
    """What the page did in headless Chromium, where there is no film."""
    if CHROMIUM is None:
        pytest.skip("Chromium is not installed.")
    folder = tmp_path_factory.mktemp("page")
    write_clip_page(folder / "clip.html", "walk.mp4", BODY, FILM, _tracks())
    page = folder / "clip.html"
    page.write_text(page.read_text().replace("<head>", "<head>" + PROBE))
    flags = (
        "--headless --no-sandbox --disable-gpu --enable-unsafe-swiftshader --disable-quic --no-first-run "
        "--disable-background-networking --disable-component-update --disable-sync --hide-scrollbars"
    ).split()
    command = [CHROMIUM, *flags, f"--user-data-dir={folder / 'profile'}", "--virtual-time-budget=30000", "--dump-dom"]
    found = None
    for _ in range(3):
        # On a busy machine the browser's budget of time may end before the page was drawn.
        run = subprocess.run([*command, page.as_uri()], capture_output=True, text=True, timeout=120)
        found = re.search(r'<pre id="result">(.*?)</pre>', run.stdout, re.DOTALL)
        if found:
            break
    assert found, run.stderr[-2000:]
    return json.loads(found[1].replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&"))


def test_each_frame_shows_the_people_who_are_there(seen):
    assert (seen["first"]["frame"], seen["first"]["stage"]) == (0, "smoothed")
    assert [len(seen[when]["people"]) for when in ("first", "sixth", "last")] == [1, 2, 1]
    assert seen["without"] == 1, "persons are switched"
    assert seen["sixth"]["slider"] == 6 and seen["sixth"]["clock"] == "0:00.20, frame 6"
    assert seen["sixth"]["mark"] == "40.625%" and seen["last"]["frame"] == 15


def test_the_browser_has_the_bodies_of_the_motion(seen):
    for person, (track, row) in zip(seen["sixth"]["people"], ((0, 6), (1, 2)), strict=True):
        params = _tracks()[track].motion.params[row]
        rotations = rotvec_to_rotmat(torch.tensor(person["pose"]).view(24, 3))
        torch.testing.assert_close(rotations, params.rotations, atol=5e-4, rtol=0)
        torch.testing.assert_close(torch.tensor(person["transl"]), params.transl, atol=1e-5, rtol=0)
        torch.testing.assert_close(torch.tensor(person["betas"]), params.betas, atol=3e-4, rtol=0)


def test_stages_are_switched_in_the_frame_of_now(seen):
    assert (seen["stage"]["stage"], seen["stage"]["frame"]) == ("regressed", 6)
    betas = torch.tensor(seen["stage"]["people"][0]["betas"])
    torch.testing.assert_close(betas, _tracks()[0].motion.params[6].betas + 1.0, atol=3e-4, rtol=0)


def test_bars_tell_where_a_person_was_seen_and_where_bridged(seen):
    first, late = seen["bars"]
    assert [value > 0 for value in first] == [True] * FRAMES + [False] * 4
    assert 0 < first[3] < 255 and first[2] == 255, "frame 3 was bridged"
    assert [value > 0 for value in late] == [False] * 4 + [True] * FRAMES


def test_without_a_film_the_bodies_play_by_their_own_clock_from_the_beginning(seen):
    assert seen["begun"]["playing"] is True and seen["begun"]["film"] is False and seen["begun"]["frame"] == 0
    assert seen["ended"] == {"frame": FRAMES + 3, "playing": False, "film": False}


def test_the_browser_has_nothing_to_complain_about(seen):
    assert seen["trouble"] == []
