"""Bodies as the pipeline errs: evidence of a kind, what the regressor guesses from it, and the fit."""

from dataclasses import dataclass, replace

import torch
from jaxtyping import Float
from torch import Tensor

from fitloop.body import Body, BodyEstimate, Detections, KeypointKinematics, convention_named
from fitloop.data.detector_noise import DetectorNoise, NoiseConfig
from fitloop.data.keypoint_samples import boxes_of
from fitloop.fitting import AFTER_REGRESSION, fit
from fitloop.geometry import Camera, TensorRecord, project
from fitloop.regressor import Regressor
from fitloop.regressor.keypoint_encoder import KEYPOINT_NAMES
from fitloop.regressor.regressor import NetworkRegressor

KINDS = ("detected", "coco17", "mediapipe33", "clean")
"""Fitted to the detector's keypoints, to disturbed ones of two conventions, and to those of a careful annotator."""
CONVENTION = "mediapipe33"
"""Of the embedded detector."""
CLEAN = 0.1
"""How large and how frequent the mistakes of clean keypoints are, of those of a detector."""


@dataclass(frozen=True)
class ErringFit(TensorRecord):
    """People of whom the evidence, the guess and the fit are known."""

    seen: Detections
    guess: BodyEstimate
    fitted: BodyEstimate


class ErringFits:
    """Runs regressor and fit on evidence of some kind."""

    def __init__(self, body: Body, regressor: Regressor, noise: NoiseConfig = NoiseConfig()) -> None:
        """Prepare the stages.

        Args:
            body: The body model.
            regressor: One that needs no picture.
            noise: Of the keypoints that are true ones disturbed.
        """
        self.body, self.regressor = body, regressor
        self.kinematics = KeypointKinematics(body, KEYPOINT_NAMES)
        self.noise = DetectorNoise(KEYPOINT_NAMES, noise)
        self.clean = DetectorNoise(KEYPOINT_NAMES, noise.scaled(CLEAN))

    @property
    def guesser(self) -> str:
        """A text that regressors with other weights do not share."""
        regressor = self.regressor
        if not isinstance(regressor, NetworkRegressor):
            return regressor.name
        sizes = [float(t.detach().double().abs().sum()) for t in regressor.weights.model.parameters()]
        return f"{regressor.name} {sum(sizes):.6f}"

    def __call__(self, seen: Detections, camera: Camera) -> ErringFit:
        """Guess and fit.

        Args:
            seen: The evidence, full-image pixels.
            camera: As far as the pipeline knows it.
        """
        guess = self.regressor(None, seen, camera)
        return ErringFit(seen, guess, fit(self.body, seen, guess, AFTER_REGRESSION).estimate)

    def of_kind(
        self,
        kind: str,
        detected: Detections,
        truth: BodyEstimate,
        size: Float[Tensor, "people 2"],
        camera: Camera,
        generator: torch.Generator,
    ) -> ErringFit:
        """Guess and fit people of photos that were drawn.

        Args:
            kind: One of `KINDS`.
            detected: What the embedded detector says of them.
            truth: Who was drawn.
            size: Width and height of the photos, pixels.
            camera: As far as the pipeline knows it.
            generator: Of the mistakes.
        """
        if kind == "detected":
            return self(detected, camera)
        convention = "body25" if kind == "clean" else kind
        return self(self.disturbed(truth, convention, size, generator, clean=kind == "clean"), camera)

    def disturbed(
        self,
        truth: BodyEstimate,
        convention: str,
        size: Float[Tensor, "people 2"],
        generator: torch.Generator,
        clean: bool = False,
    ) -> Detections:
        """True keypoints disturbed as detectors err, in a convention; with 3D landmarks in mediapipe's.

        Args:
            truth: Who was drawn.
            convention: Name of the keypoint convention.
            size: Width and height of the photos, pixels; what lies outside is not seen.
            generator: Of the mistakes.
            clean: Whether they are as few and small as a careful annotator's.
        """
        noise = self.clean if clean else self.noise
        points = self.kinematics(truth.params)
        exact = project(points, truth.camera)
        tall = 1.7 * truth.camera.focal / points[..., 2].mean(1).clamp_min(0.3)
        keypoints, confidence = noise.pixels(exact, tall, generator)
        edge = size[:, None]
        confidence = confidence * (noise.seen(exact, generator) & ((exact > 0) & (exact < edge)).all(-1))
        names = convention_named(convention).landmarks
        columns = torch.tensor([KEYPOINT_NAMES.index(name) for name in names if name is not None])
        keypoints, confidence = keypoints[:, columns], confidence[:, columns]
        hips = points[:, [KEYPOINT_NAMES.index("left_hip"), KEYPOINT_NAMES.index("right_hip")]].mean(1, keepdim=True)
        low, high = exact.clamp_min(0.0).minimum(edge).amin(1), exact.clamp_min(0.0).minimum(edge).amax(1)
        seen = Detections(keypoints, confidence, torch.cat([low, high], -1), convention)
        if convention != CONVENTION:
            return seen
        world = noise.world(points - hips, generator)[:, columns]
        return replace(seen, landmarks=world, landmark_confidence=torch.ones_like(confidence))


def detected_of(rows: Float[Tensor, "people keypoints parts"]) -> Detections:
    """What the embedded detector said of people, in its own convention.

    Args:
        rows: As `erring_bodies.keypoint_rows` makes them.
    """
    keypoints, confidence = rows[..., :2].float(), rows[..., 2].float()
    boxes = boxes_of(keypoints, confidence)
    return Detections(keypoints, confidence, boxes, CONVENTION, rows[..., 3:6].float(), rows[..., 6].float())
