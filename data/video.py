"""Clips from disk as streams of upright frames at even times, one frame in memory at a time."""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
from av.error import FFmpegError
from jaxtyping import UInt8

DEFAULT_RATE = 30.0
"""Frames per second of a clip that does not tell its own."""
FASTEST = 1000.0
"""Frames per second; a clip that claims more tells its clock, not its rate."""


class UnreadableClip(ValueError):
    """A file that cannot be read as a clip; the message is a sentence for the user."""


@dataclass(frozen=True)
class Sampling:
    """Which frames of a clip are taken."""

    frames_per_second: float | None = None
    """Frames taken per second of the clip; as many as it has if not given."""
    start: float = 0.0
    """Seconds from the clip's beginning."""
    end: float | None = None
    """Seconds from the clip's beginning; its end if not given."""

    def __post_init__(self) -> None:
        rate, end = self.frames_per_second, self.end
        if rate is not None and not 0.0 < rate <= FASTEST:
            raise ValueError(f"Frames per second lie between 0 and {FASTEST:g}, got {rate}.")
        if not (math.isfinite(self.start) and self.start >= 0.0):
            raise ValueError(f"A part of a clip starts at 0 seconds or later, got {self.start}.")
        if end is not None and not end > self.start:
            raise ValueError(f"A part of a clip must end after its start at {self.start:g} s, got {end}.")


@dataclass(frozen=True)
class ClipInfo:
    """What a clip says of itself."""

    frame_rate: float
    """Frames taken per second."""
    frames: int | None
    """About how many will be taken; None where the file does not say."""


@dataclass(frozen=True)
class Frame:
    """One frame of a clip."""

    index: int
    """Counted from the clip's beginning in steps of the frame rate, whichever part of the clip is read."""
    time: float
    """Seconds from the clip's beginning: ``index`` over the frame rate."""
    pixels: UInt8[np.ndarray, "height width 3"]
    """RGB, upright, square pixels, all frames of a clip of one size."""
    repeated: bool = False
    """Whether this is the picture of the frame before, because the clip has no newer one for this time."""


class ClipReader:
    """Reads one clip.

    Times decide, not the count of frames: phones film at uneven rates, so each step of the frame rate gets the picture
    that is nearest in time. A turned phone's frames are turned upright, pixels that are not square are made square.
    """

    def __init__(self, path: str | Path, sampling: Sampling = Sampling()) -> None:
        """Open the clip and see what it says of itself.

        Raises:
            UnreadableClip: If the file is missing, is no clip, or has no pictures.
        """
        self.path, self.sampling = Path(path), sampling
        self.notices: list[str] = []
        """What the user should know, complete once the frames have been read."""
        with self._open() as container:
            self.info = _info(container.streams.video[0], container, sampling)

    def _open(self) -> Any:
        try:
            container = av.open(str(self.path))
        except (FFmpegError, OSError, ValueError) as error:
            raise UnreadableClip(f"{self.path.name!r} {_reason(error, self.path)}.") from error
        if not container.streams.video:
            kind = "only sound" if container.streams.audio else "no pictures"
            container.close()
            raise UnreadableClip(f"{self.path.name!r} has {kind}; give a clip with a video stream.")
        return container

    def frames(self, first: int | None = None) -> Iterator[Frame]:
        """Decode the frames in order, each when it is asked for.

        Args:
            first: Index of the first frame that is wanted; that of ``sampling.start`` if not given.

        Raises:
            UnreadableClip: If not a single frame can be decoded.
        """
        rate, end = self.info.frame_rate, self.sampling.end
        begin = math.ceil(self.sampling.start * rate - 1e-6)
        step = begin if first is None else first
        last = math.inf if end is None else math.ceil(end * rate - 1e-6)
        shown = before = None
        lasts = 1.0 / rate
        for picture in self._pictures(max(step / rate - 1.0, 0.0)):
            if before is not None:
                lasts = picture[0] - before[0]
                while step < last and step / rate <= before[0] + 0.5 * lasts:
                    yield Frame(step, step / rate, before[1], before is shown)
                    shown, step = before, step + 1
            before = picture
            if step >= last:
                return
        # The last picture is taken to last as long as the one before it, half of it before and half after its time.
        while before is not None and step < last and step / rate <= before[0] + 0.5 * lasts:
            yield Frame(step, step / rate, before[1], before is shown)
            shown, step = before, step + 1
        if step == begin:
            raise UnreadableClip(self._nothing())

    def _nothing(self) -> str:
        start = self.sampling.start
        if start > 0.0:
            return f"{self.path.name!r} has no frame at {start:g} s, where it was to start: it is shorter, or damaged."
        return f"Not a single frame of {self.path.name!r} could be read; record or download it again."

    def _pictures(self, start: float) -> Iterator[tuple[float, UInt8[np.ndarray, "height width 3"]]]:
        """Time and pixels of each picture in the file from about ``start`` seconds on."""
        size: tuple[int, int] | None = None
        with self._open() as container:
            stream = container.streams.video[0]
            stream.thread_type = "AUTO"
            begin = _begin(stream)
            if start > 0.0 and stream.time_base is not None:
                # To the key frame before it; a file that cannot be sought in is read from its beginning.
                try:
                    container.seek(int((start + begin) / stream.time_base), stream=stream)
                except FFmpegError:
                    container.seek(0)
            fallback = 0
            for decoded in self._decoded(container, stream):
                time = decoded.time - begin if decoded.time is not None else fallback / self.info.frame_rate
                fallback += 1
                if time < start - 2.0 / self.info.frame_rate - 1.0:
                    continue
                pixels = _upright(decoded)
                size = pixels.shape[:2] if size is None else size
                if pixels.shape[:2] != size:
                    self._tell("Its frames change their size; all were brought to the first one's.")
                    pixels = _fitted(pixels, size)
                yield time, pixels

    def _decoded(self, container: Any, stream: Any) -> Iterator[Any]:
        """Decode as far as the file can be read; damaged packets in between are left out."""
        packets = container.demux(stream)
        while True:
            try:
                packet = next(packets)
            except StopIteration:
                return
            except FFmpegError:
                self._tell("It is cut off: the part that could be read was used.")
                return
            try:
                yield from packet.decode()
            except FFmpegError:
                self._tell("Parts of it are damaged and were left out.")

    def _tell(self, sentence: str) -> None:
        if sentence not in self.notices:
            self.notices.append(sentence)


def _reason(error: Exception, path: Path) -> str:
    if isinstance(error, FileNotFoundError):
        return "does not exist"
    if isinstance(error, PermissionError | IsADirectoryError):
        return f"cannot be opened: {error.strerror}"
    if path.is_file() and path.stat().st_size == 0:
        return "is not a clip: the file is empty"
    return "is not a clip that can be read: it is damaged, cut off at its beginning, or of another kind"


def _begin(stream: Any) -> float:
    if stream.start_time is None or stream.time_base is None:
        return 0.0
    return float(stream.start_time * stream.time_base)


def _info(stream: Any, container: Any, sampling: Sampling) -> ClipInfo:
    given = [stream.average_rate, stream.guessed_rate, stream.base_rate]
    own = [float(rate) for rate in given if rate and 0 < float(rate) <= FASTEST]
    rate = sampling.frames_per_second or (own[0] if own else DEFAULT_RATE)
    seconds = None
    if stream.duration and stream.time_base:
        seconds = float(stream.duration * stream.time_base)
    elif container.duration:
        seconds = container.duration / av.time_base
    if seconds is None:
        return ClipInfo(rate, None)
    until = seconds if sampling.end is None else min(seconds, sampling.end)
    return ClipInfo(rate, max(round((until - sampling.start) * rate), 0))


def _upright(decoded: Any) -> UInt8[np.ndarray, "height width 3"]:
    """The picture as players show it: 8 bits of RGB, turned as the file says, square pixels."""
    pixels = decoded.to_ndarray(format="rgb24")
    aspect = getattr(decoded, "sample_aspect_ratio", None)
    ratio = float(aspect) if aspect else 1.0
    if ratio > 0.0 and not 0.99 < ratio < 1.01:
        width = max(round(pixels.shape[1] * ratio), 1)
        pixels = cv2.resize(pixels, (width, pixels.shape[0]), interpolation=cv2.INTER_LINEAR)
    turns = round(decoded.rotation / 90.0) % 4
    return np.ascontiguousarray(np.rot90(pixels, turns)) if turns else pixels


def _fitted(
    pixels: UInt8[np.ndarray, "height width 3"], size: tuple[int, int]
) -> UInt8[np.ndarray, "new_height new_width 3"]:
    """Scale into a picture of another size (height, width) without distortion, black where nothing is left."""
    scale = min(size[0] / pixels.shape[0], size[1] / pixels.shape[1])
    height, width = (max(min(round(side * scale), most), 1) for side, most in zip(pixels.shape[:2], size, strict=True))
    small = cv2.resize(pixels, (width, height), interpolation=cv2.INTER_AREA)
    whole = np.zeros((*size, 3), np.uint8)
    top, left = (size[0] - height) // 2, (size[1] - width) // 2
    whole[top : top + height, left : left + width] = small
    return whole
