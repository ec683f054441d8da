"""Bodies to turn in the browser."""

import base64
import json
import re
import shutil
import subprocess
from dataclasses import replace

import numpy as np
import pytest
import torch

from fitloop.body import BodyEstimate, load_body, upright
from fitloop.geometry import Camera, rotvec_to_rotmat
from fitloop.refinement.offsets import pose_offsets
from fitloop.rendering import load_rasterizer
from fitloop.rendering.pages import fragment
from fitloop.rendering.viewer import scene_script, viewer_body, viewer_figure, viewer_head, viewer_scene

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
SIZE = (150, 200)
GREEN = np.tile(np.array([[30, 200, 30]], np.uint8), (len(load_body().template), 1))
COAT = 0.04 * np.sin(50.0 * load_body().template.numpy())
PROBE = """<script>
const trouble = [];
addEventListener("error", (event) => trouble.push(String(event.message)));
console.error = console.warn = (...words) => trouble.push(words.join(" "));
const result = { trouble };
function probe() {
  const viewer = fitloopViewer.viewers[0], canvas = viewer.canvas, stages = viewer.scene.stages;
  const mask = () => {
    const { width, height } = canvas, data = viewer.context.getImageData(0, 0, width, height).data;
    return { width, height, rows: Array.from({ length: height }, (_, y) =>
      Array.from({ length: width }, (_, x) => data[4 * (y * width + x) + 3] > 127 ? 1 : 0).join("")) };
  };
  const send = (type, Kind, values) =>
    canvas.dispatchEvent(new Kind(type, { bubbles: true, cancelable: true, ...values }));
  const body = fitloopMesh.bodyNamed(viewer.scene.body);
  result.vertices = Array.from(fitloopMesh.skin(body, stages[1].people[0]));
  result.shown = viewer.figure.dataset.drawn;
  result.first = mask();
  viewer.figure.querySelector(".fitloop-controls button").click();
  result.clicked = viewer.figure.dataset.drawn;
  viewer.show(1);
  send("keydown", KeyboardEvent, { key: "ArrowLeft" });
  result.yaw = viewer.state.yaw;
  send("wheel", WheelEvent, { deltaY: 300 });
  result.zoomUnfocused = viewer.state.zoom;
  canvas.focus();
  send("wheel", WheelEvent, { deltaY: 300 });
  result.zoom = viewer.state.zoom;
  canvas.setPointerCapture = () => {};
  send("pointerdown", PointerEvent, { pointerId: 1, clientX: 50, clientY: 50 });
  send("pointermove", PointerEvent, { pointerId: 1, clientX: 60, clientY: 45 });
  send("pointerup", PointerEvent, { pointerId: 1 });
  result.pitch = viewer.state.pitch;
  viewer.render();
  result.turned = mask();
  viewer.come(false);
  result.released = viewer.meshes === null;
  viewer.come(true);
  result.photo = viewer.photo.getBoundingClientRect().width;
  const textured = fitloopViewer.viewers[1];
  textured.come(true);
  const { width, height } = textured.canvas, pixels = textured.context.getImageData(0, 0, width, height).data;
  result.textured = [0, 1, 2].map((c) => Array.from({ length: width * height }, (_, i) => 4 * i)
    .filter((i) => pixels[i + 3] > 250).reduce((sum, i, _, all) => sum + pixels[i + c] / all.length, 0));
  result.clothed = Array.from(fitloopMesh.skin(body, textured.scene.stages[0].people[0]));
  result.figures = document.querySelectorAll("figure.fitloop-viewer canvas").length;
}
// A loaded machine may take its time to draw the first picture.
const waiting = setInterval(() => {
  if (document.querySelectorAll("figure[data-drawn]").length < 2) return;
  clearInterval(waiting);
  try { probe(); } catch (error) { trouble.push(error.stack); }
  const output = document.createElement("pre");
  document.body.append(Object.assign(output, { id: "result", textContent: JSON.stringify(result) }));
}, 100);
</script>"""


def _estimate(people: int = 2, seed: int = 0) -> BodyEstimate:
    generator = torch.Generator().manual_seed(seed)
    params = upright(people)
    turns = rotvec_to_rotmat(0.4 * torch.randn(people, 23, 3, generator=generator))
    places = torch.tensor([[-0.5, 0.2, 3.0], [0.6, 0.1, 4.0], [0.0, 0.0, 5.0]])[:people]
    params = replace(params, body_pose=turns, betas=torch.randn(people, 10, generator=generator), transl=places)
    camera = Camera(torch.full((people,), 180.0), torch.tensor([[104.0, 70.0]]).expand(people, 2))
    return BodyEstimate(params, camera)


def _figure(*values, **more) -> str:
    return viewer_figure(viewer_scene(*values, **more))


def _scene(figure: str) -> dict:
    found = re.search(r'<script type="application/json">(.*)</script></figure>\n$', figure)
    assert found
    return json.loads(found[1])


def test_a_figure_holds_parameters_and_not_vertices():
    estimate = _estimate()
    figure = _figure({"regressed": _estimate(seed=1), "fitted": estimate}, SIZE, "photos/a b.jpg")
    assert len(figure) < 5000 and 'style="aspect-ratio:200/150"' in figure
    scene = _scene(figure)
    assert scene["size"] == [200, 150] and scene["view"] == [0, 0, 200, 150]
    assert scene["photo"] == "photos/a b.jpg" and scene["focal"] == 180.0 and scene["principal"] == [104.0, 70.0]
    assert [stage["name"] for stage in scene["stages"]] == ["regressed", "fitted"]
    person = scene["stages"][1]["people"][1]
    rotations = rotvec_to_rotmat(torch.tensor(person["pose"]).view(24, 3))
    torch.testing.assert_close(rotations, estimate.params[1].rotations, atol=3e-4, rtol=0)
    torch.testing.assert_close(torch.tensor(person["transl"]), estimate.params[1].transl, atol=1e-4, rtol=0)


def test_nothing_in_a_figure_can_end_its_script_tag():
    figure = _figure({"</script><b>": _estimate()}, SIZE, "<!--</script>.jpg")
    assert figure.count("</script>") == 1 and "<!--" not in figure
    assert _scene(figure)["photo"] == "<!--</script>.jpg"


def test_people_that_are_not_finite_are_left_out():
    estimate = _estimate(3)
    transl = estimate.params.transl.clone()
    transl[1, 2] = torch.nan
    broken = replace(estimate, params=replace(estimate.params, transl=transl))
    people = _scene(_figure({"fitted": broken}, SIZE))["stages"][0]["people"]
    assert len(people) == 2
    whole = _scene(_figure({"fitted": estimate}, SIZE))["stages"][0]["people"]
    assert people[1]["color"] == whole[2]["color"], "the others keep their colours"


def test_a_textured_figure_holds_its_colours_once():
    scene = _scene(_figure({"regressed": _estimate(), "fitted": _estimate()}, SIZE, texture=GREEN))
    stored = np.frombuffer(base64.b64decode(scene["texture"]), np.uint8).reshape(-1, 3)
    np.testing.assert_array_equal(stored, GREEN)
    assert all(person["color"] == [1.0, 1.0, 1.0] for stage in scene["stages"] for person in stage["people"])
    assert "texture" not in _scene(_figure({"fitted": _estimate()}, SIZE))


def test_only_people_who_have_offsets_carry_them():
    offsets = np.stack([COAT, np.zeros_like(COAT)])
    people = _scene(_figure({"fitted": _estimate()}, SIZE, offsets={"fitted": offsets}))["stages"][0]["people"]
    stored = np.frombuffer(base64.b64decode(people[0]["offsets"]), "<i2").reshape(-1, 3)
    np.testing.assert_allclose(people[0]["offset_unit"] * stored, COAT, atol=2e-6)
    assert "offsets" not in people[1]


def test_nobody_gives_an_empty_scene():
    empty = _estimate()[:0]
    scene = _scene(_figure({"fitted": empty}, SIZE))
    assert scene["stages"] == [{"name": "fitted", "people": []}] and scene["principal"] == [100.0, 75.0]


def test_stages_of_different_bodies_are_refused():
    with pytest.raises(ValueError, match=r"one body model, got \['open-1', 'smpl'\]"):
        _figure({"regressed": _estimate(), "fitted": replace(_estimate(), body="smpl")}, SIZE)
    with pytest.raises(ValueError, match="got no stage"):
        _figure({}, SIZE)


def test_head_and_body_reach_for_nothing_outside_the_page():
    page = viewer_head() + viewer_body(load_body())
    assert len(page) < 2_000_000
    assert not re.search(r"https?://|@import|url\(|fetch\(|XMLHttpRequest", page)


def _overlap(first: np.ndarray, second: np.ndarray) -> float:
    return float((first & second).sum() / (first | second).sum())


@pytest.fixture(scope="module")
def seen(tmp_path_factory):
    """What a page with two figures did in headless Chromium."""
    if CHROMIUM is None:
        pytest.skip("Chromium is not installed.")
    folder = tmp_path_factory.mktemp("page")
    stages = {"regressed": _estimate(seed=1), "fitted": _estimate()}
    figures = _figure(stages, SIZE, "photo.svg")
    # The scene of the second figure lies beside the page.
    view = (50.0, 0.0, 150.0, 150.0)
    scene = viewer_scene({"fitted": _estimate(1)}, SIZE, None, view, GREEN, {"fitted": COAT[None]})
    figures += fragment("fitloop.rendering", "viewer.html", "figure_of_file", view, "beside%20it.scene.js")
    (folder / "beside it.scene.js").write_text(scene_script(scene))
    (folder / "photo.svg").write_text('<svg xmlns="http://www.w3.org/2000/svg" width="200" height="150"/>')
    (folder / "page.html").write_text(
        f'<!doctype html><html><head><meta charset="utf-8">{PROBE}{viewer_head()}</head>'
        f'<body>{viewer_body(load_body())}<div style="width:{SIZE[1]}px">{figures}</div></body></html>'
    )
    # Without its own network services the browser asks nothing of the outside.
    flags = (
        "--headless --no-sandbox --disable-gpu --enable-unsafe-swiftshader --disable-quic --no-first-run "
        "--disable-background-networking --disable-component-update --disable-sync --hide-scrollbars"
    ).split()
    command = [CHROMIUM, *flags, f"--user-data-dir={folder / 'profile'}", "--virtual-time-budget=20000", "--dump-dom"]
    for _ in range(3):
        # On a busy machine the browser's budget of time may end before the page was drawn.
        run = subprocess.run([*command, (folder / "page.html").as_uri()], capture_output=True, text=True, timeout=120)
        found = re.search(r'<pre id="result">(.*?)</pre>', run.stdout, re.DOTALL)
        if found:
            break
    assert found, run.stderr[-2000:]
    return json.loads(found[1].replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&"))


def test_the_browser_skins_as_the_body_model_does(seen):
    expected = load_body()(_estimate().params).vertices[0]
    found = torch.tensor(seen["vertices"]).view(-1, 3)
    assert (found - expected).norm(dim=-1).max() < 5e-4, "half a millimetre"


def test_the_browser_adds_offsets_before_it_poses(seen):
    params, body = _estimate(1).params, load_body()
    expected = body(params).vertices[0] + pose_offsets(body, params, torch.from_numpy(COAT)[None])[0]
    found = torch.tensor(seen["clothed"]).view(-1, 3)
    assert (found - expected).norm(dim=-1).max() < 5e-4, "half a millimetre"


def test_the_browser_shows_the_last_stage_where_the_photo_shows_it(seen):
    estimate = _estimate()
    body = load_body()
    fragments = load_rasterizer()(body(estimate.params).vertices, body.faces, estimate.camera, SIZE)
    expected = fragments.covered.any(0).numpy()
    rows, width, height = seen["first"]["rows"], seen["first"]["width"], seen["first"]["height"]
    assert (height, width) == SIZE
    found = np.array([[pixel == "1" for pixel in row] for row in rows])
    shifts = [(y, x) for y in (-1, 0, 1) for x in (-1, 0, 1)]
    overlaps = {shift: _overlap(np.roll(found, shift, (0, 1)), expected) for shift in shifts}
    assert overlaps[0, 0] > 0.95, "smooth edges widen the silhouette a little"
    assert max(overlaps, key=lambda shift: overlaps[shift]) == (0, 0)
    assert seen["shown"] == "fitted"


def test_buttons_keys_wheel_and_pointer_move_the_view(seen):
    assert seen["clicked"] == "regressed"
    assert seen["yaw"] == pytest.approx(0.1)
    assert seen["zoomUnfocused"] == 1.0, "the page scrolls until the picture was clicked"
    assert seen["zoom"] == pytest.approx(np.exp(0.3))
    assert seen["pitch"] == pytest.approx(-0.05)
    assert seen["turned"]["rows"] != seen["first"]["rows"] and any("1" in row for row in seen["turned"]["rows"])


def test_figures_out_of_sight_give_their_meshes_back(seen):
    assert seen["released"] is True
    assert seen["figures"] == 2 and seen["photo"] > 100


def test_the_browser_shows_textures(seen):
    red, green, blue = seen["textured"]
    assert green > 2.0 * max(red, blue) > 0.0


def test_the_browser_has_nothing_to_complain_about(seen):
    assert seen["trouble"] == []
