"""The keypoints in results of this program."""

import zipfile
import zlib
from pathlib import Path

import numpy as np

from fitloop.body.keypoints import CONVENTIONS
from fitloop.detection.listed import BadKeypoints, ListedPerson, ListedPhoto, Listing, numbers


def read_own_results(path: Path, name: str) -> Listing:
    """Read the people of a results file.

    Raises:
        BadKeypoints: If it is damaged, or no result of this program.
    """
    photo = _photo(path)
    return Listing({name: lambda: photo}, photo.convention)


def _photo(path: Path) -> ListedPhoto:
    try:
        with path.open("rb") as opened, np.load(opened, allow_pickle=False) as stored:
            keypoints, convention = stored["keypoints"], str(stored["convention"])
            boxes = stored["boxes"] if "boxes" in stored else None
    except KeyError as error:
        raise BadKeypoints(f"{path} is no result of this program: it has no {error}.") from error
    except (OSError, ValueError, EOFError, zipfile.BadZipFile, zlib.error, NotImplementedError, TypeError) as error:
        raise BadKeypoints(f"{path} is damaged, incomplete or no .npz file: {error}.") from error
    if convention not in CONVENTIONS:
        raise BadKeypoints(f"{path} speaks the unknown convention {convention!r}; known: {', '.join(CONVENTIONS)}.")
    count = len(CONVENTIONS[convention])
    if keypoints.ndim != 3 or keypoints.shape[1:] != (count, 3):
        raise BadKeypoints(f"{path}: keypoints must be (people, {count}, 3) for {convention}; got {keypoints.shape}.")
    if boxes is not None and boxes.shape != (len(keypoints), 4):
        raise BadKeypoints(f"{path}: boxes must be ({len(keypoints)}, 4), one per person; got {boxes.shape}.")
    rows = [numbers(row, f"{path}: keypoints") for row in keypoints]
    given = [None] * len(rows) if boxes is None else [numbers(box, f"{path}: boxes") for box in boxes]
    return ListedPhoto(tuple(ListedPerson(row, box) for row, box in zip(rows, given, strict=True)), convention)
