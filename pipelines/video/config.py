"""Options of clips."""

from dataclasses import dataclass
from typing import Annotated

import tyro

from fitloop.data.video import Sampling


@dataclass(frozen=True, kw_only=True)
class ClipsConfig:
    """Which frames of the clips are taken; photos beside them are not touched by it."""

    frames_per_second: float | None = None
    """Clips: frames taken per second; as many as the clip has if not given."""
    start: Annotated[float, tyro.conf.arg(name="from")] = 0.0
    """Clips: seconds from the beginning at which to start."""
    end: Annotated[float | None, tyro.conf.arg(name="to")] = None
    """Clips: seconds from the beginning at which to end."""

    @property
    def sampling(self) -> Sampling:
        """The same as what reads clips wants it.

        Raises:
            ValueError: If the options make no sense.
        """
        return Sampling(self.frames_per_second, self.start, self.end)

    def refuse_without_clips(self, why: str) -> None:
        """Refuse options of clips where no clip is run.

        Args:
            why: Where there is none, a sentence.

        Raises:
            ValueError: If one was set; names all of them.
        """
        given = {"--frames-per-second": self.frames_per_second, "--from": self.start or None, "--to": self.end}
        ignored = [option for option, value in given.items() if value is not None]
        if ignored:
            raise ValueError(f"{' and '.join(ignored)} would be ignored: only clips have a time. {why}")
