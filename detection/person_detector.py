"""Where people may be: mediapipe's person detector over a photo and overlapping tiles of it."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from fitloop.detection.pixels import PhotoPieces
from fitloop.detection.tflite import Network

_SIZE = 224
_SMALLEST = 64.0
_STRIDES_AND_COUNTS = ((8, 2), (16, 2), (32, 6))
"""Cells of three grids and the anchors in each cell, as mediapipe's graph lays them out: 2254 in all."""


@dataclass(frozen=True)
class Candidates:
    """Places where a person may be, in full-image pixels."""

    scores: Float[np.ndarray, "people"]
    """Probability in [0, 1]."""
    faces: Float[np.ndarray, "people 4"]
    """x y x y around the head."""
    points: Float[np.ndarray, "people 4 2"]
    """Middle of the hips, a point that gives size and direction of the whole body, and both for the upper body."""

    def __len__(self) -> int:
        return len(self.scores)

    def __getitem__(self, index: np.ndarray) -> "Candidates":
        return Candidates(self.scores[index], self.faces[index], self.points[index])

    @staticmethod
    def joined(parts: "list[Candidates]") -> "Candidates":
        """All candidates of several searches."""
        return Candidates(
            np.concatenate([part.scores for part in parts]),
            np.concatenate([part.faces for part in parts]),
            np.concatenate([part.points for part in parts]),
        )


def anchors() -> Float[np.ndarray, "2254 2"]:
    """Centres of the anchors in [0, 1], row by row, (x, y); all anchors have the size of the whole input."""
    grids = []
    for stride, count in _STRIDES_AND_COUNTS:
        ticks = (np.arange(_SIZE // stride) + 0.5) * stride / _SIZE
        y, x = np.meshgrid(ticks, ticks, indexing="ij")
        grids.append(np.stack([x, y], -1).reshape(-1, 1, 2).repeat(count, 1).reshape(-1, 2))
    return np.concatenate(grids)


def tiles_of(width: int, height: int, scales: tuple[float, ...], overlap: float) -> Float[np.ndarray, "tiles 3"]:
    """Squares (x, y of the corner, side) that cover a photo: one around all of it, then a grid per scale.

    Args:
        width: Photo width in pixels.
        height: Photo height in pixels.
        scales: Tile side of each grid over the photo's longer side (of a strip: twice the shorter); tiles below 64
            pixels are left out.
        overlap: Share of a tile's side, at least, that it has in common with the next one.
    """
    longer = float(max(width, height))
    tiles = [((width - longer) / 2.0, (height - longer) / 2.0, longer)]
    sides = [scale * min(longer, 2.0 * min(width, height)) for scale in scales]
    for side in [side for side in sides if side >= _SMALLEST]:
        for y in _starts(float(height), side, overlap):
            tiles += [(x, y, side) for x in _starts(float(width), side, overlap)]
    return np.array(tiles)


def _starts(length: float, side: float, overlap: float) -> list[float]:
    if side >= length:
        return [(length - side) / 2.0]
    count = int(np.ceil((length - side) / (side * (1.0 - overlap)) - 1e-6)) + 1
    return np.linspace(0.0, length - side, count).tolist()


def look_at_tile(
    network: Network, photo: PhotoPieces, tile: Float[np.ndarray, "3"], size: int
) -> tuple[Float[np.ndarray, "anchors values"], Float[np.ndarray, "anchors"]]:
    """Show one square (x, y of the corner, side) to a detector of ``size`` input pixels: raw values, probabilities."""
    piece = photo.cut(tile[:2] + tile[2] / 2.0, tile[2], 0.0, size)
    raw, logits = network(piece.astype(np.float32) / 127.5 - 1.0)
    return raw, 1.0 / (1.0 + np.exp(-np.clip(logits[:, 0].astype(float), -100.0, 100.0)))


class PersonDetector:
    """Mediapipe's person detector, which sees people between about a fifth and the whole of a tile."""

    def __init__(self, threads: int) -> None:
        self.network = Network("pose_detection/pose_detection.tflite", threads)
        self._anchors = anchors()

    def in_tile(
        self, photo: PhotoPieces, tile: Float[np.ndarray, "3"], threshold: float, largest: float = np.inf
    ) -> Candidates:
        """Find candidates in one square (x, y of the corner, side) of the photo.

        Args:
            photo: The photo.
            tile: The square.
            threshold: Least probability.
            largest: Greatest height of a whole body, over the tile's side.
        """
        corner, side = tile[:2], tile[2]
        raw, scores = look_at_tile(self.network, photo, tile, _SIZE)
        reach = np.linalg.norm((raw[:, 6:8] - raw[:, 4:6]) / _SIZE, axis=-1)
        kept = (scores >= threshold) & (reach <= largest / 2.0)
        values = raw[kept].astype(float).reshape(-1, 6, 2) / _SIZE
        at_anchor = values + self._anchors[kept][:, None]
        centre, half = at_anchor[:, 0], values[:, 1] / 2.0
        faces = np.concatenate([centre - half, centre + half], -1) * side + np.tile(corner, 2)
        return suppress(Candidates(scores[kept], faces, at_anchor[:, 2:] * side + corner), 0.3)

    def __call__(
        self, photo: PhotoPieces, tiles: Float[np.ndarray, "tiles 3"], threshold: float, largest: float = np.inf
    ) -> Candidates:
        """Find candidates in every tile; one person may be found in several tiles and is then reported once."""
        nobody = Candidates(np.zeros(0), np.zeros((0, 4)), np.zeros((0, 4, 2)))
        found = [self.in_tile(photo, tile, threshold, largest) for tile in tiles]
        return suppress(Candidates.joined([nobody, *found]), 0.3, together=True)


def suppress(candidates: Candidates, overlap: float, together: bool = False) -> Candidates:
    """Weighted non-maximum suppression: heads that overlap more than ``overlap`` (IoU) become their weighted mean.

    Args:
        candidates: To be thinned out.
        overlap: Of heads of one person.
        together: Whether the candidates were seen in different tiles, so that their probabilities add up (noisy or);
            else the greatest counts.
    """
    order = np.argsort(-candidates.scores, kind="stable")
    faces, points, scores = candidates.faces[order], candidates.points[order], candidates.scores[order]
    left = np.ones(len(order), dtype=bool)
    kept: list[tuple[float, np.ndarray, np.ndarray]] = []
    for best in range(len(order)):
        if not left[best]:
            continue
        same = left & (box_overlap(faces[best], faces) > overlap)
        same[best] = True
        left &= ~same
        weight = scores[same] / scores[same].sum()
        score = 1.0 - np.prod(1.0 - scores[same]) if together else scores[best]
        kept.append((score, weight @ faces[same], np.tensordot(weight, points[same], 1)))
    return Candidates(
        np.array([k[0] for k in kept]),
        np.array([k[1] for k in kept]).reshape(-1, 4),
        np.array([k[2] for k in kept]).reshape(-1, 4, 2),
    )


def box_overlap(box: Float[np.ndarray, "4"], boxes: Float[np.ndarray, "boxes 4"]) -> Float[np.ndarray, "boxes"]:
    """Intersection over union of one x y x y box with others."""
    low, high = np.maximum(box[:2], boxes[:, :2]), np.minimum(box[2:], boxes[:, 2:])
    common = np.prod(np.clip(high - low, 0.0, None), axis=-1)
    areas = np.prod(boxes[:, 2:] - boxes[:, :2], axis=-1)
    return common / np.maximum(np.prod(box[2:] - box[:2]) + areas - common, 1e-12)
