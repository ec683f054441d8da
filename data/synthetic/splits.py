"""Which assets are kept for testing: decided by their names alone, so that it never changes by accident."""

import hashlib
import math


def held_out_of(names: list[str], percent: int) -> set[str]:
    """Choose the names kept for testing: those with the lowest hashes, at least one of every two or more.

    Args:
        names: Of one kind of thing.
        percent: How many in a hundred to keep, rounded up.
    """
    if len(names) < 2:
        return set()
    ordered = sorted(names, key=lambda name: hashlib.sha256(name.encode()).hexdigest())
    return set(ordered[: math.ceil(len(names) * percent / 100)])
