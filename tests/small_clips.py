"""Tiny clips for tests."""

from collections.abc import Sequence
from pathlib import Path

import av
import numpy as np


def write_clip(
    path: Path,
    frames: Sequence[np.ndarray],
    rate: int = 10,
    codec: str = "libx264",
    pixels: str = "yuv420p",
    times: Sequence[int] | None = None,
) -> Path:
    """Write RGB frames of one size; ``times`` are in hundredths of a second where the frames are not even."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=rate)
        stream.height, stream.width = frames[0].shape[:2]
        stream.pix_fmt = pixels
        if codec == "libx264":
            stream.options = {"crf": "4", "g": "4", "bf": "0"}
        for number, frame in enumerate(frames):
            picture = av.VideoFrame.from_ndarray(np.ascontiguousarray(frame), format="rgb24").reformat(format=pixels)
            if times is not None:
                from fractions import Fraction

                picture.pts, picture.time_base = times[number], Fraction(1, 100)
            container.mux(stream.encode(picture))
        container.mux(stream.encode(None))
    return path


def shades(count: int, height: int = 48, width: int = 64) -> list[np.ndarray]:
    """Plain grey frames, each ten levels brighter than the one before."""
    return [np.full((height, width, 3), 10 + 10 * number, np.uint8) for number in range(count)]


def level(frame: np.ndarray) -> int:
    """Which of `shades` a frame shows."""
    return round((float(frame.mean()) - 10.0) / 10.0)


def turn_upright_matrix(path: Path, degrees: int) -> None:
    """Say in an MP4's track header that players turn the picture clockwise."""
    content = bytearray(path.read_bytes())
    at = content.index(b"tkhd") + 4 + 40
    cos, sin = {90: (0, 1), 180: (-1, 0), 270: (0, -1)}[degrees]
    one = 0x10000
    for offset, value in ((0, cos * one), (4, sin * one), (12, -sin * one), (16, cos * one)):
        content[at + offset : at + offset + 4] = value.to_bytes(4, "big", signed=True)
    path.write_bytes(bytes(content))
