"""Memory and time of listing a folder of very many photos: of this machine, and at S3."""

import subprocess
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import psutil
from fsspec.config import conf

from benchmarks.scale_processes import megabytes
from fitloop.data.places import open_place

_PAGE = 1000


class Lister(ThreadingHTTPServer):
    """An S3 server that lists photos that are not there."""

    daemon_threads = True

    def __init__(self, count: int) -> None:
        """Listen on any free port.

        Args:
            count: Photos.
        """
        self.photos = count
        super().__init__(("127.0.0.1", 0), Page)


class Page(BaseHTTPRequestHandler):
    """A page of a thousand names."""

    protocol_version = "HTTP/1.1"
    server: Lister

    def do_GET(self) -> None:
        """Answer ListObjectsV2; the token is the number of the first photo."""
        first = int(parse_qs(urlsplit(self.path).query).get("continuation-token", ["0"])[0])
        end = min(first + _PAGE, self.server.photos)
        entries = "".join(
            f"<Contents><Key>photos/{n:08d}.jpg</Key><Size>{n}</Size><ETag>{n:032x}</ETag></Contents>"
            for n in range(first, end)
        )
        more = end < self.server.photos
        token = f"<NextContinuationToken>{end}</NextContinuationToken>" if more else ""
        told = f"<ListBucketResult><IsTruncated>{str(more).lower()}</IsTruncated>{token}{entries}</ListBucketResult>"
        self.send_response_only(200)
        self.send_header("Content-Length", str(len(told)))
        self.end_headers()
        self.wfile.write(told.encode())

    def log_message(self, *_: Any) -> None:
        """Say nothing."""


def list_many(place: Path, count: int) -> dict[str, Any]:
    """List a folder of so many empty files, then as many objects at S3, each in a process of its own.

    Args:
        place: For the files.
        count: Files and objects.
    """
    folder = place / "many"
    folder.mkdir()
    for number in range(count):
        (folder / f"{number:08d}.jpg").touch()
    server = Lister(count)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    figures: dict[str, Any] = {"photos": count}
    for kind, given in (("folder", str(folder)), ("s3", f"http://127.0.0.1:{server.server_address[1]}")):
        command = [sys.executable, "-m", "benchmarks.scale_listing", kind, given]
        told = subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()
        figures |= {
            f"{kind}_listed": int(told[0]),
            f"{kind}_megabytes": float(told[1]),
            f"{kind}_seconds": float(told[2]),
        }
    server.shutdown()
    return figures


def _list_here(kind: str, given: str) -> str:
    """Names listed, megabytes that the process grew, seconds."""
    if kind == "s3":
        conf["s3"] = {"endpoint_url": given, "key": "testing", "secret": "testing"}
    listing = open_place(given if kind == "folder" else "s3://bucket/photos").photos()
    if kind == "s3":
        # The first page brings the libraries.
        next(listing)
    here = psutil.Process()
    before, start, most = megabytes(here), time.monotonic(), 0.0
    count = first = int(kind == "s3")
    for count, _ in enumerate(listing, first + 1):
        if count % 10_000 == 2:
            most = max(most, megabytes(here))
    return f"{count} {most - before:.1f} {time.monotonic() - start:.1f}"


if __name__ == "__main__":
    print(_list_here(*sys.argv[1:3]))
