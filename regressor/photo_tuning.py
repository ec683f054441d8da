"""Tuning a network to one photo (Tung et al. 2017; EFT, Joo et al. 2020): weights move, not the body's parameters."""

import copy
from dataclasses import dataclass, replace

import torch
from jaxtyping import Float
from torch import Tensor

from fitloop.body import BodyEstimate, Detections, Image
from fitloop.geometry import Camera
from fitloop.regressor.crops import crop_inputs
from fitloop.regressor.keypoint_encoder import KEYPOINT_NAMES, keypoint_inputs, to_known_landmarks
from fitloop.regressor.losses import Criterion, LossConfig, Supervision
from fitloop.regressor.recipes import box_numbers
from fitloop.regressor.regressor import NetworkRegressor
from fitloop.regressor.views import points_in_view


@dataclass(frozen=True)
class TuningConfig:
    """How long and how fast weights move."""

    steps: int = 20
    """Of Adam on all weights."""
    learning_rate: float = 3e-5
    """Of Adam."""
    loss: LossConfig = LossConfig(1.0, 0.0, 0.0, 0.0)
    """2D keypoints, and silhouettes where there are masks: nothing else is known of a photo."""

    def __post_init__(self) -> None:
        if self.steps < 1 or not self.learning_rate > 0:
            raise ValueError(
                f"Tuning needs at least one step and a positive learning rate, got {self.steps} and "
                f"{self.learning_rate}."
            )


def tuned_estimate(
    regressor: NetworkRegressor,
    image: Image | None,
    detections: Detections,
    camera: Camera,
    config: TuningConfig = TuningConfig(),
    masks: Float[Tensor, "people size size"] | None = None,
) -> BodyEstimate:
    """Guess bodies with a copy of the network that was tuned to what is seen of them.

    Args:
        regressor: Left as it is.
        image: The photo; only encoders of images need it.
        detections: The people of one photo, one row each.
        camera: One per person.
        config: Steps, rate, losses.
        masks: Of `fitloop.regressor.silhouettes.SIZE`, across each person's view; empty ones do not count.

    Raises:
        ValueError: If masks have another size, or the encoder needs a photo and there is none.
    """
    known, network = to_known_landmarks(detections), regressor.weights.config
    if network.encoder == "keypoints":
        inputs, view = keypoint_inputs(known, camera)
    elif image is None:
        raise ValueError(f"The regressor {regressor.name!r} reads pixels ({network.encoder}); give it the photo.")
    else:
        inputs, view = crop_inputs(image, known, camera, network)
    extra = box_numbers(network.recipe, known.boxes, camera)
    flat = points_in_view(known.keypoints, camera, view)
    nothing = flat.new_zeros(len(flat), len(KEYPOINT_NAMES), 3)
    truth = Supervision(
        points_2d=flat,
        confidence_2d=known.confidence,
        points_3d=nothing,
        confidence_3d=nothing[..., 0],
        rotations=torch.eye(3).to(flat).expand(len(flat), 24, 3, 3),
        betas=flat.new_zeros(len(flat), regressor.body.num_betas),
        confidence_params=nothing[:, 0, 0],
        masks=masks,
    )
    criterion, model = Criterion(regressor.body, KEYPOINT_NAMES, config.loss), copy.deepcopy(regressor.weights.model)
    optimizer = torch.optim.Adam(model.parameters(), config.learning_rate)
    for _ in range(config.steps):
        optimizer.zero_grad(set_to_none=True)
        torch.stack(list(criterion(model(inputs, extra), view, truth).values())).sum().backward()
        optimizer.step()
    tuned = NetworkRegressor(regressor.name, replace(regressor.weights, model=model), regressor.body)
    return tuned(image, detections, camera)
