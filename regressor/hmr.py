"""HMR: an encoder, then iterative error feedback on pose, shape and camera (Kanazawa et al. 2018)."""

import math
from dataclasses import dataclass
from typing import Any, Literal, get_args

import torch
from jaxtyping import Float
from torch import Tensor, nn

from fitloop.body import JOINT_NAMES
from fitloop.geometry import TensorRecord
from fitloop.geometry.rotations import SixDLayout, rot6d_to_rotmat, rotmat_to_rot6d

POSE_NUMBERS = 6 * len(JOINT_NAMES)
SPREADS = len(JOINT_NAMES) + 1
"""Of what a head says how sure it is: each rotation, and the shape."""
FIRST_SPREAD = 0.3


@dataclass(frozen=True)
class HMROutput(TensorRecord):
    """What the network says of each person, in the frame of the view it was shown."""

    rotations: Float[Tensor, "people joints 3 3"]
    """Root to view, then each joint relative to its parent, ordered as `JOINT_NAMES`."""
    betas: Float[Tensor, "people betas"]
    weak: Float[Tensor, "people 3"]
    """Weak camera (s, tx, ty): x = s (X + tx), with the view spanning [-1, 1]."""
    log_spread: Float[Tensor, "people parts"] | None = None
    """Logarithm of how far each rotation (radians, about any axis) and, last, each shape coefficient may be off; None
    of a head that does not say."""


@dataclass(frozen=True)
class HeadConfig:
    """The iterative head."""

    iterations: int = 3
    """Rounds of error feedback; the weights are shared between them."""
    hidden: int = 1024
    """Width of both hidden layers."""
    dropout: float = 0.5
    activation: Literal["none", "relu"] = "none"
    """Between the layers: none in SPIN and CLIFF, ReLU in HMR."""
    layout: SixDLayout = "interleaved"
    """Order of the six numbers of a rotation."""
    extra_inputs: int = 0
    """Numbers appended to the features: 3 in CLIFF (where the box lies)."""
    num_betas: int = 10
    uncertainty: int = 0
    """Width of the hidden layer that tells how sure the network is; 0 for a head that does not say."""

    def __post_init__(self) -> None:
        """Refuse what cannot run, or would never end."""
        for name, low, high in (
            *(("iterations", 1, 32), ("hidden", 1, 16384)),
            *(("extra_inputs", 0, 64), ("num_betas", 1, 400)),
            ("uncertainty", 0, 16384),
        ):
            value = getattr(self, name)
            if not isinstance(value, int) or not low <= value <= high:
                raise ValueError(f"The head needs a whole number between {low} and {high} for {name}, got {value!r}.")
        if not 0.0 <= self.dropout < 1.0:
            raise ValueError(f"The head needs a dropout in [0, 1), got {self.dropout}.")
        if self.activation not in ("none", "relu") or self.layout not in get_args(SixDLayout):
            raise ValueError(
                f"The head's activation is 'none' or 'relu' and its layout one of {', '.join(get_args(SixDLayout))}, "
                f"got {self.activation!r} and {self.layout!r}."
            )


class SpreadHead(nn.Module):
    """Tells of a finished estimate how far each rotation and the shape may be off."""

    temperature: Tensor

    def __init__(self, inputs: int, hidden: int) -> None:
        """Make the layers; before any training every part may be off by `FIRST_SPREAD`.

        Args:
            inputs: The evidence and the estimate.
            hidden: Width of the layer between.
        """
        super().__init__()
        self.expand = nn.Linear(inputs, hidden)
        self.contract = nn.Linear(hidden, SPREADS)
        nn.init.zeros_(self.contract.weight)
        nn.init.constant_(self.contract.bias, math.log(FIRST_SPREAD))
        # Added to the logarithms, by measurement on people that training never saw.
        self.register_buffer("temperature", torch.zeros(SPREADS))

    def forward(self, evidence: Tensor) -> Float[Tensor, "people parts"]:
        """Logarithms of the spreads."""
        return self.contract(nn.functional.gelu(self.expand(evidence))).clamp(-6.0, 2.0) + self.temperature


def rest_pose(root: tuple[float, float, float], layout: SixDLayout) -> Float[Tensor, "1 numbers"]:
    """Limbs straight, as the numbers of a network that was not trained yet.

    Args:
        root: Diagonal of the root's rotation.
        layout: Of the six numbers of a rotation.
    """
    # Files are compared with a network on the device "meta", where these few numbers would load PyTorch's compiler:
    # a second of every start.
    with torch.device("cpu"):
        rotations = torch.eye(3).repeat(len(JOINT_NAMES), 1, 1)
        rotations[0] = torch.diag(torch.tensor(root))
        return rotmat_to_rot6d(rotations, layout).flatten()[None]


class IterativeHead(nn.Module):
    """Regresses corrections to a running estimate that starts at the mean person.

    Parameter names and shapes are SPIN's (fc1, fc2, decpose, decshape, deccam, init_*).
    """

    init_pose: Tensor
    init_shape: Tensor
    init_cam: Tensor

    def __init__(self, features: int, config: HeadConfig = HeadConfig()) -> None:
        """Make the layers, with an upright T-pose as the mean person until better is loaded.

        Args:
            features: What the encoder gives.
            config: Iterations, width, dropout, layout.
        """
        super().__init__()
        self.config = config
        self.evidence = features + config.extra_inputs
        estimate = POSE_NUMBERS + config.num_betas + 3
        self.fc1 = nn.Linear(self.evidence + estimate, config.hidden)
        self.drop1 = nn.Dropout(config.dropout)
        self.fc2 = nn.Linear(config.hidden, config.hidden)
        self.drop2 = nn.Dropout(config.dropout)
        self.decpose = nn.Linear(config.hidden, POSE_NUMBERS)
        self.decshape = nn.Linear(config.hidden, config.num_betas)
        self.deccam = nn.Linear(config.hidden, 3)
        self.spread = SpreadHead(self.evidence + estimate, config.uncertainty) if config.uncertainty else None
        for layer in (self.decpose, self.decshape, self.deccam):
            nn.init.xavier_uniform_(layer.weight, gain=0.01)
        self.register_buffer("init_pose", rest_pose((1.0, -1.0, -1.0), config.layout))
        self.register_buffer("init_shape", torch.zeros(1, config.num_betas))
        self.register_buffer("init_cam", torch.tensor([[0.9, 0.0, 0.0]]))

    def forward(self, evidence: Float[Tensor, "people evidence"]) -> HMROutput:
        """Iterate from the mean person.

        Args:
            evidence: The encoder's features, then the extra inputs if the head has any.
        """
        estimate = torch.cat([self.init_pose, self.init_shape, self.init_cam], -1).expand(len(evidence), -1)
        weight_evidence, weight_estimate = self.fc1.weight.split([self.evidence, estimate.shape[-1]], dim=1)
        # The features do not change between iterations, so their share of the first layer is computed once.
        fixed = nn.functional.linear(evidence, weight_evidence, self.fc1.bias)
        for _ in range(self.config.iterations):
            hidden = self.drop1(self._activate(fixed + nn.functional.linear(estimate, weight_estimate)))
            hidden = self.drop2(self._activate(self.fc2(hidden)))
            step = torch.cat([self.decpose(hidden), self.decshape(hidden), self.deccam(hidden)], -1)
            estimate = estimate + step.to(estimate.dtype)
        pose, betas, weak = estimate.split([POSE_NUMBERS, self.config.num_betas, 3], dim=-1)
        six = pose.unflatten(-1, (len(JOINT_NAMES), 6))
        # The mean is taught by its own losses: an estimate must not get worse to be rightly doubted.
        told = None if self.spread is None else self.spread(torch.cat([evidence, estimate.detach()], -1))
        return HMROutput(rot6d_to_rotmat(six, self.config.layout), betas, weak, told)

    def _activate(self, hidden: Tensor) -> Tensor:
        return torch.relu(hidden) if self.config.activation == "relu" else hidden


class HMR(nn.Module):
    """Any encoder with the iterative head on top."""

    def __init__(self, encoder: nn.Module, config: HeadConfig = HeadConfig()) -> None:
        """Join them.

        Args:
            encoder: A module with ``out_features`` that turns its own kind of input into (people, features).
            config: The head's.
        """
        super().__init__()
        self.encoder = encoder
        self.head = IterativeHead(int(encoder.out_features), config)  # pyright: ignore[reportArgumentType]

    def forward(self, inputs: Any, extra: Float[Tensor, "people extra"] | None = None) -> HMROutput:
        """Regress people.

        Args:
            inputs: What the encoder takes: a batch of crops, proxies or `KeypointInputs`.
            extra: The head's extra inputs, if it has any (CLIFF's three numbers).
        """
        features = self.encoder(inputs)
        return self.head(features if extra is None else torch.cat([features, extra], -1))
