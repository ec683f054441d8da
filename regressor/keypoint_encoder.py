"""The keypoints encoder: 2D keypoints, and 3D landmarks where a detector has them, of any convention, to features."""

from dataclasses import dataclass, replace

import torch
from jaxtyping import Float
from torch import Tensor, nn

from fitloop.body import Detections, convention_named
from fitloop.geometry import Camera, TensorRecord
from fitloop.regressor.views import View, bearing, points_in_view, view_of_boxes

KEYPOINT_NAMES = (
    *("pelvis", "left_hip", "right_hip", "spine1", "left_knee", "right_knee", "spine2", "left_ankle", "right_ankle"),
    *("spine3", "left_foot", "right_foot", "neck", "left_collar", "right_collar", "head", "left_shoulder"),
    *("right_shoulder", "left_elbow", "right_elbow", "left_wrist", "right_wrist", "left_hand", "right_hand"),
    *("nose", "left_eye", "right_eye", "left_ear", "right_ear", "left_mouth", "right_mouth"),
    *("left_eye_inner", "left_eye_outer", "right_eye_inner", "right_eye_outer"),
    *("left_pinky", "left_index", "left_thumb", "right_pinky", "right_index", "right_thumb"),
    *("left_heel", "right_heel", "left_big_toe", "right_big_toe", "left_small_toe", "right_small_toe"),
    *("head_top", "neck_lsp", "left_hip_lsp", "right_hip_lsp", "pelvis_mpii", "thorax_mpii", "spine_h36m"),
    *("jaw_h36m", "head_h36m", "mid_hip"),
)
"""The landmarks the encoder knows, in the order of its inputs: every convention is a subset."""


@dataclass(frozen=True)
class KeypointInputs(TensorRecord):
    """What the encoder reads; confidence 0 means absent."""

    points: Float[Tensor, "*batch keypoints 2"]
    """In the view, [-1, 1] across it; ordered as `KEYPOINT_NAMES`."""
    confidence: Float[Tensor, "*batch keypoints"]
    landmarks: Float[Tensor, "*batch keypoints 3"]
    """Any unit, camera axes, relative to the middle of the hips."""
    landmark_confidence: Float[Tensor, "*batch keypoints"]
    bearing: Float[Tensor, "*batch 3"]
    """`fitloop.regressor.views.bearing`."""


def to_known_landmarks(detections: Detections) -> Detections:
    """Reorder detections of any convention to `KEYPOINT_NAMES`; of two keypoints for one landmark the surer one wins.

    The result keeps the name of its first convention, though its columns are now the encoder's.
    """
    names = convention_named(detections.convention).landmarks
    shape = (*detections.confidence.shape[:-1], len(KEYPOINT_NAMES))
    keypoints, confidence = detections.keypoints.new_zeros(*shape, 2), detections.confidence.new_zeros(shape)
    landmarks, sureness = detections.keypoints.new_zeros(*shape, 3), detections.confidence.new_zeros(shape)
    for column, name in enumerate(names):
        if name not in KEYPOINT_NAMES:
            continue
        row = KEYPOINT_NAMES.index(name)
        better = detections.confidence[..., column] > confidence[..., row]
        confidence[..., row] = torch.where(better, detections.confidence[..., column], confidence[..., row])
        keypoints[..., row, :] = torch.where(
            better[..., None], detections.keypoints[..., column, :], keypoints[..., row, :]
        )
        if detections.landmarks is not None:
            sure = detections.landmark_confidence
            sure = detections.confidence[..., column] if sure is None else sure[..., column]
            better = sure > sureness[..., row]
            sureness[..., row] = torch.where(better, sure, sureness[..., row])
            landmarks[..., row, :] = torch.where(
                better[..., None], detections.landmarks[..., column, :], landmarks[..., row, :]
            )
    return replace(
        detections, keypoints=keypoints, confidence=confidence, landmarks=landmarks, landmark_confidence=sureness
    )


def tight_boxes(
    keypoints: Float[Tensor, "*batch keypoints 2"],
    confidence: Float[Tensor, "*batch keypoints"],
    boxes: Float[Tensor, "*batch 4"],
) -> Float[Tensor, "*batch 4"]:
    """Boxes around the observed keypoints, so that the view does not depend on a detector's idea of a box.

    ``boxes`` serve where fewer than three keypoints are observed.
    """
    seen = (confidence > 0)[..., None]
    low = torch.where(seen, keypoints, torch.inf).amin(-2)
    high = torch.where(seen, keypoints, -torch.inf).amax(-2)
    return torch.where(seen.sum(-2) >= 3, torch.cat([low, high], -1), boxes)


def keypoint_inputs(detections: Detections, camera: Camera) -> tuple[KeypointInputs, View]:
    """Express keypoints in a view of the person.

    Args:
        detections: Columns ordered as `KEYPOINT_NAMES` (`to_known_landmarks`), full-image pixels.
        camera: Of the photo, one per person.
    """
    keypoints, confidence = detections.keypoints, detections.confidence
    view = view_of_boxes(tight_boxes(keypoints, confidence, detections.boxes), camera)
    landmarks, sure = detections.landmarks, detections.landmark_confidence
    if landmarks is None:
        landmarks, sure = keypoints.new_zeros(*confidence.shape, 3), torch.zeros_like(confidence)
    points = points_in_view(keypoints, camera, view)
    return KeypointInputs(
        points, confidence, landmarks, confidence if sure is None else sure, bearing(camera, view)
    ), view


class _ResidualBlock(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(width)
        self.expand = nn.Linear(width, width)
        self.contract = nn.Linear(width, width)

    def forward(self, features: Tensor) -> Tensor:
        return features + self.contract(nn.functional.gelu(self.expand(self.norm(features))))


class KeypointEncoder(nn.Module):
    """A residual MLP over all keypoints at once (after Martinez et al. 2017), blind to what is absent."""

    def __init__(self, width: int = 1024, blocks: int = 3) -> None:
        """Make the layers.

        Args:
            width: Features in and out of every block.
            blocks: Residual blocks of two linear layers.
        """
        super().__init__()
        self.out_features = width
        self.embed = nn.Linear(len(KEYPOINT_NAMES) * 8 + 3, width)
        self.blocks = nn.Sequential(*[_ResidualBlock(width) for _ in range(blocks)])
        self.norm = nn.LayerNorm(width)

    def forward(self, inputs: KeypointInputs) -> Float[Tensor, "people features"]:
        """Encode people; keypoints of confidence 0 change nothing, whatever their coordinates."""
        seen, sure = inputs.confidence, inputs.landmark_confidence
        mask, known = (seen > 0).to(seen.dtype), (sure > 0).to(sure.dtype)
        points = torch.where(mask[..., None] > 0, inputs.points, 0.0)
        landmarks = torch.where(known[..., None] > 0, inputs.landmarks, 0.0)
        # The unit of the landmarks is theirs: only their shape counts.
        spread = landmarks.square().sum((-2, -1)) / known.sum(-1).clamp_min(1.0)
        landmarks = landmarks / spread.clamp_min(1e-8).sqrt()[..., None, None]
        columns = torch.cat([points, torch.stack([seen, mask], -1), landmarks, known[..., None]], -1)
        return self.norm(self.blocks(self.embed(torch.cat([columns.flatten(1), inputs.bearing], -1))))
