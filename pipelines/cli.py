"""The console command ``fitloop``: one subcommand per pipeline."""

import sys
from collections.abc import Callable
from importlib import import_module
from typing import NoReturn

from fitloop.pipelines.console.endings import INTERRUPTED, USAGE_ERROR, stop, stop_for

COMMANDS = {
    "run": ("fitloop.pipelines.regress_then_fit", "photos in, posed bodies out (the main job)"),
    "demo": ("fitloop.pipelines.demo.app", "a page in the browser: drop a photo or a clip, turn the bodies around"),
    "samples": ("fitloop.pipelines.samples", "write a folder of sample photos"),
    "fetch": ("fitloop.pipelines.fetch", "fetch the detector's networks now"),
    "train": ("fitloop.pipelines.train", "train a regressor"),
    "train-spin": ("fitloop.pipelines.train_spin", "train with fitting in the loop (SPIN)"),
    "train-refinement": ("fitloop.pipelines.train_refinement", "train the network of dense refinement"),
    "train-correction": ("fitloop.pipelines.train_correction", "train the network that corrects pose and shape"),
    "train-parts": ("fitloop.pipelines.train_parts", "train the network that finds body parts in photos"),
    "train-prior": ("fitloop.pipelines.train_prior", "fit a pose prior to motion capture"),
    "adapt": ("fitloop.pipelines.adapt", "adapt a regressor to your own photos"),
    "prepare": ("fitloop.pipelines.prepare", "convert a data set to SPIN's format"),
    "synthesize": ("fitloop.pipelines.synthesize", "render synthetic people with exact truth"),
    "evaluate": ("fitloop.pipelines.evaluate", "score results under a protocol"),
    "texture": ("fitloop.pipelines.texture", "the coloured surface of one person, from photos of a run"),
    "report": ("fitloop.pipelines.report", "one page that compares regression and refinement"),
}
"""Name of each subcommand, the module whose ``main`` it is, and what it does."""


def main(arguments: list[str] | None = None) -> int:
    """Run a subcommand; return its exit code."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    if not given or given[0] in ("-h", "--help"):
        print(_help())
        return 0 if given else USAGE_ERROR
    if given[0] not in COMMANDS:
        return stop(f"Unknown command {given[0]!r}; known: {', '.join(COMMANDS)}.")
    sys.argv[0] = f"fitloop {given[0]}"
    try:
        # Libraries take seconds to load, and a command says itself what becomes of work that it has begun.
        command: Callable[[list[str]], int | None] = import_module(COMMANDS[given[0]][0]).main
        return command(given[1:]) or 0
    except OSError as error:
        return stop_for(error)
    except KeyboardInterrupt:
        return stop("Interrupted.", INTERRUPTED)


def run_program(name: str) -> NoReturn:
    """Run a subcommand whose file is run itself, ``python pipelines/train.py``, and end as the console command does.

    A program calls it before its first import, so that Ctrl-C ends it with a sentence while libraries still load.

    Args:
        name: Of the subcommand; its options are those of the command line.
    """
    sys.exit(main([name, *sys.argv[1:]]))


def _help() -> str:
    lines = [f"  {name:<16} {told}" for name, (_, told) in COMMANDS.items()]
    return "\n".join(["usage: fitloop COMMAND [options]", "", *lines, "", "fitloop COMMAND --help tells its options."])


if __name__ == "__main__":
    sys.exit(main())
