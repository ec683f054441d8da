"""The embedded detector: the networks of mediapipe's pose solution, for any number of people per photo."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

import numpy as np
import torch
from jaxtyping import Bool, Float
from torch import Tensor
from torch.nn import functional

from fitloop.body.records import Detections, Image
from fitloop.detection.confidence import right
from fitloop.detection.detector import DetectionReport
from fitloop.detection.faces import FaceDetector
from fitloop.detection.following import Following
from fitloop.detection.in_order import in_order
from fitloop.detection.landmarks import LandmarkNetwork, Place, Pose
from fitloop.detection.looks import Inside, Person, person_of, see_in_square
from fitloop.detection.person_detector import PersonDetector
from fitloop.detection.pixels import PhotoPieces
from fitloop.detection.search import Search, SearchConfig
from fitloop.geometry.crops import Crop, to_crop


@dataclass(frozen=True)
class MediapipeConfig:
    """Settings of the embedded detector."""

    search: SearchConfig = SearchConfig()
    """Where people are looked for, and what counts as one."""
    silhouette_size: int = 128
    """Rows and columns of the silhouette grid."""
    threads: int = 1
    """Threads of each network; photos in flight at once use cores better."""


class MediapipeDetector:
    """Detectors of persons and faces over tiles of a photo, then looks of the landmark network at each person.

    Networks are read at the first call, from the cache (`detection.fetching`), and fetched once if they are not there.
    One detector may be called from several threads.
    """

    name = "mediapipe"
    thread_safe = True
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
        return DetectionReport(self.detections_of(self.people_in(PhotoPieces(image.pixels)), image))

    def people_in(self, photo: PhotoPieces) -> list[Person]:
        """Search the whole photo for people."""
        search = Search(photo, self._people, self._faces, self._landmarks, self.config.search)
        # A body of which hardly a keypoint can be right is of no use to anybody, whatever it may be.
        return [one for one in search() if right(one).mean() >= self.config.search.least_right]

    def following(self) -> Following:
        """Make what sees people again from frame to frame."""
        return Following(self._landmarks)

    @property
    def runs(self) -> dict[str, int]:
        """How often each network has been run so far."""
        networks = {"person": self._people, "face": self._faces, "landmark": self._landmarks}
        return {name: part.network.runs for name, part in networks.items()}

    def detect_many(self, images: Iterable[Image], at_once: int = 2) -> Iterator[DetectionReport]:
        """Find the people of many photos, ``at_once`` of them in parallel; reports come in the order of the photos.

        One thread per network and two photos at once use two cores better than two threads per network.
        """
        return in_order(self.detect_with_notices, images, at_once)

    def in_boxes(self, image: Image, boxes: Float[Tensor, "people 4"]) -> Detections:
        """See the person in each x y x y box, in the boxes' order; every box gives a person.

        Raises:
            ValueError: If a box is not finite, or its second corner is not below and right of the first.
        """
        return self.detections_of(self.people_in_boxes(image, boxes), image)

    def people_in_boxes(self, image: Image, boxes: Float[Tensor, "people 4"]) -> list[Person]:
        """What several looks into each x y x y box make of the person in it.

        In a box without area, or beside the photo, nobody is seen: its confidence is 0 everywhere.

        Raises:
            ValueError: If a box is not finite, or its second corner is not below and right of the first.
        """
        corners = boxes.double().numpy()
        bad = ~np.isfinite(corners).all(-1) | (corners[:, 2:] < corners[:, :2]).any(-1)
        if bad.any():
            row = int(bad.argmax())
            raise ValueError(
                f"Box {row} is {corners[row].tolist()}; expected finite x y x y in pixels with the second corner "
                "below and right of the first. Leave it out, or exchange its corners."
            )
        photo = PhotoPieces(image.pixels)
        return [self._in_box(photo, box) for box in corners]

    def _in_box(self, photo: PhotoPieces, box: Float[np.ndarray, "4"]) -> Person:
        side = max(1.25 * float((box[2:] - box[:2]).max()), 1.0)
        square = Place((box[:2] + box[2:]) / 2.0, side, 0.0)
        shown = np.minimum(box[2:], photo.size) - np.maximum(box[:2], 0.0)
        if (shown <= 0.0).any():
            return replace(person_of([self._landmarks(photo, square)]), one_sided=0.0)
        return person_of(see_in_square(self._landmarks, photo, square, Inside(box)))

    def detections_of(self, people: list[Person], image: Image) -> Detections:
        """What is known of people, one row each, full-image pixels."""
        height, width = image.pixels.shape[:2]
        poses = [person.pose for person in people]
        size = self.config.silhouette_size

        def stacked(values: list[np.ndarray], *shape: int) -> Tensor:
            return torch.from_numpy(np.array(values, dtype=np.float32).reshape(len(poses), *shape))

        grids = [_upright_silhouette(pose, size) for pose in poses]
        return Detections(
            keypoints=stacked([pose.keypoints for pose in poses], 33, 2),
            confidence=stacked([_confidence(person, width, height) for person in people], 33),
            boxes=stacked([_box(pose, width, height) for pose in poses], 4),
            convention=self.convention,
            landmarks=stacked([pose.landmarks for pose in poses], 33, 3),
            # Of what lies outside the photo its 3D is a guess too: legs drawn up, whoever stands.
            landmark_confidence=stacked([pose.presence * _inside(pose, width, height) for pose in poses], 33),
            silhouettes=stacked([grid for grid, _ in grids], size, size),
            silhouette_boxes=stacked([box for _, box in grids], 4),
        )


def _confidence(person: Person, width: int, height: int) -> Float[np.ndarray, "33"]:
    return right(person) * _inside(person.pose, width, height)


def _inside(pose: Pose, width: int, height: int) -> Bool[np.ndarray, "33"]:
    """Whether each keypoint lies in the photo."""
    return np.all((pose.keypoints >= 0.0) & (pose.keypoints <= (width, height)), axis=-1)


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
