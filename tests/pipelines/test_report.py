import html
import json
import shutil
import subprocess
import time
from html.parser import HTMLParser

import numpy as np
import pytest
from html_elements import elements
from PIL import Image
from toy_bench import make_truth, write_results

from fitloop.body import load_body
from fitloop.pipelines.cli import main

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
FLAGS = (
    *("--headless=new", "--no-sandbox", "--disable-quic", "--no-first-run", "--disable-background-networking"),
    *("--disable-component-update", "--disable-sync", "--use-angle=swiftshader", "--enable-unsafe-swiftshader"),
    *("--window-size=1200,900", "--enable-logging=stderr", "--virtual-time-budget=6000", "--dump-dom"),
    "--host-resolver-rules=MAP * ~NOTFOUND",
)
needs_browser = pytest.mark.skipif(CHROMIUM is None, reason="no Chromium to open the page with")

PROBE = """
<script>
window.addEventListener("load", () => setTimeout(async () => {
  const told = {}, by = (id) => document.getElementById(id), rows = () => by("persons").tBodies[0].rows;
  told.rows = rows().length;
  by("filter").value = "0002"; by("filter").dispatchEvent(new Event("input"));
  told.filtered = rows().length;
  by("filter").value = ""; by("filter").dispatchEvent(new Event("input"));
  by("verdict").value = "rejected"; by("verdict").dispatchEvent(new Event("input"));
  told.rejected = rows().length;
  by("verdict").value = "all"; by("verdict").dispatchEvent(new Event("input"));
  const first = () => rows()[0].cells[0].textContent, head = by("persons").tHead.rows[0].cells[0].firstChild;
  head.click(); told.ascending = first(); head.click(); told.descending = first();
  rows()[0].querySelector("button").click();
  told.open = by("person").open; told.name = by("person-name").textContent;
  const stages = () => [...by("person").querySelectorAll(".fitloop-controls button")];
  const drawn = () => {
    const canvas = by("person").querySelector("canvas");
    const copy = document.createElement("canvas"), context = copy.getContext("2d", { willReadFrequently: true });
    Object.assign(copy, { width: canvas.width, height: canvas.height });
    context.drawImage(canvas, 0, 0);
    const data = context.getImageData(0, 0, canvas.width, canvas.height).data;
    let count = 0;
    for (let i = 3; i < data.length; i += 4) count += data[i] > 0;
    return count;
  };
  const wait = () => new Promise((go) => setTimeout(go, 400));
  await wait(); told.stages = stages().map((button) => button.textContent).slice(0, 3); told.drawn = drawn();
  stages()[1].click(); await wait(); told.redrawn = drawn();
  by("person").dispatchEvent(new KeyboardEvent("keydown", { key: "n" }));
  told.next = by("person-name").textContent;
  by("close").click(); told.closed = !by("person").open;
  by("theme").click(); told.theme = document.documentElement.dataset.theme;
  const out = document.createElement("pre"); out.id = "told"; out.textContent = JSON.stringify(told);
  document.body.append(out);
}, 200));
</script>
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    root = tmp_path_factory.mktemp("report")
    body = load_body("open")
    arrays = make_truth(6, body=body)
    np.savez(root / "truth.npz", **arrays)
    write_results(root / "out", arrays, body=body)
    rejected = next((root / "out").rglob("0002*.npz"))
    with np.load(rejected) as file:
        changed = {key: file[key] for key in file.files} | {"status": np.array(["not_enough_evidence"])}
    np.savez(rejected, **changed, energy_pose_prior=np.array([2.0]))  # pyright: ignore[reportArgumentType]
    timings = {"fitting": {"seconds": 2.0, "photos": 4}}
    (root / "out" / "run.json").write_text(json.dumps({"timings": timings, "config": {"regressor": "keypoints"}}))
    photo = root / "photos" / "people" / "0000.jpg"
    photo.parent.mkdir(parents=True)
    Image.fromarray(np.full((480, 640, 3), 90, np.uint8)).save(photo)
    return root


def report(root, *more, truth=True, name="other.html"):
    out = root / name
    scored = ["--protocol", "open-bench", "--truth", str(root / "truth.npz")] if truth else []
    files = ["--results", str(root / "out"), "--images", str(root / "photos"), "--out", str(out)]
    assert main(["report", *scored, *files, *more]) == 0
    return out


@pytest.fixture(scope="module")
def page(folder):
    """The whole report, with pictures; drawn once."""
    return report(folder, name="page.html")


NO_PICTURES = ("--pictures", "0")


class Addresses(HTMLParser):
    """Collects what a page would fetch."""

    def __init__(self):
        super().__init__()
        self.found = []

    def handle_starttag(self, tag, attrs):
        self.found += [value for key, value in attrs if key in ("src", "href") and tag != "a"]


def open_page(page, tmp_path, extra=""):
    probed = tmp_path / "probed.html"
    probed.write_text(page.read_text() + extra)
    started = time.monotonic()
    flags = [*FLAGS, f"--user-data-dir={tmp_path / 'profile'}"]
    assert CHROMIUM is not None
    done = subprocess.run(
        [CHROMIUM, *flags, f"file://{probed}"], capture_output=True, text=True, timeout=240, check=True
    )
    errors = [line for line in done.stderr.splitlines() if "CONSOLE" in line]
    return done.stdout, errors, time.monotonic() - started


def test_the_page_holds_everything_and_fetches_nothing(page):
    page = page.read_text()
    parser = Addresses()
    parser.feed(page)
    assert parser.found and all(address.startswith("data:") for address in parser.found)
    for section in (
        "summary",
        "worst",
        "samples",
        "people",
        "grades",
        "plots",
        "joints",
        "energy",
        "time",
        "made-with",
    ):
        assert f'id="{section}"' in page
    assert "not enough evidence" in page and "detector's own 3D landmarks" in html.unescape(page)
    assert page.count('class="card"') == 6 + 5


def test_markdown_and_json_hold_the_same_means(page):
    card = json.loads(page.with_suffix(".json").read_text())
    fitted = card["entries"][1]
    assert fitted["label"] == "fitted (SMPLify)"
    means = [row["stages"]["fitted (SMPLify)"]["metrics"]["mpjpe"] for row in card["by_person"]]
    assert fitted["metrics"]["mpjpe"]["mean"] == pytest.approx(np.mean(means))
    assert card["by_person"][2]["stages"]["fitted (SMPLify)"] | {"metrics": 0} == {
        "accepted": False,
        "reason": "not enough evidence",
        "metrics": 0,
    }
    text = page.with_suffix(".md").read_text()
    assert f"{fitted['metrics']['mpjpe']['mean']:.1f} (" in text and "## The ten worst" in text


def test_without_a_truth_bodies_are_compared_with_their_keypoints(folder):
    card = json.loads(report(folder, *NO_PICTURES, truth=False).with_suffix(".json").read_text())
    assert card["protocol"]["name"] == "evidence"
    assert [entry["stage"] for entry in card["entries"]] == ["regressed", "fitted"]
    assert card["entries"][0]["metrics"]["pixels"]["mean"] < card["entries"][1]["metrics"]["pixels"]["mean"]


def test_another_systems_results_are_a_further_row(folder):
    with np.load(folder / "truth.npz") as file:
        rows = len(file["photo"])
    joints = np.random.default_rng(0).normal(0, 0.3, (rows, 17, 3))
    np.savez(folder / "theirs.npz", joints=joints, convention=np.array("coco17"))
    page = report(folder, "--others", f"theirs={folder / 'theirs.npz'}", "--trust", *NO_PICTURES).read_text()
    assert ">theirs</th>" in page


def test_people_are_sorted_by_the_own_last_stage_whatever_stands_beside_it(folder):
    own = report(folder, *NO_PICTURES).with_suffix(".md").read_text()
    page = report(folder, "--others", f"theirs={folder / 'out'}", *NO_PICTURES)
    assert "by MPJPE in mm of fitted (SMPLify)" in own
    assert "by MPJPE in mm of fitted (SMPLify)" in page.with_suffix(".md").read_text()
    data = json.loads(page.read_text().split('id="data">')[1].split("</script>")[0])
    assert (data["first"], data["main"]) == (0, 1) and len(data["stages"]) == 6


def test_pictures_can_be_limited_to_the_worst(folder, page):
    few = report(folder, "--pictures", "1").read_text()
    one, all_of_them = (text.split('id="scenes">')[1].split("</script>")[0] for text in (few, page.read_text()))
    # The samples at percentiles keep theirs.
    assert 1 <= len(json.loads(one)) <= 6 and len(json.loads(all_of_them)) == 6
    assert len(few) <= page.stat().st_size


def test_words_of_users_are_shown_and_not_run(folder):
    title, label = "<script>alert(1)</script> & 'more'", '"théirs" <b>'
    page = report(folder, "--title", title, "--others", f"{label}={folder / 'out'}", *NO_PICTURES).read_text()
    found = elements(page)
    assert found.texts["h1"] == found.texts["title"][:1] == [title] and "b" not in found.texts
    assert f"{label}, fitted (SMPLify)" in found.texts["th"]


def test_wrong_options_are_told_in_a_sentence(folder, capsys):
    out = ["--results", str(folder / "out"), "--out", str(folder / "x.html")]
    assert main(["report", *out, "--others", "theirs"]) == 2
    assert "expects LABEL=PATH, got 'theirs'" in capsys.readouterr().err
    assert main(["report", "--results", str(folder / "gone"), "--out", str(folder / "x.html")]) == 2
    assert "no results at" in capsys.readouterr().err


@needs_browser
def test_the_page_works_in_a_browser_without_network_or_console_errors(page, tmp_path):
    dom, errors, _ = open_page(page, tmp_path, PROBE)
    assert errors == []
    told = json.loads(dom.split('<pre id="told">')[1].split("</pre>")[0])
    assert (told["rows"], told["filtered"], told["rejected"]) == (6, 1, 1)
    assert told["ascending"].startswith("people/0000") and told["descending"].startswith("people/0005")
    assert told["open"] and told["name"].startswith("people/0005") and told["next"].startswith("people/0004")
    assert told["stages"] == ["truth", "regressed (HMR)", "fitted (SMPLify)"]
    assert told["drawn"] > 1000 and told["redrawn"] > 1000 and told["drawn"] != told["redrawn"]
    assert told["closed"] and told["theme"] in ("light", "dark")
