"""The embedded detector: the networks of mediapipe's pose solution, for any number of people per photo."""

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional

from fitloop.body.records import Detections, Image
from fitloop.detection.detector import DetectionReport
from fitloop.detection.faces import FaceDetector
from fitloop.detection.landmarks import LandmarkNetwork, Place, Pose, place_of
from fitloop.detection.overlap import agreement, distinct, face_agrees, quality, together
from fitloop.detection.person_detector import Candidates, PersonDetector, tiles_of
from fitloop.detection.pixels import PhotoPieces
from fitloop.geometry.crops import Crop, to_crop

_KNOWN = 0.7
"""A first look that agrees this well with a pose seen before is not followed up."""


@dataclass(frozen=True)
class MediapipeConfig:
    """Settings of the embedded detector."""

    scales: tuple[float, ...] = (0.6, 0.4, 0.22)
    """Sides of the tiles that are searched, over the photo's longer side; the whole photo is always searched."""
    tile_overlap: float = 0.5
    """Share of a tile that its neighbour sees too."""
    person_threshold: float = 0.25
    """Candidates of the person detector below this probability are dropped."""
    pose_threshold: float = 0.8
    """Candidates that the landmark network gives less than this probability are dropped."""
    quality_threshold: float = 0.28
    """Bodies below this quality (see `detection.overlap.quality`) are dropped: less finds more people, and more that
    are none."""
    face_threshold: float = 0.7
    """A face of at least this probability where a pose has its head vouches for the pose, whatever its quality."""
    same_person: float = 0.45
    """Bodies whose masks have this share of the smaller one in common are one person."""
    silhouette_size: int = 128
    """Rows and columns of the silhouette grid."""
    threads: int = 2
    """Threads of each network."""


class MediapipeDetector:
    """Detectors of persons and faces over a pyramid of tiles, then the landmark network on each candidate.

    Networks are read at the first call, from the cache (`detection.fetching`), and fetched once if they are not there.
    """

    name = "mediapipe"
    convention = "mediapipe33"

    def __init__(self, config: MediapipeConfig = MediapipeConfig()) -> None:
        self.config = config
        self._people = PersonDetector(config.threads)
        self._faces = FaceDetector(config.threads)
        self._landmarks = LandmarkNetwork(config.threads)

    def __call__(self, image: Image) -> Detections:
        """Find the people; full-image pixels, the batch axis is people, possibly none."""
        return self.detect_with_notices(image).detections

    def detect_with_notices(self, image: Image) -> DetectionReport:
        """Find the people; this detector has nothing to tell beside them."""
        photo = PhotoPieces(image.pixels)
        return DetectionReport(self._detections(self._poses(photo, image), image))

    def in_boxes(self, image: Image, boxes: Float[Tensor, "people 4"]) -> Detections:
        """See the person in each x y x y box, in the boxes' order; every box gives a person."""
        photo = PhotoPieces(image.pixels)
        poses = [self._pose_in_box(photo, box) for box in boxes.double().numpy()]
        return self._detections(poses, image)

    def _pose_in_box(self, photo: PhotoPieces, box: Float[np.ndarray, "4"]) -> Pose:
        extent = box[2:] - box[:2]
        first = self._landmarks(photo, Place((box[:2] + box[2:]) / 2.0, max(1.25 * float(extent.max()), 1.0), 0.0))
        second = self._landmarks(photo, first.next_place)
        hips = second.next_place.center
        strayed = (hips < box[:2] - 0.25 * extent).any() or (hips > box[2:] + 0.25 * extent).any()
        return first if strayed or second.score < first.score else second

    def _poses(self, photo: PhotoPieces, image: Image) -> list[Pose]:
        height, width = image.pixels.shape[:2]
        tiles = tiles_of(width, height, self.config.scales, self.config.tile_overlap)
        people = self._people(photo, tiles, self.config.person_threshold)
        # Faces that small tiles would show belong to people whom the photo shows whole: the person detector's.
        faces = self._faces(photo, tiles_of(width, height, self.config.scales[:1], 0.3), self.config.face_threshold)
        candidates = Candidates.joined([people, faces])
        known: list[Pose] = []
        good: list[Pose] = []
        for points, probability in zip(candidates.points, candidates.scores, strict=True):
            look = self._closer_look(photo, place_of(*points[:2]), known)
            if look is None:
                continue
            known.append(look[0])
            share = quality(*look)
            if face_agrees(look[0], faces.faces):
                share = max(share, self.config.quality_threshold)
            if share >= self.config.quality_threshold:
                # Of several views of one person that stand the test, the detectors say which frames it best.
                good.append(together(*look, share * float(probability)))
        return distinct(good, width, height, self.config.same_person)

    def _closer_look(self, photo: PhotoPieces, place: Place, known: list[Pose]) -> tuple[Pose, Pose] | None:
        """Look again where the first look says the person is, and once more into the mirror; not at known poses."""
        first = self._landmarks(photo, place)
        if first.score < self.config.pose_threshold or any(agreement(first, pose) > _KNOWN for pose in known):
            return None
        direct = self._landmarks(photo, first.next_place)
        if direct.score < self.config.pose_threshold:
            return None
        return direct, self._landmarks(photo, direct.next_place, mirrored=True)

    def _detections(self, poses: list[Pose], image: Image) -> Detections:
        height, width = image.pixels.shape[:2]
        size = self.config.silhouette_size

        def stacked(values: list[np.ndarray], *shape: int) -> Tensor:
            return torch.from_numpy(np.array(values, dtype=np.float32).reshape(len(poses), *shape))

        grids = [_upright_silhouette(pose, size) for pose in poses]
        return Detections(
            keypoints=stacked([pose.keypoints for pose in poses], 33, 2),
            confidence=stacked([_confidence(pose, width, height) for pose in poses], 33),
            boxes=stacked([_box(pose, width, height) for pose in poses], 4),
            convention=self.convention,
            landmarks=stacked([pose.landmarks for pose in poses], 33, 3),
            landmark_confidence=stacked([pose.presence for pose in poses], 33),
            silhouettes=stacked([grid for grid, _ in grids], size, size),
            silhouette_boxes=stacked([box for _, box in grids], 4),
        )


def _confidence(pose: Pose, width: int, height: int) -> Float[np.ndarray, "33"]:
    inside = ((pose.keypoints >= 0.0) & (pose.keypoints <= (width, height))).all(-1)
    return np.minimum(pose.visibility, pose.presence) * inside


def _box(pose: Pose, width: int, height: int) -> Float[np.ndarray, "4"]:
    """Box around the keypoints that are in the square and in the photo, a twentieth of the square larger."""
    points = pose.keypoints[pose.presence >= 0.5]
    points = points if len(points) else pose.keypoints
    margin = 0.05 * pose.place.side
    low = np.clip(points.min(0) - margin, 0.0, (width - 1.0, height - 1.0))
    high = np.clip(points.max(0) + margin, low + 1.0, (width, height))
    return np.concatenate([low, high])


def _upright_silhouette(pose: Pose, size: int) -> tuple[Float[np.ndarray, "size size"], Float[np.ndarray, "4"]]:
    """Resample the mask of a turned square over the upright square that contains it; and that square's box."""
    place = pose.place
    half = place.side / 2.0 * (abs(np.cos(place.angle)) + abs(np.sin(place.angle)))
    box = np.concatenate([place.center - half, place.center + half])
    ticks = torch.from_numpy((np.arange(size) + 0.5) / size * 2.0 * half - half)
    y, x = torch.meshgrid(ticks + place.center[1], ticks + place.center[0], indexing="ij")
    crop = Crop(torch.from_numpy(place.center), torch.tensor(place.side), torch.tensor(place.angle))
    grid = to_crop(torch.stack([x, y], -1).flatten(0, 1), crop.to(torch.float64)).unflatten(0, (size, size))
    mask = torch.from_numpy(pose.mask.astype(np.float64))
    return functional.grid_sample(mask[None, None], grid[None], align_corners=False)[0, 0].numpy(), box
