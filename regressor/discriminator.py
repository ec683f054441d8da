"""HMR's factorised adversarial prior: is this joint, pose, shape a real person's? (Kanazawa et al. 2018, sec. 3.3)."""

from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor, nn

BODY_JOINTS = 23
OpinionOrder = Literal["hmr", "hmr2"]


class Discriminator(nn.Module):
    """One opinion per joint, one on all joints, one on the shape; parameter names are those of HMR2's port.

    The original and its port disagree on two layouts, which matters for importing weights: ``hmr`` gives the
    opinions as [23 joints, all joints, shape] and flattens the all-joint input joint by joint; ``hmr2`` gives
    [23 joints, shape, all joints] and flattens channel by channel.
    """

    def __init__(self, order: OpinionOrder = "hmr", num_betas: int = 10) -> None:
        """Make the layers.

        Args:
            order: Layout of opinions and of the all-joint input.
            num_betas: Shape coefficients of the body.
        """
        super().__init__()
        self.order = order
        self.D_conv1 = nn.Conv2d(9, 32, 1)
        self.D_conv2 = nn.Conv2d(32, 32, 1)
        self.pose_out = nn.ModuleList([nn.Linear(32, 1) for _ in range(BODY_JOINTS)])
        self.betas_fc1 = nn.Linear(num_betas, 10)
        self.betas_fc2 = nn.Linear(10, 5)
        self.betas_out = nn.Linear(5, 1)
        self.D_alljoints_fc1 = nn.Linear(32 * BODY_JOINTS, 1024)
        self.D_alljoints_fc2 = nn.Linear(1024, 1024)
        self.D_alljoints_out = nn.Linear(1024, 1)

    def forward(
        self, body_pose: Float[Tensor, "people 23 3 3"], betas: Float[Tensor, "people betas"]
    ) -> Float[Tensor, "people 25"]:
        """Judge people: 1 for real, 0 for made up.

        Args:
            body_pose: Local rotations without the root.
            betas: Shape coefficients.
        """
        pixels = body_pose.flatten(2).mT[:, :, :, None]
        joints = torch.relu(self.D_conv2(torch.relu(self.D_conv1(pixels))))[..., 0]
        own = torch.cat([layer(joints[..., number]) for number, layer in enumerate(self.pose_out)], dim=-1)
        everything = (joints.mT if self.order == "hmr" else joints).flatten(1)
        hidden = torch.relu(self.D_alljoints_fc2(torch.relu(self.D_alljoints_fc1(everything))))
        whole = self.D_alljoints_out(hidden)
        shape = self.betas_out(torch.relu(self.betas_fc2(torch.relu(self.betas_fc1(betas)))))
        return torch.cat([own, whole, shape] if self.order == "hmr" else [own, shape, whole], dim=-1)


def realism_loss(opinions: Float[Tensor, "people 25"]) -> Float[Tensor, ""]:
    """What the regressor minimises: the squared distance of every opinion from "real" (LSGAN, Mao et al. 2017)."""
    return (opinions - 1.0).square().sum(-1).mean()


def discrimination_loss(real: Float[Tensor, "people 25"], made: Float[Tensor, "others 25"]) -> Float[Tensor, ""]:
    """What the discriminator minimises: real people should score 1, made-up ones 0 (LSGAN, Mao et al. 2017)."""
    return (real - 1.0).square().sum(-1).mean() + made.square().sum(-1).mean()
