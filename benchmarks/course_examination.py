"""What a network of the course recipe is worth on held-out drawn people; the network that knows only the mean pose."""

import torch

from fitloop.body import load_body
from fitloop.geometry.rotations import rotmat_to_rot6d
from fitloop.pipelines.lessons.image_batches import ImageBatches
from fitloop.pipelines.lessons.keypoint_batches import (
    RegressorBatch,
    joint_errors,
    mean_pose,
    split_mocap,
    vertex_errors,
)
from fitloop.pipelines.training.regressor_config import TrainConfig
from fitloop.regressor import HMRConfig, LossConfig, build_hmr
from fitloop.regressor.hmr import HMR
from fitloop.regressor.keypoint_encoder import KEYPOINT_NAMES
from fitloop.regressor.losses import Criterion

Figures = dict[str, float]


class Examination:
    """Held-out people, the same for every row with crops of one size."""

    def __init__(self, training: TrainConfig) -> None:
        """Draw the people.

        Args:
            training: Any row.
        """
        self.body = load_body(training.body)
        _, held_out = split_mocap(training.mocap)
        batches = ImageBatches(self.body, held_out, training.images, training.model, "held-out")
        generator = torch.Generator().manual_seed(11)
        self.batches: list[RegressorBatch] = [batches(training.evaluate_people, generator)]
        self.criterion = Criterion(self.body, KEYPOINT_NAMES, LossConfig())

    def __call__(self, model: HMR) -> Figures:
        """``score`` in metres, ``mpjpe`` and ``pa_mpjpe`` in millimetres."""
        errors = joint_errors(model, self.batches, self.criterion)
        score = vertex_errors(model, self.batches, self.body)["pve"] / 1000.0
        return {"score": score, "mpjpe": errors["mpjpe"], "pa_mpjpe": errors["pa_mpjpe"]}


def mean_network(training: TrainConfig) -> HMR:
    """A network that says the mean pose of the training subjects and the mean shape of everybody, facing the camera."""
    model = build_hmr(HMRConfig("resnet18", width=1, image_size=training.model.image_size)).eval()
    mean = mean_pose(split_mocap(training.mocap)[0])
    model.head.init_pose.copy_(rotmat_to_rot6d(mean, model.head.config.layout).flatten()[None])
    for layer in (model.head.decpose, model.head.decshape, model.head.deccam):
        torch.nn.init.zeros_(layer.weight)
        torch.nn.init.zeros_(layer.bias)
    return model
