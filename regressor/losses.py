"""What a regressor is taught by: 2D, 3D, pose, shape and vertex losses, and the published sets of weights as data.

Every loss is a plain mean over what is supervised; weights are in `LossConfig`. Coordinates are the view's: 2D spans
[-1, 1], 3D is in metres.
"""

from dataclasses import dataclass
from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor

from fitloop.body import Body, BodyMesh, BodyParams, KeypointKinematics
from fitloop.body.mirror import rest_pelvis
from fitloop.body.spreads import spread_loss
from fitloop.geometry import TensorRecord
from fitloop.regressor.hmr import HMROutput
from fitloop.regressor.silhouettes import SilhouetteLoss
from fitloop.regressor.uncertainty import misses
from fitloop.regressor.views import View, project_in_view, weak_to_place

Norm = Literal["l1", "l2"]


@dataclass(frozen=True)
class LossConfig:
    """Weights of the losses; a weight of 0 leaves its loss out."""

    keypoints_2d: float = 1.0
    joints_3d: float = 5.0
    pose: float = 1.0
    """On rotation matrices (Omran et al. 2018 call it the latent loss, with betas)."""
    betas: float = 0.02
    vertices: float = 0.0
    scale_guard: float = 0.0
    """SPIN's exp(-10 s)^2, which keeps the weak camera's scale positive."""
    adversarial: float = 0.0
    """Weight of the discriminator's opinion, 0 for none."""
    silhouette: float = 0.0
    """On the outlines of bodies (Tung et al. 2017): one minus the overlap with the people's masks."""
    norm: Norm = "l1"
    """Of the 2D and 3D keypoint losses."""
    pose_norm: Norm = "l2"
    total: float = 1.0
    """Multiplies the sum."""
    uncertainty: float = 0.0
    """On the negative log-likelihood of the network's errors, where its head says how sure it is."""


PRESETS: dict[str, LossConfig] = {
    "spin": LossConfig(5.0, 5.0, 1.0, 0.001, 0.0, 1.0, norm="l2", total=60.0),
    "hmr": LossConfig(60.0, 60.0, 30.0, 30.0, 0.0, 0.0, 1.0, norm="l2"),
    "l1": LossConfig(5.0, 5.0, 1.0, 0.001, 0.0, 1.0, norm="l1", pose_norm="l1", total=60.0),
    "nbf-2d": LossConfig(1.0, 0.0, 0.0, 0.0, norm="l1"),
    "nbf-3d": LossConfig(0.0, 1.0, 0.0, 0.0, norm="l1"),
    "nbf-latent": LossConfig(0.0, 0.0, 1.0, 1.0, norm="l1", pose_norm="l1"),
    "nbf-all": LossConfig(1.0, 1.0, 1.0, 1.0, norm="l1", pose_norm="l1"),
    "keypoints": LossConfig(uncertainty=0.05),
}
"""Published weights: SPIN (Kolotouros et al. 2019), HMR (Kanazawa et al. 2018), SPIN's with L1 (Pang et al. 2022
found it best), the combinations of NBF (Omran et al. 2018), and ours for the keypoints encoder."""


@dataclass(frozen=True)
class Supervision(TensorRecord):
    """What is known of each person; confidence 0 means not known."""

    points_2d: Float[Tensor, "people keypoints 2"]
    """In the view, [-1, 1] across it."""
    confidence_2d: Float[Tensor, "people keypoints"]
    points_3d: Float[Tensor, "people keypoints 3"]
    """View's axes, metres; only differences to the root count."""
    confidence_3d: Float[Tensor, "people keypoints"]
    rotations: Float[Tensor, "people joints 3 3"]
    """Root to view, then local."""
    betas: Float[Tensor, "people betas"]
    confidence_params: Float[Tensor, "people"]
    """For rotations, betas and vertices."""
    masks: Float[Tensor, "people size size"] | None = None
    """Silhouettes across the view, where the silhouette loss asks for them; empty where not known."""


def keypoint_loss(
    estimate: Float[Tensor, "people points axes"],
    truth: Float[Tensor, "people points axes"],
    confidence: Float[Tensor, "people points"],
    norm: Norm,
) -> Float[Tensor, ""]:
    """Confidence-weighted mean over coordinates: absolute (l1) or squared (l2) differences."""
    difference = estimate - truth
    size = difference.abs() if norm == "l1" else difference.square()
    return (confidence[..., None] * size).sum() / (confidence.sum() * size.shape[-1]).clamp_min(1e-8)


def relative_keypoint_loss(
    estimate: Float[Tensor, "people points 3"],
    truth: Float[Tensor, "people points 3"],
    confidence: Float[Tensor, "people points"],
    roots: tuple[int, ...],
    norm: Norm,
) -> Float[Tensor, ""]:
    """`keypoint_loss` of points relative to the mean of ``roots``; people without all roots do not count."""
    rows = list(roots)
    rooted = confidence * (confidence[:, rows] > 0).all(-1, keepdim=True)
    estimate = estimate - estimate[:, rows].mean(1, keepdim=True)
    truth = truth - truth[:, rows].mean(1, keepdim=True)
    return keypoint_loss(estimate, truth, rooted, norm)


def parameter_loss(
    estimate: Float[Tensor, "people *numbers"],
    truth: Float[Tensor, "people *numbers"],
    confidence: Float[Tensor, "people"],
    norm: Norm,
) -> Float[Tensor, ""]:
    """Confidence-weighted mean over numbers, for rotation matrices, betas or vertices."""
    difference = (estimate - truth).flatten(1)
    size = difference.abs() if norm == "l1" else difference.square()
    return (confidence * size.mean(1)).sum() / confidence.sum().clamp_min(1e-8)


def output_params(output: HMROutput, view: View, body: Body) -> BodyParams:
    """The body that the network means, in the frame of its view; its weak camera places the pelvis."""
    transl = weak_to_place(output.weak, view) - rest_pelvis(body, output.betas)
    return BodyParams(output.rotations[:, 0], output.rotations[:, 1:], output.betas, transl)


class Criterion:
    """Compares network output with supervision."""

    def __init__(self, body: Body, landmarks: tuple[str, ...], config: LossConfig) -> None:
        """Prepare the kinematics.

        Args:
            body: The body being regressed.
            landmarks: What the keypoint columns of `Supervision` are; 3D is relative to the middle of the hips.
            config: Weights.
        """
        self.body = body
        self.config = config
        self.kinematics = KeypointKinematics(body, landmarks)
        self.silhouettes = SilhouetteLoss(body) if config.silhouette else None
        self.roots = (landmarks.index("left_hip"), landmarks.index("right_hip"))

    def __call__(self, output: HMROutput, view: View, truth: Supervision) -> dict[str, Float[Tensor, ""]]:
        """Weighted losses by name; their sum is what to minimise.

        Args:
            output: The network's.
            view: What it looked through.
            truth: In the same view.
        """
        config = self.config
        params = output_params(output, view, self.body)
        points = self.kinematics(params)
        losses: dict[str, Tensor] = {}
        if config.keypoints_2d:
            projected = project_in_view(points, view)
            losses["keypoints_2d"] = keypoint_loss(projected, truth.points_2d, truth.confidence_2d, config.norm)
        if config.joints_3d:
            sure = truth.confidence_3d
            losses["joints_3d"] = relative_keypoint_loss(points, truth.points_3d, sure, self.roots, config.norm)
        losses |= self._parameter_losses(output, truth)
        sure = truth.confidence_params
        if config.vertices:
            losses["vertices"] = parameter_loss(self._centred(params), self._centred(truth_params(truth)), sure, "l1")
        if self.silhouettes is not None and truth.masks is not None:
            losses["silhouette"] = self.silhouettes(params, view, truth.masks)
        if config.scale_guard:
            losses["scale_guard"] = torch.exp(-10.0 * output.weak[:, 0]).square().mean()
        return {name: config.total * getattr(config, name) * value for name, value in losses.items()}

    def _parameter_losses(self, output: HMROutput, truth: Supervision) -> dict[str, Tensor]:
        config, losses = self.config, {}
        sure = truth.confidence_params
        if config.pose:
            losses["pose"] = parameter_loss(output.rotations, truth.rotations, sure, config.pose_norm)
        if config.betas:
            losses["betas"] = parameter_loss(output.betas, truth.betas, sure, "l2")
        if config.uncertainty and output.log_spread is not None:
            missed = misses(output.detach(), truth.rotations, truth.betas)
            losses["uncertainty"] = spread_loss(missed, output.log_spread, sure, output.betas.shape[-1])
        return losses

    def _centred(self, params: BodyParams) -> Tensor:
        mesh: BodyMesh = self.body(params)
        return mesh.vertices - mesh.joints[:, :1]


def truth_params(truth: Supervision) -> BodyParams:
    """The supervised body at the origin: only pose and shape."""
    return BodyParams(truth.rotations[:, 0], truth.rotations[:, 1:], truth.betas, torch.zeros_like(truth.betas[:, :3]))
