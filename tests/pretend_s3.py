"""An S3 server on the loopback interface that lists the objects, and refuses the requests, that it is told to."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any
from urllib.parse import parse_qs, urlsplit

from fsspec.config import conf

_PAGE = 1000


@dataclass
class Bucket:
    """Objects by name, and whether anybody may see them."""

    names: list[str] = field(default_factory=list)
    closed: bool = False


class PretendS3(ThreadingHTTPServer):
    """Knows some buckets; every so manieth request is refused for the moment."""

    daemon_threads = True

    def __init__(self, buckets: dict[str, Bucket], refused: int = 0) -> None:
        self.buckets, self.refused, self.count = buckets, refused, 0
        self.listings: list[str] = []
        super().__init__(("127.0.0.1", 0), Handler)


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: PretendS3

    def _any(self) -> None:
        self.rfile.read(int(self.headers.get("Content-Length") or 0))
        self.server.count += 1
        url = urlsplit(self.path)
        name, _, key = url.path.strip("/").partition("/")
        bucket = self.server.buckets.get(name)
        if self.server.refused and self.server.count % self.server.refused == 0:
            self._error(503, "SlowDown")
        elif bucket is None:
            self._error(404, "NoSuchBucket")
        elif bucket.closed:
            self._error(403, "AccessDenied")
        elif self.command == "GET" and not key:
            self._list(bucket, parse_qs(url.query))
        else:
            self._error(404, "NoSuchKey")

    do_GET = do_PUT = do_POST = do_DELETE = do_HEAD = _any

    def _list(self, bucket: Bucket, asked: dict[str, list[str]]) -> None:
        prefix, first = asked.get("prefix", [""])[0], int(asked.get("continuation-token", ["0"])[0])
        self.server.listings.append(f"{prefix} {first}")
        names = [name for name in bucket.names if name.startswith(prefix)] if prefix else bucket.names
        page, left = names[first : first + _PAGE], len(names) > first + _PAGE
        entries = "".join(
            f"<Contents><Key>{name}</Key><Size>{len(name)}</Size><ETag>&quot;{hash(name):x}&quot;</ETag></Contents>"
            for name in page
        )
        token = f"<NextContinuationToken>{first + _PAGE}</NextContinuationToken>" if left else ""
        told = f"<IsTruncated>{str(left).lower()}</IsTruncated>{token}{entries}"
        self._answer(200, f"<ListBucketResult>{told}</ListBucketResult>".encode())

    def _error(self, code: int, name: str) -> None:
        self._answer(code, f"<Error><Code>{name}</Code><Message>{name} it is</Message></Error>".encode())

    def _answer(self, code: int, content: bytes) -> None:
        self.send_response_only(code)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)

    def log_message(self, *_: Any) -> None:
        """Say nothing."""


@contextmanager
def pretend_s3(buckets: dict[str, Bucket], refused: int = 0) -> Iterator[PretendS3]:
    """Let ``s3://`` lead to such a server while the block lasts."""
    server = PretendS3(buckets, refused)
    Thread(target=server.serve_forever, daemon=True).start()
    before = conf.get("s3")
    conf["s3"] = {
        **{"endpoint_url": f"http://127.0.0.1:{server.server_address[1]}", "key": "testing", "secret": "testing"},
        "client_kwargs": {"region_name": "us-east-1"},
    }
    try:
        yield server
    finally:
        conf.pop("s3")
        if before is not None:
            conf["s3"] = before
        server.shutdown()
        server.server_close()
