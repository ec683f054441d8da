"""Tuning a network to one photo (Tung et al. 2017; EFT, Joo et al. 2020): weights move, not the body's parameters."""

import copy
from dataclasses import dataclass
from functools import cached_property

import torch
from jaxtyping import Float, Int
from torch import Tensor

from fitloop.body import BodyEstimate, BodyParams, Detections, Image
from fitloop.body.mirror import rest_pelvis, turn_params
from fitloop.geometry import Camera, TensorRecord, concatenate, where
from fitloop.regressor.hmr import HMR
from fitloop.regressor.keypoint_encoder import keypoint_inputs, to_known_landmarks
from fitloop.regressor.placement import MIN_KEYPOINTS
from fitloop.regressor.regressor import NetworkInput, NetworkRegressor
from fitloop.regressor.silhouettes import SilhouetteLoss, masks_in_view
from fitloop.regressor.views import points_in_view, project_in_view


@dataclass(frozen=True)
class TuningConfig:
    """How long and how fast weights move, and towards what."""

    steps: int = 10
    """Of Adam on all weights."""
    learning_rate: float = 3e-5
    """Of Adam."""
    robust_scale: float = 0.1
    """Distance of a keypoint from which it loses its say (Geman-McClure), half sides of the view."""
    silhouette: float = 0.3
    """Weight of one minus the overlap with the mask, where there is one; keypoints have 1."""
    shape: float = 0.003
    """Weight of the mean squared shape coefficient."""
    motion: float = 0.0
    """Weight of the joints' mean distance, metres, from halfway between the frames before and after: only for one
    person over time, see `PhotoTuner.track`."""

    def __post_init__(self) -> None:
        if self.steps < 1 or not self.learning_rate > 0 or not self.robust_scale > 0:
            raise ValueError(
                f"Tuning needs at least one step, a positive learning rate and a positive robust scale, got "
                f"{self.steps}, {self.learning_rate} and {self.robust_scale}."
            )


@dataclass(frozen=True)
class Tuned(TensorRecord):
    """What a network says after it was tuned."""

    estimate: BodyEstimate
    """The network's first guess again for people to whom it was not tuned."""
    steps: Int[Tensor, "people"]
    """Of the weights, for each person; 0 where nothing was tuned: with fewer than three keypoints there is nothing to
    tune to, and a tuning that leaves the finite numbers is thrown away."""


class PhotoTuning:
    """A copy of a network while it is tuned to some people; made by `PhotoTuner.begin`."""

    def __init__(
        self,
        regressor: NetworkRegressor,
        given: NetworkInput,
        config: TuningConfig,
        outlines: tuple[SilhouetteLoss, Float[Tensor, "people size size"]] | None,
    ) -> None:
        """Copy the network.

        Args:
            regressor: Left as it is.
            given: What it reads of the people.
            config: Rate and losses.
            outlines: The people's masks and what compares bodies with them.
        """
        self.regressor, self.given, self.config, self.outlines = regressor, given, config, outlines
        self.model: HMR = copy.deepcopy(regressor.weights.model).requires_grad_(True)
        # Fused, a step takes a third of the time.
        self.optimizer = torch.optim.Adam(self.model.parameters(), config.learning_rate, fused=True)
        seen, placer = given.detections, regressor.placer
        self.view = keypoint_inputs(seen, given.camera)[1]
        self.kinematics = placer.kinematics
        self.points = points_in_view(seen.keypoints[:, placer.columns], given.camera, self.view)
        self.sure = seen.confidence[:, placer.columns]

    def step(self) -> None:
        """Move the weights once."""
        self.optimizer.zero_grad(set_to_none=True)
        with torch.enable_grad():
            self.loss().backward()
        self.optimizer.step()

    def loss(self) -> Float[Tensor, ""]:
        """How far the answer is from what was seen."""
        config, output = self.config, self.model(self.given.inputs, self.given.extra)
        params = self.regressor.params_of(output, self.given)
        params = turn_params(params, self.view.rotation, rest_pelvis(self.regressor.body, params.betas))
        points = self.kinematics(params)
        loss = self._keypoints(project_in_view(points, self.view)) + config.shape * output.betas.square().mean()
        if self.outlines is not None:
            silhouettes, masks = self.outlines
            loss = loss + config.silhouette * silhouettes(params, self.view, masks)
        if config.motion and len(points) > 2:
            loss = loss + config.motion * self._motion(points, params)
        return loss

    def _keypoints(self, projected: Tensor) -> Tensor:
        squared = (projected - self.points).square().sum(-1)
        scale = self.config.robust_scale
        return (self.sure * scale * squared / (scale**2 + squared)).sum() / self.sure.sum().clamp_min(1e-8)

    def _motion(self, points: Tensor, params: BodyParams) -> Tensor:
        # Views differ from frame to frame, the photo's axes do not; where the person stands is left to the keypoints.
        pelvis = params.transl + rest_pelvis(self.regressor.body, params.betas)
        joints = (points - pelvis[:, None]) @ self.view.rotation
        return (joints[1:-1] - 0.5 * (joints[:-2] + joints[2:])).square().sum(-1).add(1e-8).sqrt().mean()

    @torch.no_grad()
    def answer(self) -> BodyEstimate:
        """What the network says now."""
        return self.regressor.answer(self.given, self.model)


class PhotoTuner:
    """Guesses bodies with copies of a network that were tuned to what is seen of them."""

    def __init__(self, regressor: NetworkRegressor, config: TuningConfig = TuningConfig()) -> None:
        """Keep the network.

        Args:
            regressor: Left as it is.
            config: Steps, rate, losses.
        """
        self.regressor, self.config = regressor, config

    def __call__(
        self,
        image: Image | None,
        detections: Detections,
        camera: Camera,
        masks: Float[Tensor, "people size size"] | None = None,
    ) -> Tuned:
        """Tune one copy of the network to each person, whoever else is in the photo.

        Args:
            image: The photo; only encoders of images need it, and masks end where it ends.
            detections: The people of one photo, one row each; their silhouettes serve where no masks are given.
            camera: One per person.
            masks: As for `begin`.

        Raises:
            ValueError: If masks have another size, or the encoder needs a photo and there is none.
        """
        guess = self.regressor(image, detections, camera)
        if masks is None and detections.silhouettes is not None:
            masks = _own_masks(image, detections, guess.camera)
        tuned = []
        for row in (slice(number, number + 1) for number in range(len(guess.params.betas))):
            given = self.regressor.look(image, detections[row], guess.camera[row])
            tuned.append(self._tuned(given, guess[row], None if masks is None else masks[row]))
        return concatenate(tuned) if tuned else Tuned(guess, torch.zeros(0, dtype=torch.int64))

    def track(self, detections: Detections, camera: Camera) -> Tuned:
        """Tune one copy of the network to all frames of one person; by `TuningConfig.motion` frames hold each other.

        Args:
            detections: One row per frame, in order.
            camera: One per frame.

        Raises:
            ValueError: If the encoder needs photos.
        """
        guess = self.regressor(None, detections, camera)
        return self._tuned(self.regressor.look(None, detections, camera), guess, None)

    def begin(self, given: NetworkInput, masks: Float[Tensor, "people size size"] | None = None) -> PhotoTuning:
        """Copy the network for some people.

        Args:
            given: What it reads of them.
            masks: Of `fitloop.regressor.silhouettes.SIZE`, across the views of their keypoints; empty ones do not
                count.
        """
        outlines = None if masks is None or not self.config.silhouette else (self._silhouettes, masks)
        return PhotoTuning(self.regressor, given, self.config, outlines)

    @cached_property
    def _silhouettes(self) -> SilhouetteLoss:
        return SilhouetteLoss(self.regressor.body)

    def _tuned(self, given: NetworkInput, guess: BodyEstimate, masks: Tensor | None) -> Tuned:
        seen = (given.detections.confidence > 0).sum(-1) >= MIN_KEYPOINTS
        nothing = Tuned(guess, torch.zeros(len(seen), dtype=torch.int64, device=seen.device))
        if not bool(seen.any()):
            return nothing
        tuning = self.begin(given, masks)
        for _ in range(self.config.steps):
            tuning.step()
        answer = tuning.answer()
        numbers = torch.cat([answer.params.rotations.flatten(1), answer.params.betas, answer.params.transl], -1)
        changed = seen & numbers.isfinite().all(-1)
        return where(changed, Tuned(answer, torch.full_like(nothing.steps, self.config.steps)), nothing)


def _own_masks(image: Image | None, detections: Detections, camera: Camera) -> Float[Tensor, "people size size"]:
    """The detector's silhouettes across the views that networks are tuned in."""
    seen = detections.to(camera.focal.device, torch.float32)
    view = keypoint_inputs(to_known_landmarks(seen), camera)[1]
    size = None if image is None else camera.focal.new_tensor([image.pixels.shape[1], image.pixels.shape[0]])
    return masks_in_view(seen, camera, view, None if size is None else size.expand(len(seen.boxes), 2))
