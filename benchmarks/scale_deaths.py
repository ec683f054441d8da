"""Processes that are killed, and photos that end their process."""

import random
import time
from pathlib import Path
from typing import Any

from benchmarks.scale_compare import compare, told_of
from benchmarks.scale_processes import LONGEST, Cluster, cluster, kill, start_client, wait_for
from benchmarks.scale_stages import make_photos


def killed_at_random(place: Path, count: int, pause: float, seconds: float) -> dict[str, Any]:
    """Kill workers every ten seconds, the scheduler once, the client once, and compare with an undisturbed run.

    Args:
        place: For photos and results.
        count: Photos.
        pause: Seconds that each photo takes beside the work.
        seconds: How long workers are killed.
    """
    folder, calm, out = make_photos(place / "photos", count), place / "calm", place / "out"
    wait_for(start_client(str(folder), str(calm), []), LONGEST)
    with cluster(place / "logs", 2) as made:
        given = ["--scheduler", made.address, "--pause", str(pause)]
        run = Disturbed(made, [str(folder), str(out), given], seconds)
        run.to_the_end()
    same = compare(calm, out)
    figures = {"photos": count, "deaths": run.deaths, "exit_codes": run.codes, "seconds": round(run.past, 1), **same}
    whole = same["different_arrays"] == same["photos_lost"] == same["photos_twice"] == len(same["skipped"]) == 0
    return figures | {"as_expected": whole and run.codes[-1] == 0 and run.past > seconds}


class Disturbed:
    """A run whose processes are killed, and whose command is given again until it ends well."""

    def __init__(self, made: Cluster, command: list[Any], seconds: float) -> None:
        self._made, self._command, self._seconds = made, command, seconds
        self._dice, self._begin = random.Random(0), time.monotonic()
        self._last, self.past = 0.0, 0.0
        self.deaths, self.codes = {"worker": 0, "scheduler": 0, "client": 0}, []
        self._client = start_client(*command)

    def to_the_end(self) -> None:
        """Kill for a while, and wait for the end."""
        while self.past < LONGEST and self.codes[-1:] not in ([0], [1]):
            time.sleep(0.5)
            self.past = time.monotonic() - self._begin
            if self._client.poll() is not None:
                self.codes.append(self._client.returncode)
                if self.codes[-1] not in (0, 1):
                    self._client = start_client(*self._command)
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


def deadly_photos(place: Path, count: int) -> dict[str, Any]:
    """Run over a photo that ends the process at once, and one that takes four gigabytes where a worker may have two.

    Args:
        place: For photos and results.
        count: Other photos.
    """
    special = ("00003-exit.jpg", "00011-greedy.jpg")
    folder, out = make_photos(place / "photos", count, special=special), place / "out"
    with cluster(place / "logs", 1, memory="2GiB") as made:
        start = time.monotonic()
        code = wait_for(start_client(str(folder), str(out), ["--scheduler", made.address]), LONGEST)
        again = wait_for(start_client(str(folder), str(out), ["--scheduler", made.address]), LONGEST)
    told = told_of(out)
    figures = {
        **{"photos": count + 2, "exit": code, "exit_again": again, "quarantined": told["skipped"]},
        **{"done": told["photos_done"], "seconds": round(time.monotonic() - start, 1)},
    }
    expected = code == again == 1 and set(told["skipped"]) == set(special) and told["photos_done"] == count
    return figures | {"as_expected": expected}
