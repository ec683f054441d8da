"""What the training commands have in common: every way that one can end is a sentence and an exit code."""

import sys
from collections.abc import Callable
from pathlib import Path

USAGE_ERROR = 2


def stop(message: str, code: int = USAGE_ERROR) -> int:
    """Say what went wrong on stderr and return the exit code."""
    sys.stderr.write(f"fitloop: {message}\n")
    return code


def warn(message: str) -> None:
    """Say on stderr what should be known, and go on."""
    sys.stderr.write(f"fitloop: {message}\n")


class TrainingStopped(RuntimeError):
    """Training cannot go on; the message says why and which checkpoint is good."""


DONE, SOME_UNREADABLE, CANNOT_WRITE, UNFINISHED_RUN, INTERRUPTED = 0, 1, 3, 4, 130


def end_well(work: Callable[[], str], out: Path) -> int:
    """Train; say what came of it, or why not.

    Args:
        work: Trains, and returns what to print at the end; nothing if this process says nothing.
        out: Folder of the checkpoints to go on from.

    Returns:
        The exit code: 0; 2 for a wrong option or file; 1 if training could not go on; 130 if the user stopped it.
    """
    try:
        told = work()
        if told:
            print(told)
        return 0
    except (ValueError, FileNotFoundError, ImportError) as error:
        return stop(str(error))
    except TrainingStopped as error:
        return stop(str(error), 1)
    except OSError as error:
        return stop(f"A file could not be read or written ({error}). Make room or allow it, and start again.", 1)
    except KeyboardInterrupt:
        if not (out / "last.pt").is_file():
            return stop("Stopped before the first checkpoint; the same command begins again.", 130)
        return stop(f"Stopped; the same command goes on from the checkpoint in {out}.", 130)
