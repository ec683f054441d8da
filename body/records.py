"""The records that travel along the chain: Image -> Detections -> BodyEstimate."""

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Bool, Float, UInt8
from torch import Tensor

from fitloop.body.params import BodyParams
from fitloop.geometry.cameras import Camera
from fitloop.geometry.records import TensorRecord


@dataclass(frozen=True)
class Image:
    """A photo and the camera that took it.

    image = fitloop.load_image("photo.jpg")
    image.pixels.shape, float(image.camera.focal)
    """

    pixels: UInt8[np.ndarray, "height width 3"]
    """RGB."""
    camera: Camera
    """No batch axes: one camera for the photo."""
    name: str
    """Path below the folder it came from, with forward slashes."""
    orientation: int = 1
    """EXIF's number for how the stored pixels were turned to get these, 1 to 8; 1 is not at all."""


@dataclass(frozen=True)
class Detections(TensorRecord):
    """2D evidence of people in one photo, or of one person per photo in a training batch.

    seen = fitloop.Detections(keypoints, confidence, boxes, convention="coco17")
    found = fitloop.fit(body, seen, guess)
    """

    keypoints: Float[Tensor, "*batch keypoints 2"]
    """Full-image pixels."""
    confidence: Float[Tensor, "*batch keypoints"]
    """In [0, 1]; 0 means "not observed", and the pixels are then meaningless."""
    boxes: Float[Tensor, "*batch 4"]
    """x y x y in full-image pixels."""
    convention: str
    """Name in `fitloop.body.keypoints.CONVENTIONS`; says what each keypoint is."""
    landmarks: Float[Tensor, "*batch keypoints 3"] | None = None
    """The detector's own 3D keypoints: metres, camera axes, relative to the middle of the hips."""
    landmark_confidence: Float[Tensor, "*batch keypoints"] | None = None
    """In [0, 1]; 0 where the detector gave none."""
    silhouettes: Float[Tensor, "*batch rows columns"] | None = None
    """Probability of belonging to the person, sampled on a grid over `silhouette_boxes`."""
    silhouette_boxes: Float[Tensor, "*batch 4"] | None = None
    """x y x y in full-image pixels that the silhouette grids span."""


@dataclass(frozen=True)
class SurfaceEvidence(TensorRecord):
    """Where points of the surface were seen in the photo; the same vertices for all people."""

    vertices: tuple[int, ...]
    """Indices into the body's vertices."""
    targets: Float[Tensor, "*batch vertices 2"]
    """Full-image pixels."""
    confidence: Float[Tensor, "*batch vertices"]
    """In [0, 1]; 0 means "not observed", and the pixels are then meaningless."""
    metric: Float[Tensor, "*batch vertices 2 2"] | None = None
    """Symmetric; a vertex at pixel x counts as ``|metric (x - target)|`` away, so that what is known across an outline
    and not along it pulls across it. The plain distance if not given."""


@dataclass(frozen=True)
class Uncertainty(TensorRecord):
    """How sure whoever guessed a body is of each part of it; `fitloop.fit` holds on to what is sure."""

    rotations: Float[Tensor, "*batch joints"]
    """By how much each joint may be turned wrongly about any axis: a standard deviation in radians, root first."""
    betas: Float[Tensor, "*batch"]
    """The same of each shape coefficient."""

    @property
    def parts(self) -> Float[Tensor, "*batch parts"]:
        """Rotations, then the shape."""
        return torch.cat([self.rotations, self.betas[..., None]], -1)

    @property
    def sound(self) -> Bool[Tensor, "*batch"]:
        """Whether all of it are positive numbers."""
        return (torch.isfinite(self.parts) & (self.parts > 0)).all(-1)


@dataclass(frozen=True)
class BodyEstimate(TensorRecord):
    """Bodies and the camera they are seen with.

    people = fitloop.predict("photo.jpg")
    people.estimate.params.transl, people.estimate.camera.focal
    """

    params: BodyParams
    camera: Camera
    body: str = "open-1"
    """Name of the body model the parameters belong to; parameters of different bodies do not mix."""
    uncertainty: Uncertainty | None = None
    """None where nobody says."""


@dataclass(frozen=True)
class BodyMesh(TensorRecord):
    """A posed surface, made from `BodyParams` when needed and never stored beside them."""

    vertices: Float[Tensor, "*batch vertices 3"]
    """Camera frame, metres."""
    joints: Float[Tensor, "*batch joints 3"]
    """Camera frame, metres, ordered as `fitloop.body.params.JOINT_NAMES`."""
