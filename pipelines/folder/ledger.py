"""What is finished, as the names of the table's parts tell: one listing of them, not a look at every photo."""

import hashlib
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice

from fitloop.data.places import Listed
from fitloop.pipelines.console.provenance import versions

_DIGITS = 16
QUARANTINE = "-quarantine"
"""Ends the names of parts with photos in quarantine: who removes these files has them tried again."""
LARGEST = 5000
"""Photos of a part at most."""


@dataclass(frozen=True)
class Part:
    """A part of the table, told from its name."""

    name: str
    first: str
    """Digest of its first photo's name."""
    count: int
    """Photos in it."""


def part_name(stamp: str, photos: Sequence[Listed], quarantined: bool = False) -> str:
    """Name of the part that some photos make: another photo, size, time, option or weight gives another name.

    Args:
        stamp: Of options, weights and keypoints.
        photos: At least one, in the order of the listing.
        quarantined: Whether photos were left out because they end their process: another fitloop tries them again.
    """
    digest = hashlib.sha256((f"{stamp} by {versions().get('fitloop')}" if quarantined else stamp).encode())
    for photo in photos:
        digest.update(_bytes(photo.name) + b"\0" + photo.stamp.encode() + b"\0")
    kind = QUARANTINE if quarantined else ""
    return f"part-{_digest(photos[0].name)}-{len(photos):06d}-{digest.hexdigest()[:_DIGITS]}{kind}.parquet"


def parts_of(names: Iterable[str]) -> dict[str, list[Part]]:
    """Parts by the digest of their first photo; other files are passed over."""
    found: dict[str, list[Part]] = {}
    for name in names:
        pieces = name.removesuffix(".parquet").removesuffix(QUARANTINE).split("-")
        if name.endswith(".parquet") and len(pieces) == 4 and pieces[0] == "part" and pieces[2].isdigit():
            found.setdefault(pieces[1], []).append(Part(name, pieces[1], int(pieces[2])))
    # Of two parts that begin alike, as a worker leaves that was taken for dead, the larger one counts.
    return {first: sorted(parts, key=lambda part: -part.count) for first, parts in found.items()}


def unfinished(photos: Iterable[Listed], parts: dict[str, list[Part]], stamp: str) -> Iterator[Listed | Part]:
    """Go through a listing: photos that are to be done, and the parts between them whose photos are finished.

    Args:
        photos: The listing; only as many photos as one part has are held.
        parts: From `parts_of`.
        stamp: As for `part_name`.
    """
    source, ahead = iter(photos), deque[Listed]()
    while True:
        ahead.extend(islice(source, max(0, 1 - len(ahead))))
        if not ahead:
            return
        for part in parts.get(_digest(ahead[0].name), ()) if parts else ():
            ahead.extend(islice(source, max(0, part.count - len(ahead))))
            photos = list(islice(ahead, part.count))
            quarantined = part.name.endswith(f"{QUARANTINE}.parquet")
            if 0 < part.count == len(photos) and part_name(stamp, photos, quarantined) == part.name:
                yield part
                for _ in range(part.count):
                    ahead.popleft()
                break
        else:
            yield ahead.popleft()


def _digest(name: str) -> str:
    return hashlib.sha256(_bytes(name)).hexdigest()[:_DIGITS]


def _bytes(name: str) -> bytes:
    return name.encode("utf-8", "surrogateescape")
