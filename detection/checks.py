"""People that a file lists, checked against their photo and turned into detections."""

from dataclasses import replace

import numpy as np
import torch
from jaxtyping import Float

from fitloop.body.keypoints import MEDIAPIPE_33, convention_named
from fitloop.body.records import Detections, Image
from fitloop.detection.listed import HUGE, BadKeypoints, ListedPerson, ListedPhoto, nobody, told
from fitloop.detection.mediapipe import MediapipeDetector
from fitloop.detection.orientation import as_displayed
from fitloop.geometry.records import concatenate

_BOX_MARGIN = 0.1
"""A person without a box gets one around the keypoints, larger by this share on each side."""
_FAR = 10.0
"""Keypoints further than this many photo sides from the photo are taken as not observed."""


def detections_of(
    photo: ListedPhoto, image: Image, boxed: MediapipeDetector, source: str
) -> tuple[Detections, list[str]]:
    """Check what the file says against the photo, and fill in people who are listed with a box only.

    They are seen by the landmark network; its keypoints are translated by name into the file's convention.
    Values that are not finite, or far outside, become "not observed"; a person without any keypoint left is seen in
    the box, if there is one, and dropped otherwise. All this is told.

    Args:
        photo: What the file says.
        image: The photo itself.
        boxed: Sees people in boxes.
        source: Name of the file for messages.

    Raises:
        BadKeypoints: If the file was made for a photo of another size.
    """
    people, notices = _checked_people(photo, image, source)
    rows: list[Detections] = []
    for person in people:
        if person.keypoints is not None:
            rows.append(_as_listed(person.keypoints, _box_of(person, image), photo.convention))
        else:
            rows.append(_in_box(_box_of(person, image), image, boxed, photo.convention))
    return _joined(rows, photo.convention), notices


def boxes_of(photo: ListedPhoto, image: Image, source: str) -> tuple[Float[torch.Tensor, "people 4"], list[str]]:
    """Boxes of the people alone, with the same checks; around the keypoints where the file gives no box."""
    people, notices = _checked_people(photo, image, source)
    boxes = np.array([_box_of(person, image) for person in people], dtype=np.float32).reshape(-1, 4)
    return torch.from_numpy(boxes), notices


def _checked_people(photo: ListedPhoto, image: Image, source: str) -> tuple[list[ListedPerson], list[str]]:
    notices = list(photo.notices)
    if photo.faults:
        notices.append(told(photo.faults, "; left out"))
    displayed, turned = as_displayed(photo, image, source)
    notices += turned
    people = [_checked(person, image, notices, source) for person in displayed]
    people = [person for person in people if person.keypoints is not None or person.box is not None]
    _check_inside(people, image, notices, source)
    return people, notices


def _box_of(person: ListedPerson, image: Image) -> Float[np.ndarray, "4"]:
    if person.box is not None:
        return person.box
    assert person.keypoints is not None
    height, width = image.pixels.shape[:2]
    seen = person.keypoints[person.keypoints[:, 2] > 0.0, :2]
    margin = _BOX_MARGIN * max(float((seen.max(0) - seen.min(0)).max()), 1.0)
    return np.concatenate([seen.min(0) - margin, seen.max(0) + margin]).clip(0.0, (width, height) * 2)


def _joined(rows: list[Detections], convention: str) -> Detections:
    if not rows:
        return nobody(convention)
    if any(row.silhouettes is None for row in rows):
        rows = [replace(row, silhouettes=None, silhouette_boxes=None) for row in rows]
    together = concatenate(rows)
    seen = together.landmark_confidence is not None and bool(together.landmark_confidence.any())
    return together if seen else replace(together, landmarks=None, landmark_confidence=None)


def _checked(person: ListedPerson, image: Image, notices: list[str], source: str) -> ListedPerson:
    if person.box is not None and not (np.abs(person.box) <= HUGE).all():
        notices.append(f"{source}: a box in {image.name!r} is NaN or huge and was left out.")
        person = replace(person, box=None)
    if person.keypoints is None:
        return person
    height, width = image.pixels.shape[:2]
    values = person.keypoints
    reach = _FAR * max(width, height)
    usable = np.isfinite(values).all(-1) & (np.abs(values[:, :2]) <= reach).all(-1)
    confidence = np.where(usable, np.nan_to_num(values[:, 2]).clip(0.0, 1.0), 0.0)
    if not usable.all():
        notices.append(f"{source}: {(~usable).sum()} keypoints in {image.name!r} are NaN or huge and were left out.")
    if not (confidence > 0.0).any():
        if person.box is None:
            notices.append(f"{source}: a person in {image.name!r} has no observed keypoint and was left out.")
        return ListedPerson(None, person.box)
    pixels = np.where(confidence[:, None] > 0.0, np.nan_to_num(values[:, :2]), 0.0)
    return ListedPerson(np.concatenate([pixels, confidence[:, None]], -1), person.box)


def _check_inside(people: list[ListedPerson], image: Image, notices: list[str], source: str) -> None:
    height, width = image.pixels.shape[:2]
    listed = [p.keypoints[p.keypoints[:, 2] > 0.0, :2] for p in people if p.keypoints is not None]
    listed += [(p.box[:2] + p.box[2:])[None] / 2.0 for p in people if p.keypoints is None and p.box is not None]
    if not listed:
        return
    points = np.concatenate(listed)
    outside = int(((points < 0.0) | (points > (width, height))).any(-1).sum())
    if 2 * outside > len(points):
        raise BadKeypoints(
            f"{source}: {outside} of {len(points)} points lie outside {image.name!r} ({width} x {height}); "
            "the file was probably made for a photo of another size: give that photo, or scale the file."
        )
    if len(points) > 4 and points.max() <= 1.0 and min(width, height) > 2:
        raise BadKeypoints(f"{source}: all points lie in [0, 1]; give pixels, not shares of the photo's sides.")
    if outside:
        notices.append(f"{source}: {outside} of {len(points)} points lie outside {image.name!r} ({width} x {height}).")


def _as_listed(keypoints: Float[np.ndarray, "keypoints 3"], box: Float[np.ndarray, "4"], convention: str) -> Detections:
    values = torch.from_numpy(keypoints.astype(np.float32))[None]
    boxes = torch.from_numpy(box.astype(np.float32))[None]
    blank = torch.zeros(1, len(keypoints))
    return Detections(values[..., :2], values[..., 2], boxes, convention, torch.zeros(1, len(keypoints), 3), blank)


def _in_box(box: Float[np.ndarray, "4"], image: Image, boxed: MediapipeDetector, convention: str) -> Detections:
    given = torch.from_numpy(box.astype(np.float32))[None]
    seen = replace(boxed.in_boxes(image, given), boxes=given)
    if convention == seen.convention:
        return seen
    names = convention_named(convention).keypoints
    known = [MEDIAPIPE_33.keypoints.index(name) if name in MEDIAPIPE_33.keypoints else 0 for name in names]
    there = torch.tensor([float(name in MEDIAPIPE_33.keypoints) for name in names])
    assert seen.landmarks is not None and seen.landmark_confidence is not None
    return Detections(
        seen.keypoints[:, known],
        seen.confidence[:, known] * there,
        seen.boxes,
        convention,
        seen.landmarks[:, known],
        seen.landmark_confidence[:, known] * there,
    )
