"""The page's addresses: nothing is fetched from elsewhere, nothing is told to anybody."""

import asyncio
import shutil
from dataclasses import asdict
from pathlib import Path
from typing import Any

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.middleware import Middleware
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.requests import ClientDisconnect, Request
from starlette.responses import FileResponse, HTMLResponse, JSONResponse, Response
from starlette.routing import Route

from fitloop.pipelines.console.endings import warn
from fitloop.pipelines.demo.config import DemoConfig
from fitloop.pipelines.demo.files import shown
from fitloop.pipelines.demo.jobs import Job, Jobs
from fitloop.pipelines.demo.telling import read_told
from fitloop.pipelines.demo.uploads import Refused, check_photo, check_size, is_clip, safe_name
from fitloop.pipelines.samples import SAMPLES
from fitloop.rendering.pages import environment

LOOPBACK = ("127.0.0.1", "localhost")
_HEADERS = {
    # The page and its results are their own: a browser refuses to load anything from elsewhere for them.
    "Content-Security-Policy": "default-src 'self' 'unsafe-inline' data: blob:; frame-ancestors 'self'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
}


def make_app(jobs: Jobs, config: DemoConfig) -> Starlette:
    """Make the page's server.

    Every address that changes something takes PUT or DELETE: browsers let no other site's page send these here.

    Args:
        jobs: Takes the files.
        config: Names limits and address.
    """
    pages = _Pages(jobs, config)
    # A page elsewhere that points its own name at this machine is turned away.
    names = [*LOOPBACK] if config.host in LOOPBACK else ["*"]
    return Starlette(
        routes=[
            Route("/", pages.home),
            Route("/samples/{name}", pages.sample),
            Route("/files/{name}", pages.take, methods=["PUT"]),
            Route("/sample-jobs/{name}", pages.take_sample, methods=["PUT"]),
            Route("/jobs/{key}", pages.state),
            Route("/jobs/{key}", pages.forget, methods=["DELETE"]),
            Route("/jobs/{key}/out/{path:path}", pages.result),
        ],
        middleware=[Middleware(TrustedHostMiddleware, allowed_hosts=names)],
        exception_handlers={Refused: _refused, ClientDisconnect: _refused, OSError: _no_room},
    )


def samples() -> list[str]:
    """Names of the project's sample photos."""
    return sorted(path.name for path in SAMPLES.iterdir() if path.suffix in (".jpg", ".png"))


async def _refused(_: Request, error: Exception) -> Response:
    return JSONResponse({"problem": str(error)}, 400, _HEADERS)


async def _no_room(_: Request, error: Exception) -> Response:
    warn(f"an upload could not be written: {error}")
    return JSONResponse({"problem": "The server could not write the file; it may have no room left."}, 507, _HEADERS)


class _Pages:
    """One method per address."""

    def __init__(self, jobs: Jobs, config: DemoConfig) -> None:
        self._jobs, self._config = jobs, config

    async def home(self, _: Request) -> Response:
        page = environment("fitloop.pipelines").get_template("demo.html")
        return HTMLResponse(page.render(config=self._config, samples=samples()), headers=_HEADERS)

    async def sample(self, request: Request) -> Response:
        name = request.path_params["name"]
        return _file(SAMPLES / name) if name in samples() else _missing()

    async def take(self, request: Request) -> Response:
        """Take an upload: refused as early as its name, its announced size, its bytes or its header tell."""
        name = safe_name(request.path_params["name"])
        check_size(int(request.headers.get("content-length", 0)), self._config)
        with self._jobs.arrival(name) as path:
            try:
                await asyncio.wait_for(self._receive(request, path), 60.0 * self._config.max_minutes)
            except asyncio.TimeoutError as error:
                raise Refused("The upload took too long.") from error
            if not is_clip(name):
                await run_in_threadpool(check_photo, path, self._config)
        return JSONResponse({"key": path.parent.parent.name}, headers=_HEADERS)

    async def _receive(self, request: Request, path: Path) -> None:
        size = 0
        with path.open("wb") as file:
            async for chunk in request.stream():
                size += len(chunk)
                check_size(size, self._config)
                await run_in_threadpool(file.write, chunk)
        if size == 0:
            raise Refused("The file is empty.")

    async def take_sample(self, request: Request) -> Response:
        name = request.path_params["name"]
        if name not in samples():
            return _missing()
        with self._jobs.arrival(name) as path:
            shutil.copyfile(SAMPLES / name, path)
        return JSONResponse({"key": path.parent.parent.name}, headers=_HEADERS)

    async def state(self, request: Request) -> Response:
        job = self._jobs.find(request.path_params["key"])
        return _missing() if job is None else JSONResponse(self._told(job), headers=_HEADERS)

    def _told(self, job: Job) -> dict[str, Any]:
        told: dict[str, Any] = {"name": job.name, "state": job.state, "problem": job.problem}
        if job.state == "waiting":
            told["ahead"] = self._jobs.ahead(job.key)
        if job.state == "working":
            told |= asdict(read_told(job.folder))
        if job.state == "done":
            told |= asdict(shown(job.folder / "out", job.name))
        return told

    async def forget(self, request: Request) -> Response:
        self._jobs.forget(request.path_params["key"])
        return JSONResponse({}, headers=_HEADERS)

    async def result(self, request: Request) -> Response:
        job = self._jobs.find(request.path_params["key"])
        if job is None or job.state != "done":
            return _missing()
        out = (job.folder / "out").resolve()
        path = (out / request.path_params["path"]).resolve()
        return _file(path) if path.is_relative_to(out) and path.is_file() else _missing()


def _file(path: Path) -> Response:
    return FileResponse(path, headers=_HEADERS)


def _missing() -> Response:
    return JSONResponse({"problem": "It is not here, or not any more."}, 404, _HEADERS)
