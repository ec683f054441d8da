"""Squares cut from whole photos, with everything that was found in the photo moved along.

Training stores square photos that one person fills. Drawn as such, they have wide angles, and a detector that sees
nothing else; cut from larger photos, people are as far away and as badly found as in real ones.
"""

from dataclasses import dataclass, replace

import cv2
import numpy as np
import torch
from jaxtyping import Float, UInt8
from torch import Tensor

from fitloop.body import BodyEstimate, Detections
from fitloop.geometry import Camera

_MARGIN = 1.35
"""Side of the window over the longer side of the person's box."""


@dataclass(frozen=True)
class Window:
    """One square of a photo."""

    corner: tuple[int, int]
    """Left and top edge, pixels of the photo."""
    edge: int
    """Pixels of the photo along an edge."""
    side: int
    """Pixels that they become."""

    @property
    def scale(self) -> float:
        """Pixels of the result per pixel of the photo."""
        return self.side / self.edge

    def cut(self, picture: UInt8[np.ndarray, "..."]) -> np.ndarray:
        """Cut a picture; averages where it shrinks."""
        x, y = self.corner
        part = picture[y : y + self.edge, x : x + self.edge]
        method = cv2.INTER_AREA if self.edge > self.side else cv2.INTER_LINEAR
        return cv2.resize(part, (self.side, self.side), interpolation=method)


def window_around(box: Float[np.ndarray, "4"], size: tuple[int, int], side: int) -> Window:
    """The square around a person, moved and shrunk until it lies in the photo.

    Args:
        box: x y x y, pixels.
        size: Height and width of the photo.
        side: Pixels along an edge of the result.
    """
    height, width = size
    edge = max(16, round(min(_MARGIN * float((box[2:] - box[:2]).max()), height, width)))
    x, y = ((box[:2] + box[2:] - edge) / 2.0).clip(0.0, (width - edge, height - edge)).round()
    return Window((int(x), int(y)), edge, side)


def moved_estimate(estimate: BodyEstimate, windows: list[Window]) -> BodyEstimate:
    """The same bodies seen by the windows' cameras."""
    corner, scale = _stacked(windows)
    camera = estimate.camera
    moved = Camera(camera.focal * scale, (camera.principal_point - corner) * scale[:, None])
    return replace(estimate, camera=moved)


def moved_detections(seen: Detections, windows: list[Window]) -> Detections:
    """The same keypoints and boxes in the windows' pixels."""
    corner, scale = _stacked(windows)
    by = scale[:, None, None]
    boxes = (seen.boxes - corner.repeat(1, 2)) * scale[:, None]
    moved = replace(seen, keypoints=(seen.keypoints - corner[:, None]) * by, boxes=boxes)
    if seen.silhouette_boxes is None:
        return moved
    return replace(moved, silhouette_boxes=(seen.silhouette_boxes - corner.repeat(1, 2)) * scale[:, None])


def _stacked(windows: list[Window]) -> tuple[Tensor, Tensor]:
    corner = torch.tensor([window.corner for window in windows], dtype=torch.float32)
    return corner, torch.tensor([window.scale for window in windows])
