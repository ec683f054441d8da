"""From the command line, a YAML preset and defaults to one config."""

import sys
from pathlib import Path
from typing import TypeVar

import tyro

from pipelines.config import load_config

Config = TypeVar("Config")
USAGE_ERROR = 2


def parse(kind: type[Config], arguments: list[str] | None = None, description: str | None = None) -> Config:
    """Read options into a config; ``--config FILE`` gives new defaults, options override it.

    Args:
        kind: A frozen dataclass; its fields are the options, the strings beneath them the manual.
        arguments: Options, those of the process if not given.
        description: What ``--help`` says first; the dataclass's docstring if not given.

    Raises:
        SystemExit: With code 2 after a sentence on stderr, if an option or a key of the file is unknown or wrong.
    """
    given = list(sys.argv[1:] if arguments is None else arguments)
    preset = _take_preset(given)
    try:
        if preset is None:
            return tyro.cli(kind, args=given, description=description)
        return tyro.cli(kind, args=given, default=load_config(preset, kind), description=description)
    except (ValueError, FileNotFoundError) as error:
        raise SystemExit(stop(str(error))) from error


def stop(message: str, code: int = USAGE_ERROR) -> int:
    """Say what went wrong on stderr and return the exit code."""
    sys.stderr.write(f"fitloop: {message}\n")
    return code


def _take_preset(given: list[str]) -> Path | None:
    for position, word in enumerate(given):
        if word == "--config" and position + 1 < len(given):
            del given[position]
            return Path(given.pop(position))
        if word.startswith("--config="):
            return Path(given.pop(position).removeprefix("--config="))
    return None
