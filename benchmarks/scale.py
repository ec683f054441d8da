"""More than one machine: efficiency, overhead, memory, deaths and stores that fail.

python -m benchmarks scale workers --json workers.json
python -m benchmarks scale million --photos 1000000

Every trial starts its processes on this machine and listens on the loopback interface alone.
"""

import json
import random
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import psutil
import tyro

from benchmarks.scale_processes import Cluster, cluster, kill, megabytes, start_client, wait_for
from benchmarks.scale_stages import StandingStages, make_photos, nothing, register
from fitloop.data.places import Folder, open_place
from fitloop.pipelines.cluster.run import run_anywhere
from fitloop.pipelines.folder.config import RunConfig
from fitloop.pipelines.folder.run import run_folder

LONGEST = 1500.0
"""Seconds for a client before it is killed."""


@dataclass(frozen=True, kw_only=True)
class ScaleConfig:
    """Measure the main job with several processes and at addresses."""

    trial: tyro.conf.Positional[
        Literal["workers", "overhead", "million", "kills", "quarantine", "store", "page", "client"]
    ]
    """What to measure; ``client`` is one run, which the others start."""
    photos: int = 0
    """How many; each trial has its own number if not given."""
    pause: float = 0.5
    """Seconds that a stage waits for each photo, ``workers`` and ``kills``."""
    seconds: float = 120.0
    """How long workers are killed."""
    source: Path | None = None
    """Folder of photos for ``workers``; grey pictures if not given."""
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
    work: Literal["stages", "nothing"] = "stages"
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
    return run_folder(run, StandingStages)


def workers(config: ScaleConfig, place: Path) -> dict[str, Any]:
    """One and two workers on the same photos: a stage that waits, or real photos where a folder is given."""
    count = config.photos or 200
    folder = make_photos(place / "photos", count, config.source)
    figures: dict[str, Any] = {"photos": count, "pause": config.pause, "processors": psutil.cpu_count()}
    for number in (1, 2):
        out = place / f"out{number}"
        with cluster(place / f"logs{number}", number) as made:
            given = start_client(str(folder), str(out), ["--scheduler", made.address], **_pause(config))
            figures[f"exit_{number}"] = wait_for(given, LONGEST)
        figures[f"photos_per_second_{number}"] = round(_rate(out, number), 3)
    figures["efficiency"] = round(figures["photos_per_second_2"] / (2 * figures["photos_per_second_1"]), 3)
    return figures


def _rate(out: Path, number: int) -> float:
    """Photos per second once every worker has finished its first chunk: without loading Python and the stages."""
    parts = sorted((out / "people.parquet").iterdir(), key=lambda path: path.stat().st_mtime)
    times = [path.stat().st_mtime for path in parts]
    photos = [int(path.name.split("-")[2]) for path in parts]
    return sum(photos[number:]) / (times[-1] - times[number - 1])


def _pause(config: ScaleConfig) -> dict[str, str]:
    return {"FITLOOP_SCALE_PAUSE": str(config.pause)}


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
        figures["microseconds_per_photo_one_worker"] = round(1e6 / _rate(place / "out", 1), 1)
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
            done = sum(int(part.split("-")[2]) for part in Folder(out).names("people.parquet") if "part" in part[:4])
            for share in [share for share in marks if done >= share * count]:
                figures[f"megabytes at {marks.pop(share)}"] = _memory(made, process.pid)
                print(json.dumps(figures), flush=True)
            time.sleep(0.5)
        figures |= {"photos": count, "exit": process.wait(), "seconds": round(time.monotonic() - start, 1)}
        start = time.monotonic()
        figures["exit of resuming"] = wait_for(start_client(address, str(out), given), LONGEST)
        figures["seconds to resume"] = round(time.monotonic() - start, 1)
        figures["people"] = _told(out)["people"]
    return {**figures, "as_expected": figures["people"] == count}


def _memory(made: Cluster, client_id: int) -> dict[str, float]:
    scheduler = psutil.Process(made.processes["scheduler"].pid)
    found = {"client": megabytes(psutil.Process(client_id)), "scheduler": megabytes(scheduler)}
    return found | {f"worker {n}": megabytes(one) for n, one in enumerate(made.worker_processes())}


def _told(out: Any) -> dict[str, Any]:
    return json.loads(open_place(out).read("run.json"))


def kills(config: ScaleConfig, place: Path) -> dict[str, Any]:
    """Workers killed every ten seconds, the scheduler once, the client once; then the same results as undisturbed."""
    count = config.photos or 300
    folder, calm, out = make_photos(place / "photos", count), place / "calm", place / "out"
    wait_for(start_client(str(folder), str(calm), []), LONGEST)
    with cluster(place / "logs", 2) as made:
        run = Disturbed(made, [str(folder), str(out), ["--scheduler", made.address]], _pause(config), config.seconds)
        run.to_the_end()
    same = compare(calm, out)
    figures = {"photos": count, "deaths": run.deaths, "exit_codes": run.codes, "seconds": round(run.past, 1), **same}
    return figures | {"as_expected": same["different_arrays"] == same["photos_lost"] == same["photos_twice"] == 0}


class Disturbed:
    """A run whose processes are killed, and whose command is given again until it ends well."""

    def __init__(self, made: Cluster, command: list[Any], environment: dict[str, str], seconds: float) -> None:
        self._made, self._command, self._environment, self._seconds = made, command, environment, seconds
        self._dice, self._begin = random.Random(0), time.monotonic()
        self._last, self.past = 0.0, 0.0
        self.deaths, self.codes = {"worker": 0, "scheduler": 0, "client": 0}, []
        self._client = start_client(*command, **environment)

    def to_the_end(self) -> None:
        """Kill for a while, and wait for the end."""
        while self.past < LONGEST and self.codes[-1:] != [0]:
            time.sleep(0.5)
            self.past = time.monotonic() - self._begin
            if self._client.poll() is not None:
                self.codes.append(self._client.returncode)
                if self.codes[-1] != 0:
                    self._client = start_client(*self._command, **self._environment)
            elif self.past < self._seconds:
                self._disturb()
        kill(self._client)

    def _disturb(self) -> None:
        alive = self._made.worker_processes()
        if self.past - self._last > 10.0 and alive:
            kill(self._dice.choice(alive))
            self.deaths["worker"] += 1
            self._last = self.past
        if self.past > self._seconds / 3 and not self.deaths["client"]:
            kill(self._client)
            self.deaths["client"] += 1
        if self.past > 2 * self._seconds / 3 and not self.deaths["scheduler"]:
            self.deaths["scheduler"] += 1
            self._made.restart()


def compare(calm: Any, other: Any) -> dict[str, Any]:
    """Results of two runs, array by array, and the rows of the second's table."""
    one, two = open_place(calm), open_place(other)
    names = sorted(path.split("/results/")[1] for path in one.fs.find(one / "results"))
    different = 0
    for name in names:
        first, second = _arrays(one, f"results/{name}"), _arrays(two, f"results/{name}")
        different += sum(not _same(first[key], second.get(key)) for key in first)
    rows = _rows(two)
    return {
        **{"photos_compared": len(names), "different_arrays": different},
        "photos_lost": len({name.removesuffix(".npz") for name in names} - {photo for photo, _ in rows}),
        "photos_twice": len(rows) - len(set(rows)),
        "skipped": _told(other)["skipped"],
    }


def _same(one: np.ndarray, other: np.ndarray | None) -> bool:
    return other is not None and np.array_equal(one, other, equal_nan=one.dtype.kind == "f")


def _arrays(place: Any, name: str) -> dict[str, np.ndarray]:
    if not place.exists(name):
        return {}
    with place.fs.open(place / name) as file, np.load(file, allow_pickle=False) as found:
        return {key: found[key] for key in found if key != "made_from"}


def _rows(place: Any) -> list[tuple[str, int | None]]:
    from fitloop.evaluation.people_table import TABLE, open_table

    found = open_table(place / TABLE, place.fs).to_table(columns=["photo", "person"]).to_pylist()
    return [(row["photo"], row["person"]) for row in found]


def quarantine(config: ScaleConfig, place: Path) -> dict[str, Any]:
    """A photo that ends the process at once, and one that takes four gigabytes where a worker may have two."""
    count, special = config.photos or 24, ("00003-exit.jpg", "00011-greedy.jpg")
    folder, out = make_photos(place / "photos", count, special=special), place / "out"
    with cluster(place / "logs", 1, memory="2GiB") as made:
        start = time.monotonic()
        code = wait_for(start_client(str(folder), str(out), ["--scheduler", made.address]), LONGEST)
        again = wait_for(start_client(str(folder), str(out), ["--scheduler", made.address]), LONGEST)
    told = _told(out)
    figures = {
        **{"photos": count + 2, "exit": code, "exit_again": again, "quarantined": told["skipped"]},
        **{"done": told["photos_done"], "seconds": round(time.monotonic() - start, 1)},
    }
    expected = code == again == 1 and set(told["skipped"]) == set(special) and told["photos_done"] == count
    return figures | {"as_expected": expected}


def page(config: ScaleConfig, place: Path) -> dict[str, Any]:
    """The page of ten thousand photos, and DuckDB and Polars reading the table."""
    from benchmarks.scale_page import page_of_many

    return page_of_many(Path(config.out or place), config.photos or 10_000, config.source)


def store(config: ScaleConfig, place: Path) -> dict[str, Any]:
    """From bucket to bucket on a server that refuses, drops connections, and is gone for a while."""
    from benchmarks.scale_store import from_bucket_to_bucket

    return from_bucket_to_bucket(make_photos(place / "photos", config.photos or 60), place, compare)


TRIALS: dict[str, Callable[[ScaleConfig, Path], dict[str, Any]]] = {
    **{"workers": workers, "overhead": overhead, "million": million, "kills": kills},
    **{"quarantine": quarantine, "page": page, "store": store},
}

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
