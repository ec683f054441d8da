"""The page over HTTP on a free loopback port, with pretended work."""

import contextlib
import http.client
import json
import threading
import time
import urllib.parse
import urllib.request

import pytest

pytest.importorskip("starlette")
uvicorn = pytest.importorskip("uvicorn")

from fitloop.pipelines.demo.app import listen  # noqa: E402
from fitloop.pipelines.demo.config import DemoConfig  # noqa: E402
from fitloop.pipelines.demo.jobs import Jobs  # noqa: E402
from fitloop.pipelines.demo.server import make_app, samples  # noqa: E402
from fitloop.pipelines.samples import SAMPLES  # noqa: E402

CONFIG = DemoConfig(port=0, max_megabytes=0.5, queue=3)
PHOTO = (SAMPLES / "camera.png").read_bytes()


def pretend_work(folder) -> str:
    """Leave a page, unless the file is called bad."""
    (path,) = (folder / "in").iterdir()
    if path.name.startswith("bad"):
        return "It is bad."
    (folder / "out" / "results").mkdir(parents=True)
    (folder / "out" / "index.html").write_text(f"bodies of {path.name}")
    (folder / "out" / "results" / f"{path.name}.npz").write_bytes(b"arrays")
    return ""


@pytest.fixture(scope="module")
def address(tmp_path_factory):
    listening = listen(CONFIG)
    jobs = Jobs(tmp_path_factory.mktemp("demo") / "files", pretend_work, CONFIG)
    server = uvicorn.Server(uvicorn.Config(make_app(jobs, CONFIG), log_level="warning", lifespan="off"))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]})
    jobs.start()
    thread.start()
    yield f"http://127.0.0.1:{listening.getsockname()[1]}"
    server.should_exit = True
    thread.join(10)
    jobs.close()
    listening.close()


def ask(address: str, method: str = "GET", body: bytes | None = None, **headers: str) -> tuple[int, bytes]:
    parts = urllib.parse.urlsplit(address)
    connection = http.client.HTTPConnection(parts.netloc, timeout=10)
    with contextlib.closing(connection):
        # A server that refuses may hang up before it has read the whole body; its answer is there all the same.
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            connection.request(method, parts.path or "/", body, headers)
        answer = connection.getresponse()
        return answer.status, answer.read()


def send(address: str, name: str, body: bytes = PHOTO) -> dict:
    return json.loads(ask(f"{address}/files/{name}", "PUT", body)[1])


def ended(address: str, key: str) -> dict:
    for _ in range(500):
        told = json.loads(ask(f"{address}/jobs/{key}")[1])
        if told["state"] in ("done", "failed"):
            break
        time.sleep(0.01)
    return told


def test_the_page_says_its_limits_and_fetches_nothing_from_elsewhere(address):
    with urllib.request.urlopen(address, timeout=10) as answer:
        page, headers = answer.read().decode(), answer.headers
    assert "Up to 0.5 MB, 50 megapixels" in page and "30 s" in page
    assert "http" not in page.replace("http-equiv", "") and "//" not in page.replace("// ", "")
    assert headers["Content-Security-Policy"].startswith("default-src 'self'")


def test_a_photo_is_taken_worked_on_and_its_files_are_given(address):
    key = send(address, "a%20b.png")["key"]
    told = ended(address, key)
    assert (told["name"], told["state"], told["page"]) == ("a_b.png", "done", "index.html")
    (arrays,) = told["downloads"]
    assert ask(f"{address}/jobs/{key}/out/{arrays['link']}") == (200, b"arrays")
    assert ask(f"{address}/jobs/{key}/out/index.html") == (200, b"bodies of a_b.png")


@pytest.mark.parametrize(
    ("name", "body", "told"),
    [
        ("a.txt", PHOTO, "neither a photo nor a clip"),
        ("a.png", b"", "empty"),
        ("a.png", bytes(600_000), "larger than the 0.5 MB"),
    ],
)
def test_what_is_refused_is_told_in_a_sentence_and_the_server_goes_on(address, name, body, told):
    assert told in send(address, name, body)["problem"]
    assert ended(address, send(address, "good.png")["key"])["state"] == "done"


def test_a_file_whose_size_was_not_announced_is_cut_off_at_the_limit(address):
    chunks = (bytes(100_000) for _ in range(8))
    status, answer = ask(f"{address}/files/a.png", "PUT", chunks)  # pyright: ignore[reportArgumentType]
    assert status == 400 and b"larger than the 0.5 MB" in answer


def test_work_that_fails_is_told_and_the_next_file_is_worked_on(address):
    bad, good = send(address, "bad.png")["key"], send(address, "good.png")["key"]
    assert ended(address, bad)["problem"] == "It is bad."
    assert ended(address, good)["state"] == "done"


def test_a_full_disk_is_told(address, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("fitloop.pipelines.demo.server.check_photo", full)
    assert "no room" in send(address, "a.png")["problem"]


def test_every_sample_is_shown_and_can_be_tried(address):
    assert len(samples()) == 6
    for name in samples():
        assert ask(f"{address}/samples/{name}") == (200, (SAMPLES / name).read_bytes())
    key = json.loads(ask(f"{address}/sample-jobs/{samples()[0]}", "PUT")[1])["key"]
    assert ended(address, key)["state"] == "done"


def test_no_file_but_those_of_the_results_is_given(address):
    key = send(address, "a.png")["key"]
    ended(address, key)
    for path in ("../told.json", "%2e%2e/told.json", "..%2f..%2f..%2f..%2fetc%2fpasswd", "/etc/passwd", "results"):
        assert ask(f"{address}/jobs/{key}/out/{path}")[0] == 404
    assert ask(f"{address}/samples/CREDITS.md")[0] == 404
    assert ask(f"{address}/jobs/another")[0] == 404


def test_who_uploaded_a_file_can_delete_it(address):
    key = send(address, "a.png")["key"]
    ended(address, key)
    assert ask(f"{address}/jobs/{key}", "DELETE")[0] == 200
    assert ask(f"{address}/jobs/{key}/out/index.html")[0] == 404


def test_other_sites_cannot_use_the_page_through_the_browser(address):
    assert ask(address, Host="elsewhere.example")[0] == 400
    # These two a browser sends for any site without asking first.
    assert ask(f"{address}/files/a.png", "POST", PHOTO)[0] == 405
    assert ask(f"{address}/files/a.png")[0] == 405
