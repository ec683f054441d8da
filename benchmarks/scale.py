"""More than one machine: efficiency, overhead, memory, deaths and stores that fail.

python -m benchmarks scale workers --source PHOTOS --json workers.json
python -m benchmarks scale kills
python -m benchmarks scale million --photos 1000000

Every trial starts its processes on this machine and listens on the loopback interface alone.
"""

import json
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import psutil
import tyro

from benchmarks.scale_compare import told_of
from benchmarks.scale_processes import LONGEST, Cluster, cluster, megabytes, start_client, wait_for
from benchmarks.scale_stages import Standing, StandingStages, make_photos, nothing, register
from fitloop.data.places import Folder
from fitloop.pipelines.cluster.run import run_anywhere
from fitloop.pipelines.folder.config import RunConfig
from fitloop.pipelines.folder.run import run_folder
from fitloop.pipelines.regress_then_fit import Stages


@dataclass(frozen=True, kw_only=True)
class ScaleConfig:
    """Measure the main job with several processes and at addresses."""

    trial: tyro.conf.Positional[
        Literal["workers", "overhead", "million", "kills", "quarantine", "store", "page", "listing", "client"]
    ]
    """What to measure; ``client`` is one run, which the others start."""
    photos: int = 0
    """How many; each trial has its own number if not given."""
    pause: float = 0.0
    """Seconds that a stage waits for each photo, ``workers``, ``kills`` and ``client``."""
    seconds: float = 120.0
    """How long workers are killed."""
    source: Path | None = None
    """Folder of photos for ``workers``, which then computes in earnest, and ``page``; grey pictures if not given."""
    json: Path | None = None
    """Where to write the figures."""
    images: str = ""
    """``client``: photos."""
    out: str = ""
    """``client``: results."""
    scheduler: str | None = None
    """``client``: a scheduler."""
    workers: int | None = None
    """``client``: processes."""
    work: Literal["stages", "real", "nothing"] = "stages"
    """``client``: what is done with photos."""


def main(arguments: list[str]) -> int:
    """Run a trial; return 0 if it went as it should."""
    config = tyro.cli(ScaleConfig, args=arguments)
    if config.trial == "client":
        return client(config)
    with tempfile.TemporaryDirectory(prefix="fitloop-scale-") as place:
        figures = TRIALS[config.trial](config, Path(place))
    print(json.dumps(figures, indent=2))
    if config.json is not None:
        config.json.write_text(json.dumps(figures, indent=2) + "\n")
    return 0 if figures.get("as_expected", True) else 1


def client(config: ScaleConfig) -> int:
    """One run."""
    register()
    options: dict[str, Any] = {"images": Path(config.images), "out": Path(config.out), "outputs": (), "threads": 1}
    run = RunConfig(**options, scheduler=config.scheduler, workers=config.workers)
    if config.work == "nothing":
        return run_anywhere(run, StandingStages, nothing)
    return run_folder(run, Stages if config.work == "real" else Standing(config.pause))


def workers(config: ScaleConfig, place: Path) -> dict[str, Any]:
    """One and two workers on the same photos: a stage that waits, or the real stages where a folder is given.

    Half of the photos are done by one, two, two and one worker, and then the other half likewise in turn: what else the
    machine does then concerns both alike.
    """
    count, work = config.photos or 200, "stages" if config.source is None else "real"
    halves = [make_photos(place / f"photos{half}", count // 2, config.source) for half in (0, 1)]
    found: dict[int, list[tuple[int, float, float]]] = {1: [], 2: []}
    loads: list[float] = []
    for half, number in ((0, 1), (0, 2), (1, 2), (1, 1)):
        given = ["--work", work, "--pause", str(config.pause)]
        found[number].append(_timed(place / f"out{half}{number}", halves[half], number, given))
        loads.append(round(psutil.getloadavg()[1], 1))
        print(json.dumps({"workers": number, "photos, seconds, processor seconds": found[number][-1]}), flush=True)
    figures: dict[str, Any] = {"photos": count, "processors": psutil.cpu_count(), "load_average_of_5_minutes": loads}
    for number, timed in found.items():
        photos, seconds, processor = (sum(column) for column in zip(*timed, strict=True))
        figures[f"photos_per_second_{number}"] = round(photos / seconds, 3)
        figures[f"processor_seconds_per_photo_{number}"] = round(processor / photos, 3)
    figures["efficiency"] = round(figures["photos_per_second_2"] / (2 * figures["photos_per_second_1"]), 3)
    return figures


def _timed(out: Path, folder: Path, number: int, given: list[str]) -> tuple[int, float, float]:
    """Photos, seconds and processor seconds of a run once every worker has finished its first chunk."""
    with cluster(out.with_name(f"{out.name}-logs"), number) as made:
        process = start_client(str(folder), str(out), ["--scheduler", made.address, *given])
        begun: float | None = None
        while process.poll() is None:
            if begun is None and len(_parts(out)) >= number:
                begun = made.worker_seconds()
            time.sleep(0.2)
        if process.returncode not in (0, 1) or begun is None:
            raise RuntimeError(f"A run of {number} workers ended with {process.returncode}.")
        photos, seconds = _done(out, number)
        return photos, seconds, made.worker_seconds() - begun


def _parts(out: Path) -> list[str]:
    return [name for name in Folder(out).names("people.parquet") if name.startswith("part-")]


def _done(out: Path, number: int) -> tuple[int, float]:
    """Photos and seconds once every worker has finished its first chunk: without loading Python and the stages."""
    parts = sorted(_parts(out), key=lambda name: (out / "people.parquet" / name).stat().st_mtime)
    times = [(out / "people.parquet" / name).stat().st_mtime for name in parts]
    return sum(int(name.split("-")[2]) for name in parts[number:]), times[-1] - times[number - 1]


def overhead(config: ScaleConfig, place: Path) -> dict[str, Any]:
    """What the engine itself costs a photo: work that does nothing, in this process and on one worker."""
    register()
    count = config.photos or 100_000
    figures: dict[str, Any] = {"photos": count}
    options: dict[str, Any] = {"images": Path(f"simulated://{count}"), "outputs": (), "threads": 1}
    start = time.perf_counter()
    run_anywhere(RunConfig(**options, out=place / "here"), StandingStages, nothing)
    figures["microseconds_per_photo_one_process"] = round(1e6 * (time.perf_counter() - start) / count, 1)
    with cluster(place / "logs", 1) as made:
        start = time.perf_counter()
        run_anywhere(RunConfig(**options, out=place / "out", scheduler=made.address), StandingStages, nothing)
        figures["microseconds_per_photo_one_worker_with_start"] = round(1e6 * (time.perf_counter() - start) / count, 1)
        photos, seconds = _done(place / "out", 1)
        figures["microseconds_per_photo_one_worker"] = round(1e6 * seconds / photos, 1)
    return figures


def million(config: ScaleConfig, place: Path) -> dict[str, Any]:
    """Memory of every process at 10, 50 and 100 % of photos that are not there, and the time to resume."""
    count, figures = config.photos or 1_000_000, {}
    with cluster(place / "logs", 2) as made:
        address, out = f"simulated://{count}", place / "out"
        given = ["--scheduler", made.address, "--work", "nothing"]
        start = time.monotonic()
        process = start_client(address, str(out), given)
        marks = {0.1: "10 %", 0.5: "50 %", 0.98: "100 %"}
        while process.poll() is None:
            done = sum(int(part.split("-")[2]) for part in _parts(out))
            for share in [share for share in marks if done >= share * count]:
                figures[f"megabytes at {marks.pop(share)}"] = _memory(made, process.pid)
                print(json.dumps(figures), flush=True)
            time.sleep(0.5)
        figures |= {"photos": count, "exit": process.wait(), "seconds": round(time.monotonic() - start, 1)}
        start = time.monotonic()
        figures["exit of resuming"] = wait_for(start_client(address, str(out), given), LONGEST)
        figures["seconds to resume"] = round(time.monotonic() - start, 1)
        figures["people"] = told_of(out)["people"]
    return {**figures, "as_expected": figures["people"] == count}


def _memory(made: Cluster, client_id: int) -> dict[str, float]:
    scheduler = psutil.Process(made.processes["scheduler"].pid)
    found = {"client": megabytes(psutil.Process(client_id)), "scheduler": megabytes(scheduler)}
    return found | {f"worker {n}": megabytes(one) for n, one in enumerate(made.worker_processes())}


def kills(config: ScaleConfig, place: Path) -> dict[str, Any]:
    """Workers killed every ten seconds, the scheduler once, the client once; then the same results as undisturbed."""
    from benchmarks.scale_deaths import killed_at_random

    return killed_at_random(place, config.photos or 300, config.pause or 1.0, config.seconds)


def quarantine(config: ScaleConfig, place: Path) -> dict[str, Any]:
    """A photo that ends the process at once, and one that takes four gigabytes where a worker may have two."""
    from benchmarks.scale_deaths import deadly_photos

    return deadly_photos(place, config.photos or 24)


def page(config: ScaleConfig, place: Path) -> dict[str, Any]:
    """The page of ten thousand photos, and DuckDB and Polars reading the table."""
    from benchmarks.scale_page import page_of_many

    return page_of_many(Path(config.out or place), config.photos or 10_000, config.source)


def store(config: ScaleConfig, place: Path) -> dict[str, Any]:
    """From bucket to bucket on a server that refuses, drops connections, and is gone for a while."""
    from benchmarks.scale_store import from_bucket_to_bucket

    return from_bucket_to_bucket(make_photos(place / "photos", config.photos or 60), place)


def listing(config: ScaleConfig, place: Path) -> dict[str, Any]:
    """One folder of very many photos, of this machine and at S3."""
    from benchmarks.scale_listing import list_many

    return list_many(place, config.photos or 1_000_000)


TRIALS: dict[str, Callable[[ScaleConfig, Path], dict[str, Any]]] = {
    **{"workers": workers, "overhead": overhead, "million": million, "kills": kills},
    **{"quarantine": quarantine, "page": page, "store": store, "listing": listing},
}

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
