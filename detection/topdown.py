"""What networks that see one person per box have in common: where the boxes come from, what the keypoints are."""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float

from fitloop.body.keypoints import CONVENTIONS, Convention
from fitloop.body.records import Detections, Image
from fitloop.detection.detector import DetectionReport
from fitloop.detection.files import KeypointFile
from fitloop.detection.listed import nobody
from fitloop.detection.mediapipe import MediapipeConfig, MediapipeDetector

_OTHER_NAMES = {"hip": "mid_hip", "root": "pelvis", "head_bottom": "neck"}
"""Names of other libraries for keypoints of ours."""
_SAME_ORDER = {"h36m": "h36m17"}
"""Data sets whose names differ but whose keypoints are a convention of ours in order."""
_FEWEST = 8
"""A convention must give at least this many keypoints of the network a meaning."""


@dataclass(frozen=True)
class KeypointColumns:
    """Which of a network's keypoints is which of a convention."""

    convention: Convention
    columns: tuple[int | None, ...]
    """For each keypoint of the convention the network's, None where the network has no such point."""


def columns_of(names: list[str], dataset: str = "") -> KeypointColumns:
    """Choose the convention that gives most of the network's keypoints a meaning, by name.

    Args:
        names: What the network's keypoints are called, in order.
        dataset: Name of the data set the network was trained on, if known.

    Raises:
        ValueError: If fewer than eight names are known.
    """
    same = CONVENTIONS.get(_SAME_ORDER.get(dataset, ""))
    if same is not None and len(same) == len(names):
        return KeypointColumns(same, tuple(range(len(names))))
    known = [_OTHER_NAMES.get(name, name) for name in names]

    def fit(convention: Convention) -> tuple[int, int]:
        return len(set(convention.keypoints) & set(known)), -len(convention)

    best = max(CONVENTIONS.values(), key=fit)
    if fit(best)[0] < min(_FEWEST, len(names)):
        raise ValueError(
            f"The keypoints {', '.join(names[:6])}, ... belong to no known convention; use a network for bodies: "
            f"{', '.join(CONVENTIONS)}."
        )
    return KeypointColumns(best, tuple(known.index(k) if k in known else None for k in best.keypoints))


def arranged(
    keypoints: Float[np.ndarray, "people keypoints 2"],
    scores: Float[np.ndarray, "people keypoints"],
    boxes: Float[torch.Tensor, "people 4"],
    columns: KeypointColumns,
) -> Detections:
    """Bring a network's output into the order of the convention; scores are clipped to [0, 1].

    Args:
        keypoints: Full-image pixels.
        scores: The network's own; above 1 counts as 1.
        boxes: The people's boxes.
        columns: What the network's keypoints are.
    """
    source = [0 if column is None else column for column in columns.columns]
    there = np.array([column is not None for column in columns.columns])
    usable = np.isfinite(keypoints[:, source]).all(-1) & np.isfinite(scores[:, source]) & there
    pixels = np.where(usable[..., None], keypoints[:, source], 0.0).astype(np.float32)
    confidence = np.where(usable, scores[:, source].clip(0.0, 1.0), 0.0).astype(np.float32)
    return Detections(torch.from_numpy(pixels), torch.from_numpy(confidence), boxes, columns.convention.name)


class BoxSource:
    """Boxes of people: the embedded detector's, or those of a file."""

    def __init__(self, file: str | Path | None, embedded: MediapipeConfig) -> None:
        self._file = None if file is None else KeypointFile(file)
        self._embedded = MediapipeDetector(embedded)

    def __call__(self, image: Image) -> tuple[Float[torch.Tensor, "people 4"], tuple[str, ...]]:
        """Boxes of the photo's people, x y x y in full-image pixels, and notices about them."""
        if self._file is not None:
            return self._file.boxes_with_notices(image)
        return self._embedded(image).boxes, ()


class TopDownDetector(ABC):
    """A network that sees one person per box; its makers say how it is read and run."""

    def __init__(self, boxes: str | None, embedded: MediapipeConfig) -> None:
        """Take boxes from the file ``boxes``, else from the embedded detector."""
        self._boxes = BoxSource(boxes, embedded)
        self._columns: KeypointColumns | None = None

    @property
    def convention(self) -> str:
        """The convention that the network speaks; reads the network if that has not happened yet."""
        return self._ready().convention.name

    def __call__(self, image: Image) -> Detections:
        """Find the people; full-image pixels, the batch axis is people, possibly none."""
        return self.detect_with_notices(image).detections

    def detect_with_notices(self, image: Image) -> DetectionReport:
        """Find the people, and tell what was wrong with their boxes."""
        columns = self._ready()
        boxes, notices = self._boxes(image)
        if len(boxes) == 0:
            return DetectionReport(nobody(columns.convention.name), notices)
        keypoints, scores = self._see(image, boxes)
        return DetectionReport(arranged(keypoints, scores, boxes, columns), notices)

    def _ready(self) -> KeypointColumns:
        if self._columns is None:
            self._columns = self._read_network()
        return self._columns

    @abstractmethod
    def _read_network(self) -> KeypointColumns:
        """Read the network, once, and say what its keypoints are."""

    @abstractmethod
    def _see(
        self, image: Image, boxes: Float[torch.Tensor, "people 4"]
    ) -> tuple[Float[np.ndarray, "people keypoints 2"], Float[np.ndarray, "people keypoints"]]:
        """Keypoints, in full-image pixels, and scores of the person in each box; there is at least one."""
