"""An S3 store that fails: moto's server behind a proxy that refuses, drops connections and goes away."""

import http.client
import os
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import fsspec
from fsspec.config import conf, set_conf_env

from benchmarks.scale_compare import compare
from benchmarks.scale_stages import StandingStages
from fitloop.pipelines.folder.config import RunConfig
from fitloop.pipelines.folder.run import run_folder

_REFUSED, _DROPPED = 10, 23
"""Every so manieth request is answered with 503, or done without an answer."""
_AWAY = 20.0
"""Seconds for which the store is gone."""
_LEAVES = 120
"""Requests after which it goes."""
_HOP = {"connection", "transfer-encoding", "keep-alive"}


class Proxy(ThreadingHTTPServer):
    """Passes requests on to a store, most of the time."""

    daemon_threads = True

    def __init__(self, port: int) -> None:
        """Listen on any free port.

        Args:
            port: Of the store.
        """
        self.store, self.count, self.told = port, 0, Counter[str]()
        self.shaky, self.away_until, self.leaves_after = False, 0.0, -1
        self.lock = threading.Lock()
        super().__init__(("127.0.0.1", 0), Handler)

    def fate(self) -> str:
        """What becomes of the next request."""
        with self.lock:
            self.count += 1
            if self.count == self.leaves_after:
                self.away_until = time.monotonic() + _AWAY
            if time.monotonic() < self.away_until:
                fate = "away"
            elif self.shaky and self.count % _REFUSED == 0:
                fate = "refused"
            elif self.shaky and self.count % _DROPPED == 0:
                fate = "dropped"
            else:
                fate = "passed"
            self.told[fate] += 1
        return fate


class Handler(BaseHTTPRequestHandler):
    """One connection."""

    protocol_version = "HTTP/1.1"
    server: Proxy

    def _pass(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        fate = self.server.fate()
        if fate == "away":
            self.close_connection = True
            return
        if fate == "refused":
            self._answer(503, {}, b"<Error><Code>SlowDown</Code><Message>Please slow down</Message></Error>")
            return
        asked = http.client.HTTPConnection("127.0.0.1", self.server.store, timeout=60)
        asked.request(self.command, self.path, body, dict(self.headers))
        answer = asked.getresponse()
        content = answer.read()
        asked.close()
        if fate == "dropped":
            # The store has done it, and nobody hears of it: the request comes again.
            self.close_connection = True
            return
        kept = {name: value for name, value in answer.getheaders() if name.lower() not in _HOP}
        self._answer(answer.status, kept, content)

    do_GET = do_PUT = do_POST = do_DELETE = do_HEAD = _pass

    def _answer(self, code: int, headers: dict[str, str], content: bytes) -> None:
        self.send_response_only(code)
        for name, value in headers.items():
            if name.lower() != "content-length" or self.command == "HEAD":
                self.send_header(name, value)
        if self.command != "HEAD":
            self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)

    def log_message(self, *_: Any) -> None:
        """Say nothing."""


@contextmanager
def shaky_store() -> Iterator[Proxy]:
    """A store in this process; s3:// of this process and its children leads there."""
    from moto.server import ThreadedMotoServer  # pyright: ignore[reportMissingImports]

    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    proxy = Proxy(server.get_host_and_port()[1])
    threading.Thread(target=proxy.serve_forever, daemon=True).start()
    given = {
        "FSSPEC_S3_ENDPOINT_URL": f"http://127.0.0.1:{proxy.server_address[1]}",
        **{"AWS_ACCESS_KEY_ID": "testing", "AWS_SECRET_ACCESS_KEY": "testing", "AWS_DEFAULT_REGION": "us-east-1"},
    }
    os.environ.update(given)
    set_conf_env(conf)
    try:
        yield proxy
    finally:
        proxy.shutdown()
        server.stop()
        for name in given:
            del os.environ[name]


def from_bucket_to_bucket(folder: Path, place: Path) -> dict[str, Any]:
    """Run on a folder undisturbed, then from bucket to bucket while the store fails: by one process, by two workers.

    Args:
        folder: Of photos.
        place: For results.
    """
    _run(folder, place / "calm")
    figures: dict[str, Any] = {}
    with shaky_store() as proxy:
        files = fsspec.filesystem("s3")
        for bucket in ("photos", "results"):
            files.mkdir(bucket)
        for path in sorted(folder.iterdir()):
            files.pipe_file(f"photos/{path.name}", path.read_bytes())
        for way, workers in (("one process", None), ("two workers", 2)):
            figures[way] = _through_failures(proxy, place / "calm", f"s3://results/{way.replace(' ', '-')}", workers)
        wrong = {kind: _run(images, out) for kind, images, out in _WRONG}
    good = all(figures[way].pop("good") for way in figures)
    return {**figures, **wrong, "as_expected": good}


def _through_failures(proxy: Proxy, calm: Path, out: str, workers: int | None) -> dict[str, Any]:
    before = Counter(proxy.told)
    # It fails from here on, and goes away in the midst of the work.
    proxy.shaky, proxy.leaves_after, start = True, proxy.count + _LEAVES, time.monotonic()
    code = _run("s3://photos", out, workers)
    seconds, told = time.monotonic() - start, dict(proxy.told - before)
    again = _run("s3://photos", out, workers)
    proxy.shaky = False
    found = compare(calm, out)
    good = code == again == 0 and found["different_arrays"] == found["photos_lost"] == found["photos_twice"] == 0
    figures = {"exit": code, "exit_again": again, "seconds": round(seconds, 1), "requests": told, **found}
    return figures | {"good": good and told.get("away", 0) > 0}


_WRONG = (
    ("exit_without_bucket_of_photos", "s3://nowhere/photos", "s3://results/wrong"),
    ("exit_without_bucket_for_results", "s3://photos", "s3://nowhere/out"),
)


def _run(images: Any, out: Any, workers: int | None = None) -> int:
    config = RunConfig(images=Path(images), out=Path(out), outputs=(), threads=1, workers=workers)
    return run_folder(config, StandingStages)
