"""Frames of MPI-INF-3DHP's videos under the names that tools give them."""

import re
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

PICTURES = (".jpg", ".jpeg", ".png")
TRAINING_PATTERN = (
    "Looked for S1/Seq1/imageFrames/video_0/frame_000001.jpg, and for any .jpg or .png whose path says subject, "
    "sequence, camera and frame in this order, such as imageSequence/img_S1_Seq1_video_0_000001.png."
)
TEST_PATTERN = (
    "Looked for imageSequence/img_000001.jpg, and for any other .jpg or .png in this folder whose name ends in the "
    "number of the frame."
)
_TRAINING_NAME = re.compile(
    r"(?:^|[/_.-])s(?P<subject>\d+)[/_.-]+seq_?(?P<sequence>\d+)[/_.-](?:.*[/_.-])?"
    r"(?:video|vid|camera|cam|v|c)[_-]?(?P<camera>\d+)[/_.-](?:.*[^\d])?(?P<frame>\d+)\.\w+$"
)


class Frame(NamedTuple):
    """A picture, and its number in the video, from 1."""

    number: int
    path: Path


def training_frames(folder: Path, sequence: Path, camera: int) -> list[Frame]:
    """Frames of one camera of a training sequence.

    Args:
        folder: The data set.
        sequence: Such as ``S1/Seq1`` below it.
        camera: From 0.
    """
    usual = (sequence / "imageFrames" / f"video_{camera}").glob("frame_*.jpg")
    frames = sorted(Frame(int(match[1]), path) for path in usual if (match := re.fullmatch(r"frame_(\d+)", path.stem)))
    if frames:
        return frames
    # The folder's own name says subject and sequence; the pictures may lie anywhere below the data set.
    subject, number = (int("".join(re.findall(r"\d+", part)) or 0) for part in sequence.parts[-2:])
    return _named_in_full(folder).get((subject, number, camera), [])


@lru_cache(maxsize=1)
def _named_in_full(folder: Path) -> dict[tuple[int, int, int], list[Frame]]:
    """All pictures whose path tells where they belong; a data set has half a million, so that they are listed once."""
    found: dict[tuple[int, int, int], list[Frame]] = {}
    for path in sorted(folder.rglob("*")):
        match = _TRAINING_NAME.search(path.relative_to(folder).as_posix().lower())
        if match and path.suffix.lower() in PICTURES:
            key = (int(match["subject"]), int(match["sequence"]), int(match["camera"]))
            found.setdefault(key, []).append(Frame(int(match["frame"]), path))
    return {key: sorted(frames) for key, frames in found.items()}


def test_frames(sequence: Path) -> list[Frame]:
    """Frames of a test sequence: ``imageSequence/img_<number>.jpg``, else any pictures that end in a number."""
    usual = _numbered(sequence / "imageSequence", "img_*.jpg")
    return usual or _numbered(sequence, "**/*")


def _numbered(folder: Path, pattern: str) -> list[Frame]:
    pictures = (path for path in folder.glob(pattern) if path.suffix.lower() in PICTURES)
    return sorted(Frame(int(match[1]), path) for path in pictures if (match := re.search(r"(\d+)$", path.stem)))
