"""Only one run at a time writes to a place: a lease with an owner and a heartbeat."""

import json
import os
import socket
import threading
import time
import uuid
from dataclasses import asdict, dataclass, field
from types import TracebackType
from typing import Any

from fitloop.data.patience import store_troubles
from fitloop.data.places import Place
from fitloop.pipelines.console.endings import warn

LEASE = "lease.json"
BEAT = 10.0
"""Seconds between heartbeats."""
EXPIRED = 60.0
"""Seconds without a heartbeat after which a run counts as dead; clocks of machines may differ by less."""


class Occupied(ValueError):
    """Another run writes there; the message is a sentence for the user."""


@dataclass(frozen=True)
class Owner:
    """Who writes."""

    host: str = field(default_factory=socket.gethostname)
    process: int = field(default_factory=os.getpid)
    token: str = field(default_factory=lambda: uuid.uuid4().hex)
    beat: float = 0.0
    """Seconds since 1970 of the last heartbeat."""


class Lease:
    """Holds a place while a run goes on; use as a context manager.

    A store has no lock that all kinds share. So the owner's name is written, and read back: of two runs that begin at
    once the one whose name was written over stops.
    """

    def __init__(self, place: Place, beat: float = BEAT) -> None:
        """Prepare; nothing is written yet.

        Args:
            place: Where the run writes.
            beat: Seconds between heartbeats.
        """
        self._place, self._beat, self._mine = place, beat, Owner()
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._keep, daemon=True)
        self.lost = False
        """Whether another run has taken the place over."""

    def __enter__(self) -> "Lease":
        """Take the place.

        Raises:
            Occupied: If another run that is alive holds it.
            OSError: If it cannot be written.
        """
        self.took_over = self._read() is not None
        """Whether an earlier run had not given the place back: it was killed."""
        self._refuse(self._read())
        self._write()
        self._refuse(self._read())
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, value: object, trace: TracebackType | None) -> None:
        self._over.set()
        self._thread.join()
        try:
            if not self.lost:
                self._place.remove(LEASE)
        except store_troubles():
            # It expires by itself.
            warn(f"{LEASE} could not be removed from {self._place.shown}; it expires in {EXPIRED:.0f} seconds.")

    def _refuse(self, other: Owner | None) -> None:
        if other is None or other.token == self._mine.token or not _alive(other):
            return
        raise Occupied(
            f"Another run writes to {self._place.shown}: process {other.process} on {other.host}, "
            f"last seen {max(0.0, time.time() - other.beat):.0f} seconds ago. Wait for it, stop it, or choose "
            f"another --out; a run that was killed is forgotten after {EXPIRED:.0f} seconds."
        )

    def _read(self) -> Owner | None:
        try:
            told: Any = json.loads(self._place.read(LEASE)) if self._place.exists(LEASE) else None
            return None if told is None else Owner(**told)
        except (FileNotFoundError, ValueError, TypeError):
            return None

    def _write(self) -> None:
        told = asdict(self._mine) | {"beat": time.time()}
        self._place.write(LEASE, json.dumps(told).encode())

    def _keep(self) -> None:
        while not self._over.wait(self._beat):
            try:
                other = self._read()
                if other is not None and other.token != self._mine.token:
                    self.lost = True
                    return
                self._write()
            except store_troubles():
                # A store that is away for a moment; the next heartbeat tries again.
                continue


def _alive(owner: Owner) -> bool:
    if abs(time.time() - owner.beat) > EXPIRED:
        return False
    if owner.host != socket.gethostname() or not hasattr(os, "kill") or os.name == "nt":
        return True
    try:
        os.kill(owner.process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
