"""Keypoints or boxes from files instead of a detector."""

import json
import re
import zipfile
from collections.abc import Callable
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from fitloop.body.keypoints import CONVENTIONS
from fitloop.body.records import Detections, Image
from fitloop.detection.coco import is_annotations, is_results, read_annotations, read_results
from fitloop.detection.detector import DetectionReport
from fitloop.detection.listed import (
    BadKeypoints,
    ListedPerson,
    ListedPhoto,
    boxes_of,
    corner_box,
    detections_of,
    nobody,
    numbers,
)
from fitloop.detection.mediapipe import MediapipeConfig, MediapipeDetector
from fitloop.detection.openpose import is_openpose, read_openpose

_ENDINGS = ("", "_keypoints", "_openpose", "_bbox")
"""What tools add to the photo's name for their file of one photo."""


class KeypointFile:
    """People of photos as a file or a folder lists them. See docs/detection.md for the formats.

    Files for one photo carry its name: OpenPose's (``NAME_keypoints.json``), a box as SPIN's (``NAME_bbox.json``), our
    own results (``NAME.npz``); a folder holds them at the place of the photo below its own folder. One file for many
    photos: COCO annotations, COCO results, or boxes by file name. People without keypoints are seen by mediapipe's
    landmark network in their boxes.
    """

    name = "file"

    def __init__(self, path: str | Path, boxed: MediapipeConfig = MediapipeConfig()) -> None:
        """Open the file, or look into the folder.

        Args:
            path: A file or a folder of files.
            boxed: Settings of the landmark network for people with a box only.

        Raises:
            BadKeypoints: If there is nothing to read, or the file is broken.
        """
        self.path = Path(path)
        self._boxed = MediapipeDetector(boxed)
        if not self.path.exists():
            raise BadKeypoints(f"There is no keypoint file or folder {str(path)!r}.")
        self._photos = None if self.path.is_dir() else read_file(self.path)
        if self.path.is_dir():
            files = sorted(f for f in self.path.rglob("*") if f.suffix.lower() in (".json", ".npz"))
            if not files:
                raise BadKeypoints(f"The folder {str(path)!r} holds no .json or .npz file with keypoints.")
            self._photos_of_folder = {f.relative_to(self.path).as_posix(): f for f in files}
        self._convention = self._first_convention()

    @property
    def convention(self) -> str:
        """Convention of the first people listed; each photo's detections name their own."""
        return self._convention

    def __call__(self, image: Image) -> Detections:
        """People that are listed for the photo, none if it is not listed.

        Raises:
            BadKeypoints: If what is listed cannot be used for this photo.
        """
        return self.detect_with_notices(image).detections

    def listed(self, name: str) -> ListedPhoto | None:
        """What is listed for a photo, as the file has it; None if it is not listed.

        Raises:
            BadKeypoints: If the photo's own file is broken.
        """
        return self._listed(name)[0]

    def detect_with_notices(self, image: Image) -> DetectionReport:
        """People that are listed for the photo, and what was wrong with them."""
        photo, source = self._listed(image.name)
        if photo is None:
            notice = f"{source} lists nothing for {image.name!r}."
            return DetectionReport(nobody(self._convention), (notice,))
        detections, notices = detections_of(photo, image, self._boxed, source)
        return DetectionReport(detections, tuple(notices))

    def boxes_with_notices(self, image: Image) -> tuple[Float[Tensor, "people 4"], tuple[str, ...]]:
        """Boxes of the people that are listed, x y x y in full-image pixels; no network runs.

        Raises:
            BadKeypoints: As for the call.
        """
        photo, source = self._listed(image.name)
        if photo is None:
            return torch.zeros(0, 4), (f"{source} lists nothing for {image.name!r}.",)
        boxes, notices = boxes_of(photo, image, source)
        return boxes, tuple(notices)

    def _listed(self, name: str) -> tuple[ListedPhoto | None, str]:
        if self._photos is not None:
            return _entry(self._photos, name), str(self.path)
        stem = PurePosixPath(name).with_suffix("").as_posix()
        wanted = [f"{name}.npz", f"{stem}.npz", f"{name}.json"] + [f"{stem}{ending}.json" for ending in _ENDINGS]
        for candidate in wanted:
            file = self._photos_of_folder.get(candidate)
            if file is not None:
                return next(iter(read_file(file).values())), str(file)
        return None, str(self.path)

    def _first_convention(self) -> str:
        if self._photos is not None:
            listed = [photo for photo in self._photos.values() if photo.people] or list(self._photos.values())
            return listed[0].convention if listed else "mediapipe33"
        for file in self._photos_of_folder.values():
            try:
                photos = read_file(file)
            except BadKeypoints:
                continue
            for photo in photos.values():
                if photo.people:
                    return photo.convention
        return "mediapipe33"


def _entry(photos: dict[str, ListedPhoto], name: str) -> ListedPhoto | None:
    """Find a photo by its path, its file name, its name without ending, or the number it ends in (COCO's id)."""
    if name in photos:
        return photos[name]
    path = PurePosixPath(name)
    number = re.search(r"(\d+)$", path.stem)
    keys: list[Callable[[str], bool]] = [
        lambda key: PurePosixPath(key).name == path.name,
        lambda key: PurePosixPath(key).stem == path.stem,
        lambda key: number is not None and key.isdecimal() and int(key) == int(number[1]),
    ]
    for same in keys:
        found = [key for key in photos if same(key)]
        if len(found) == 1:
            return photos[found[0]]
    return None


def read_file(path: Path) -> dict[str, ListedPhoto]:
    """Read one file: photos by name, path or COCO id; a file of one photo lists it under the photo's name.

    Raises:
        BadKeypoints: If it is broken or in no known format.
    """
    if path.suffix.lower() == ".npz":
        return {path.stem: _read_results(path)}
    return _photos_in(_read_json(path), path)


def _read_json(path: Path) -> Any:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise BadKeypoints(f"{path} cannot be opened: {error.strerror}.") from error
    except (ValueError, RecursionError) as error:
        raise BadKeypoints(f"{path} is not valid JSON: {error}.") from error


def _photos_in(content: Any, path: Path) -> dict[str, ListedPhoto]:
    source = str(path)
    if is_openpose(content):
        return {_photo_name(path): read_openpose(content, source)}
    if is_annotations(content):
        return read_annotations(content, source)
    if is_results(content):
        return read_results(content, source)
    if isinstance(content, dict) and set(content) >= {"bbox"}:
        person = ListedPerson(None, corner_box(content["bbox"], f"{source}: bbox"))
        return {_photo_name(path): ListedPhoto((person,), "mediapipe33")}
    if isinstance(content, dict) and all(isinstance(boxes, list) for boxes in content.values()):
        return {name: _boxes(boxes, f"{source}: {name!r}") for name, boxes in content.items()}
    raise BadKeypoints(
        f"{source} is in no known format: give OpenPose JSON, COCO annotations or results, "
        'boxes as {"photo.jpg": [[x, y, width, height], ...]}, or results of this program (.npz).'
    )


def _photo_name(path: Path) -> str:
    for ending in _ENDINGS[1:]:
        if path.stem.endswith(ending):
            return path.stem[: -len(ending)]
    return path.stem


def _boxes(boxes: list[Any], what: str) -> ListedPhoto:
    people = [ListedPerson(None, corner_box(box, f"{what}, box {i}")) for i, box in enumerate(boxes)]
    return ListedPhoto(tuple(people), "mediapipe33")


def _read_results(path: Path) -> ListedPhoto:
    """Read the keypoints of this program's own results."""
    try:
        with path.open("rb") as opened, np.load(opened, allow_pickle=False) as stored:
            keypoints, convention = stored["keypoints"], str(stored["convention"])
            boxes = stored["boxes"] if "boxes" in stored else [None] * len(keypoints)
    except KeyError as error:
        raise BadKeypoints(f"{path} is no result of this program: it has no {error}.") from error
    except (OSError, ValueError, EOFError, zipfile.BadZipFile) as error:
        raise BadKeypoints(f"{path} is damaged, incomplete or no .npz file: {error}.") from error
    if convention not in CONVENTIONS:
        raise BadKeypoints(f"{path} speaks the unknown convention {convention!r}; known: {', '.join(CONVENTIONS)}.")
    count = len(CONVENTIONS[convention])
    if keypoints.ndim != 3 or keypoints.shape[1:] != (count, 3):
        raise BadKeypoints(f"{path}: keypoints must be (people, {count}, 3) for {convention}; got {keypoints.shape}.")
    rows = [numbers(row, f"{path}: keypoints") for row in keypoints]
    people = [ListedPerson(row, box) for row, box in zip(rows, boxes, strict=True)]
    return ListedPhoto(tuple(people), convention)
