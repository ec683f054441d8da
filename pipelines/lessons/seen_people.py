"""People of drawn photos as the embedded detector really saw them, to teach the encoder of keypoints its mistakes.

Noise that is drawn (data/detector_noise.py) knows no reason; a detector errs where people are dark, hidden or lie.
`fitloop train-refinement` draws photos, looks at them with the detector and keeps what it said.
"""

from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from fitloop.body import Body, Detections, KeypointKinematics
from fitloop.body.mirror import mirror_params, mirror_points, rest_pelvis, turn_params
from fitloop.data.keypoint_samples import KeypointSamples, boxes_of
from fitloop.geometry import project, rotvec_to_rotmat, where
from fitloop.pipelines.lessons.erring_bodies import load_chunks, rows_to_estimates
from fitloop.pipelines.lessons.erring_fits import detected_of
from fitloop.regressor.keypoint_encoder import KEYPOINT_NAMES, to_known_landmarks
from fitloop.regressor.looks import MIRRORED_KEYPOINTS

MIN_KEYPOINTS = 6
"""Keypoints that the detector must be rather sure of; else it saw somebody else or nothing."""
FARTHEST = 0.5
"""Median distance of keypoints from the truth, share of the person's box; beyond it the detector saw somebody else."""


class SeenPeople:
    """Draws people of a folder of samples, turned in the picture's plane, mirrored and jittered at random."""

    def __init__(self, folder: Path, body: Body, turned: float = 15.0, jitter: float = 0.01, flat: float = 0.3) -> None:
        """Read the folder.

        Args:
            folder: ``training`` or ``held-out`` of a run of `fitloop train-refinement`.
            body: Whose parameters the samples hold.
            turned: Standard deviation of the turns, degrees.
            jitter: Standard deviation of what is added to keypoints, share of the person's box, and to 3D landmarks,
                share of two metres; so that people who come again are not learned by heart.
            flat: Chance that a person's 3D landmarks are left out, as of a detector that has none.

        Raises:
            ValueError: If the folder has no people whom the detector saw.
        """
        self.body, self.turned, self.jitter, self.flat = body, turned, jitter, flat
        self.kinematics = KeypointKinematics(body, KEYPOINT_NAMES)
        chunks = load_chunks(folder)
        if not chunks:
            raise ValueError(f"There are no samples in {folder}; `fitloop train-refinement` draws them.")
        self.truth = rows_to_estimates(torch.from_numpy(np.concatenate([chunk.truth for chunk in chunks])), body.name)
        self.seen = read_keypoints(torch.from_numpy(np.concatenate([chunk.keypoints for chunk in chunks])))
        kept = self._plausible()
        if not len(kept):
            raise ValueError(f"The detector saw nobody in the samples of {folder}.")
        self.truth, self.seen = self.truth[kept], self.seen[kept]

    def _plausible(self) -> Tensor:
        exact = project(self.kinematics(self.truth.params), self.truth.camera)
        known = self.seen.confidence > 0
        side = (exact.amax(1) - exact.amin(1)).amax(-1)
        off = (self.seen.keypoints - exact).norm(dim=-1) / side[:, None]
        off = torch.where(known, off, torch.nan).nanmedian(-1).values
        return ((known.sum(-1) >= MIN_KEYPOINTS) & (off < FARTHEST)).nonzero()[:, 0]

    def __len__(self) -> int:
        return len(self.seen.confidence)

    def __call__(self, count: int, generator: torch.Generator) -> KeypointSamples:
        """Draw people, the same ones for the same generator state."""
        rows = torch.randint(len(self), (count,), generator=generator)
        angle = torch.deg2rad(self.turned * torch.randn(count, generator=generator))
        flipped = torch.rand(count, generator=generator) < 0.5
        truth, seen = self.truth[rows], self.seen[rows]
        assert seen.landmarks is not None and seen.landmark_confidence is not None
        zero = torch.zeros_like(angle)
        turn = rotvec_to_rotmat(torch.stack([zero, zero, angle], -1))
        params = turn_params(truth.params, turn, rest_pelvis(self.body, truth.params.betas))
        middle = truth.camera.principal_point[:, None]
        offset = (seen.keypoints - middle) @ turn[:, :2, :2].mT
        landmarks = seen.landmarks @ turn.mT
        boxes = boxes_of(seen.keypoints, seen.confidence)
        side = (boxes[:, 2:] - boxes[:, :2]).amax(-1)[:, None, None]
        offset = offset + self.jitter * side * torch.randn(offset.shape, generator=generator)
        landmarks = landmarks + 2.0 * self.jitter * torch.randn(landmarks.shape, generator=generator)
        params = where(flipped, mirror_params(params, self.body), params)

        def seen_so(straight: Tensor, mirrored: Tensor) -> Tensor:
            return torch.where(flipped.view(-1, *[1] * (straight.ndim - 1)), mirrored, straight)

        solid = torch.rand(count, 1, generator=generator) >= self.flat
        sure, known = seen.confidence, seen.landmark_confidence * solid
        return KeypointSamples(
            params,
            truth.camera,
            self.kinematics(params),
            seen_so(offset, mirror_points(offset, MIRRORED_KEYPOINTS)) + middle,
            seen_so(sure, sure[:, MIRRORED_KEYPOINTS]),
            seen_so(landmarks, mirror_points(landmarks, MIRRORED_KEYPOINTS)),
            seen_so(known, known[:, MIRRORED_KEYPOINTS]),
        )


def read_keypoints(rows: Float[Tensor, "people keypoints parts"]) -> Detections:
    """What a detector said, with columns ordered as `KEYPOINT_NAMES`.

    Args:
        rows: As `refinement_samples.keypoint_rows` makes them.
    """
    return to_known_landmarks(detected_of(rows))
