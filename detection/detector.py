"""What every source of people in photos looks like."""

from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from fitloop.body.records import Detections, Image


@dataclass(frozen=True)
class DetectionReport:
    """People in one photo, and what the user should know about them."""

    detections: Detections
    """The batch axis is people, possibly none."""
    notices: tuple[str, ...] = ()
    """Sentences for the user, such as keypoints outside the photo; empty when all is well."""


@runtime_checkable
class Detector(Protocol):
    """Finds the people of a photo."""

    name: str
    """How users ask for it."""

    @property
    def convention(self) -> str:
        """Name in `fitloop.body.keypoints.CONVENTIONS` of the keypoints it gives."""
        ...

    def __call__(self, image: Image) -> Detections:
        """Find the people; full-image pixels, the batch axis is people, possibly none."""
        ...

    def detect_with_notices(self, image: Image) -> DetectionReport:
        """Find the people, and say what the user should know."""
        ...
