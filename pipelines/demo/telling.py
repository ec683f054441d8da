"""How far the work on one file has come: one small file beside it, written by who works and read by the page."""

import io
import json
import re
import sys
from dataclasses import asdict, dataclass
from pathlib import Path

from fitloop.body.files import whole_file

_COUNTED = re.compile(r"(\d+)/(\d+) (.+?s), .* (\d+) s left")
"""What `Progress` writes where there is no terminal."""
_PROGRAM, _DOING = "fitloop: ", "fitloop is doing: "


@dataclass(frozen=True)
class Told:
    """What the page says of work that is going on."""

    doing: str = ""
    """What is done now, in words."""
    share: float | None = None
    """How much of it is done, 0 to 1; None where that is not known."""


def read_told(folder: Path) -> Told:
    """What was told last of the file in a folder; nothing before the first time."""
    try:
        return Told(**json.loads((folder / "told.json").read_text(encoding="utf-8")))
    except FileNotFoundError:
        return Told()


def tell(folder: Path, doing: str, share: float | None = None) -> None:
    """Say how far the work on the file in a folder has come."""
    with whole_file(folder / "told.json") as file:
        file.write_text(json.dumps(asdict(Told(doing, share))), encoding="utf-8")


def say(doing: str) -> None:
    """Say on stderr what begins; `ToldLines` passes it on to the page."""
    sys.stderr.write(f"{_DOING}{doing}\n")


class ToldLines(io.TextIOBase):
    """Takes the place of stderr: what a program says there reaches the page.

    Attributes:
        sentences: What the user should know, without the program's name.
    """

    def __init__(self, folder: Path) -> None:
        """Tell what is written of the file in ``folder``."""
        self.sentences: list[str] = []
        self._folder, self._begun = folder, ""

    def write(self, text: str) -> int:
        """Take text; whole lines are told."""
        *lines, self._begun = (self._begun + text).split("\n")
        for line in lines:
            counted = _COUNTED.match(line)
            if counted is not None:
                done, total, unit, left = int(counted[1]), int(counted[2]), counted[3], int(counted[4])
                doing = f"{done} of {total} {unit}" + (f", about {left} s left" if left > 0 else "")
                tell(self._folder, doing, min(done / max(total, 1), 1.0))
            elif line.startswith(_DOING):
                tell(self._folder, line.removeprefix(_DOING))
            elif line.startswith(_PROGRAM):
                self.sentences.append(line.removeprefix(_PROGRAM))
        return len(text)
