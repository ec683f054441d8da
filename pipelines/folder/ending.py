"""What a run says when it is done."""

from typing import Any

from fitloop.pipelines.console.endings import warn
from fitloop.pipelines.folder.config import RunConfig
from fitloop.pipelines.folder.journal import Journal
from fitloop.pipelines.folder.names import printable

_TOLD = 5
"""So many pictures that were not read are named."""


def first_names(names: list[str]) -> str:
    """The first five names to print; empty without any."""
    return ", ".join(map(printable, names[:_TOLD])) + (", ..." if len(names) > _TOLD else "")


def tell_ending(config: RunConfig, summary: dict[str, Any], journal: Journal) -> None:
    """Say on the terminal what became of the photos, and where to look."""
    for photo, reason in journal.skipped.items():
        warn(f"skipped {photo!r}: {reason}")
    for photo, notices in summary["notices"].items():
        warn(f"{photo!r}: {' '.join(notices)}")
    if journal.unread:
        count = "1 picture is" if len(journal.unread) == 1 else f"{len(journal.unread)} pictures are"
        warn(f"{count} of a kind that is not read: {first_names(journal.unread)}; convert to .jpg or .png.")
    if journal.kept and journal.kept == summary["photos_done"] and not journal.remade:
        print(f"Nothing has changed since the last run; the results of all {journal.kept} photos were kept.")
    elif journal.kept or journal.remade:
        again = f", {len(journal.remade)} made anew because what they were made from changed" if journal.remade else ""
        print(f"{journal.kept} photos kept from an earlier run{again}.")
    if journal.unknown:
        print(f"{journal.unknown} of them do not say what they were made from (docs/running.md).")
    page = printable(str(config.out / "index.html"))
    photos, people = summary["photos_done"], summary["people"]
    counted = f"{people} {'person' if people == 1 else 'people'} in {photos} {'photo' if photos == 1 else 'photos'}. "
    # What was found in clips is told clip by clip.
    only_clips = not photos and summary.get("clips")
    print(f"{'' if only_clips else counted}Look at {page}")
