"""What the training commands have in common: every way that one can end is a sentence and an exit code."""

import sys
from collections.abc import Callable
from pathlib import Path

USAGE_ERROR = 2
DONE, SOME_UNREADABLE, CANNOT_WRITE, UNFINISHED_RUN, INTERRUPTED = 0, 1, 3, 4, 130


def stop(message: str, code: int = USAGE_ERROR) -> int:
    """Say what went wrong on stderr and return the exit code."""
    sys.stderr.write(f"fitloop: {message}\n")
    return code


def warn(message: str) -> None:
    """Say on stderr what should be known, and go on."""
    sys.stderr.write(f"fitloop: {message}\n")


def sentence_of(error: Exception) -> str:
    """What an error says; of one that the system raised the file and the reason, without its number."""
    if not isinstance(error, OSError) or error.strerror is None:
        return str(error)
    return error.strerror if error.filename is None else f"{error.filename}: {error.strerror}"


def stop_for(error: OSError) -> int:
    """End a program for a file: one that it misses itself is a wrong option, one that the system refuses is told.

    Returns:
        The exit code: 2, or 3 where the system did not let a file be read or written.
    """
    if error.strerror is None:
        return stop(str(error))
    told = f"A file or folder cannot be read or written: {sentence_of(error)}."
    return stop(f"{told} Free space, allow it, or choose another --out.", CANNOT_WRITE)


class TrainingStopped(RuntimeError):
    """Training cannot go on; the message says why and which checkpoint is good."""


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
    except (ValueError, ImportError) as error:
        return stop(str(error))
    except TrainingStopped as error:
        return stop(str(error), 1)
    except OSError as error:
        if error.strerror is None:
            return stop(str(error))
        told = f"A file or folder cannot be read or written: {sentence_of(error)}."
        return stop(f"{told} Make room, allow it or choose another --out, and start again.", 1)
    except KeyboardInterrupt:
        if not (out / "last.pt").is_file():
            return stop("Stopped before the first checkpoint; the same command begins again.", 130)
        return stop(f"Stopped; the same command goes on from the checkpoint in {out}.", 130)
