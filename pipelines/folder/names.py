"""Names of photos that cannot be written as they are."""

import os
from pathlib import Path

LONGEST_ENDING = len(".regressed.jpg")
"""What the longest name of a written file adds to the photo's."""


def printable(name: str) -> str:
    """The name with bytes that are not UTF-8 as hexadecimal escapes, so that it can be printed and written."""
    return os.fsencode(name).decode("utf-8", "backslashreplace")


def in_the_way(name: str, out: Path) -> str | None:
    """Why the results of a photo cannot be written under its name; None if they can.

    Args:
        name: Of the photo, below its folder.
        out: Folder of the results.
    """
    if printable(name) != name:
        return "Its name is not UTF-8, so results, page and run.json cannot name it; rename it."
    longest = os.pathconf(out, "PC_NAME_MAX") if hasattr(os, "pathconf") else 255
    size = len(os.fsencode(Path(name).name)) + LONGEST_ENDING
    if size > longest:
        return f"Its name is too long: results would need {size} bytes, {longest} are possible; rename it."
    return None


def shortened(name: str, longest: int = 120) -> str:
    """A name to show on the page and in run.json."""
    name = printable(name)
    # Numbers of frames stand at the end, so both ends are shown.
    return name if len(name) <= longest else f"{name[: longest - 40]}...{name[-37:]}"
