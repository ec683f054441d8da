"""Keypoints or boxes from files instead of a detector."""

from collections.abc import Sequence
from functools import cached_property, lru_cache
from pathlib import Path

import torch
from jaxtyping import Float
from torch import Tensor

from fitloop.body.documents import SUFFIXES, is_document
from fitloop.body.records import Detections, Image
from fitloop.detection.checks import boxes_of, detections_of
from fitloop.detection.detector import DetectionReport
from fitloop.detection.layouts import read_file
from fitloop.detection.listed import BOXES_ONLY, BadKeypoints, ListedPhoto, Listing, nobody, told
from fitloop.detection.mediapipe import MediapipeConfig, MediapipeDetector
from fitloop.detection.photo_names import FileNames, PhotoNames


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
        self._source = _Folder(self.path) if self.path.is_dir() else _File(self.path)

    @property
    def convention(self) -> str:
        """Convention of the first people listed; each photo's detections name their own."""
        return self._source.convention

    @property
    def notices(self) -> tuple[str, ...]:
        """What the user should know of the file as a whole; the first photo's report tells it too."""
        return (*self._source.notices, *self._source.names.notices)

    def expect(self, names: Sequence[str]) -> None:
        """Look at the names of all photos of a run, before the first is asked for, so that no entry serves two.

        Args:
            names: Of the photos, as `Image.name` has them.

        Raises:
            BadKeypoints: If nothing is listed for any of them, a number fits several, or numbers fit only when shifted.
        """
        self._source.names.expect(names)

    def entry(self, name: str) -> ListedPhoto | None:
        """What is listed for a photo, as the file has it; None if nothing is.

        Raises:
            BadKeypoints: If the photo's own file cannot be read.
        """
        return self._source.entry(name)

    def __call__(self, image: Image) -> Detections:
        """People that are listed for the photo, none if it is not listed.

        Raises:
            BadKeypoints: If what is listed cannot be used for this photo.
        """
        return self.detect_with_notices(image).detections

    def detect_with_notices(self, image: Image) -> DetectionReport:
        """People that are listed for the photo, and what was wrong with them."""
        photo, source, notices = self._source.listed(image.name)
        if photo is None:
            return DetectionReport(nobody(self.convention), tuple(notices))
        detections, more = detections_of(photo, image, self._boxed, source)
        return DetectionReport(detections, (*notices, *more))

    def boxes_with_notices(self, image: Image) -> tuple[Float[Tensor, "people 4"], tuple[str, ...]]:
        """Boxes of the people that are listed, x y x y in full-image pixels; no network runs.

        Raises:
            BadKeypoints: As for the call.
        """
        photo, source, notices = self._source.listed(image.name)
        if photo is None:
            return torch.zeros(0, 4), tuple(notices)
        boxes, more = boxes_of(photo, image, source)
        return boxes, (*notices, *more)


class _File:
    """One file, read once."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._listing = read_file(path)
        self.names = PhotoNames(self._listing.photos, str(path))
        self.convention = self._listing.convention
        self.notices = _of_the_whole(self._listing)
        self._first: str | None = None

    def entry(self, name: str) -> ListedPhoto | None:
        match = self.names.find(name)
        return None if match is None else self._listing.photos[match.key]()

    def listed(self, name: str) -> tuple[ListedPhoto | None, str, list[str]]:
        self._first = self._first or name
        notices = [*self.notices, *self.names.notices] if name == self._first else []
        match = self.names.find(name)
        if match is None:
            return None, str(self._path), [*notices, f"{self._path} lists nothing for {name!r}."]
        notices += [match.notice] if match.notice else []
        return self._listing.photos[match.key](), str(self._path), notices


def _of_the_whole(listing: Listing) -> tuple[str, ...]:
    faults = (told(listing.faults, "; left out"),) if listing.faults else ()
    return (*listing.notices, *faults)


class _Folder:
    """A folder of files of one photo each; a broken one stops only its own photo."""

    notices: tuple[str, ...] = ()

    def __init__(self, path: Path) -> None:
        self._path = path
        files = sorted(f for f in path.rglob("*") if f.suffix.lower() == ".npz" or is_document(f))
        if not files:
            raise BadKeypoints(
                f"The folder {str(path)!r} holds no {', '.join(SUFFIXES)} or .npz file with keypoints; "
                "give a folder with one such file per photo, or one file for all photos."
            )
        self._files = {file.relative_to(path).as_posix(): file for file in files}
        self.names = FileNames(self._files, str(path))
        self._read = lru_cache(maxsize=2)(read_file)

    @cached_property
    def convention(self) -> str:
        for file in self._files.values():
            try:
                photos = [read() for read in self._read(file).photos.values()]
            except BadKeypoints:
                continue
            for photo in photos:
                if photo.people:
                    return photo.convention
        return BOXES_ONLY

    def entry(self, name: str) -> ListedPhoto | None:
        return self.listed(name)[0]

    def listed(self, name: str) -> tuple[ListedPhoto | None, str, list[str]]:
        match = self.names.find(name)
        if match is None:
            return None, str(self._path), [f"{self._path} lists nothing for {name!r}."]
        file = self._files[match.key]
        listing = self._read(file)
        notices = [*_of_the_whole(listing), *([match.notice] if match.notice else [])]
        photos = listing.photos
        inside = PhotoNames(photos, str(file)).find(name) if len(photos) > 1 else None
        if len(photos) > 1 and inside is None:
            return None, str(file), [*notices, f"{file} lists {len(photos)} photos, but not {name!r}."]
        key = inside.key if inside is not None else next(iter(photos), None)
        return (photos[key]() if key is not None else None), str(file), notices
