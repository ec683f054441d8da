"""Fetch the detector's networks now, for a machine that will be without a network: ``fitloop fetch``."""

if __name__ == "__main__":
    from fitloop.pipelines.cli import run_program

    run_program("fetch")

from dataclasses import dataclass

from fitloop.detection.fetching import NetworksMissing, fetch_networks
from fitloop.pipelines.console.endings import stop
from fitloop.pipelines.console.options import parse


@dataclass(frozen=True)
class FetchConfig:
    """Fetch the embedded detector's networks, 35 MB; otherwise they are fetched when they are first needed."""


def main(arguments: list[str] | None = None) -> int:
    """Fetch; return 0, or 1 after a sentence on what is in the way."""
    parse(FetchConfig, arguments)
    try:
        found = fetch_networks()
    except NetworksMissing as error:
        return stop(str(error), 1)
    for path in found.values():
        print(path)
    return 0
